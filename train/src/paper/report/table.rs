//! A table of numbers that are rounded once, so that page, CSV and JSON agree.

use std::fmt;

use serde::{Serialize, Serializer};

/// Columns and rows.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// Name of its CSV file, and its anchor.
    pub id: String,
    /// What its numbers are.
    pub caption: String,
    /// Names of the columns in its CSV file; [`heading`] gives those on the page.
    pub columns: Vec<String>,
    /// As many cells each as there are columns.
    pub rows: Vec<Vec<Cell>>,
    /// Where the page has it.
    #[serde(skip)]
    pub visibility: Visibility,
    /// How the page prints it.
    #[serde(skip)]
    pub layout: Layout,
}

/// Where the page has a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
    /// In the text.
    #[default]
    Open,
    /// Folded away, until the reader opens it.
    Folded,
    /// Only as a link to its CSV file, because a figure has its numbers.
    File,
}

/// How the page prints a table; its CSV file and the JSON have every cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Cell by cell.
    #[default]
    Grid,
    /// Columns with one value in all rows are stated once, above the others.
    Shared,
    /// Rows in which nothing was measured are left out.
    Measured,
    /// Percentages with a bar behind them.
    Bars,
    /// Counts by true class (row) and prediction (column), shaded by their share of the row.
    Heat,
}

/// Headings of the page for columns whose names in CSV files are kept, because programs read them.
const HEADINGS: [(&str, &str); 23] = [
    ("line", "series"),
    ("what", "quantity"),
    ("answer", "prediction"),
    ("this", "first series"),
    ("this, %", "first, %"),
    ("that", "second series"),
    ("that, %", "second, %"),
    ("points ahead", "difference, points"),
    ("that differ", "songs that differ"),
    ("while learning, %", "training, %"),
    ("clips to learn from", "training clips"),
    ("to validate", "validation clips"),
    ("to test", "test clips"),
    ("judged epoch", "evaluated epoch"),
    ("rate", "learning rate"),
    ("values to learn", "parameters"),
    ("hours of learning", "training, h"),
    ("hours in all", "total, h"),
    ("clips right, %", "clip accuracy, %"),
    ("songs right, %", "song accuracy, %"),
    ("largest artist’s clips, %", "majority class, %"),
    ("deviation", "standard deviation"),
    ("anyone else", "other artists"),
];

/// The heading on the page for a column of a CSV file.
pub fn heading(column: &str) -> &str {
    HEADINGS.iter().find(|(name, _)| *name == column).map_or(column, |(_, heading)| heading)
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A number with so many decimals.
    Number(f64, usize),
    /// One of the paper's numbers.
    Paper(f64, usize),
    /// No value.
    Empty,
}

impl Table {
    /// An empty table.
    pub fn new(id: impl Into<String>, caption: impl Into<String>, columns: &[&str]) -> Self {
        Table {
            id: id.into(),
            caption: caption.into(),
            columns: columns.iter().map(|c| (*c).to_owned()).collect(),
            rows: Vec::new(),
            visibility: Visibility::Open,
            layout: Layout::Grid,
        }
    }

    /// The same table, elsewhere on the page.
    pub fn with_visibility(mut self, visibility: Visibility) -> Self {
        self.visibility = visibility;
        self
    }

    /// The same table, printed otherwise on the page.
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// The text of its CSV file.
    ///
    /// # Errors
    ///
    /// Rows of different lengths.
    pub fn csv(&self) -> Result<String, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.columns)?;
        for row in &self.rows {
            writer.write_record(row.iter().map(ToString::to_string))?;
        }
        let bytes = writer.into_inner().map_err(|e| csv::Error::from(e.into_error()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Cell {
    /// A cell of words.
    pub fn text(text: impl Into<String>) -> Self {
        Cell::Text(text.into())
    }

    /// A count.
    pub fn count(count: usize) -> Self {
        Cell::Number(count as f64, 0)
    }

    /// A share in percent.
    pub fn percent(share: f64) -> Self {
        Cell::number(100.0 * share, 2)
    }

    /// A number; empty where it is not finite.
    pub fn number(value: f64, digits: usize) -> Self {
        // Without a minus before a number that rounds to zero.
        let rounded = format!("{value:.digits$}").parse().unwrap_or(value) + 0.0;
        if rounded.is_finite() { Cell::Number(rounded, digits) } else { Cell::Empty }
    }

    /// A number, or empty.
    pub fn maybe(value: Option<f64>, digits: usize) -> Self {
        value.map_or(Cell::Empty, |value| Cell::number(value, digits))
    }

    /// The paper's number, or empty.
    pub fn paper(value: Option<f64>, digits: usize) -> Self {
        value.map_or(Cell::Empty, |value| Cell::Paper(value, digits))
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Text(text) => f.write_str(text),
            Cell::Number(value, digits) | Cell::Paper(value, digits) => {
                write!(f, "{value:.digits$}")
            }
            Cell::Empty => Ok(()),
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::Text(text) => serializer.serialize_str(text),
            Cell::Number(value, 0) | Cell::Paper(value, 0) => {
                serializer.serialize_i64(*value as i64)
            }
            Cell::Number(value, _) | Cell::Paper(value, _) => serializer.serialize_f64(*value),
            Cell::Empty => serializer.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_and_json_hold_the_same_rounded_numbers() {
        let mut table = Table::new("t", "caption", &["name", "share", "paper"]);
        table.rows.push(vec![
            Cell::text("a, \"b\""),
            Cell::percent(1.0 / 3.0),
            Cell::paper(Some(56.0), 2),
        ]);
        table.rows.push(vec![Cell::text("c"), Cell::number(-0.001, 2), Cell::paper(None, 2)]);
        table.rows.push(vec![Cell::text("d"), Cell::count(7), Cell::paper(Some(222.0), 0)]);
        assert_eq!(
            table.csv().unwrap(),
            "name,share,paper\n\"a, \"\"b\"\"\",33.33,56.00\nc,0.00,\nd,7,222\n"
        );
        let json = serde_json::to_value(&table.rows).unwrap();
        let expected =
            serde_json::json!([["a, \"b\"", 33.33, 56.0], ["c", 0.0, null], ["d", 7, 222]]);
        assert_eq!(json, expected);
        assert_eq!(Cell::number(f64::NAN, 2), Cell::Empty);
    }
}
