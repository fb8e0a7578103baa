//! What a part records about one of its songs.

use serde::{Deserialize, Serialize};

use crate::prepare::damage::Damage;
use crate::prepare::decode::{AudioDigest, Song};
use crate::sources::{LeftOut, Reason};

/// A line of `part.journal`. A later line about a song replaces an earlier one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The song's index in the plan.
    pub(super) song: usize,
    /// What decoding it gave.
    pub(super) result: Outcome,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// Its samples are in the part.
    Decoded(Box<DecodedSong>),
    /// It has none, for a reason that does not depend on other songs.
    LeftOut(Box<Reason>),
}

/// A [`Song`] whose samples are in a shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct DecodedSong {
    /// Digest of the whole song, as in [`Song`].
    pub(super) hash: AudioDigest,
    /// Decoded samples, including those after the last whole clip.
    pub(super) samples: usize,
    /// Its whole clips that are not silent.
    pub(super) clips: usize,
    /// Numbers of the silent ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) silent: Vec<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) damage: Option<Damage>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
    /// Where each clip is a file of its own: those that cannot be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) without: Vec<(String, Reason)>,
    /// Where the samples of its clips are.
    pub(super) place: Place,
    /// Digest of these samples.
    pub(super) pcm: AudioDigest,
}

/// The position of samples in the shards of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Place {
    /// Number of the shard.
    pub(super) shard: u32,
    /// First sample in it.
    pub(super) offset: u64,
}

impl DecodedSong {
    pub(super) fn of(song: &Song, clip_samples: usize, place: Place, pcm: AudioDigest) -> Self {
        let without = song.unusable_files.iter();
        DecodedSong {
            hash: song.digest,
            samples: song.samples,
            clips: song.clips.len() / clip_samples.max(1),
            silent: song.silent.clone(),
            damage: song.damage,
            notes: song.notes.clone(),
            without: without.map(|file| (file.path.clone(), file.reason.clone())).collect(),
            place,
            pcm,
        }
    }

    /// The song, with the samples of its clips.
    pub(super) fn with_samples(self, clips: Vec<i16>) -> Song {
        let without = self.without.into_iter();
        Song {
            clips,
            samples: self.samples,
            digest: self.hash,
            silent: self.silent,
            damage: self.damage,
            notes: self.notes,
            unusable_files: without.map(|(path, reason)| LeftOut { path, reason }).collect(),
        }
    }
}
