//! Errors that stop a preparation as a whole.

use std::path::PathBuf;

use leitmotif_models::text::count;

use crate::store::StoreError;

/// Why a preparation stops. Single files that cannot be used are no error: see [`LeftOut`](crate::sources::LeftOut).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The output folder cannot be written.
    #[error("cannot write {} (choose another folder with --out)", path.display())]
    Unwritable {
        /// File or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The folder holds a data set made from other music or with other settings.
    #[error(
        "{} holds a data set of other music or other settings; choose another folder with --out, or delete this one",
        path.display()
    )]
    OtherSettings {
        /// The output folder.
        path: PathBuf,
    },
    /// An earlier version of this program prepared the folder, and this one cannot resume it.
    #[error(
        "{} was prepared by an earlier version: train on it as it is, or delete the folder and prepare it again",
        path.display()
    )]
    EarlierVersion {
        /// The output folder.
        path: PathBuf,
    },
    /// The source has no audio at all.
    #[error("found no audio{}; name the folder or the list that holds the music", format_others(*other_files))]
    NoMusic {
        /// Files that do not look like music.
        other_files: usize,
    },
    /// Classification needs at least two artists.
    #[error(
        "at least two artists with {min_songs} songs or more are needed{}{}",
        format_artists(artists),
        format_reasons(unreadable, left_out)
    )]
    TooFewArtists {
        /// The artists with enough songs.
        artists: Vec<String>,
        /// Minimum of songs per artist.
        min_songs: usize,
        /// Why the first unreadable file cannot be read, and the number of unreadable files.
        unreadable: Option<(String, usize)>,
        /// The list of files left out, where it was written.
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
        "the data set needs {:.1} GB more, and the disk of {} has {:.1} GB left; make room, or choose another disk \
         with --out",
        *needed as f64 / 1e9, path.display(), *left as f64 / 1e9
    )]
    DiskTooSmall {
        /// The output folder.
        path: PathBuf,
        /// Bytes to write, at least.
        needed: u64,
        /// Free bytes.
        left: u64,
    },
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn format_others(files: usize) -> String {
    if files == 0 {
        String::new()
    } else {
        format!(", only {} of other kinds", count(files, "file"))
    }
}

fn format_artists(artists: &[String]) -> String {
    match artists {
        [] => ", and there is none".to_owned(),
        some => format!(", and there is only {}", some.join(", ")),
    }
}

fn format_reasons(unreadable: &Option<(String, usize)>, left_out: &Option<PathBuf>) -> String {
    let unreadable = match unreadable {
        Some((why, 1)) => format!("; a file cannot be read: {why}"),
        Some((why, files)) => format!("; {files} files cannot be read, the first: {why}"),
        None => String::new(),
    };
    let list = left_out.as_ref().map(|list| {
        format!("; the files left out, with reasons, are listed in {}", list.display())
    });
    unreadable + &list.unwrap_or_default()
}
