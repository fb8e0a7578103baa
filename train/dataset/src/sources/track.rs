//! What a source offers: songs, the stretches of files that they are, and what is left out.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use leitmotif_models::SampleRate;

use super::left_out::LeftOut;

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
    pub(super) fn of(self, seconds: f64) -> f64 {
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
