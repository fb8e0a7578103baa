//! What a report consists of, before it becomes HTML, CSV and JSON.

use serde::Serialize;

use super::table::Table;

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
    /// Every table, in order.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.sections.iter().flat_map(|section| &section.tables)
    }
}
