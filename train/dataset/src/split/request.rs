//! What kind of split is wanted.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The unit that a split keeps in one part.
///
/// `Clip` and `Recording` are the two splits of Nibbeling, *Artist Recognition with Convolutional Recurrent Neural
/// Networks* (2018). Their test clips share songs or albums with training, so their scores are too high for new music.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// A clip: clips of one song are in several parts, as in Nibbeling's first split.
    Clip,
    /// A recording: its clips stay together; another recording of the song may be in another part, as in Nibbeling's
    /// second split.
    Recording,
    /// A song with all its variants.
    Song,
    /// An album with all albums that share songs with it; needs two or more per artist.
    Album,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Clip => "clip",
            Protocol::Recording => "recording",
            Protocol::Song => "song",
            Protocol::Album => "album",
        })
    }
}

/// A split to make.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitRequest {
    /// The unit that stays in one part.
    pub protocol: Protocol,
    /// Seed of the shuffle.
    pub seed: u64,
    /// Share of each artist's clips in the test part, between 0 and 1.
    pub test: f64,
    /// Share of the remaining clips in the validation part, from 0 to below 1.
    pub validation: f64,
}

impl SplitRequest {
    /// File name of the split without its extension, as `song-seed1`.
    pub fn name(&self) -> String {
        format!("{}-seed{}", self.protocol, self.seed)
    }
}
