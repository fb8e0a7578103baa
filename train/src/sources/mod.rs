//! Where music comes from: a tagged folder, a manifest, MagnaTagATune, or open game music.
//!
//! Each source names [`Track`]s and lists what it leaves out; decoding and the rules that need the sound are `prepare`'s.

pub mod debian;
pub mod game_music;
pub mod magnatagatune;
pub mod manifest;
mod names;
pub mod tagged;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use leitmotif_models::SampleRate;
pub use names::{is_pseudo_artist, normalised, song_group};

use crate::prepare::LeftOut;

/// One song that a source offers.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// Name of the song in the data set: the file's path below the source's root, `/` between folders. Unique.
    pub id: String,
    /// File to decode; where the song lies in `clips`, the folder below which they are.
    pub path: Arc<Path>,
    /// Who made the recording: the class.
    pub artist: String,
    /// Album; empty where unknown.
    pub album: String,
    /// Title.
    pub title: String,
    /// What may not lie on two sides of a split.
    pub song_group: String,
    /// Genres.
    pub genres: Vec<String>,
    /// The stretch of the file that is the song.
    pub excerpt: Excerpt,
    /// Playing time in seconds where something claims it; only for estimates.
    pub seconds: Option<f64>,
    /// The files of the song's clips in the order of their time, where each is one of its own.
    pub clips: Vec<ClipFile>,
}

impl Default for Track {
    fn default() -> Self {
        Track {
            id: String::new(),
            path: Path::new("").into(),
            artist: String::new(),
            album: String::new(),
            title: String::new(),
            song_group: String::new(),
            genres: Vec::new(),
            excerpt: Excerpt::default(),
            seconds: None,
            clips: Vec::new(),
        }
    }
}

/// A file that is one clip of a song.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClipFile {
    /// The clip's name in the data set, which is its file's path below the track's. Unique.
    pub id: String,
    /// Where it begins in the song.
    pub start_seconds: f64,
}

/// A stretch of a file; by default all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Excerpt {
    /// Where it begins, in seconds.
    pub start_seconds: f64,
    /// Where it ends, in seconds; nothing for the file's end.
    pub end_seconds: Option<f64>,
}

impl Excerpt {
    /// Its length within a file of `seconds`.
    fn of(self, seconds: f64) -> f64 {
        (self.end_seconds.unwrap_or(seconds).min(seconds) - self.start_seconds).max(0.0)
    }

    /// The samples it covers at `rate`, from the start of the file.
    pub(crate) fn samples(self, rate: SampleRate) -> Range<u64> {
        let position = |seconds: f64| (seconds * f64::from(rate.0)).round() as u64;
        position(self.start_seconds)..self.end_seconds.map_or(u64::MAX, position)
    }
}

/// What a source found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Songs, in a stable order.
    pub tracks: Vec<Track>,
    /// Files that this source leaves out.
    pub left_out: Vec<LeftOut>,
    /// Files that do not look like music (covers, cue sheets): counted, not listed.
    pub other_files: usize,
    /// Artists that were several by their spelling alone: a line each on which is taken for which.
    pub united: Vec<String>,
    /// What the data set is called.
    pub name: String,
    /// Licence of the music.
    pub licence: String,
    /// What a reader of the data set should know.
    pub notes: String,
    /// Where the music came from, for `dataset.toml`.
    pub source: String,
}

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
        problems: Vec<manifest::Problem>,
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

fn list(problems: &[manifest::Problem]) -> String {
    let mut lines: Vec<String> =
        problems.iter().take(LISTED_PROBLEMS).map(ToString::to_string).collect();
    if problems.len() > LISTED_PROBLEMS {
        lines.push(format!("and {} more", problems.len() - LISTED_PROBLEMS));
    }
    lines.join("; ")
}
