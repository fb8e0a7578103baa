//! Runs a compiled graph in ONNX Runtime and compares it with the outputs of the trainer's own network.

mod declared;
mod free_sizes;
mod layers;
mod parity;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use leitmotif::session::{NamedTensor, Session, SessionOptions};
use leitmotif_export::{
    Artifact, Checkpoint, Probe, Recipe, batch_per_call, compile_as, with_batch,
};
use leitmotif_models::{Card, Fixed, GraphKind, Precision};

use crate::session::{CLIPS_PER_CALL, on_cpu};
use declared::{own_golden_answer, same_card, same_keys, same_ports, same_weights};
pub(crate) use layers::{Departure, layers};
pub(crate) use parity::Report;
use parity::{Comparison, Expected, named, shaped, widened};

/// Compares the declarations of the model in `path` with those of the checkpoint compiled again, and its answers to every
/// row of the checkpoint's probe with the trainer's. Where `options` allow TF32, its tolerances apply.
///
/// # Errors
/// Where the file is no model of this checkpoint, its card, keys, inputs or outputs are not those of its graph, an output
/// is missing, of another shape or not finite, a probability or embedding is further from the trainer's than its precision
/// allows, or a top class is another one. The message names the output and the difference.
///
/// A tolerance alone cannot show that fp16 and int8 are right, so their graph and weights must also be those that compiling
/// again gives, and int8 must give its own golden answer, or, where its sizes are fixed or it ends with the embedding, the
/// answers of the whole file of free sizes. A fixed batch that would fill the memory is run with fewer rows, by the same
/// nodes and weights.
pub(crate) fn verify(
    path: &Path,
    checkpoint: &Checkpoint,
    options: &SessionOptions,
) -> Result<Report> {
    let session = Session::open(path, options)?;
    let card = session.metadata(Card::KEY).context("it has no card")?;
    let card = Card::from_json(&card)?;
    let run = checkpoint.run();
    ensure!(card.network == run.network, "its network is not the checkpoint's");
    ensure!(card.classes == run.classes, "its classes are not the checkpoint's");
    let artifact = compile_as(checkpoint, card.graph, &Recipe::of(&card))?;
    compared(session, card, &artifact, path, checkpoint, options)
}

/// The same of a file that was just written from `artifact`, which need not be compiled again.
///
/// # Errors
/// Those of [`verify`].
pub(crate) fn verify_written(
    path: &Path,
    artifact: &Artifact,
    checkpoint: &Checkpoint,
) -> Result<Report> {
    let options = on_cpu();
    let session = Session::open(path, &options)?;
    let card = session.metadata(Card::KEY).context("it has no card")?;
    compared(session, Card::from_json(&card)?, artifact, path, checkpoint, &options)
}

fn compared(
    mut session: Session,
    card: Card,
    artifact: &Artifact,
    path: &Path,
    checkpoint: &Checkpoint,
    options: &SessionOptions,
) -> Result<Report> {
    let bytes = fs::read(path)?;
    same_card(&card, artifact, &bytes, path)?;
    same_keys(&session, artifact)?;
    same_ports(&session, artifact)?;
    if card.precision != Precision::Fp32 {
        same_weights(&bytes, path, artifact)?;
    }
    let is_whole = card.fixed.is_free() && !card.embedding_only && !card.huggingface;
    if card.precision == Precision::Int8 && is_whole {
        own_golden_answer(path)?;
    }
    let batch = batch_per_call(&card);
    if let Some(fewer) = batch.filter(|_| batch != card.fixed.batch) {
        session = Session::from_bytes(&with_batch(&bytes, path, fewer)?, options)?;
    }
    let card = Card { fixed: Fixed { batch, ..card.fixed }, ..card };
    if card.precision == Precision::Int8 && !is_whole {
        free_sizes::same_answers(&mut session, &card, checkpoint)?;
    }

    let mut comparison = Comparison::new(card.precision, options.tf32);
    let probe = checkpoint.probe();
    // What is side by side in a call: clips, or the segments of all of them.
    let (count, size) = match card.graph {
        GraphKind::Segment => (probe.rows() * probe.segments(), CLIPS_PER_CALL * probe.segments()),
        _ => (probe.rows(), CLIPS_PER_CALL),
    };
    for call in calls(count, card.fixed.batch, size) {
        let call = call.as_slice();
        match card.graph {
            GraphKind::Clip | GraphKind::Sequence => {
                whole_clips(&mut session, &card, probe, call, &mut comparison)?;
            }
            GraphKind::Segment => segments(&mut session, &card, probe, call, &mut comparison)?,
            GraphKind::Step => {
                step_by_step(&mut session, &card, checkpoint, call, &mut comparison)?;
            }
        }
    }
    let outputs = comparison.into_outputs();
    let report = Report { graph: card.graph, rows: probe.rows(), outputs };
    report.check()?;
    Ok(report)
}

