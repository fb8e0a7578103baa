//! What can stop a preparation as a whole.

use std::path::PathBuf;

use crate::store::StoreError;

/// What stops a preparation as a whole.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The output folder cannot be written.
    #[error("cannot write {}: {source}; choose another folder with --out", path.display())]
    Unwritable {
        /// File or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The folder holds a data set made from other music or with other settings.
    #[error("{} holds a data set of other music or other settings; choose another folder with --out, or delete this one", path.display())]
    OtherSettings {
        /// The output folder.
        path: PathBuf,
    },
    /// The folder was prepared by an earlier version of this program, whose decisions this one cannot take over.
    #[error("{} was prepared by an earlier version: train on it as it is, or delete the folder and prepare it anew", path.display())]
    EarlierVersion {
        /// The output folder.
        path: PathBuf,
    },
    /// Recognising needs at least two artists.
    #[error(
        "fewer than two artists with {min_songs} songs or more{}: nothing can be told apart{}",
        format_artists(artists),
        format_reasons(unreadable, left_out)
    )]
    TooFewArtists {
        /// Those there are.
        artists: Vec<String>,
        /// Songs an artist needs.
        min_songs: usize,
        /// Why the first of the files that cannot be read cannot, and how many they are.
        unreadable: Option<(String, usize)>,
        /// The list of what was left out, where anything was.
        left_out: Option<PathBuf>,
    },
    /// An option that makes no sense.
    #[error("{option} must be {must}")]
    BadOption {
        /// The option.
        option: &'static str,
        /// What it must be.
        must: String,
    },
    /// The data set would not fit.
    #[error(
        "the data set takes {:.1} GB more and the disk of {} has {:.1} GB left; make room, or choose another disk with --out",
        *needed as f64 / 1e9, path.display(), *left as f64 / 1e9
    )]
    DiskTooSmall {
        /// The output folder.
        path: PathBuf,
        /// Bytes still to be written, at least.
        needed: u64,
        /// Bytes left.
        left: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn format_artists(artists: &[String]) -> String {
    if artists.is_empty() { " (none)".to_owned() } else { format!(" ({})", artists.join(", ")) }
}

fn format_reasons(unreadable: &Option<(String, usize)>, left_out: &Option<PathBuf>) -> String {
    let unreadable = match unreadable {
        Some((why, 1)) => format!("; a file cannot be read: {why}"),
        Some((why, files)) => format!("; {files} files cannot be read, the first: {why}"),
        None => String::new(),
    };
    let list = left_out
        .as_ref()
        .map(|list| format!("; the files left out and why are listed in {}", list.display()));
    unreadable + &list.unwrap_or_default()
}
