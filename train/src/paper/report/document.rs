//! The parts of a report, before they become HTML, CSV and JSON.

use serde::Serialize;

use super::table::Table;

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this format.
    pub version: u32,
    /// Heading.
    pub title: String,
    /// Data set, progress and source, in a few sentences.
    pub summary: Vec<String>,
    /// What a reader must know before believing any number, such as runs that are shorter than planned.
    pub caveats: Vec<String>,
    /// Its sections, in order.
    pub sections: Vec<Section>,
}

/// A heading with text, figures and tables.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Section {
    /// Anchor in the page.
    pub id: String,
    /// Heading.
    pub title: String,
    /// Paragraphs.
    pub text: Vec<String>,
    /// Drawings of the numbers in the tables.
    #[serde(skip)]
    pub figures: Vec<Figure>,
    /// Every number.
    pub tables: Vec<Table>,
}

/// A drawing with its legend.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What is drawn; may be empty.
    pub caption: String,
    /// SVG, an image or a list with small ones, ready for the page.
    pub drawing: String,
    /// Meaning of the colours.
    pub legend: Vec<Key>,
}

/// One entry of a legend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Number of the colour.
    pub colour: usize,
    /// How it is drawn.
    pub stroke: Stroke,
    /// Its meaning.
    pub label: String,
}

/// How something is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    /// A line.
    Solid,
    /// A thin broken line.
    Dashed,
    /// A filled area.
    Area,
    /// Single points.
    Point,
    /// A mark: one of the paper's numbers.
    Mark,
}

impl Report {
    /// Every table, in order.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.sections.iter().flat_map(|section| &section.tables)
    }
}
