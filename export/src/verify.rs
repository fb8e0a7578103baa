//! Runs a compiled graph in ONNX Runtime against what the trainer's own network answered.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use leitmotif::Device;
use leitmotif::session::{NamedTensor, Port, Session, SessionOptions};
use leitmotif_export::{Artifact, Checkpoint, FP32_TOLERANCE, Probe, compile};
use leitmotif_models::{Card, GraphKind, argmax};
use serde::Serialize;

/// Largest difference of an embedding in fp32. It is a sum of some hundred products without a softmax to contract its
/// error, so it may miss by more than a probability; it decides nothing but nearness.
const EMBEDDING_TOLERANCE: f64 = 1e-4;

/// Largest difference of a probability where TF32 is allowed: factors keep ten bits of mantissa, an error of up to 5e-4
/// each, which ten layers of sums carry on and a softmax contracts.
const TF32_TOLERANCE: f64 = 1e-2;

/// The same for an embedding, which no softmax contracts.
const TF32_EMBEDDING_TOLERANCE: f64 = 5e-2;

/// Clips side by side in one call: more than one, so that the batch axis is tried.
const CLIPS_PER_CALL: usize = 2;

/// What one graph's outputs came to.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The graph.
    pub(crate) graph: GraphKind,
    /// Rows of the probe that were run.
    pub(crate) rows: usize,
    /// One entry an output, in the order of the names.
    pub(crate) outputs: Vec<Parity>,
}

/// How far one output is from the trainer's.
#[derive(Debug, Serialize)]
pub(crate) struct Parity {
    /// Name of the output.
    pub(crate) output: String,
    /// Values compared.
    pub(crate) values: usize,
    /// Largest absolute difference; of `c_next` that of the probabilities that follow from it.
    pub(crate) largest: f64,
    /// What it may be; logits are reported but not judged.
    pub(crate) tolerance: Option<f64>,
    /// For probabilities: vectors with the same largest class, of all.
    pub(crate) same_top: Option<(usize, usize)>,
    /// Whether another largest class is a complaint.
    #[serde(skip)]
    judge_top: bool,
}

/// Compares the model in `path` with what compiling the checkpoint anew says it must declare, and its answers to every
/// row of the checkpoint's probe with the trainer's.
///
/// Where `options` allow TF32, it must come within what TF32 may do, and top classes are counted but not judged.
///
/// # Errors
/// Where the file is no model of this checkpoint, its card, keys, inputs or outputs are not those of its graph, an output
/// is missing, misshapen or not finite, a probability or embedding is further from the trainer's than its tolerance, or
/// a top class is another one. The message names the output and the difference.
pub(crate) fn verify(
    path: &Path,
    checkpoint: &Checkpoint,
    options: &SessionOptions,
) -> Result<Report> {
    let mut session = Session::open(path, options)?;
    let card = session.metadata(Card::KEY).context("it has no card")?;
    let card = Card::from_json(&card)?;
    let run = checkpoint.run();
    ensure!(card.network == run.network, "its network is not the checkpoint's");
    ensure!(card.classes == run.classes, "its classes are not the checkpoint's");
    let due = compile(checkpoint, card.graph, &card.name)?;
    same_card(&card, &due)?;
    same_keys(&session, &due)?;
    same_ports(&session, &due)?;

    let mut comparison = Comparison { tf32: options.tf32, ..Comparison::default() };
    let probe = checkpoint.probe();
    for rows in rows(probe.rows()).chunks(CLIPS_PER_CALL) {
        match card.graph {
            GraphKind::Clip | GraphKind::Sequence => {
                whole_clips(&mut session, &card, probe, rows, &mut comparison)?;
            }
            GraphKind::Segment => each_segment(&mut session, &card, probe, rows, &mut comparison)?,
            GraphKind::Step => {
                step_by_step(&mut session, &card, checkpoint, rows, &mut comparison)?;
            }
        }
    }
    let outputs = comparison.outputs.into_values().collect();
    let report = Report { graph: card.graph, rows: probe.rows(), outputs };
    report.judge()?;
    Ok(report)
}

