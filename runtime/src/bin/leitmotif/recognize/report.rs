//! Writes the answers, in the format that was asked for, to standard output or to the file of `--out`.

use std::io::{self, Write};
use std::num::NonZeroUsize;

use leitmotif::{Answer, DeviceTaken};
use leitmotif_models::Card;
use serde_json::json;

use super::format::Format;
use super::inputs::Input;
use super::kept::{Kept, csv_line};
use super::row::{ModelName, Outcome, Row, VERSION, csv_columns};
use super::table::Table;
use super::{Recognize, Threshold};
use crate::console::Colors;
use crate::gallery::Similar;

/// The answers' way out.
pub(super) struct Report<'a> {
    format: Format,
    top: NonZeroUsize,
    threshold: Threshold,
    timeline: bool,
    card: &'a Card,
    model: ModelName,
    kept: Option<Kept>,
    /// Rows of the JSON object so far.
    rows: usize,
}

impl<'a> Report<'a> {
    /// Opens the file of `--out` and writes what comes before the first answer.
    pub(super) fn begin(
        options: &Recognize,
        format: Format,
        card: &'a Card,
        device: &DeviceTaken,
    ) -> anyhow::Result<Self> {
        let mut report = Self {
            format,
            top: options.top,
            threshold: Threshold(options.min_probability),
            timeline: options.timeline,
            card,
            model: ModelName::of(card),
            kept: None,
            rows: 0,
        };
        let heading = csv_columns(report.artists());
        let heading = (format == Format::Csv).then_some(heading.as_slice());
        match (&options.out, heading, format) {
            (Some(out), ..) => {
                report.kept = Some(Kept::open(out, heading, &report.model, options.force)?);
            }
            (None, Some(heading), _) => report.write(&csv_line(heading)?)?,
            (None, None, Format::Json) => {
                let ModelName { model, weights } = &report.model;
                let file = options.model.to_string_lossy();
                let head = json!({
                    "version": VERSION, "model": model, "weights": weights, "model_file": file, "device": device,
                });
                // The object stays open for the answers.
                let head = head.to_string();
                let head = head.strip_suffix('}').unwrap_or_default();
                report.write(format!("{head},\"answers\":[").as_bytes())?;
            }
            (None, None, Format::Table | Format::Ndjson | Format::Csv) => {}
        }
        Ok(report)
    }

    /// Whether the file of `--out` has a row of this input.
    pub(super) fn has(&self, input: &Input) -> bool {
        self.kept.as_ref().zip(input.exact_name()).is_some_and(|(kept, name)| kept.has(name))
    }

    pub(super) fn answer(
        &mut self,
        file: &str,
        mut answer: Answer,
        gallery: Option<&Similar>,
    ) -> io::Result<()> {
        answer.artists.truncate(self.top.get());
        let unknown = self.threshold.unknown(&answer);
        if self.format == Format::Table {
            let table = Table { card: self.card, colors: Colors::of_stdout() };
            let text = match gallery {
                Some(similar) => table.heading(file, &answer) + &similar.text(answer.is_silent()),
                None => table.text(file, &answer, unknown, self.threshold, self.timeline),
            };
            return self.write(text.as_bytes());
        }
        if !self.timeline {
            answer.timeline.clear();
        }
        let silent = answer.is_silent();
        self.row(file, Outcome::Answer { unknown, silent, answer: &answer, gallery })
    }

    /// Why a path has no answer; a table leaves that to standard error.
    pub(super) fn failure(&mut self, file: &str, error: &str) -> io::Result<()> {
        match self.format {
            Format::Table => Ok(()),
            _ => self.row(file, Outcome::Error { error }),
        }
    }

    /// Writes what comes after the last answer.
    pub(super) fn end(&mut self, stopped: bool) -> io::Result<()> {
        match self.format {
            Format::Json => self.write(format!("\n],\"stopped\":{stopped}}}\n").as_bytes()),
            _ => Ok(()),
        }
    }

    /// Artists in a row.
    fn artists(&self) -> usize {
        self.top.get().min(self.card.classes.len())
    }

    fn row(&mut self, file: &str, outcome: Outcome<'_>) -> io::Result<()> {
        let row = Row { version: VERSION, file, model: &self.model, outcome };
        let line = match self.format {
            Format::Csv => csv_line(&row.csv_values(self.artists()))?,
            Format::Json => {
                let separator = if self.rows == 0 { "\n" } else { ",\n" };
                [separator.as_bytes(), &serde_json::to_vec(&row)?].concat()
            }
            Format::Table | Format::Ndjson => [&serde_json::to_vec(&row)?[..], b"\n"].concat(),
        };
        self.rows += 1;
        self.write(&line)
    }

    /// Writes one row at once, so that no other line comes between.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.kept {
            Some(kept) => kept.append(bytes),
            None => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
        }
    }
}
