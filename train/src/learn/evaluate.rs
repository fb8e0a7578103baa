//! A network's answers for whole clips, given as serving gives them.
//!
//! Dense: the mean of all segments' probabilities. LSTM: consecutive windows of the trained number of segments, the
//! last one counted if at least half full; of each window the last output, all windows alike.

use std::sync::atomic::{AtomicBool, Ordering};

use leitmotif::pooling::{self, Mean};
use leitmotif_models::{ClassId, HeadKind, Network, Prediction, Predictions, argmax};
use tch::{Device, Kind, Tensor};

use crate::error::TrainError;
use crate::learn::batches::Example;
use crate::learn::task::Task;
use crate::model::network::Model;

/// Samples in one forward pass, by which the number of clips in it is set; activations are many times that.
const SAMPLES_ON_CPU: usize = 1 << 21;
const SAMPLES_ON_GPU: usize = 1 << 24;

/// A stretch of a clip that goes through the network at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    /// Index into the examples.
    example: usize,
    first_segment: usize,
    segments: usize,
}

/// Answers for `examples`, in their order. `heard` is told the number of clips after each pass.
///
/// # Errors
///
/// A clip shorter than a segment, an unreadable clip, `Interrupted` once `stop` is set.
pub fn predict(
    model: &Model,
    task: &Task,
    examples: &[Example],
    stop: &AtomicBool,
    mut heard: impl FnMut(usize),
) -> Result<Predictions, TrainError> {
    let network = model.network();
    let limit = if model.device() == Device::Cpu { SAMPLES_ON_CPU } else { SAMPLES_ON_GPU };
    let mut answers: Vec<Answer> = Vec::new();
    let mut windows = Vec::new();
    for (index, example) in examples.iter().enumerate() {
        let segments = network.segments_in(usize::try_from(example.samples).unwrap_or(usize::MAX));
        if segments == 0 {
            return Err(TrainError::ClipTooShort {
                clip: clip_name(task, example),
                samples: example.samples,
                needed: network.segment,
                why: "one segment",
            });
        }
        windows.extend(windows_of(network, index, segments));
        answers.push(Answer::new(model.classes()));
    }
    for batch in batches(&windows, network, limit) {
        if stop.load(Ordering::Relaxed) {
            return Err(TrainError::Interrupted);
        }
        forward(model, task, examples, batch, &mut answers)?;
        heard(batch.last().map_or(0, |w| w.example + 1));
    }
    let predictions = examples.iter().zip(answers).map(|(example, answer)| {
        let song = task.dataset.clips().get(example.clip).map(|c| c.song.to_owned());
        answer.prediction(clip_name(task, example), song.unwrap_or_default(), example.class)
    });
    Ok(Predictions::new(task.classes.clone(), predictions.collect())?)
}

/// How a clip of so many segments goes through the network.
fn windows_of(network: &Network, example: usize, segments: usize) -> Vec<Window> {
    let length = match network.head.kind {
        HeadKind::Dense => segments,
        HeadKind::Lstm => network.window,
    };
    pooling::windows(segments, length)
        .into_iter()
        .map(|range| Window { example, first_segment: range.start, segments: range.len() })
        .collect()
}

/// Neighbouring windows of one length, together no longer than `limit` samples.
fn batches<'a>(windows: &'a [Window], network: &Network, limit: usize) -> Vec<&'a [Window]> {
    let mut batches = Vec::new();
    for alike in windows.chunk_by(|a, b| a.segments == b.segments) {
        let samples = alike.first().map_or(1, |w| samples_of(network, w.segments));
        batches.extend(alike.chunks((limit / samples).max(1)));
    }
    batches
}

fn samples_of(network: &Network, segments: usize) -> usize {
    segments.saturating_sub(1) * network.hop + network.segment
}

