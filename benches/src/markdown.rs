//! Text as the documents lay it out.

/// The words of `text` in lines of at most 118 characters.
pub(crate) fn wrap(text: &str) -> String {
    const COLUMNS: usize = 118;
    let (mut lines, mut column) = (String::new(), 0);
    for word in text.split(' ') {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > COLUMNS {
            lines.push('\n');
            column = 0;
        } else if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines += word;
        column += width;
    }
    lines + "\n"
}

/// A table.
pub(crate) fn rows(heads: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n{}|\n", heads.join(" | "), "|---".repeat(heads.len()));
    for row in rows {
        text += &format!("| {} |\n", row.join(" | "));
    }
    text
}
