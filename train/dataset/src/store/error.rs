//! Errors of reading and writing a data set.

use std::{io, path::PathBuf};

/// A data set that cannot be read or written. Every variant names the folder, file, song or split concerned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder has no `dataset.toml`.
    #[error("{} is not a data set: it has no dataset.toml; prepare one there", path.display())]
    NotADataset {
        /// The folder.
        path: PathBuf,
    },
    /// The data set was never finished.
    #[error(
        "the data set {} is not finished; run the same `prepare` again, it resumes where it stopped",
        path.display()
    )]
    Unfinished {
        /// The folder.
        path: PathBuf,
    },
    /// Another process writes this folder.
    #[error("{} is being written by another process; wait for it or choose another folder", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds a data set with other settings.
    #[error(
        "{} has {field} = {found}, not {wanted}; choose another folder or delete this one",
        path.display()
    )]
    OtherSettings {
        /// The folder.
        path: PathBuf,
        /// The setting that differs.
        field: &'static str,
        /// Its value in the folder.
        found: String,
        /// The requested value.
        wanted: String,
    },
    /// An I/O error while reading.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// An I/O error while writing: a full disk, a missing permission.
    #[error(
        "{} cannot be written (make room or check permissions, then run the same command again: it resumes)",
        path.display()
    )]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A data set of another version.
    #[error(
        "{} has version {found}, this program reads version {supported}; prepare the data set again",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The supported version.
        supported: u32,
    },
    /// A file with invalid content.
    #[error("{}{}: {reason}", path.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1, where known.
        line: Option<u64>,
        /// What is invalid.
        reason: String,
    },
    /// A shard is shorter than its clips.
    #[error(
        "{} holds {found} samples where {needed} are recorded; delete the data set and prepare it again",
        path.display()
    )]
    ShortShard {
        /// The shard.
        path: PathBuf,
        /// Its samples.
        found: u64,
        /// The samples that its clips need.
        needed: u64,
    },
    /// A song that cannot be stored: its rows and samples are inconsistent, or a name is taken.
    #[error("song `{song}` cannot be stored: {reason}")]
    BadSong {
        /// The song.
        song: String,
        /// What is inconsistent.
        reason: String,
    },
    /// A range of samples that is not within a clip.
    #[error("clip {clip} of {} has {samples} samples; requested: {length} from {start}", path.display())]
    OutOfClip {
        /// The folder.
        path: PathBuf,
        /// Index of the clip.
        clip: usize,
        /// First requested sample.
        start: u64,
        /// Number of requested samples.
        length: usize,
        /// Length of the clip, in samples; 0 where the index is out of range.
        samples: u64,
    },
    /// The split does not exist.
    #[error("{} has no split `{name}`; it has {}", path.display(), format_names(available))]
    NoSplit {
        /// The folder.
        path: PathBuf,
        /// The requested name.
        name: String,
        /// The existing splits.
        available: Vec<String>,
    },
    /// A name that cannot be a file name, or parts that do not match the clips.
    #[error("split `{name}` cannot be written: {reason}")]
    BadSplit {
        /// The name.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

fn format_names(names: &[String]) -> String {
    if names.is_empty() { "none; make one first".to_owned() } else { names.join(", ") }
}
