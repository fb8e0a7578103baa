//! What damaged songs have lost, which are kept as far as they can be decoded.

use std::fmt;

use leitmotif::audio::AudioInfo;
use leitmotif_models::SampleRate;
use serde::{Deserialize, Serialize};

/// A song that is kept as far as it can be decoded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DamagedSong {
    /// The song.
    pub song: String,
    /// Packets that cannot be decoded.
    pub skipped_packets: usize,
    /// Their share of the song's length, in percent.
    pub lost_percent: f64,
    /// Whether its end is missing.
    pub truncated: bool,
}

impl fmt::Display for DamagedSong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.song)?;
        if self.skipped_packets > 0 {
            write!(f, "{:.1} % lost", self.lost_percent)?;
        }
        let both = if self.skipped_packets > 0 && self.truncated { ", " } else { "" };
        write!(f, "{both}{})", if self.truncated { "truncated" } else { "" })
    }
}

/// What a song has lost that is kept as far as it can be decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Damage {
    /// Packets that cannot be decoded.
    pub(super) skipped_packets: usize,
    /// Seconds that they would have lasted.
    pub(super) lost_seconds: f64,
    /// Whether its end is missing.
    pub(super) truncated: bool,
}

impl Damage {
    pub(super) fn of(info: &AudioInfo) -> Option<Self> {
        let &AudioInfo { skipped_packets, lost_seconds, truncated, .. } = info;
        let is_damaged = truncated || skipped_packets > 0;
        is_damaged.then_some(Damage { skipped_packets, lost_seconds, truncated })
    }

    pub(super) fn add(&mut self, other: Damage) {
        self.skipped_packets += other.skipped_packets;
        self.lost_seconds += other.lost_seconds;
        self.truncated |= other.truncated;
    }

    /// That of a song of which `samples` are left.
    pub(super) fn of_song(&self, song: &str, samples: usize) -> DamagedSong {
        let whole = SampleRate::NETWORK.seconds(samples as u64) + self.lost_seconds;
        DamagedSong {
            song: song.to_owned(),
            skipped_packets: self.skipped_packets,
            lost_percent: 100.0 * self.lost_seconds / whole.max(f64::MIN_POSITIVE),
            truncated: self.truncated,
        }
    }
}
