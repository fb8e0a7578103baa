//! One HTML file of everything that has been run so far, with the paper's numbers beside ours.
//!
//! [`results::Results`] is what a results folder holds; each section turns it into [`table::Table`]s, from which the page,
//! the CSV files and the JSON are printed alike, and into figures drawn of the same numbers.

mod answers;
mod artists;
mod charts;
mod collaborations;
mod curves;
mod files;
mod genres;
mod learned;
mod measure;
mod music;
mod page;
mod picture;
pub mod results;
mod runs;
mod spread;
mod subjects;
pub mod table;
mod topk;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::checkpoint::write_text;
use crate::experiment::error::ExperimentError;
use crate::experiment::file::Show;
use crate::experiment::folder;
use results::{Lengthened, Results};
use table::Table;

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this form.
    pub version: u32,
    /// Heading.
    pub title: String,
    /// What it is of, in a sentence or two.
    pub summary: Vec<String>,
    /// From the answers to the runs.
    pub sections: Vec<Section>,
}

/// A heading with what belongs under it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Section {
    /// Anchor in the page.
    pub id: String,
    /// Heading.
    pub title: String,
    /// Paragraphs.
    pub text: Vec<String>,
    /// Drawn from the tables.
    #[serde(skip)]
    pub figures: Vec<Figure>,
    /// Every number.
    pub tables: Vec<Table>,
}

/// A drawing with its legend.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What it shows.
    pub caption: String,
    /// SVG or an image, ready for the page.
    pub drawing: String,
    /// Colours with what they stand for.
    pub legend: Vec<Key>,
}

/// One entry of a legend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Number of the colour.
    pub colour: usize,
    /// How it is drawn.
    pub stroke: Stroke,
    /// What it stands for.
    pub label: String,
}

/// How something is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    /// A line.
    Solid,
    /// A thin broken line.
    Dashed,
    /// A mark: a number of the paper's.
    Mark,
}

impl Report {
    /// Makes the report of a results folder.
    ///
    /// # Errors
    ///
    /// `NoResults`, `NothingFinished`, or a file that cannot be read.
    pub fn of(folder: &Path) -> Result<Self, ExperimentError> {
        let results = Results::read(folder)?;
        let mut sections = vec![answers::section(&results)];
        for asked in &results.asked {
            sections.push(match asked.experiment.show {
                Show::Curves => curves::section(&results, asked)?,
                Show::TopK => topk::section(&results, asked)?,
                Show::Genres => genres::section(&results, asked),
            });
        }
        sections.extend([
            artists::scores(&results),
            artists::section(&results),
            learned::section(&results)?,
            music::section(&results),
            runs::section(&results),
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

    /// Every table, in order.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.sections.iter().flat_map(|section| &section.tables)
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
        write_text(page, &page::html(self, &folder))?;
        if let Some(json) = json {
            folder::write(json, self)?;
        }
        Ok(tables)
    }
}
