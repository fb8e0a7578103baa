//! Errors of reading a data set, one variant for each remedy.

use std::io;
use std::path::{Path, PathBuf};

use leitmotif_models::text::first_names;

/// Splits named in a message.
const NAMED_SPLITS: usize = 20;

/// A data set that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum DatasetError {
    /// No `dataset.toml`.
    #[error("{} is not a data set: it has no dataset.toml; leitmotif-train prepare makes one", .0.display())]
    NotADataset(PathBuf),
    /// `prepare` was stopped.
    #[error("the data set {} is not finished; run the same prepare again", .0.display())]
    Unfinished(PathBuf),
    /// Written by another version.
    #[error("{} has version {found}, this program reads version {supported}; prepare it again", path.display())]
    Version { path: PathBuf, found: u32, supported: u32 },
    /// The system cannot read a file.
    #[error("{} cannot be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// A file with other content than it should have.
    #[error("{}: {reason}; prepare or split it again", path.display())]
    Malformed { path: PathBuf, reason: String },
    /// No such split.
    #[error("{} has no split `{name}`; it has {}", path.display(), available(.there))]
    NoSplit { path: PathBuf, name: String, there: Vec<String> },
    /// Nothing to evaluate.
    #[error("the {part} part of the split has no clip of an artist that the model knows")]
    EmptyPart { part: &'static str },
}

fn available(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { first_names(names.iter(), NAMED_SPLITS) }
}

pub(super) fn unreadable(path: &Path, source: io::Error) -> DatasetError {
    DatasetError::Unreadable { path: path.to_owned(), source }
}

pub(super) fn malformed(path: &Path, reason: impl ToString) -> DatasetError {
    DatasetError::Malformed { path: path.to_owned(), reason: reason.to_string() }
}

pub(super) fn csv_error(path: &Path, error: csv::Error) -> DatasetError {
    let text = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(source) => unreadable(path, source),
        _ => malformed(path, text),
    }
}
