//! File names in a data set's folder, and I/O and CSV errors as errors of the store.

use std::io;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use crate::fs;

pub(super) const INFO: &str = "dataset.toml";
pub(super) const CLIPS: &str = "clips.csv";
pub(super) const JOURNAL: &str = "journal.csv";
pub(super) const LOCK: &str = "dataset.lock";
pub(super) const SPLITS: &str = "splits";
pub(super) const SHARDS: &str = "shards";
/// Bytes per sample.
pub(super) const SAMPLE: u64 = 2;

/// The path of a shard.
pub(super) fn shard(folder: &Path, number: u32) -> PathBuf {
    folder.join(SHARDS).join(format!("{number:05}.pcm"))
}

/// [`fs::replace_with`] with the store's error.
///
/// # Errors
///
/// Those of `write` and [`StoreError::Unwritable`]; the file is then unchanged.
pub(super) fn replace_with(
    path: &Path,
    write: impl FnOnce(&mut dyn io::Write) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    fs::replace_with(path, write, |source| unwritable(path, source))
}

pub(super) fn unwritable(path: &Path, source: io::Error) -> StoreError {
    StoreError::Unwritable { path: path.to_path_buf(), source }
}

pub(super) fn unreadable(path: &Path, source: io::Error) -> StoreError {
    StoreError::Unreadable { path: path.to_path_buf(), source }
}

/// An error of writing CSV.
pub(super) fn unwritten(path: &Path, error: csv::Error) -> StoreError {
    let source = match error.into_kind() {
        csv::ErrorKind::Io(source) => source,
        kind => io::Error::other(format!("{kind:?}")),
    };
    unwritable(path, source)
}

/// An error of reading CSV, with its line.
pub(super) fn malformed(path: &Path, error: csv::Error) -> StoreError {
    let line = error.position().map(csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(source) => unreadable(path, source),
        csv::ErrorKind::Utf8 { err, .. } => StoreError::Malformed {
            path: path.to_path_buf(),
            line,
            reason: format!("not UTF-8: {err}"),
        },
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => StoreError::Malformed {
            path: path.to_path_buf(),
            line,
            reason: format!("{len} columns instead of {expected_len}"),
        },
        csv::ErrorKind::Deserialize { err, .. } => {
            StoreError::Malformed { path: path.to_path_buf(), line, reason: err.to_string() }
        }
        kind => {
            StoreError::Malformed { path: path.to_path_buf(), line, reason: format!("{kind:?}") }
        }
    }
}
