//! Where things lie in the folder, and files that are whole or not there.

use std::{
    fs::{self, File},
    io::{self, BufWriter},
    path::{Path, PathBuf},
};

use super::StoreError;

pub(super) const INFO: &str = "dataset.toml";
pub(super) const CLIPS: &str = "clips.csv";
pub(super) const JOURNAL: &str = "journal.csv";
pub(super) const LOCK: &str = "dataset.lock";
pub(super) const SPLITS: &str = "splits";
pub(super) const SHARDS: &str = "shards";
/// Bytes of a sample.
pub(super) const SAMPLE: u64 = 2;

/// The path of a shard.
pub(super) fn shard(folder: &Path, number: u32) -> PathBuf {
    folder.join(SHARDS).join(format!("{number:05}.pcm"))
}

/// Writes a whole file under a temporary name and renames it, so that it is old or new and never half.
///
/// The name is this process's own: two that write one file at once each write all of it, and the later one counts.
///
/// # Errors
///
/// [`StoreError::Unwritable`] with the file, of which then nothing new is left behind.
pub fn replace(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    replace_with(path, |out| out.write_all(contents).map_err(|source| unwritable(path, source)))
}

/// The same for a file too long to be held in memory: `write` writes it, piece by piece.
///
/// # Errors
///
/// Those of `write` and [`StoreError::Unwritable`]; nothing new is left behind.
pub fn replace_with(
    path: &Path,
    write: impl FnOnce(&mut dyn io::Write) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = PathBuf::from(name);
    let failed = |source| unwritable(path, source);
    let written = || -> Result<(), StoreError> {
        let mut file = BufWriter::new(File::create(&part).map_err(failed)?);
        write(&mut file)?;
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        fs::rename(&part, path).map_err(failed)
    };
    written().inspect_err(|_| {
        // On a full disk even half a file is in the way.
        let _ = fs::remove_file(&part);
    })?;
    if let Some(folder) = path.parent() {
        settle(folder);
    }
    Ok(())
}

/// Makes new names in a folder survive a power cut, where the system can.
pub(super) fn settle(folder: &Path) {
    // Not every system lets a folder be opened; the names then settle in their own time.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

pub(super) fn unwritable(path: &Path, source: io::Error) -> StoreError {
    StoreError::Unwritable { path: path.to_path_buf(), source }
}

pub(super) fn unreadable(path: &Path, source: io::Error) -> StoreError {
    StoreError::Unreadable { path: path.to_path_buf(), source }
}

/// A CSV error of a file under way.
pub(super) fn unwritten(path: &Path, error: csv::Error) -> StoreError {
    let source = match error.into_kind() {
        csv::ErrorKind::Io(source) => source,
        kind => io::Error::other(format!("{kind:?}")),
    };
    unwritable(path, source)
}

/// A CSV error with its line.
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