/// The rows of a probe, or their segments, for each call, at most `size` of them; a single one twice, because a graph may be
/// right for a batch of one only. Where the batch is fixed, the last call is filled up with the first ones.
fn calls(count: usize, batch: Option<usize>, size: usize) -> Vec<Vec<usize>> {
    let rows: Vec<usize> = if count == 1 { vec![0, 0] } else { (0..count).collect() };
    let size = batch.unwrap_or(size).max(1);
    let short = batch.map_or(0, |_| rows.len().next_multiple_of(size) - rows.len());
    let filled: Vec<usize> = rows.iter().copied().chain((0..count).cycle().take(short)).collect();
    filled.chunks(size).map(<[usize]>::to_vec).collect()
}

fn whole_clips(
    session: &mut Session,
    card: &Card,
    probe: &Probe,
    rows: &[usize],
    comparison: &mut Comparison,
) -> Result<()> {
    let segments = card.fixed.segments.unwrap_or(probe.segments());
    let last = segments.saturating_sub(1);
    let samples = card.network.samples_of(segments);
    let beginning = |row: &usize| probe.waveform(*row).get(..samples).unwrap_or_default();
    let waveform: Vec<f32> = rows.iter().flat_map(beginning).copied().collect();
    let shape = [rows.len(), samples];
    let outputs = session.run(&[(card.waveform_input(), &shape, &waveform)])?;
    let outputs = if card.huggingface { hub_probabilities(card, &outputs)? } else { outputs };
    let mut expected = Expected::default();
    for row in rows.iter().copied() {
        for segment in 0..segments {
            expected.add("segment_probabilities", probe.probabilities(row, segment));
            expected.add("segment_embeddings", widened(probe.embedding(row, segment)));
        }
        if card.graph == GraphKind::Clip {
            let mean = probe.mean_over(segments, |segment| probe.probabilities(row, segment));
            expected.add("probabilities", mean);
            let embedding = |segment| widened(probe.embedding(row, segment));
            expected.add("embedding", probe.mean_over(segments, embedding));
        } else {
            expected.add("probabilities", probe.probabilities(row, last));
            expected.add("embedding", widened(probe.embedding(row, last)));
        }
    }
    let (each, whole) = ([rows.len(), segments], [rows.len()]);
    if card.huggingface {
        return comparison.add("probabilities", &whole, &expected, &outputs);
    }
    comparison.add("embedding", &whole, &expected, &outputs)?;
    if card.embedding_only {
        return match card.graph {
            GraphKind::Clip => comparison.add("segment_embeddings", &each, &expected, &outputs),
            _ => Ok(()),
        };
    }
    comparison.add("segment_probabilities", &each, &expected, &outputs)?;
    comparison.add("probabilities", &whole, &expected, &outputs)
}

/// The probabilities whose logarithms, divided by the temperature, are the `logits` of Hugging Face's form.
///
/// # Errors
/// Where it has no logits.
fn hub_probabilities(card: &Card, outputs: &[NamedTensor]) -> Result<Vec<NamedTensor>> {
    let logits = named(outputs, "logits")?;
    let temperature = card.confidence.as_ref().map_or(1.0, |confidence| confidence.temperature);
    let probability = |logit: &f32| (temperature * f64::from(*logit)).exp() as f32;
    let data = logits.data.iter().map(probability).collect();
    let name = "probabilities".to_owned();
    Ok(vec![NamedTensor { name, shape: logits.shape.clone(), data }])
}

/// Segments side by side, each by its number among those of all rows.
fn segments(
    session: &mut Session,
    card: &Card,
    probe: &Probe,
    numbers: &[usize],
    comparison: &mut Comparison,
) -> Result<()> {
    let mut waveform = Vec::new();
    let mut expected = Expected::default();
    let each = probe.segments().max(1);
    for (row, segment) in numbers.iter().map(|number| (number / each, number % each)) {
        waveform.extend(cut(card, probe.waveform(row), segment));
        expected.add_segment(probe, row, segment);
    }
    let batch = numbers.len();
    let outputs = session.run(&[("waveform", &[batch, card.segment_samples], &waveform)])?;
    for name in ["probabilities", "logits", "embedding"] {
        comparison.add(name, &[batch], &expected, &outputs)?;
    }
    Ok(())
}

