//! What a source returns: songs with their files and excerpts, and the files that it leaves out.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use leitmotif_models::SampleRate;
use serde::{Deserialize, Serialize};

use super::left_out::LeftOut;

/// One song. Serialised without its file, as parts of a data set list it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Track {
    /// Name of the song in the data set, unique: the file's path below the source's root, with `/` between folders.
    pub id: String,
    /// The file to decode; where `clips` is not empty, the folder that their ids are relative to.
    #[serde(skip)]
    pub path: Arc<Path>,
    /// The artist of the recording: the class.
    pub artist: String,
    /// Where the artist's name comes from.
    pub artist_from: ArtistFrom,
    /// Album; empty where unknown.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub album: String,
    /// Title.
    pub title: String,
    /// The same for all variants of a song: splits by song keep them in one part.
    pub song_group: String,
    /// Genres.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub genres: Vec<String>,
    /// The excerpt of the file that is the song.
    #[serde(skip)]
    pub excerpt: Excerpt,
    /// Playing time in seconds as the source states it; used for estimates only.
    #[serde(skip)]
    pub seconds: Option<f64>,
    /// Where each clip is a file of its own: these files, in the order of time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clips: Vec<ClipFile>,
}

impl Default for Track {
    fn default() -> Self {
        Track {
            id: String::new(),
            path: Path::new("").into(),
            artist: String::new(),
            artist_from: ArtistFrom::default(),
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

/// Where the name of a song's artist comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtistFrom {
    /// A list: a manifest, the names of MagnaTagATune, the list of open game music.
    #[default]
    List,
    /// Tags of the file.
    Tags,
    /// The folder, because the file has no tags that name an artist.
    Folder,
    /// The folder, although the file has tags: they cannot be read.
    FolderForUnreadableTags,
}

/// A file that is one clip of a song.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClipFile {
    /// Name of the clip in the data set, unique: its path below [`Track::path`].
    pub id: String,
    /// Its start in the song, in seconds.
    pub start_seconds: f64,
}

/// A range of a file; by default the whole file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Excerpt {
    /// Start, in seconds.
    pub start_seconds: f64,
    /// End, in seconds; `None` for the end of the file.
    pub end_seconds: Option<f64>,
}

impl Excerpt {
    /// The length in seconds of this excerpt of a file of `seconds`.
    pub(super) fn length_in(self, seconds: f64) -> f64 {
        (self.end_seconds.unwrap_or(seconds).min(seconds) - self.start_seconds).max(0.0)
    }

    /// The samples at `rate` that it covers, counted from the start of the file.
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
    /// Files that the source leaves out.
    pub left_out: Vec<LeftOut>,
    /// The number of files that are not music (covers, cue sheets).
    pub other_files: usize,
    /// Artist names that were replaced by another spelling or alias: one message for each.
    pub merged_artists: Vec<String>,
    /// Name of the data set.
    pub name: String,
    /// Licence of the music.
    pub licence: String,
    /// Notes for `dataset.toml`.
    pub notes: String,
    /// Where the music comes from, for `dataset.toml`.
    pub source: String,
}
