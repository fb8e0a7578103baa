//! Who plays, how surely, and when.

use serde::Serialize;

use crate::audio::AudioInfo;

/// What a network says about one recording.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Answer {
    /// Every artist the network knows, most probable first; equals stay in the network's order.
    pub artists: Vec<ArtistScore>,
    /// Length of the recording in seconds, what was left after the last segment included.
    pub seconds: f64,
    /// Largest sample, by its amount. Below [`SILENCE`](Self::SILENCE) there was nothing to recognise, and what the network
    /// says means nothing.
    pub peak: f32,
    /// Segments that count.
    pub segments: usize,
    /// Windows that count: an LSTM starts anew with each, a dense head only groups its segments by them.
    pub windows: usize,
    /// The recording as a point among others: for a dense head the mean of its last layer over the segments, for
    /// an LSTM the mean over the windows of its last state. One value for each unit of the network's head.
    pub embedding: Vec<f32>,
    /// What is known of the file; `None` where samples were given.
    pub audio: Option<AudioInfo>,
    /// Segment by segment. The only part whose size grows with the recording.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Moment>,
}

/// One artist's share of an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ArtistScore {
    /// The artist's number in the network's list.
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
    /// Where the segment begins, in seconds from the start.
    pub start_seconds: f64,
    /// Where it ends.
    pub end_seconds: f64,
    /// The window it belongs to, counted from zero.
    pub window: usize,
    /// One probability for each artist, in the network's order: of this segment alone for a dense head, of the
    /// window up to and with this segment for an LSTM.
    pub probabilities: Vec<f32>,
}

impl Moment {
    /// The most probable artist's number in the network's list; the first of equals.
    pub fn best(&self) -> usize {
        leitmotif_models::argmax(&self.probabilities)
    }
}

impl Answer {
    /// The peak below which a recording is silent: −80 dB of full scale.
    pub const SILENCE: f32 = 1e-4;

    /// Whether there was nothing to recognise.
    pub fn is_silent(&self) -> bool {
        self.peak < Self::SILENCE
    }

    /// The most probable artist.
    pub fn best(&self) -> Option<&ArtistScore> {
        self.artists.first()
    }
}

/// The artists by falling probability. `sort_by` is stable, so equals stay in the network's order.
pub(crate) fn ranked(names: &[String], probabilities: &[f32]) -> Vec<ArtistScore> {
    let mut artists: Vec<_> = names
        .iter()
        .zip(probabilities)
        .enumerate()
        .map(|(class, (artist, probability))| ArtistScore {
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
    fn equals_stay_in_the_order_of_the_network() {
        let names: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).into();
        let ranked = ranked(&names, &[0.2, 0.3, 0.2, 0.3]);
        assert_eq!(ranked.iter().map(|score| score.class).collect::<Vec<_>>(), [1, 3, 0, 2]);
    }
}
