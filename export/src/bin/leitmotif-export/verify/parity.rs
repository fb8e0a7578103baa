//! How near the outputs of a graph are to the expected ones, and whether that is near enough for its precision.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use leitmotif::session::NamedTensor;
use leitmotif_export::{Probe, tolerance};
use leitmotif_models::{GraphKind, Precision, argmax};
use serde::Serialize;

/// The comparison of one graph's outputs.
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
    /// The largest difference allowed. None for logits, which are only reported, and in int8, which is evaluated on real clips.
    pub(crate) tolerance: Option<f64>,
    /// For probabilities: vectors with the same largest class, of all.
    pub(crate) same_top: Option<(usize, usize)>,
    /// Vectors with another largest class although the trainer's largest two are further apart than the precision moves them.
    pub(crate) overturned: usize,
    /// How far it moves them.
    #[serde(skip)]
    margin: f64,
}

/// Largest difference of an embedding in fp32. It is a sum of some hundred products without a softmax to contract its
/// error, so it may miss by more than a probability; it decides nothing but nearness.
const FP32_EMBEDDING: f64 = 1e-4;

/// The same in fp16, whose weights carry 11 bits: each is off by up to 5e-4 of itself, and layers add up.
const FP16_EMBEDDING: f64 = 5e-2;

/// Largest difference of a probability where TF32 is allowed: factors keep ten bits of mantissa, an error of up to 5e-4
/// each, which ten layers of sums carry on and a softmax contracts.
const TF32_PROBABILITY: f64 = 1e-2;

/// The same for an embedding, which no softmax contracts.
const TF32_EMBEDDING: f64 = 5e-2;

pub(super) fn shaped<'a>(
    outputs: &'a [NamedTensor],
    name: &str,
    shape: &[usize],
) -> Result<&'a NamedTensor> {
    let found = named(outputs, name)?;
    ensure!(
        found.shape == shape,
        "`{name}` has shape {:?}, where {shape:?} is expected",
        found.shape
    );
    Ok(found)
}

pub(super) fn named<'a>(outputs: &'a [NamedTensor], name: &str) -> Result<&'a NamedTensor> {
    outputs
        .iter()
        .find(|output| output.name == name)
        .with_context(|| format!("it has no output `{name}`"))
}

pub(super) fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

