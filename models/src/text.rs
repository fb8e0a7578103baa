//! Numbers, names and digests as text: one spelling for every program of the project.

/// `text` as it is, but for control characters, which are escaped: a name in a file must not steer a terminal.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
    }
    printable
}

/// `568941120` as `568,941,120`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Text as HTML that shows it, between tags or in an attribute.
pub fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            c => escaped.push(c),
        }
    }
    escaped
}

/// A number with its unit: `1 song`, `1,200 songs`; `unit` in the singular, whose plural ends with `s`.
pub fn count(number: usize, unit: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {unit}{ending}", thousands(number as u64))
}

/// An error and its causes on one line: `song.ogg cannot be read: permission denied`.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Bytes in lower-case hexadecimal, e.g. of a digest.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The first `digits` hexadecimal digits of a digest, an even number: a short name for what was digested.
pub fn short_hex(digest: &[u8], digits: usize) -> String {
    hex(digest.get(..digits / 2).unwrap_or(digest))
}

/// The first `most` names, quoted, and how many more there are: `` `a`, `b` and 3 more``.
pub fn first_names<'a>(names: impl ExactSizeIterator<Item = &'a String>, most: usize) -> String {
    let more = names.len().saturating_sub(most);
    let mut text = names.take(most).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text += &format!(" and {more} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let made: Vec<_> = [0, 12, 999, 1_000, 568_941_120].into_iter().map(thousands).collect();
        assert_eq!(made, ["0", "12", "999", "1,000", "568,941,120"]);
    }

    #[test]
    fn names_are_printed_as_they_are_but_for_control_characters() {
        assert_eq!(printable("Bo, \"the\" 🎷 Ætheling"), "Bo, \"the\" 🎷 Ætheling");
        assert_eq!(printable("red\u{1b}[31m\n\u{9b}"), "red\\u{1b}[31m\\n\\u{9b}");
    }

    #[test]
    fn html_is_text() {
        assert_eq!(escape_html("<a title=\"R&B\">"), "&lt;a title=&quot;R&amp;B&quot;&gt;");
    }

    #[test]
    fn every_cause_of_an_error_is_printed_once() {
        let cause = "x".parse::<u8>().unwrap_err();
        let error = crate::RunError::Syntax("no JSON".to_owned());
        assert_eq!(with_causes(&error), error.to_string());
        let error = std::io::Error::other(cause.clone());
        assert_eq!(with_causes(&Outer(error)), format!("outer: {cause}"));
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn digests_are_lower_case_with_leading_zeros() {
        assert_eq!(hex(&[0x00, 0x0a, 0xff]), "000aff");
        assert_eq!(hex(&[]), "");
        assert_eq!(short_hex(&[0x12, 0x34, 0x56], 4), "1234");
    }

    #[test]
    fn one_is_singular() {
        let made = [0, 1, 1_200].map(|number| count(number, "song"));
        assert_eq!(made, ["0 songs", "1 song", "1,200 songs"]);
    }

    #[test]
    fn names_beyond_the_first_are_counted() {
        let names = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(first_names(names.iter(), 2), "`a`, `b` and 1 more");
        assert_eq!(first_names(names.iter(), 3), "`a`, `b`, `c`");
    }
}
