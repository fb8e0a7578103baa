//! Evaluates a network on whole clips: its predictions, pooled as in serving, and its loss.
//!
//! Dense: the mean of all segments' probabilities. LSTM: consecutive windows of the trained number of segments, the
//! last one counted if at least half full; of each window the last output, each with the same weight (Nibbeling 2018,
//! section 3.4).

use std::sync::atomic::{AtomicBool, Ordering};

use leitmotif::pooling::{self, Mean};
use leitmotif_models::{ClassId, HeadKind, Network, Prediction, Predictions, argmax};
use tch::{Device, Kind, Tensor};

use crate::error::{DataError, TrainError};
use crate::learn::clips::Example;
use crate::learn::task::Task;
use crate::learn::together::{any, exchange};
use crate::model::host::to_host;
use crate::model::network::Model;
use crate::ranks::group::Ranks;
use crate::ranks::world::Share;

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

/// A network's outputs for the clips of a part.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Probabilities of every clip, in the order of the examples.
    pub predictions: Predictions,
    /// Mean cross-entropy in nats of the same outputs as in training: of a dense head every segment's, of an LSTM every
    /// window's last. Without label smoothing; zero where there are no clips.
    pub loss: f64,
}

/// Evaluates `model` on `examples`; `progress` is called with the number of clips done after each forward pass.
///
/// # Errors
///
/// A clip shorter than a segment, an unreadable clip, `Interrupted` once `stop` is set.
pub fn evaluate(
    model: &Model,
    task: &Task,
    examples: &[Example],
    stop: &AtomicBool,
    progress: impl FnMut(usize),
) -> Result<Evaluation, TrainError> {
    evaluate_together(model, task, examples, stop, progress, None)
}

/// [`evaluate`] by several ranks, each of which evaluates its share of the clips; all get all predictions.
///
/// # Errors
///
/// Those of [`evaluate`], and those of another rank.
pub fn evaluate_together(
    model: &Model,
    task: &Task,
    examples: &[Example],
    stop: &AtomicBool,
    mut progress: impl FnMut(usize),
    ranks: Option<&Ranks>,
) -> Result<Evaluation, TrainError> {
    let share = ranks.map_or(Share::WHOLE, Ranks::share);
    let own = share.rows(examples.len());
    let network = model.network();
    let limit = if model.device() == Device::Cpu { SAMPLES_ON_CPU } else { SAMPLES_ON_GPU };
    let mut outputs: Vec<ClipOutputs> = Vec::new();
    let mut windows = Vec::new();
    for (index, example) in examples.iter().enumerate() {
        let segments = network.segments_in(usize::try_from(example.samples).unwrap_or(usize::MAX));
        if segments == 0 {
            return Err(DataError::ClipTooShort {
                clip: clip_name(task, example),
                samples: example.samples,
                needed: network.segment,
                why: "one segment",
            }
            .into());
        }
        if own.contains(&index) {
            windows.extend(windows_of(network, index, segments));
        }
        outputs.push(ClipOutputs::new(model.classes()));
    }
    for batch in batches(&windows, network, limit) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        forward(model, task, examples, batch, &mut outputs)?;
        // The other ranks have come about as far.
        let done = batch.last().map_or(0, |w| w.example + 1 - own.start);
        progress((done * share.size).min(examples.len()));
    }
    if any(ranks, stop.load(Ordering::Relaxed))? {
        return Err(TrainError::Interrupted);
    }
    let mut cross_entropy: Vec<f64> = outputs.iter().map(|clip| clip.cross_entropy).collect();
    let predictions = examples.iter().zip(outputs).map(|(example, clip)| {
        let song = task.dataset.clips().get(example.clip).map(|c| c.song.to_owned());
        clip.prediction(clip_name(task, example), song.unwrap_or_default(), example.class)
    });
    let mut predictions: Vec<Prediction> = predictions.collect();
    if let Some(ranks) = ranks {
        share_predictions(ranks, &mut predictions, &mut cross_entropy)?;
    }
    let rows: usize = predictions.iter().map(|clip| clip.weight).sum();
    let cross_entropy: f64 = cross_entropy.iter().sum();
    let predictions = Predictions::new(task.classes.clone(), predictions)?;
    Ok(Evaluation { predictions, loss: cross_entropy / rows.max(1) as f64 })
}

