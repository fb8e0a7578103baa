//! Errors that concern a source as a whole.

use std::fmt;
use std::path::PathBuf;

/// Why a source finds no music. Single files that cannot be used are no error: see [`LeftOut`](super::LeftOut).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The music folder or a list cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Folder or file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file or folder of the cache cannot be written.
    #[error("cannot write {} (choose another folder with --cache)", path.display())]
    Unwritable {
        /// Folder or file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The path is not a folder.
    #[error("{} is not a folder: give the folder that holds the music", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// A manifest or another list of the user has invalid lines.
    #[error("{}: {}", path.display(), format_problems(problems))]
    Manifest {
        /// The list.
        path: PathBuf,
        /// All its problems, in the order of their lines.
        problems: Vec<Problem>,
    },
    /// The Debian tools are not installed.
    #[error(
        "open game music comes from Debian packages and `{program}` cannot be run here ({reason}); use your own \
         music instead: `make demo MUSIC=~/Music`, or `leitmotif-train prepare folder MUSIC --out DIR`"
    )]
    NoDebianTools {
        /// `apt-get` or `dpkg-deb`.
        program: String,
        /// Why it cannot be run.
        reason: String,
    },
    /// No package could be fetched.
    #[error(
        "none of the {packages} packages could be fetched ({reason}); check the network, or use your own music: \
         `make demo MUSIC=~/Music`"
    )]
    NothingFetched {
        /// Number of packages.
        packages: usize,
        /// Why the first one failed.
        reason: String,
    },
    /// Some packages exist but could not be fetched. Without them the data set would be a different one.
    #[error(
        "{} of {packages} packages could not be fetched ({}: {reason}); check the network and run the same \
         command again: fetched packages are kept",
        failed.len(), failed.join(", ")
    )]
    FetchFailed {
        /// Number of packages.
        packages: usize,
        /// Those that failed.
        failed: Vec<String>,
        /// Why the first one failed.
        reason: String,
    },
    /// Another process fetches into the same cache.
    #[error(
        "another `prepare` is fetching into {}; wait for it, or choose another folder with --cache",
        path.display()
    )]
    CacheInUse {
        /// The cache folder.
        path: PathBuf,
    },
    /// A list that is compiled into this crate does not parse: a bug.
    #[error("a built-in list is invalid: {reason}")]
    BrokenList {
        /// What is wrong.
        reason: String,
    },
    /// The folder of MagnaTagATune holds only the archive of the clips.
    #[error(
        "{} is still packed: join and unpack it there (cat mp3.zip.0* > mp3.zip && unzip mp3.zip), then try again; \
         found {}",
        path.display(), archive.display()
    )]
    StillPacked {
        /// The folder.
        path: PathBuf,
        /// A part of the archive.
        archive: PathBuf,
    },
    /// The folder of MagnaTagATune holds no clips.
    #[error("{} holds no clips of MagnaTagATune: give the folder that holds `0` to `f`", path.display())]
    NoClips {
        /// The folder.
        path: PathBuf,
    },
    /// The caller stopped the search.
    #[error("stopped; fetched packages are kept, and the same command resumes from there")]
    Stopped,
}

/// A manifest with a wrong separator has a problem on every line.
const MAX_PRINTED_PROBLEMS: usize = 10;

fn format_problems(problems: &[Problem]) -> String {
    let mut lines: Vec<String> =
        problems.iter().take(MAX_PRINTED_PROBLEMS).map(ToString::to_string).collect();
    if problems.len() > MAX_PRINTED_PROBLEMS {
        lines.push(format!("and {} more", problems.len() - MAX_PRINTED_PROBLEMS));
    }
    lines.join("; ")
}

/// A problem in a list, with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: u64,
    /// Column, where the problem is in one column.
    pub column: Option<String>,
    /// What is wrong.
    pub what: String,
}

impl Problem {
    /// A problem of a whole line.
    pub(super) fn of_line(line: u64, what: String) -> Self {
        Problem { line, column: None, what }
    }

    /// A problem in one column.
    pub(super) fn in_column(line: u64, column: &str, what: String) -> Self {
        Problem { line, column: Some(column.to_owned()), what }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(f, "line {}, column `{column}`: {}", self.line, self.what),
            None => write!(f, "line {}: {}", self.line, self.what),
        }
    }
}
