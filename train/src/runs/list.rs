//! The runs below a folder, a row each.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indicatif::HumanDuration;
use leitmotif_models::text::{printable, with_causes};
use leitmotif_models::{Estimate, text};
use serde::Serialize;

use super::run::{Run, Summary, is_run};
use super::table::columns;
use crate::error::{RunFolderError, TrainError};

/// Folders in folders that are looked into.
const DEEPEST: usize = 8;

/// A run below a folder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its path below the folder; `.` for the folder itself.
    pub name: String,
    /// Its numbers, where it can be read.
    #[serde(flatten)]
    pub summary: Option<Summary>,
    /// Why not, where it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Finds and reads every run below `folder`, by name. A run that cannot be read is a row with its reason.
///
/// # Errors
///
/// A folder that cannot be read, or without a run.
pub fn list(folder: &Path) -> Result<Vec<Row>, TrainError> {
    fs::read_dir(folder).map_err(|error| TrainError::file(folder, error))?;
    let mut rows = Vec::new();
    find(folder, Path::new(""), DEEPEST, &mut rows);
    if rows.is_empty() {
        return Err(RunFolderError::NoRuns { path: folder.to_owned() }.into());
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(rows)
}

fn find(folder: &Path, below: &Path, deeper: usize, rows: &mut Vec<Row>) {
    let name = if below == Path::new("") { ".".to_owned() } else { below.display().to_string() };
    let failed = |name: String, error: &dyn std::error::Error| Row {
        name,
        summary: None,
        error: Some(with_causes(error)),
    };
    if is_run(folder) {
        rows.push(match Run::read(folder) {
            Ok(run) => Row { name, summary: Some(run.summary()), error: None },
            Err(error) => failed(name, &error),
        });
        return;
    }
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return rows.push(failed(name, &error)),
    };
    // A link could lead back.
    let folders =
        entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let names: Vec<PathBuf> = folders.map(|entry| PathBuf::from(entry.file_name())).collect();
    for name in names.iter().filter(|name| deeper > 0 && !is_hidden(name)) {
        find(&folder.join(name), &below.join(name), deeper - 1, rows);
    }
}

fn is_hidden(name: &Path) -> bool {
    name.as_os_str().as_encoded_bytes().starts_with(b".")
}

/// The rows as a table, and a line for each that could not be read.
pub fn table(rows: &[Row]) -> String {
    let header = [
        "run",
        "network",
        "head",
        "recipe",
        "split",
        "device",
        "seed",
        "epochs",
        "loss",
        "validation: clips",
        "songs",
        "test: clips",
        "songs",
        "s/epoch",
        "newest epoch",
    ];
    let read = rows.iter().filter_map(|row| Some((row, row.summary.as_ref()?)));
    let cells: Vec<Vec<String>> = read.map(|(row, summary)| cells(&row.name, summary)).collect();
    let mut text = String::new();
    if !cells.is_empty() {
        text += &columns(&header, &cells, 6);
    }
    for row in rows {
        if let Some(error) = &row.error {
            text += &format!("{} cannot be read: {}\n", printable(&row.name), printable(error));
        }
    }
    text
}

fn cells(name: &str, of: &Summary) -> Vec<String> {
    let value = |estimate: Option<Estimate>| percent(estimate.map(|estimate| estimate.value));
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    vec![
        printable(name),
        printable(&of.network),
        of.head.clone(),
        or_dash(of.recipe.as_deref().map(text::printable)),
        printable(&of.split),
        of.device.clone(),
        of.seed.to_string(),
        format!("{}/{}{}", of.epochs_done, of.epochs, if of.finished { "" } else { "…" }),
        or_dash(of.loss.map(|loss| format!("{loss:.3}"))),
        percent(of.validation_clips),
        percent(of.validation_songs),
        value(of.test_clips),
        value(of.test_songs),
        or_dash(of.seconds_per_epoch.map(|seconds| format!("{seconds:.1}"))),
        or_dash(of.modified.map(ago)),
    ]
}

/// `81.0 %`, or a dash.
pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

fn ago(seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("{} ago", HumanDuration(Duration::from_secs(now.saturating_sub(seconds))))
}