/// Fills in the clips that other ranks have evaluated: here their numbers are zero.
fn share_predictions(
    ranks: &Ranks,
    predictions: &mut [Prediction],
    cross_entropy: &mut [f64],
) -> Result<(), TrainError> {
    let numbers = predictions.iter().zip(&*cross_entropy).map(|(clip, cross_entropy)| {
        let counts = [clip.segments, clip.segments_right, clip.weight].map(|count| count as f64);
        let own = counts.into_iter().chain([*cross_entropy, f64::from(clip.certainty)]);
        own.chain(clip.probabilities.iter().map(|p| f64::from(*p))).collect()
    });
    let mut numbers: Vec<Vec<f64>> = numbers.collect();
    exchange(ranks, &mut numbers)?;
    for ((clip, cross_entropy), numbers) in predictions.iter_mut().zip(cross_entropy).zip(&numbers)
    {
        let Some(([segments, right, weight, loss, certainty], probabilities)) =
            numbers.split_first_chunk()
        else {
            continue;
        };
        clip.segments = *segments as usize;
        clip.segments_right = *right as usize;
        clip.weight = *weight as usize;
        *cross_entropy = *loss;
        clip.certainty = *certainty as f32;
        clip.probabilities = probabilities.iter().map(|p| *p as f32).collect();
    }
    Ok(())
}

/// The windows of a clip with this number of segments.
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
    outputs: &mut [ClipOutputs],
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
        let output = model.forward(&input.f_to_device(model.device())?, None)?;
        let probabilities = output.logits.f_softmax(-1, Kind::Float)?;
        Ok::<_, TrainError>(to_host(&probabilities)?.data)
    })?;
    let per_window = segments * model.classes();
    for (window, rows) in windows.iter().zip(probabilities.chunks_exact(per_window)) {
        let (Some(clip), Some(example)) =
            (outputs.get_mut(window.example), examples.get(window.example))
        else {
            continue;
        };
        let rows: Vec<&[f32]> = rows.chunks_exact(model.classes()).collect();
        clip.segments += rows.len();
        clip.segments_right += rows.iter().filter(|row| argmax(row) == example.class).count();
        match network.head.kind {
            HeadKind::Dense => rows.iter().for_each(|row| clip.add(row, example.class)),
            HeadKind::Lstm => rows.last().into_iter().for_each(|row| clip.add(row, example.class)),
        }
    }
    Ok(())
}

fn clip_name(task: &Task, example: &Example) -> String {
    task.dataset.clips().get(example.clip).map(|c| c.clip.to_owned()).unwrap_or_default()
}

/// The outputs for one clip so far.
struct ClipOutputs {
    mean: Mean,
    /// Of each row's largest probability.
    certainty: Mean,
    /// Rows of probabilities in the means.
    rows: usize,
    /// Sum over these rows, in nats.
    cross_entropy: f64,
    segments: usize,
    segments_right: usize,
}

impl ClipOutputs {
    fn new(classes: usize) -> Self {
        ClipOutputs {
            mean: Mean::new(classes),
            certainty: Mean::new(1),
            rows: 0,
            cross_entropy: 0.0,
            segments: 0,
            segments_right: 0,
        }
    }

    fn add(&mut self, row: &[f32], class: usize) {
        self.mean.add(row, 1.0);
        self.certainty.add(&[pooling::largest(row)], 1.0);
        self.rows += 1;
        // A probability that rounds to zero would make the mean over all clips infinite.
        let probability = row.get(class).copied().unwrap_or(0.0).max(f32::MIN_POSITIVE);
        self.cross_entropy -= f64::from(probability).ln();
    }

    fn prediction(self, clip: String, song: String, class: usize) -> Prediction {
        Prediction {
            clip,
            song,
            truth: ClassId(class),
            segments: self.segments,
            segments_right: self.segments_right,
            weight: self.rows,
            probabilities: self.mean.values(),
            certainty: self.certainty.values().first().copied().unwrap_or(0.0),
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
        let mut clip = ClipOutputs::new(2);
        clip.segments = 12;
        clip.add(&[1.0, 0.0], 0);
        clip.add(&[0.0, 1.0], 0);
        // Of the second row the smallest normal f32: 2^-126.
        assert_eq!(clip.cross_entropy, 126.0 * std::f64::consts::LN_2);
        let made = clip.prediction("clip".to_owned(), "song".to_owned(), 0);
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
