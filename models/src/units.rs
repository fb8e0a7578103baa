//! Units that would otherwise be bare numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Samples of a clip by default: MagnaTagATune's 29.124 seconds at 16 kHz.
pub const CLIP_SAMPLES: usize = 465_984;

/// Samples per second of one channel, in hertz.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SampleRate(pub u32);

impl SampleRate {
    /// The sample rate of every network of this project: 16 kHz, as MagnaTagATune has it.
    pub const NETWORK: SampleRate = SampleRate(16_000);

    /// Length of `samples` samples in seconds.
    pub fn seconds(self, samples: u64) -> f64 {
        samples as f64 / f64::from(self.0.max(1))
    }

    /// Whole samples in `seconds` seconds; none in a length that is negative or no number.
    pub fn samples(self, seconds: f64) -> usize {
        (seconds * f64::from(self.0)) as usize
    }
}

impl fmt::Display for SampleRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz", self.0)
    }
}

/// Index of an artist in a network's list of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClassId(pub usize);