/// The trainer's answers to one call: for each output, vectors in the order of the output's values.
#[derive(Default)]
pub(super) struct Expected(BTreeMap<&'static str, Vec<Vec<f64>>>);

impl Expected {
    pub(super) fn add(&mut self, output: &'static str, vector: Vec<f64>) {
        self.0.entry(output).or_default().push(vector);
    }

    pub(super) fn add_segment(&mut self, probe: &Probe, row: usize, segment: usize) {
        self.add("probabilities", probe.probabilities(row, segment));
        self.add("logits", widened(probe.logits(row, segment)));
        self.add("embedding", widened(probe.embedding(row, segment)));
    }
}

/// All outputs of one graph.
pub(super) struct Comparison {
    precision: Precision,
    tf32: bool,
    outputs: BTreeMap<&'static str, Parity>,
}

impl Comparison {
    /// Of a graph in `precision`, with TF32 allowed or not, nothing compared yet.
    pub(super) fn new(precision: Precision, tf32: bool) -> Self {
        Comparison { precision, tf32, outputs: BTreeMap::new() }
    }

    pub(super) fn into_outputs(self) -> Vec<Parity> {
        self.outputs.into_values().collect()
    }

    pub(super) fn parity(&mut self, name: &'static str) -> &mut Parity {
        let (precision, tf32) = (self.precision, self.tf32);
        self.outputs.entry(name).or_insert_with(|| Parity::new(name, precision, tf32))
    }

    /// Compares the output `name`, whose shape must be `rows` and then the length of a vector.
    pub(super) fn add(
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
    fn new(name: &str, precision: Precision, tf32: bool) -> Self {
        let is_probability = name.ends_with("probabilities");
        let of_probability = if tf32 {
            f64::from(tolerance(precision)).max(TF32_PROBABILITY)
        } else {
            f64::from(tolerance(precision))
        };
        let tolerance = match (name, precision) {
            ("logits", _) => None,
            // By the probabilities that follow from it, against the sequence in the same precision: its sums are in another
            // order, and fp16 and int8 amplify the differences in rounding.
            ("c_next", _) => Some(of_probability),
            (_, Precision::Int8) => None,
            _ if is_probability => Some(of_probability),
            (_, Precision::Fp32) if tf32 => Some(TF32_EMBEDDING),
            (_, Precision::Fp32) => Some(FP32_EMBEDDING),
            (_, Precision::Fp16) => Some(FP16_EMBEDDING),
        };
        Parity {
            output: name.to_owned(),
            values: 0,
            largest: 0.0,
            tolerance,
            same_top: is_probability.then_some((0, 0)),
            overturned: 0,
            margin: match precision {
                // Two artists who nearly tie in fp32 are a fault of the checkpoint, which is reported.
                Precision::Fp32 if !tf32 => 0.0,
                Precision::Fp32 | Precision::Fp16 => 2.0 * of_probability,
                Precision::Int8 => f64::INFINITY,
            },
        }
    }

    pub(super) fn add(&mut self, expected: &[f64], found: &[f32]) {
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
            if argmax(expected) == argmax(found) {
                *same += 1;
            } else if lead(expected) >= self.margin {
                self.overturned += 1;
            }
        }
    }

    /// Checks values of which nothing is known but that they must be finite.
    pub(super) fn add_state(&mut self, found: &[f32]) {
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
        let (_, all) = self.same_top.filter(|_| self.overturned > 0)?;
        Some(format!(
            "`{output}` has another top class than the trained network in {} of {all} answers (largest difference {largest:.1e}); two artists nearly tie there, so take another checkpoint",
            self.overturned
        ))
    }
}

/// By how much the largest value leads the second.
fn lead(values: &[f64]) -> f64 {
    let (first, second) =
        values.iter().fold((f64::NEG_INFINITY, f64::NEG_INFINITY), |(a, b), v| {
            if *v > a { (*v, a) } else { (a, b.max(*v)) }
        });
    first - second
}

impl Report {
    /// Every output that departs, in one error.
    pub(super) fn check(&self) -> Result<()> {
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

    /// How near a file that passed is to the trainer, behind the file's name.
    pub(crate) fn verdict(&self) -> String {
        let named = |name| self.outputs.iter().find(|parity| parity.output == name);
        // A file may end with the embedding.
        let Some(parity) = named("probabilities").or(named("embedding")) else {
            return format!("agrees with the trainer in {} rows of the probe", self.rows);
        };
        let Parity { output, largest, .. } = parity;
        match parity.tolerance {
            Some(tolerance) => format!(
                "agrees with the trainer: `{output}` within {tolerance:.0e}, the largest difference is {largest:.1e} ({} rows of the probe)",
                self.rows
            ),
            None => format!(
                "is what the checkpoint compiles to: `{output}` in int8 is up to {largest:.1e} from the trainer's ({} rows of the probe)",
                self.rows
            ),
        }
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
        let mut parity = Parity::new(name, Precision::Fp32, false);
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
            let mut parity = Parity::new("probabilities", Precision::Fp32, true);
            parity.add(&[0.501, 0.499], &[found, 1.0 - found]);
            parity.complaint()
        };
        // Another top class of two that nearly tie is counted, not refused.
        assert_eq!(complaint(0.499), None);
        assert!(complaint(0.48).unwrap().contains("where 1e-2 is allowed"));
    }

    #[test]
    fn values_that_are_not_finite_are_a_complaint() {
        for bad in [f32::NAN, f32::INFINITY] {
            // Also where good values follow, and where there is no tolerance.
            let mut logits = parity("logits", &[1.0], &[bad]);
            logits.add(&[1.0], &[1.0]);
            assert!(logits.complaint().unwrap().contains("not finite"));
            let mut cell = Parity::new("c_next", Precision::Fp32, false);
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
        let compare = |shape: &[usize]| {
            Comparison::new(Precision::Fp32, false).add(
                "probabilities",
                &[4],
                &expected,
                &output(shape),
            )
        };
        compare(&[4, 2]).unwrap();
        for shape in [&[2, 4][..], &[8], &[2, 2, 2], &[4, 2, 1]] {
            let error = compare(shape).unwrap_err().to_string();
            assert!(error.contains("`probabilities` has shape"), "{error}");
        }
    }

    #[test]
    fn fp16_and_int8_may_turn_a_near_tie_and_nothing_else() {
        let compare = |precision, expected: &[f64], found: &[f32]| {
            let mut parity = Parity::new("probabilities", precision, false);
            parity.add(expected, found);
            (parity.same_top, parity.complaint())
        };
        let (same, complaint) = compare(Precision::Fp16, &[0.502, 0.498], &[0.498, 0.502]);
        assert_eq!((same, complaint), (Some((0, 1)), None));
        let (_, complaint) = compare(Precision::Fp16, &[0.52, 0.48], &[0.48, 0.52]);
        assert!(complaint.unwrap().contains("differs"));
        assert_eq!(compare(Precision::Int8, &[0.9, 0.1], &[0.1, 0.9]), (Some((0, 1)), None));
        let (_, complaint) = compare(Precision::Int8, &[0.9, 0.1], &[f32::NAN, 0.9]);
        assert!(complaint.unwrap().contains("not finite"));
        assert_eq!(lead(&[0.25, 0.625, 0.125]), 0.375);
    }
}