/// All rows side by side, each from zero states, every state fed back.
///
/// The probe holds no cell state. It is checked by its consequences: stepping on, one segment further than the probe
/// goes so that every state is used, must give the answers that the `sequence` graph of the same checkpoint gives at once.
fn step_by_step(
    session: &mut Session,
    card: &Card,
    checkpoint: &Checkpoint,
    rows: &[usize],
    comparison: &mut Comparison,
) -> Result<()> {
    let probe = checkpoint.probe();
    let samples = card.network.clip_samples() + card.hop_samples;
    let longer = |row: usize| -> Vec<f32> {
        probe.waveform(row).iter().copied().cycle().take(samples).collect()
    };
    let at_once = sequence_answers(checkpoint, card, rows, longer)?;
    let longer: Vec<Vec<f32>> = rows.iter().copied().map(longer).collect();

    let state_shape = [rows.len(), card.embedding_units];
    let zeros = vec![0.0; rows.len() * card.embedding_units];
    let (mut h, mut c) = (zeros.clone(), zeros);
    for segment in 0..=probe.segments() {
        let waveform: Vec<f32> =
            longer.iter().flat_map(|row| cut(card, row, segment)).copied().collect();
        let outputs = session.run(&[
            ("waveform", &[rows.len(), card.segment_samples], &waveform),
            ("h", &state_shape, &h),
            ("c", &state_shape, &c),
        ])?;
        if segment < probe.segments() {
            let mut expected = Expected::default();
            for row in rows.iter().copied() {
                expected.add_segment(probe, row, segment);
                expected.add("h_next", widened(probe.embedding(row, segment)));
            }
            for name in ["probabilities", "logits", "embedding", "h_next"] {
                comparison.add(name, &[rows.len()], &expected, &outputs)?;
            }
        }
        let c_next = shaped(&outputs, "c_next", &state_shape)?;
        let cell = comparison.parity("c_next");
        cell.add_state(&c_next.data);
        if segment > 0 {
            let found = shaped(&outputs, "probabilities", &[rows.len(), card.classes.len()])?;
            for (row, found) in rows.iter().zip(found.data.chunks(card.classes.len())) {
                let answer = at_once.get(row).and_then(|row| row.get(segment)).map(Vec::as_slice);
                cell.add(answer.unwrap_or_default(), found);
            }
        }
        h = named(&outputs, "h_next")?.data.clone();
        c.clone_from(&c_next.data);
    }
    Ok(())
}

/// The answers of the `sequence` graph in the form of `card` after each segment of the recordings of `rows`, by row: one segment
/// more than the probe has. Each row is run once, and few side by side: a batch of segments is far less than one of these.
fn sequence_answers(
    checkpoint: &Checkpoint,
    card: &Card,
    rows: &[usize],
    recording: impl Fn(usize) -> Vec<f32>,
) -> Result<BTreeMap<usize, Vec<Vec<f64>>>> {
    // The golden answer on the card of another graph is not this one's; it is not used.
    let free = Recipe { fixed: Fixed::default(), ..Recipe::of(card) };
    let sequence = compile_as(checkpoint, GraphKind::Sequence, &free)?;
    let mut session = Session::from_bytes(sequence.bytes(), &on_cpu())?;
    let segments = checkpoint.probe().segments() + 1;
    let classes = checkpoint.run().classes.len();
    let distinct: Vec<usize> = rows.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let mut answers = BTreeMap::new();
    for rows in distinct.chunks(CLIPS_PER_CALL) {
        let recordings: Vec<Vec<f32>> = rows.iter().copied().map(&recording).collect();
        let shape = [rows.len(), recordings.first().map_or(0, Vec::len)];
        let outputs = session.run(&[("waveform", &shape, &recordings.concat())])?;
        let found = shaped(&outputs, "segment_probabilities", &[rows.len(), segments, classes])?;
        for (row, found) in rows.iter().zip(found.data.chunks(segments * classes)) {
            answers.insert(*row, found.chunks(classes).map(widened).collect());
        }
    }
    Ok(answers)
}

/// The samples of one segment; empty beyond the last.
fn cut<'a>(card: &Card, waveform: &'a [f32], segment: usize) -> &'a [f32] {
    let start = segment * card.hop_samples;
    waveform.get(start..start + card.segment_samples).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_of_one_row_is_run_as_a_batch_of_two() {
        assert_eq!(calls(1, None, 2), [[0, 0]]);
        assert_eq!(calls(3, None, 2), [&[0, 1][..], &[2]]);
    }

    #[test]
    fn a_fixed_batch_is_always_full() {
        assert_eq!(calls(1, Some(1), 2), [[0], [0]]);
        assert_eq!(calls(3, Some(2), 9), [[0, 1], [2, 0]]);
        assert_eq!(calls(2, Some(5), 2), [[0, 1, 0, 1, 0]]);
    }
}