pub(crate) fn on_cpu() -> SessionOptions {
    SessionOptions::on(Device::Cpu)
}

/// The rows of a probe to run; a single one twice, because a graph may be right for a batch of one only.
fn rows(count: usize) -> Vec<usize> {
    if count == 1 { vec![0, 0] } else { (0..count).collect() }
}

/// Every field of the card but `tools`: another version of the compiler may have made it.
fn same_card(card: &Card, due: &Artifact) -> Result<()> {
    // Read from text, as `card` was.
    let due = Card::from_json(&due.card().to_json()?)?;
    let due = serde_json::to_value(Card { tools: card.tools.clone(), ..due })?;
    let found = serde_json::to_value(card)?;
    let fields = due.as_object().into_iter().flatten();
    let other: Vec<String> = fields
        .filter(|(field, value)| found.get(field) != Some(value))
        .map(|(field, _)| format!("`{field}`"))
        .collect();
    ensure!(
        other.is_empty(),
        "its card does not say what the checkpoint says: {}",
        other.join(", ")
    );
    Ok(())
}

/// What other programs read beside the card.
fn same_keys(session: &Session, due: &Artifact) -> Result<()> {
    for (key, value) in due.metadata().iter().filter(|(key, _)| *key != Card::KEY) {
        ensure!(
            session.metadata(key).as_ref() == Some(value),
            "its metadata key `{key}` is not the checkpoint's"
        );
    }
    Ok(())
}

fn same_ports(session: &Session, due: &Artifact) -> Result<()> {
    let due = Session::from_bytes(due.bytes(), &on_cpu())?;
    for (what, found, due) in
        [("inputs", session.inputs(), due.inputs()), ("outputs", session.outputs(), due.outputs())]
    {
        ensure!(
            found == due,
            "its {what} are {}, where {} are due",
            ports_text(found),
            ports_text(due)
        );
    }
    Ok(())
}

