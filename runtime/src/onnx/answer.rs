//! The answer for one recording: the artists with their probabilities, over time and in all.

use std::time::Duration;

use serde::Serialize;

use crate::audio::{AudioInfo, Level};

/// A network's answer for one recording.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Answer {
    /// Every artist the network knows, most probable first; ties stay in the network's order. The probabilities are
    /// calibrated where the card has a [`Confidence`](leitmotif_models::Confidence), otherwise the network's own.
    pub artists: Vec<RankedArtist>,
    /// The network's own probabilities in its order: the mean over segments or windows, never calibrated.
    #[serde(skip)]
    pub uncalibrated: Vec<f32>,
    /// Mean over segments or windows of each one's largest probability, never calibrated: music of an artist whom the
    /// network does not know lowers it.
    pub certainty: f32,
    /// Certainty from which on the recording is of one of the artists: the threshold of the card's
    /// [`Confidence`](leitmotif_models::Confidence). `None` where the card has none.
    pub min_certainty: Option<f64>,
    /// Length of the recording in seconds, including the remainder after the last segment.
    pub seconds: f64,
    /// Seconds from the start to the end of the last segment that counts; what comes after was dropped.
    pub used_seconds: f64,
    /// Largest absolute sample. Below [`Level::SILENCE`] the recording is silent and the probabilities are meaningless.
    pub peak: f32,
    /// Segments that count.
    pub segments: usize,
    /// Windows that count. An LSTM starts each from zero states; for a dense head they only group segments.
    pub windows: usize,
    /// The recording's embedding: for a dense head the mean of its last layer over the segments, for an LSTM the mean of
    /// its last state over the windows. One value for each unit of the network's head.
    pub embedding: Vec<f32>,
    /// The audio file's properties; `None` if samples were given.
    pub audio: Option<AudioInfo>,
    /// What the answer took.
    #[serde(skip)]
    pub timing: Timing,
    /// Segment by segment, never calibrated: a temperature holds for whole recordings. The only part whose size grows
    /// with the recording.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Moment>,
}

/// Where the time of a recognition went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// In the network, without waiting for a session.
    pub network: Duration,
    /// In all: decoding, mixing, resampling, waiting and the network.
    pub total: Duration,
}

/// One artist of an answer's ranking.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RankedArtist {
    /// The artist's index in the network's list of classes.
    pub class: usize,
    /// The artist's name, as the network carries it.
    pub artist: String,
    /// Between 0 and 1; all artists' probabilities sum to 1.
    pub probability: f32,
}

/// One segment of the recording.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Moment {
    /// Start of the segment in seconds.
    pub start_seconds: f64,
    /// End of the segment in seconds.
    pub end_seconds: f64,
    /// The window it belongs to, counted from zero.
    pub window: usize,
    /// One probability for each artist, in the network's order: for a dense head of this segment alone, for an LSTM of
    /// the window up to and including this segment.
    pub probabilities: Vec<f32>,
}

impl Moment {
    /// The most probable artist's index in the network's list of classes; the first in a tie.
    pub fn best(&self) -> usize {
        leitmotif_models::argmax(&self.probabilities)
    }
}

impl Answer {
    /// Whether the recording is silent.
    pub fn is_silent(&self) -> bool {
        self.peak < Level::SILENCE
    }

    /// Whether the recording is of none of the artists: its certainty is below [`min_certainty`](Self::min_certainty), or
    /// it is silent. `None` where there is no such threshold.
    pub fn unknown(&self) -> Option<bool> {
        let threshold = self.min_certainty?;
        Some(self.is_silent() || f64::from(self.certainty) < threshold)
    }

    /// The most probable artist.
    pub fn best(&self) -> Option<&RankedArtist> {
        self.artists.first()
    }
}

/// The artists by falling probability. `sort_by` is stable, so ties stay in the network's order.
pub(super) fn ranked(names: &[String], probabilities: &[f32]) -> Vec<RankedArtist> {
    let mut artists: Vec<_> = names
        .iter()
        .zip(probabilities)
        .enumerate()
        .map(|(class, (artist, probability))| RankedArtist {
            class,
            artist: artist.clone(),
            probability: *probability,
        })
        .collect();
    artists.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    artists
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_stay_in_the_order_of_the_network() {
        let names: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).into();
        let ranked = ranked(&names, &[0.2, 0.3, 0.2, 0.3]);
        assert_eq!(ranked.iter().map(|artist| artist.class).collect::<Vec<_>>(), [1, 3, 0, 2]);
    }
}
