//! What can be wrong with a data set folder.

use std::{io, path::PathBuf};

/// A data set that cannot be read or written. Every variant names the folder or the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder has no `dataset.toml`.
    #[error("{} is no data set: it has no dataset.toml; prepare one there", path.display())]
    NotADataset {
        /// The folder.
        path: PathBuf,
    },
    /// The folder was never finished.
    #[error("the data set {} is not finished; run its preparation again, it goes on where it stopped", path.display())]
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
    /// The folder was begun with other settings.
    #[error("{} was begun with {field} = {found}, not {wanted}; choose another folder or delete this one", path.display())]
    OtherSettings {
        /// The folder.
        path: PathBuf,
        /// The setting that differs.
        field: &'static str,
        /// Its value in the folder.
        found: String,
        /// The value asked for.
        wanted: String,
    },
    /// The system refuses to read.
    #[error("{} cannot be read ({source})", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The system refuses to write: a full disk, a missing permission.
    #[error("{} cannot be written ({source}); make room or check permissions, then run the same again: it goes on where it stopped", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file of another version of this program.
    #[error("{} is of version {found}, this program reads version {supported}; prepare the data set again", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version read here.
        supported: u32,
    },
    /// A file that does not say what it should.
    #[error("{}{}: {reason}", path.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, where there is one.
        line: Option<u64>,
        /// What is wrong with it.
        reason: String,
    },
    /// A shard is shorter than the clips in it.
    #[error("{} holds {found} samples where {needed} are recorded; delete the data set and prepare it again", path.display())]
    ShortShard {
        /// The shard.
        path: PathBuf,
        /// Samples in it.
        found: u64,
        /// Samples it should have at least.
        needed: u64,
    },
    /// A song that cannot be appended: the caller's rows and samples disagree.
    #[error("song `{song}` cannot be stored: {reason}")]
    BadSong {
        /// The song.
        song: String,
        /// What disagrees.
        reason: String,
    },
    /// A stretch of samples outside of a clip.
    #[error("clip {clip} of {} has {samples} samples; {length} from {start} on were asked for", path.display())]
    OutOfClip {
        /// The folder.
        path: PathBuf,
        /// The clip's index.
        clip: usize,
        /// First sample asked for.
        start: u64,
        /// Samples asked for.
        length: usize,
        /// The clip's length; 0 for a clip that there is not.
        samples: u64,
    },
    /// A split that is not there.
    #[error("{} has no split `{name}`; it has {}", path.display(), list(available))]
    NoSplit {
        /// The folder.
        path: PathBuf,
        /// The name asked for.
        name: String,
        /// The splits there are.
        available: Vec<String>,
    },
    /// A name that cannot be a file's, or parts that do not match the clips.
    #[error("split `{name}` cannot be written: {reason}")]
    BadSplit {
        /// The name.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none; make one first".to_owned() } else { names.join(", ") }
}