fn ports_text(ports: &[Port]) -> String {
    let axis = |axis: &Option<usize>| axis.map_or("any".to_owned(), |size| size.to_string());
    let text = |port: &Port| match &port.dims {
        None => format!("{} (no f32)", port.name),
        Some(dims) => {
            format!("{} [{}]", port.name, dims.iter().map(axis).collect::<Vec<_>>().join(", "))
        }
    };
    ports.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn whole_clips(
    session: &mut Session,
    card: &Card,
    probe: &Probe,
    rows: &[usize],
    comparison: &mut Comparison,
) -> Result<()> {
    let last = probe.segments().saturating_sub(1);
    let waveform: Vec<f32> = rows.iter().flat_map(|row| probe.waveform(*row)).copied().collect();
    let shape = [rows.len(), card.network.clip_samples()];
    let outputs = session.run(&[("waveform", &shape, &waveform)])?;
    let mut expected = Expected::default();
    for row in rows.iter().copied() {
        for segment in 0..probe.segments() {
            expected.add("segment_probabilities", probe.probabilities(row, segment));
        }
        if card.graph == GraphKind::Clip {
            let mean = probe.mean_over_segments(|segment| probe.probabilities(row, segment));
            expected.add("probabilities", mean);
            let embedding = |segment| widened(probe.embedding(row, segment));
            expected.add("embedding", probe.mean_over_segments(embedding));
        } else {
            expected.add("probabilities", probe.probabilities(row, last));
            expected.add("embedding", widened(probe.embedding(row, last)));
        }
    }
    comparison.add(
        "segment_probabilities",
        &[rows.len(), probe.segments()],
        &expected,
        &outputs,
    )?;
    comparison.add("probabilities", &[rows.len()], &expected, &outputs)?;
    comparison.add("embedding", &[rows.len()], &expected, &outputs)
}

/// All segments of all rows side by side.
fn each_segment(
    session: &mut Session,
    card: &Card,
    probe: &Probe,
    rows: &[usize],
    comparison: &mut Comparison,
) -> Result<()> {
    let mut waveform = Vec::new();
    let mut expected = Expected::default();
    for row in rows.iter().copied() {
        for segment in 0..probe.segments() {
            waveform.extend(cut(card, probe.waveform(row), segment));
            expected.add_segment(probe, row, segment);
        }
    }
    let batch = rows.len() * probe.segments();
    let outputs = session.run(&[("waveform", &[batch, card.segment_samples], &waveform)])?;
    for name in ["probabilities", "logits", "embedding"] {
        comparison.add(name, &[batch], &expected, &outputs)?;
    }
    Ok(())
}

/// All rows side by side, each from zero states, every state fed back.
///
/// The probe holds no cell state. It is judged by what follows from it: stepping on, one segment further than the probe
/// goes so that every state is used, must give the answers that the `sequence` graph of the same checkpoint gives at once.
fn step_by_step(
    session: &mut Session,
    card: &Card,
    checkpoint: &Checkpoint,
    rows: &[usize],
    comparison: &mut Comparison,
) -> Result<()> {
    let probe = checkpoint.probe();
    let longer: Vec<Vec<f32>> = rows
        .iter()
        .map(|row| probe.waveform(*row).iter().copied().cycle())
        .map(|samples| samples.take(card.network.clip_samples() + card.hop_samples).collect())
        .collect();
    let at_once = sequence_answers(checkpoint, &card.name, &longer, probe.segments() + 1)?;

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
            for (row, found) in found.data.chunks(card.classes.len()).enumerate() {
                let due = at_once.get(row).and_then(|row| row.get(segment)).map(Vec::as_slice);
                cell.add(due.unwrap_or_default(), found);
            }
        }
        h = named(&outputs, "h_next")?.data.clone();
        c.clone_from(&c_next.data);
    }
    Ok(())
}

/// What the `sequence` graph of a checkpoint says after each of so many segments of each recording.
fn sequence_answers(
    checkpoint: &Checkpoint,
    name: &str,
    recordings: &[Vec<f32>],
    segments: usize,
) -> Result<Vec<Vec<Vec<f64>>>> {
    let sequence = compile(checkpoint, GraphKind::Sequence, name)?;
    let mut session = Session::from_bytes(sequence.bytes(), &on_cpu())?;
    let samples = recordings.first().map_or(0, Vec::len);
    let shape = [recordings.len(), samples];
    let outputs = session.run(&[("waveform", &shape, &recordings.concat())])?;
    let classes = checkpoint.run().classes.len();
    let found = shaped(&outputs, "segment_probabilities", &[recordings.len(), segments, classes])?;
    let rows = found.data.chunks(segments * classes);
    Ok(rows.map(|row| row.chunks(classes).map(widened).collect()).collect())
}

/// The samples of one segment; empty beyond the last.
fn cut<'a>(card: &Card, waveform: &'a [f32], segment: usize) -> &'a [f32] {
    let start = segment * card.hop_samples;
    waveform.get(start..start + card.segment_samples).unwrap_or_default()
}

fn shaped<'a>(outputs: &'a [NamedTensor], name: &str, shape: &[usize]) -> Result<&'a NamedTensor> {
    let found = named(outputs, name)?;
    ensure!(found.shape == shape, "`{name}` has shape {:?}, where {shape:?} is due", found.shape);
    Ok(found)
}

fn named<'a>(outputs: &'a [NamedTensor], name: &str) -> Result<&'a NamedTensor> {
    outputs
        .iter()
        .find(|output| output.name == name)
        .with_context(|| format!("it has no output `{name}`"))
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

