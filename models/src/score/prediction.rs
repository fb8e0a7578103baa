//! What a network answered for one clip.

use serde::{Deserialize, Serialize};

use crate::ClassId;

/// What a network answered for one clip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "PredictionLine")]
pub struct Prediction {
    /// Identifier of the clip.
    pub clip: String,
    /// Song that the clip is cut from.
    pub song: String,
    /// The true artist.
    pub truth: ClassId,
    /// Segments in the clip.
    pub segments: usize,
    /// Segments whose own top class is the true one; an LSTM's outputs count segment by segment.
    pub segments_right: usize,
    /// Equal answers that the clip's is the mean of: segments under a dense head, windows under an LSTM. By this it counts
    /// in its song's answer, as serving counts.
    pub weight: usize,
    /// The clip's answer, one probability a class.
    pub probabilities: Vec<f32>,
    /// Mean over the same answers of each one's largest probability. Music of no class lowers it more than it lowers the
    /// largest of the mean: there segments are unsure one by one, not only at odds with each other.
    pub certainty: f32,
}

impl Prediction {
    /// How many classes come before the true one, by probability; of equals the class that is listed first. `None` where
    /// the true class has no probability.
    pub fn rank(&self) -> Option<usize> {
        let truth = self.truth.0;
        let own = self.probabilities.get(truth)?;
        let before = |(i, p): &(usize, &f32)| *p > own || (*p == own && *i < truth);
        Some(self.probabilities.iter().enumerate().filter(before).count())
    }
}

/// A line as it is written; [`Prediction`] is what the program reads of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PredictionLine {
    clip: String,
    song: String,
    truth: ClassId,
    segments: usize,
    segments_right: usize,
    /// Files written before it was recorded weighed clips by their segments.
    weight: Option<usize>,
    probabilities: Vec<f32>,
    /// Files written before it was recorded: at least the answer's largest probability.
    certainty: Option<f32>,
}

impl From<PredictionLine> for Prediction {
    fn from(line: PredictionLine) -> Self {
        let PredictionLine { clip, song, truth, segments, segments_right, .. } = line;
        let (weight, probabilities) = (line.weight.unwrap_or(segments), line.probabilities);
        let largest = probabilities.iter().copied().fold(0.0, f32::max);
        let certainty = line.certainty.unwrap_or(largest);
        Prediction { clip, song, truth, segments, segments_right, weight, probabilities, certainty }
    }
}

/// Index of the largest value, the first of equals; 0 for an empty slice.
pub fn argmax<T: PartialOrd>(values: &[T]) -> usize {
    let mut best: Option<(usize, &T)> = None;
    for (i, value) in values.iter().enumerate() {
        if best.is_none_or(|(_, most)| value > most) {
            best = Some((i, value));
        }
    }
    best.map_or(0, |(i, _)| i)
}