fn forward(
    model: &Model,
    task: &Task,
    examples: &[Example],
    windows: &[Window],
    answers: &mut [Answer],
) -> Result<(), TrainError> {
    let network = model.network();
    let Some(segments) = windows.first().map(|w| w.segments) else { return Ok(()) };
    let samples = samples_of(network, segments);
    let mut waveforms = vec![0.0; windows.len() * samples];
    for (window, out) in windows.iter().zip(waveforms.chunks_exact_mut(samples)) {
        if let Some(example) = examples.get(window.example) {
            let start = window.first_segment * network.hop;
            task.dataset.read(example.clip, start as u64, out)?;
        }
    }
    let input =
        Tensor::f_from_slice(&waveforms)?.f_reshape([windows.len() as i64, samples as i64])?;
    let probabilities = tch::no_grad(|| {
        let output = model.forward(&input.f_to_device(model.device())?, false)?;
        let probabilities = output.logits.f_softmax(-1, Kind::Float)?;
        Ok::<_, TrainError>(crate::model::host::to_host(&probabilities)?.data)
    })?;
    let per_window = segments * model.classes();
    for (window, rows) in windows.iter().zip(probabilities.chunks_exact(per_window)) {
        let (Some(answer), Some(example)) =
            (answers.get_mut(window.example), examples.get(window.example))
        else {
            continue;
        };
        let rows: Vec<&[f32]> = rows.chunks_exact(model.classes()).collect();
        answer.segments += rows.len();
        answer.segments_right += rows.iter().filter(|row| argmax(row) == example.class).count();
        match network.head.kind {
            HeadKind::Dense => rows.iter().for_each(|row| answer.add(row)),
            HeadKind::Lstm => rows.last().into_iter().for_each(|row| answer.add(row)),
        }
    }
    Ok(())
}

fn clip_name(task: &Task, example: &Example) -> String {
    task.dataset.clips().get(example.clip).map(|c| c.clip.to_owned()).unwrap_or_default()
}

/// What has been heard of one clip.
struct Answer {
    mean: Mean,
    /// Rows in the mean.
    weight: usize,
    segments: usize,
    segments_right: usize,
}

impl Answer {
    fn new(classes: usize) -> Self {
        Answer { mean: Mean::new(classes), weight: 0, segments: 0, segments_right: 0 }
    }

    fn add(&mut self, row: &[f32]) {
        self.mean.add(row, 1.0);
        self.weight += 1;
    }

    fn prediction(self, clip: String, song: String, class: usize) -> Prediction {
        Prediction {
            clip,
            song,
            truth: ClassId(class),
            segments: self.segments,
            segments_right: self.segments_right,
            weight: self.weight,
            probabilities: self.mean.values(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_lstms_last_window_counts_from_half_full_on() {
        let mut network = Network::preset("example").unwrap().with_head(HeadKind::Lstm);
        network.window = 4;
        let lengths = |segments| -> Vec<usize> {
            windows_of(&network, 0, segments).iter().map(|w| w.segments).collect()
        };
        assert_eq!(lengths(1), [1]);
        assert_eq!(lengths(4), [4]);
        assert_eq!(lengths(5), [4]);
        assert_eq!(lengths(6), [4, 2]);
        assert_eq!(lengths(8), [4, 4]);
        let dense = network.clone().with_head(HeadKind::Dense);
        assert_eq!(
            windows_of(&dense, 3, 9),
            [Window { example: 3, first_segment: 0, segments: 9 }]
        );
    }

    #[test]
    fn a_clip_weighs_as_many_as_its_mean_is_of() {
        let mut answer = Answer::new(2);
        answer.segments = 12;
        answer.add(&[1.0, 0.0]);
        answer.add(&[0.0, 1.0]);
        let made = answer.prediction("clip".to_owned(), "song".to_owned(), 0);
        assert_eq!((made.weight, made.segments, made.probabilities), (2, 12, vec![0.5, 0.5]));
    }

    #[test]
    fn batches_hold_windows_of_one_length_within_the_limit() {
        let network = Network::preset("example").unwrap();
        let windows: Vec<Window> = [2, 2, 2, 1, 2]
            .iter()
            .enumerate()
            .map(|(example, segments)| Window { example, first_segment: 0, segments: *segments })
            .collect();
        let limit = 2 * samples_of(&network, 2);
        let sizes: Vec<usize> =
            batches(&windows, &network, limit).iter().map(|b| b.len()).collect();
        assert_eq!(sizes, [2, 1, 1, 1]);
    }
}
