//! Runs a compiled graph in ONNX Runtime against what the trainer's own network answered.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use leitmotif::Device;
use leitmotif::session::{NamedTensor, Session, SessionOptions};
use leitmotif_export::{Checkpoint, FP32_TOLERANCE, Probe};
use leitmotif_models::{Card, GraphKind, argmax, segment_starts};
use serde::Serialize;

/// Largest difference of an embedding in fp32. It is a sum of some hundred products without a softmax to contract its
/// error, so it may miss by more than a probability; it decides nothing but nearness.
const EMBEDDING_TOLERANCE: f64 = 1e-4;

/// Clips per call for graphs that take whole clips: more than one, so that the batch axis is tried.
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
    /// Largest absolute difference.
    pub(crate) largest: f64,
    /// What it may be; logits are reported but not judged.
    pub(crate) tolerance: Option<f64>,
    /// For probabilities: vectors with the same largest class, of all.
    pub(crate) same_top: Option<(usize, usize)>,
}

/// Runs the model in `path` on every row of the checkpoint's probe.
///
/// # Errors
/// Where the file is no model of this checkpoint, an output is missing, misshapen or not finite, a probability or
/// embedding is further from the trainer's than its tolerance, or a clear answer changed. The message names the output
/// and the difference.
pub(crate) fn verify(path: &Path, checkpoint: &Checkpoint) -> Result<Report> {
    let options = SessionOptions { device: Device::Cpu, ..SessionOptions::default() };
    let mut session = Session::open(path, &options)?;
    let card = session.metadata(Card::KEY).context("it has no card")?;
    let card = Card::from_json(&card)?;
    let run = checkpoint.run();
    ensure!(card.network == run.network, "its network is not the checkpoint's");
    ensure!(card.classes == run.classes, "its classes are not the checkpoint's");

    let mut comparison = Comparison::default();
    let probe = checkpoint.probe();
    match card.graph {
        GraphKind::Clip | GraphKind::Sequence => {
            whole_clips(&mut session, &card, probe, &mut comparison)?;
        }
        GraphKind::Segment => each_segment(&mut session, &card, probe, &mut comparison)?,
        GraphKind::Step => step_by_step(&mut session, &card, probe, &mut comparison)?,
    }
    let outputs = comparison.outputs.into_values().collect();
    let report = Report { graph: card.graph, rows: probe.rows(), outputs };
    report.judge()?;
    Ok(report)
}

fn whole_clips(
    session: &mut Session,
    card: &Card,
    probe: &Probe,
    comparison: &mut Comparison,
) -> Result<()> {
    let samples = card.network.clip_samples();
    let all: Vec<usize> = (0..probe.rows()).collect();
    let last = probe.segments().saturating_sub(1);
    for rows in all.chunks(CLIPS_PER_CALL) {
        let waveform: Vec<f32> =
            rows.iter().flat_map(|row| probe.waveform(*row)).copied().collect();
        let outputs = session.run(&[("waveform", &[rows.len(), samples], &waveform)])?;
        let mut expected = Expected::default();
        for row in rows.iter().copied() {
            for segment in 0..probe.segments() {
                expected.add("segment_probabilities", probe.probabilities(row, segment));
            }
            if card.graph == GraphKind::Clip {
                let mean = probe.mean_over_segments(|segment| probe.probabilities(row, segment));
                expected.add("probabilities", mean);
                let embedding = |segment| widened(probe.embedding(row, segment));
                let mean = probe.mean_over_segments(embedding);
                expected.add("embedding", mean);
            } else {
                expected.add("probabilities", probe.probabilities(row, last));
                expected.add("embedding", widened(probe.embedding(row, last)));
            }
        }
        comparison.add(&expected, &outputs)?;
    }
    Ok(())
}

fn each_segment(
    session: &mut Session,
    card: &Card,
    probe: &Probe,
    comparison: &mut Comparison,
) -> Result<()> {
    for row in 0..probe.rows() {
        let mut waveform = Vec::new();
        let mut expected = Expected::default();
        for segment in 0..probe.segments() {
            waveform.extend_from_slice(cut(card, probe, row, segment));
            expected.add_segment(probe, row, segment);
        }
        let shape = [probe.segments(), card.segment_samples];
        comparison.add(&expected, &session.run(&[("waveform", &shape, &waveform)])?)?;
    }
    Ok(())
}

/// All rows side by side, each from zero states, every state fed back.
fn step_by_step(
    session: &mut Session,
    card: &Card,
    probe: &Probe,
    comparison: &mut Comparison,
) -> Result<()> {
    let state_shape = [probe.rows(), card.embedding_units];
    let zeros = vec![0.0; probe.rows() * card.embedding_units];
    let (mut h, mut c) = (zeros.clone(), zeros);
    for segment in 0..probe.segments() {
        let mut waveform = Vec::new();
        let mut expected = Expected::default();
        for row in 0..probe.rows() {
            waveform.extend_from_slice(cut(card, probe, row, segment));
            expected.add_segment(probe, row, segment);
            expected.add("h_next", widened(probe.embedding(row, segment)));
        }
        let outputs = session.run(&[
            ("waveform", &[probe.rows(), card.segment_samples], &waveform),
            ("h", &state_shape, &h),
            ("c", &state_shape, &c),
        ])?;
        comparison.add(&expected, &outputs)?;
        h = named(&outputs, "h_next")?.data.clone();
        c = named(&outputs, "c_next")?.data.clone();
    }
    Ok(())
}

fn cut<'a>(card: &Card, probe: &'a Probe, row: usize, segment: usize) -> &'a [f32] {
    let waveform = probe.waveform(row);
    let start = segment_starts(waveform.len(), card.segment_samples, card.hop_samples).nth(segment);
    start.and_then(|start| waveform.get(start..start + card.segment_samples)).unwrap_or_default()
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
    outputs: BTreeMap<&'static str, Parity>,
}

impl Comparison {
    fn add(&mut self, expected: &Expected, outputs: &[NamedTensor]) -> Result<()> {
        for (name, vectors) in &expected.0 {
            let found = named(outputs, name)?;
            let width = vectors.first().map_or(0, Vec::len);
            ensure!(
                found.data.len() == width * vectors.len() && found.shape.last() == Some(&width),
                "`{name}` has shape {:?}, where {} vectors of {width} values are due",
                found.shape,
                vectors.len(),
            );
            let parity = self.outputs.entry(name).or_insert_with(|| Parity::new(name));
            for (expected, found) in vectors.iter().zip(found.data.chunks(width.max(1))) {
                parity.add(expected, found);
            }
        }
        Ok(())
    }
}

impl Parity {
    fn new(name: &str) -> Self {
        let is_probability = name.ends_with("probabilities");
        let tolerance = match name {
            "logits" => None,
            _ if is_probability => Some(f64::from(FP32_TOLERANCE)),
            _ => Some(EMBEDDING_TOLERANCE),
        };
        Parity {
            output: name.to_owned(),
            values: 0,
            largest: 0.0,
            tolerance,
            same_top: is_probability.then_some((0, 0)),
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

    fn complaint(&self) -> Option<String> {
        let Parity { output, largest, .. } = self;
        if !largest.is_finite() {
            return Some(format!("`{output}` is not finite somewhere"));
        }
        let tolerance = self.tolerance.filter(|tolerance| largest > tolerance)?;
        Some(format!(
            "`{output}` differs from the trained network by {largest:.1e}, where {tolerance:.0e} is allowed"
        ))
    }
}

impl Report {
    /// Every output that departs, in one error. A top class can change only where two classes lie within twice the
    /// tolerance, so the tolerance judges it too.
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
