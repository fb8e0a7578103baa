//! Options that describe a model, for what is written beside it.

use clap::Args;
use leitmotif_export::About;

/// What the checkpoint does not know.
#[derive(Args)]
pub(crate) struct AboutOptions {
    /// Who made the model, for --sidecar.
    #[arg(long, requires = "sidecar")]
    author: Option<String>,
    /// Where the author is reached, for --sidecar.
    #[arg(long, requires = "sidecar")]
    email: Option<String>,
    /// A page about the model, for --sidecar.
    #[arg(long, requires = "sidecar")]
    link: Option<String>,
    /// When it is published, YYYY-MM-DD, for --sidecar.
    #[arg(long, requires = "sidecar", value_parser = date)]
    date: Option<String>,
    /// How to cite it, for --sidecar.
    #[arg(long, requires = "sidecar")]
    citation: Option<String>,
    /// Licence of the weights as the Hub spells it, such as cc-by-sa-4.0, for --sidecar huggingface [default: unknown].
    #[arg(long, requires = "sidecar", value_parser = license)]
    license: Option<String>,
    /// Data set on the Hub that it was trained on, NAME or OWNER/NAME; may be repeated, for --sidecar huggingface.
    #[arg(long, requires = "sidecar", value_name = "OWNER/NAME", value_parser = dataset)]
    hub_dataset: Vec<String>,
}

impl From<AboutOptions> for About {
    fn from(options: AboutOptions) -> Self {
        About {
            author: options.author.unwrap_or_default(),
            email: options.email.unwrap_or_default(),
            link: options.link.unwrap_or_default(),
            date: options.date.unwrap_or_default(),
            citation: options.citation.unwrap_or_default(),
            license: options.license.unwrap_or_default(),
            datasets: options.hub_dataset,
        }
    }
}

fn date(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |digits: &str, length: usize| {
        let is_number = digits.len() == length && digits.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| digits.parse::<u32>().ok()).flatten()
    };
    let is_date = match parts.as_slice() {
        [year, month, day] => match (number(year, 4), number(month, 2), number(day, 2)) {
            (Some(year), Some(month), Some(day)) => (1..=days_of(year, month)).contains(&day),
            _ => false,
        },
        _ => false,
    };
    let reason = "a date is YYYY-MM-DD, a day that exists, as 2026-11-27";
    is_date.then(|| text.to_owned()).ok_or_else(|| reason.to_owned())
}

/// Days of a month of the Gregorian calendar; 0 where there is no such month.
fn days_of(year: u32, month: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => 0,
    }
}

fn license(text: &str) -> Result<String, String> {
    let is_one = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
    let reason =
        "the Hub spells licences in lower case without spaces, as cc-by-sa-4.0, mit or other";
    is_one.then(|| text.to_owned()).ok_or_else(|| reason.to_owned())
}

fn dataset(text: &str) -> Result<String, String> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let is_one = text.split('/').count() <= 2 && text.split('/').all(is_name);
    let reason =
        "a data set on the Hub is NAME or OWNER/NAME, of letters, digits, `-`, `_` and `.`";
    is_one.then(|| text.to_owned()).ok_or_else(|| reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_hub_would_refuse_is_refused_here() {
        for good in ["2026-11-27", "2024-02-29", "2000-02-29"] {
            date(good).unwrap();
        }
        for bad in [
            "",
            "today",
            "2026-13-01",
            "27-11-2026",
            "2026-11-32",
            "2026-11",
            "2026-02-31",
            "2026-02-29",
            "1900-02-29",
            "2026-04-31",
            "2026-01-00",
        ] {
            assert!(date(bad).unwrap_err().contains("YYYY-MM-DD"), "{bad}");
        }
        license("cc-by-sa-4.0").unwrap();
        assert!(license("CC BY").unwrap_err().contains("lower case"));
        dataset("ann/game-music").unwrap();
        for bad in ["", "a/b/c", "open game music", "/x"] {
            assert!(dataset(bad).unwrap_err().contains("OWNER/NAME"), "{bad}");
        }
    }
}
