//! One HTML file of all results so far, with the paper's numbers beside ours, or of one run.
//!
//! [`results::Results`] is a results folder in memory, a run is read by `run`. Each section turns either into
//! [`table::Table`]s, from which the page, the CSV files and the JSON are printed alike, and into figures drawn from the
//! same numbers. Modules import only those above them:

pub mod results;

mod spread;

mod groups;
mod measure;

mod epochs;

pub mod table;

mod confusion;
mod document;
mod interval;

mod claims;
mod picture;

mod caption;
mod collaborations;

mod sections;

mod run;

mod shades;

mod grid;

mod html;
mod tables_folder;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use epochs::Epochs;
use results::Results;

use leitmotif_models::checkpoint::{is_checkpoint, is_run};

use crate::learn::checkpoint::write_text;
use crate::paper::experiment::error::{ExperimentError, ReportError, ResultsError};
use crate::paper::experiment::results_dir;
use crate::paper::experiment::spec::Presentation;

pub use document::{Figure, Key, Report, Section, Stroke};

impl Report {
    /// Makes the report of a results folder, or of a run's folder.
    ///
    /// # Errors
    ///
    /// `Missing` for any other folder, `CheckpointFolder`, `NothingFinished`, `OnlyOtherEpochs`, or a file that cannot
    /// be read.
    pub fn of(folder: &Path) -> Result<Self, ExperimentError> {
        match (results_dir::read_note(folder)?, is_run(folder)) {
            (None, true) => run::report(folder),
            (None, false) if is_checkpoint(folder) => {
                Err(ResultsError::CheckpointFolder { path: folder.to_owned() }.into())
            }
            _ => Self::of_results(folder),
        }
    }

    fn of_results(folder: &Path) -> Result<Self, ExperimentError> {
        let results = Results::read(folder)?;
        let mut sections = vec![sections::questions::section(&results)];
        for planned in &results.experiments {
            sections.push(match planned.experiment.presentation {
                Presentation::Curves => sections::curves::section(&results, planned)?,
                Presentation::TopK => sections::topk::section(&results, planned)?,
                Presentation::Genres => sections::genres::section(&results, planned),
                Presentation::Scores => sections::scores::section(&results, planned),
            });
        }
        sections.extend([
            sections::artists::scores(&results),
            sections::artists::section(&results),
            sections::filters::section(&results)?,
            sections::data::section(&results),
            sections::runs::section(&results),
        ]);
        sections.retain(|section| !section.tables.is_empty() || !section.text.is_empty());
        let note = &results.note;
        let unfinished = match results.planned - results.runs.len() - results.other_epochs.len() {
            0 => String::new(),
            1 => " One run is still to be done; its results are missing here.".to_owned(),
            n => format!(" {n} runs are still to be done; their results are missing here."),
        };
        let mut summary = vec![
            format!(
                "Data set {}: {} clips of {} songs by {} artists. {} finished runs.{unfinished}",
                note.dataset.name, note.dataset.clips, note.dataset.songs, note.artists, results.runs.len(),
            ),
            "The experiments are those of Nibbeling, “Artist Recognition with Convolutional Recurrent Neural Networks” (2018). \
             The paper’s numbers are marked as such; all others were measured here."
                .to_owned(),
        ];
        summary.extend(results.other_epochs.iter().map(|(key, other)| {
            format!(
                "The run {key} is left out: {other}. To include it, remove its folder and run the experiment again."
            )
        }));
        let title = format!("Artist recognition on {}", note.dataset.name);
        Ok(Report { version: 1, title, summary, caveats: caveats(&results), sections })
    }

    /// Writes the page, its CSV files in a folder beside it, and the JSON where wanted; returns the folder.
    ///
    /// # Errors
    ///
    /// `ForeignFile` for a folder of tables that holds other files; whatever cannot be written.
    pub fn write(&self, page: &Path, json: Option<&Path>) -> Result<PathBuf, ExperimentError> {
        let stem = page.file_stem().unwrap_or_default().to_string_lossy();
        let tables = page.with_file_name(format!("{stem}-tables"));
        let csv = self.tables().map(|table| {
            let name = format!("{}.csv", table.id);
            let text = table
                .csv()
                .map_err(|source| ReportError::Table { id: table.id.clone(), source })?;
            Ok((name, text))
        });
        tables_folder::replace(&tables, &csv.collect::<Result<_, ExperimentError>>()?)?;
        let folder = tables.file_name().unwrap_or_default().to_string_lossy();
        write_text(page, &html::html(self, &folder))?;
        if let Some(json) = json {
            results_dir::write_json(json, self)?;
        }
        Ok(tables)
    }
}

/// Experiments whose runs are shorter than they ask for: every number below is then that of unfinished training.
fn caveats(results: &Results) -> Vec<String> {
    let mut by_epochs: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for planned in &results.experiments {
        let all_series = results.series(planned);
        let short = Epochs::of(planned, &all_series).filter(|epochs| epochs.are_short());
        if let Some(epochs) = short {
            by_epochs.entry(epochs.to_string()).or_default().push(&planned.experiment.name);
        }
    }
    let caveat = |(epochs, names): (String, Vec<&str>)| {
        format!(
            "Runs are shorter than the experiments ask for: {epochs} ({}). Their scores are those of unfinished training, and \
             which network is ahead may change with more of it: take every verdict on them as preliminary.",
            names.join(", ")
        )
    };
    by_epochs.into_iter().map(caveat).collect()
}
