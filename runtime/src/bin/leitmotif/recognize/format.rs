//! How answers are written.

use std::path::Path;

use clap::ValueEnum;

use crate::Usage;

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Text for people
    Table,
    /// One JSON object with all answers
    Json,
    /// One JSON object a line for each file, `{"file", "error", …}` if there is no answer
    Ndjson,
    /// One row for each file
    Csv,
}

impl Format {
    /// The format that was named, else by the ending of the file that rows are appended to.
    ///
    /// # Errors
    ///
    /// A format that has no rows to append, and a timeline or a gallery where there is no place for it.
    pub(super) fn choose(
        named: Option<Self>,
        out: Option<&Path>,
        timeline: bool,
        gallery: bool,
    ) -> Result<Self, Usage> {
        let ending = out.and_then(Path::extension).unwrap_or_default().to_string_lossy();
        let by_name = match ending.to_lowercase().as_str() {
            "ndjson" | "jsonl" => Some(Format::Ndjson),
            "csv" => Some(Format::Csv),
            _ => None,
        };
        let format = named.or(by_name).unwrap_or(Format::Table);
        if out.is_some() && matches!(format, Format::Table | Format::Json) {
            return Err(Usage(
                "--out appends rows of ndjson or csv: name it FILE.ndjson or FILE.csv, or say --format",
            ));
        }
        if timeline && format == Format::Csv {
            return Err(Usage("csv has no place for --timeline: use --format ndjson or json"));
        }
        if gallery && format == Format::Csv {
            return Err(Usage("csv has no place for --gallery: use --format ndjson or json"));
        }
        Ok(format)
    }
}
