//! What can be wrong with a source as a whole.

use std::fmt;
use std::path::PathBuf;

/// What stops a source as a whole.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The music folder or manifest cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Folder or file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file or folder of the cache cannot be written.
    #[error("cannot write {}: {source}; choose another folder with --cache", path.display())]
    Unwritable {
        /// Folder or file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The path is not a folder.
    #[error("{} is not a folder: name the folder that holds the music", path.display())]
    NotAFolder {
        /// What was named.
        path: PathBuf,
    },
    /// Everything wrong with a manifest, at once.
    #[error("{}: {}", path.display(), list(problems))]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Its problems in the order of their lines.
        problems: Vec<Problem>,
    },
    /// The machine has no Debian tools.
    #[error(
        "open game music comes from Debian packages and `{program}` cannot be run here ({reason}); \
         use your own music instead: `make demo MUSIC=~/Music`, or `leitmotif-train prepare folder MUSIC --out DIR`"
    )]
    NoDebianTools {
        /// `apt-get` or `dpkg-deb`.
        program: String,
        /// What the system says.
        reason: String,
    },
    /// Not one package could be fetched.
    #[error(
        "none of the {packages} packages could be fetched ({reason}); check the network, or use your own music: `make demo MUSIC=~/Music`"
    )]
    NothingFetched {
        /// How many were tried.
        packages: usize,
        /// Why the first one failed.
        reason: String,
    },
    /// Some packages could not be fetched, though they may be there: a data set without them would be another one.
    #[error(
        "{} of {packages} packages could not be fetched ({}: {reason}); check the network and run the same command again: \
         what is fetched is kept", failed.len(), failed.join(", ")
    )]
    FetchFailed {
        /// Packages needed.
        packages: usize,
        /// Those that failed.
        failed: Vec<String>,
        /// Why the first one failed.
        reason: String,
    },
    /// Another process fills the same cache.
    #[error("another `prepare` is fetching into {}; wait for it, or choose another folder with --cache", path.display())]
    CacheInUse {
        /// The cache folder.
        path: PathBuf,
    },
    /// The list that the project carries does not parse: a mistake of ours.
    #[error("the built-in list of open game music is broken: {reason}")]
    BrokenList {
        /// What is wrong.
        reason: String,
    },
    /// The folder of MagnaTagATune holds no clips, only their archive.
    #[error(
        "{} is still packed: join and unpack it there (cat mp3.zip.0* > mp3.zip && unzip mp3.zip), then try again; found {}",
        path.display(), archive.display()
    )]
    StillPacked {
        /// The folder.
        path: PathBuf,
        /// A piece of the archive.
        archive: PathBuf,
    },
    /// The folder of MagnaTagATune holds no clips.
    #[error("{} holds no clips of MagnaTagATune: name the folder that holds `0` to `f`", path.display())]
    NoClips {
        /// The folder.
        path: PathBuf,
    },
    /// The user asked to stop.
    #[error("stopped; what is fetched is kept, and the same command goes on from there")]
    Stopped,
}

/// At most this many problems are printed; a manifest with a wrong separator has one a line.
const LISTED_PROBLEMS: usize = 10;

fn list(problems: &[Problem]) -> String {
    let mut lines: Vec<String> =
        problems.iter().take(LISTED_PROBLEMS).map(ToString::to_string).collect();
    if problems.len() > LISTED_PROBLEMS {
        lines.push(format!("and {} more", problems.len() - LISTED_PROBLEMS));
    }
    lines.join("; ")
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: u64,
    /// Column, where it is one column's fault.
    pub column: Option<String>,
    /// What is wrong.
    pub what: String,
}

impl Problem {
    /// Of a line as a whole.
    pub(super) fn whole(line: u64, what: String) -> Self {
        Problem { line, column: None, what }
    }

    /// Of one column.
    pub(super) fn at(line: u64, column: &str, what: String) -> Self {
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
