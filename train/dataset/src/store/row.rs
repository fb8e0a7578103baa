//! One row of `clips.csv`.

use serde::{Deserialize, Serialize};

use super::sample_digest::SampleDigest;

/// One clip: a row of `clips.csv`. `S` is `String` in rows to write, `&str` in rows borrowed from
/// [`Clips`](super::Clips).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipRow<S = String> {
    /// Name of the clip, unique in the data set.
    pub clip: S,
    /// The recording that it is part of; the clips of a recording are consecutive rows.
    pub song: S,
    /// The artist: the class.
    pub artist: S,
    /// Album; may be empty.
    pub album: S,
    /// Title; may be empty.
    pub title: S,
    /// The same for all versions of a song: splits by song keep them together.
    pub song_group: S,
    /// Genres, separated by `;`; may be empty.
    pub genre: S,
    /// Start of the clip in the song, in samples at the data set's rate.
    pub start: u64,
    /// Length of the clip, in samples.
    pub samples: u64,
    /// Number of the shard that holds its samples.
    pub shard: u32,
    /// Start of its samples in the shard, in samples.
    pub offset: u64,
    /// The decoded file, relative to the source's root.
    pub source: S,
    /// Identifies its samples; absent from data sets that were written before it was kept.
    #[serde(default)]
    pub audio: Option<SampleDigest>,
}

impl<S: AsRef<str>> ClipRow<S> {
    /// The row with borrowed text.
    pub fn view(&self) -> ClipRow<&str> {
        ClipRow {
            clip: self.clip.as_ref(),
            song: self.song.as_ref(),
            artist: self.artist.as_ref(),
            album: self.album.as_ref(),
            title: self.title.as_ref(),
            song_group: self.song_group.as_ref(),
            genre: self.genre.as_ref(),
            start: self.start,
            samples: self.samples,
            shard: self.shard,
            offset: self.offset,
            source: self.source.as_ref(),
            audio: self.audio,
        }
    }
}

impl ClipRow<&str> {
    /// The row with owned text.
    pub fn owned(self) -> ClipRow {
        ClipRow {
            clip: self.clip.to_owned(),
            song: self.song.to_owned(),
            artist: self.artist.to_owned(),
            album: self.album.to_owned(),
            title: self.title.to_owned(),
            song_group: self.song_group.to_owned(),
            genre: self.genre.to_owned(),
            start: self.start,
            samples: self.samples,
            shard: self.shard,
            offset: self.offset,
            source: self.source.to_owned(),
            audio: self.audio,
        }
    }
}