/// The trainer's answers to one call: for each output, vectors in the order of the output's values.
#[derive(Default)]
struct Expected(BTreeMap<&'static str, Vec<Vec<f64>>>);

impl Expected {
    fn add(&mut self, output: &'static str, vector: Vec<f64>) {
        self.0.entry(output).or_default().push(vector);
    }

    fn add_segment(&mut self, probe: &Probe, row: usize, segment: usize) {
        self.add("probabilities", probe.probabilities(row, segment));
        self.add("logits", widened(probe.logits(row, segment)));
        self.add("embedding", widened(probe.embedding(row, segment)));
    }
}

#[derive(Default)]
struct Comparison {
    tf32: bool,
    outputs: BTreeMap<&'static str, Parity>,
}

impl Comparison {
    fn parity(&mut self, name: &'static str) -> &mut Parity {
        let tf32 = self.tf32;
        self.outputs.entry(name).or_insert_with(|| Parity::new(name, tf32))
    }

    /// Compares the output `name`, whose shape must be `rows` and then the length of a vector.
    fn add(
        &mut self,
        name: &'static str,
        rows: &[usize],
        expected: &Expected,
        outputs: &[NamedTensor],
    ) -> Result<()> {
        let Some(vectors) = expected.0.get(name) else { bail!("nothing to compare `{name}` with") };
        let width = vectors.first().map_or(0, Vec::len);
        let found = shaped(outputs, name, &[rows, &[width]].concat())?;
        let parity = self.parity(name);
        for (expected, found) in vectors.iter().zip(found.data.chunks(width.max(1))) {
            parity.add(expected, found);
        }
        Ok(())
    }
}

impl Parity {
    fn new(name: &str, tf32: bool) -> Self {
        let is_probability = name.ends_with("probabilities");
        let (probability, embedding) = if tf32 {
            (TF32_TOLERANCE, TF32_EMBEDDING_TOLERANCE)
        } else {
            (f64::from(FP32_TOLERANCE), EMBEDDING_TOLERANCE)
        };
        let tolerance = match name {
            "logits" => None,
            // Judged by the probabilities that follow from it.
            "c_next" => Some(probability),
            _ if is_probability => Some(probability),
            _ => Some(embedding),
        };
        Parity {
            output: name.to_owned(),
            values: 0,
            largest: 0.0,
            tolerance,
            same_top: is_probability.then_some((0, 0)),
            judge_top: !tf32,
        }
    }

    fn add(&mut self, expected: &[f64], found: &[f32]) {
        self.values += expected.len();
        for (expected, found) in expected.iter().zip(found) {
            let difference = (expected - f64::from(*found)).abs();
            // A NaN, once there, must stay: `max` would drop it.
            if difference.is_nan() || difference > self.largest {
                self.largest = difference;
            }
        }
        if let Some((same, all)) = &mut self.same_top {
            *all += 1;
            *same += usize::from(argmax(expected) == argmax(found));
        }
    }

    /// Looks at values that nothing is known of but that they must be finite.
    fn add_state(&mut self, found: &[f32]) {
        if !found.iter().all(|value| value.is_finite()) {
            self.largest = f64::NAN;
        }
    }

    fn complaint(&self) -> Option<String> {
        let Parity { output, largest, .. } = self;
        if !largest.is_finite() {
            return Some(format!("`{output}` is not finite somewhere"));
        }
        if let Some(tolerance) = self.tolerance.filter(|tolerance| largest > tolerance) {
            let (differs, from) = match output.as_str() {
                "c_next" => ("leads to answers that differ", "the sequence's"),
                _ => ("differs", "the trained network"),
            };
            return Some(format!(
                "`{output}` {differs} from {from} by {largest:.1e}, where {tolerance:.0e} is allowed"
            ));
        }
        let (same, all) = self.same_top.filter(|(same, all)| self.judge_top && same < all)?;
        Some(format!(
            "`{output}` has another top class than the trained network in {} of {all} answers (largest difference {largest:.1e}); two artists nearly tie there, so take another checkpoint",
            all - same
        ))
    }
}

impl Report {
    /// Every output that departs, in one error.
    fn judge(&self) -> Result<()> {
        let departing: Vec<String> = self.outputs.iter().filter_map(Parity::complaint).collect();
        ensure!(departing.is_empty(), "on the checkpoint's probe {}", departing.join("; "));
        Ok(())
    }

    /// A line for each output.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |parity: &Parity| {
            let tolerance = parity.tolerance.map_or("-".to_owned(), |t| format!("{t:.0e}"));
            let same =
                parity.same_top.map_or(String::new(), |(same, all)| format!("{same} of {all}"));
            let Parity { output, values, largest, .. } = parity;
            format!(
                "{:<9} {output:<22} {values:>8} {largest:>12.1e} {tolerance:>10}  {same}",
                self.graph.name()
            )
        };
        self.outputs.iter().map(line).collect()
    }

    /// The head of [`lines`](Report::lines).
    pub(crate) fn header() -> String {
        format!(
            "{:<9} {:<22} {:>8} {:>12} {:>10}  same top class",
            "graph", "output", "values", "largest |Δ|", "allowed"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parity(name: &str, expected: &[f64], found: &[f32]) -> Parity {
        let mut parity = Parity::new(name, false);
        parity.add(expected, found);
        parity
    }

    #[test]
    fn a_changed_top_class_is_a_complaint_though_the_difference_is_small() {
        let (a, b) = (0.5 + 1e-6, 0.5 - 1e-6);
        let swapped = parity("probabilities", &[a, b], &[b as f32, a as f32]);
        assert!(swapped.largest < 1e-5);
        let complaint = swapped.complaint().unwrap();
        assert!(complaint.contains("`probabilities` has another top class"), "{complaint}");
        assert_eq!(parity("probabilities", &[a, b], &[a as f32, b as f32]).complaint(), None);
    }

    #[test]
    fn tf32_may_move_an_answer_a_little_and_not_further() {
        let complaint = |found: f32| {
            let mut parity = Parity::new("probabilities", true);
            parity.add(&[0.501, 0.499], &[found, 1.0 - found]);
            parity.complaint()
        };
        // Another top class within the tolerance is counted, not judged.
        assert_eq!(complaint(0.499), None);
        assert!(complaint(0.48).unwrap().contains("where 1e-2 is allowed"));
    }

    #[test]
    fn values_that_are_not_finite_are_a_complaint() {
        for bad in [f32::NAN, f32::INFINITY] {
            // Also where good values follow, and where nothing is judged by nearness.
            let mut logits = parity("logits", &[1.0], &[bad]);
            logits.add(&[1.0], &[1.0]);
            assert!(logits.complaint().unwrap().contains("not finite"));
            let mut cell = Parity::new("c_next", false);
            cell.add_state(&[bad]);
            cell.add(&[1.0], &[1.0]);
            assert!(cell.complaint().unwrap().contains("`c_next` is not finite"));
        }
    }

    #[test]
    fn as_many_values_in_another_shape_are_refused() {
        let output = |shape: &[usize]| {
            [NamedTensor {
                name: "probabilities".into(),
                shape: shape.to_vec(),
                data: vec![0.5; 8],
            }]
        };
        let mut expected = Expected::default();
        (0..4).for_each(|_| expected.add("probabilities", vec![0.5; 2]));
        let judge = |shape: &[usize]| {
            Comparison::default().add("probabilities", &[4], &expected, &output(shape))
        };
        judge(&[4, 2]).unwrap();
        for shape in [&[2, 4][..], &[8], &[2, 2, 2], &[4, 2, 1]] {
            let error = judge(shape).unwrap_err().to_string();
            assert!(error.contains("`probabilities` has shape"), "{error}");
        }
    }

    #[test]
    fn a_probe_of_one_row_is_run_as_a_batch_of_two() {
        assert_eq!(rows(1), [0, 0]);
        assert_eq!(rows(3), [0, 1, 2]);
    }
}
