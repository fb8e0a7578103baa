//! One HTML file of everything that has been run so far, with the paper's numbers beside ours.
//!
//! [`results::Results`] is what a results folder holds; each section turns it into [`table::Table`]s, from which the page,
//! the CSV files and the JSON are printed alike, and into figures drawn of the same numbers.

mod document;
mod files;
mod groups;
mod html;
mod measure;
mod picture;
pub mod results;
mod sections;
mod spread;
pub mod table;

use std::path::{Path, PathBuf};

use crate::learn::checkpoint::write_text;
use crate::paper::experiment::error::ExperimentError;
use crate::paper::experiment::results_dir;
use crate::paper::experiment::spec::Show;
use results::{Lengthened, Results};

pub use document::{Figure, Key, Report, Section, Stroke};

impl Report {
    /// Makes the report of a results folder.
    ///
    /// # Errors
    ///
    /// `NoResults`, `NothingFinished`, or a file that cannot be read.
    pub fn of(folder: &Path) -> Result<Self, ExperimentError> {
        let results = Results::read(folder)?;
        let mut sections = vec![sections::questions::section(&results)];
        for asked in &results.asked {
            sections.push(match asked.experiment.show {
                Show::Curves => sections::curves::section(&results, asked)?,
                Show::TopK => sections::topk::section(&results, asked)?,
                Show::Genres => sections::genres::section(&results, asked),
            });
        }
        sections.extend([
            sections::artists::scores(&results),
            sections::artists::section(&results),
            sections::filters::section(&results)?,
            sections::music::section(&results),
            sections::runs::section(&results),
        ]);
        sections.retain(|section| !section.tables.is_empty() || !section.text.is_empty());
        let note = &results.note;
        let unfinished = match results.wanted - results.runs.len() - results.lengthened.len() {
            0 => String::new(),
            1 => " One run is still to be done: what it would show is missing here.".to_owned(),
            n => format!(" {n} runs are still to be done: what they would show is missing here."),
        };
        let mut summary = vec![
            format!(
                "Who made it? {} clips of {} songs by {} artists ({}); {} finished runs.{unfinished}",
                note.dataset.clips, note.dataset.songs, note.artists, note.dataset.name, results.runs.len(),
            ),
            "The experiments are those of Nibbeling, “Artist Recognition with Convolutional Recurrent Neural Networks” (2018). \
             What the paper says is marked as the paper’s; everything else was measured here."
                .to_owned(),
        ];
        summary.extend(results.lengthened.iter().map(|(key, Lengthened { asked, given })| {
            format!(
                "The run {key} is left out: its experiment asks for {asked} epochs, and it was given {given} since. To have it here, \
                 remove its folder and run the experiment again."
            )
        }));
        let title = format!("Artist recognition on {}", note.dataset.name);
        Ok(Report { version: 1, title, summary, sections })
    }

    /// Writes the page, its CSV files in a folder beside it, and the JSON where asked for; gives the folder.
    ///
    /// # Errors
    ///
    /// Whatever cannot be written.
    pub fn write(&self, page: &Path, json: Option<&Path>) -> Result<PathBuf, ExperimentError> {
        let stem = page.file_stem().unwrap_or_default().to_string_lossy();
        let tables = page.with_file_name(format!("{stem}-tables"));
        let csv = self.tables().map(|table| {
            let name = format!("{}.csv", table.id);
            let text = table.csv().map_err(|e| ExperimentError::broken(&tables.join(&name), e))?;
            Ok((name, text))
        });
        files::replace(&tables, &csv.collect::<Result<_, ExperimentError>>()?)?;
        let folder = tables.file_name().unwrap_or_default().to_string_lossy();
        write_text(page, &html::html(self, &folder))?;
        if let Some(json) = json {
            results_dir::write(json, self)?;
        }
        Ok(tables)
    }
}
