//! One clip, as a line of `clips.csv` describes it.

use serde::{Deserialize, Serialize};

/// One clip: a line of `clips.csv`. Texts are free; genres are separated by `;`.
///
/// Of `String` where a row is made, of `&str` where [`Clips`] lends it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipRow<S = String> {
    /// The clip's own name, unique in the data set.
    pub clip: S,
    /// The recording it was cut from, unique in the data set; its clips are adjoining rows.
    pub song: S,
    /// The artist: the class.
    pub artist: S,
    /// Album, may be empty.
    pub album: S,
    /// Title, may be empty.
    pub title: S,
    /// Versions of one piece share it: splits by song keep them together.
    pub song_group: S,
    /// Genres, separated by `;`; may be empty.
    pub genre: S,
    /// Where the clip begins in the song, in samples at the data set's rate.
    pub start: u64,
    /// The clip's length in samples.
    pub samples: u64,
    /// The shard that holds its samples.
    pub shard: u32,
    /// Where they begin in the shard, in samples.
    pub offset: u64,
    /// The file it was decoded from, as the preparation knew it.
    pub source: S,
}

impl<S: AsRef<str>> ClipRow<S> {
    /// The same row, lent.
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
        }
    }
}

impl ClipRow<&str> {
    /// The same row with texts of its own.
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
        }
    }
}
