//! Clips grouped by song.

use super::file::Predictions;
use super::prediction::{Prediction, argmax};

/// A song's true class and answer, with the mean probabilities behind it and the indices of its clips.
pub(super) struct Song {
    pub(super) truth: usize,
    pub(super) answer: usize,
    pub(super) probabilities: Vec<f64>,
    pub(super) certainty: f64,
    pub(super) clips: Vec<usize>,
}

/// Groups clips by song, in order of first appearance.
pub(super) fn songs(predictions: &Predictions) -> Vec<Song> {
    let mut order: Vec<Vec<usize>> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (i, clip) in predictions.clips().iter().enumerate() {
        let place = *places.entry(clip.song.as_str()).or_insert_with(|| {
            order.push(Vec::new());
            order.len() - 1
        });
        if let Some(song) = order.get_mut(place) {
            song.push(i);
        }
    }
    let clips_of = |song: &[usize]| -> Vec<&Prediction> {
        song.iter().filter_map(|i| predictions.clips().get(*i)).collect()
    };
    order
        .into_iter()
        .map(|song| {
            let clips = clips_of(&song);
            let mut mean = vec![0f64; predictions.classes().len()];
            for clip in &clips {
                for (sum, p) in mean.iter_mut().zip(&clip.probabilities) {
                    *sum += f64::from(*p) * clip.weight as f64;
                }
            }
            let answer = argmax(&mean);
            let weight = clips.iter().map(|clip| clip.weight as f64).sum::<f64>();
            let certainty = clips.iter().map(|clip| f64::from(clip.certainty) * clip.weight as f64);
            mean.iter_mut().for_each(|sum| *sum /= weight);
            Song {
                truth: clips.first().map_or(0, |c| c.truth.0),
                answer,
                probabilities: mean,
                certainty: certainty.sum::<f64>() / weight,
                clips: song,
            }
        })
        .collect()
}
