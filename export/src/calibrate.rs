//! Finds the ranges of feature maps: the outputs of blocks, and of the convolutions in residual blocks, on real music,
//! counted in histograms.
//!
//! This crate runs nothing. [`Calibrator::graph`] is a graph whose outputs are those of the blocks; the caller runs it and
//! passes the outputs to [`Calibrator::add`].

use std::collections::BTreeMap;

use leitmotif_models::{Calibration, RangeRule};

use crate::fold::{FoldedLayer, FoldedStep, fold};
use crate::graph::Dim::{Fixed, Named};
use crate::graph::Graph;
use crate::lower::{self, Form, Plan, Rows};
use crate::onnx::write::{Model, encode};
use crate::quantize::ACTIVATION_MOST;
use crate::{CalibrateError, Checkpoint, ExportError};

/// Counts the outputs of the blocks of one network.
#[derive(Clone, Debug)]
pub struct Calibrator {
    histograms: BTreeMap<String, Histogram>,
}

impl Calibrator {
    /// Empty histograms for the blocks of the checkpoint's network.
    pub fn new(checkpoint: &Checkpoint) -> Self {
        let maps = checkpoint.run().network.map_names();
        Calibrator { histograms: maps.map(|map| (map, Histogram::new())).collect() }
    }

    /// The content of an `.onnx` file, in fp32, that takes `waveform` `[batch, segment samples]` and gives the
    /// output of each block, `block1`, `block2`….
    ///
    /// # Errors
    /// As [`compile`](crate::compile).
    pub fn graph(checkpoint: &Checkpoint) -> Result<Vec<u8>, ExportError> {
        let run = checkpoint.run();
        let network = &run.network;
        let mut layers = fold(checkpoint.steps(), checkpoint.weights())?;
        let ends = |step: &FoldedStep| {
            matches!(step.layer, FoldedLayer::Flatten | FoldedLayer::TimePool { .. })
        };
        layers.truncate(layers.iter().take_while(|step| !ends(step)).count());
        let (form, rows) = (Form::default(), Rows::Single);
        let doc = "Gives the output of each block.";
        let mut graph = Graph::new("leitmotif_calibration", doc, form.opset());
        let dims = [Named("batch"), Fixed(network.segment)];
        let waveform = graph.input("waveform", &dims, "mono samples at 16 kHz in [-1, 1]");
        let plan = Plan {
            network,
            layers: &layers,
            form,
            calibration: None,
            rows,
            segments: None,
            embedding_only: false,
            last_state: true,
        };
        let lowered = lower::network(&mut graph, &plan, waveform, None)?;
        if lowered.maps.is_empty() {
            // A graph has one output at least. In such a network weights alone have eight bits.
            let dims = [Named("batch"), Fixed(1), Fixed(1), Fixed(network.segment)];
            graph.output(lowered.embedding, "segment", &dims, "the input: no block is of integers");
        }
        for (name, value) in lowered.maps {
            let dims = [Named("batch"), Named("channels"), Fixed(1), Named("positions")];
            graph.output(value, &name, &dims, "output of this block");
        }
        encode(&Model {
            graph,
            ir_version: form.ir_version(),
            producer_name: env!("CARGO_PKG_NAME").to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            doc: String::new(),
            metadata: BTreeMap::new(),
        })
    }

    /// Counts the output of a block; names that are no block of the network are ignored.
    ///
    /// # Errors
    /// [`CalibrateError::NotFinite`].
    pub fn add(&mut self, block: &str, values: &[f32]) -> Result<(), CalibrateError> {
        if !values.iter().all(|value| value.is_finite()) {
            return Err(CalibrateError::NotFinite { block: block.to_owned() });
        }
        if let Some(histogram) = self.histograms.get_mut(block) {
            histogram.add(values);
        }
        Ok(())
    }

    /// The ranges by `rule`; `source`, `clips` and `segments` are for the card.
    ///
    /// # Errors
    /// [`CalibrateError::AllZero`].
    pub fn finish(
        self,
        rule: RangeRule,
        source: &str,
        clips: usize,
        segments: usize,
    ) -> Result<Calibration, CalibrateError> {
        let range = |(block, histogram): (String, Histogram)| {
            let most = match rule {
                RangeRule::MinMax => histogram.largest,
                RangeRule::Percentile => histogram.percentile(),
                RangeRule::Mse => histogram.least_error(),
            };
            if most > 0.0 {
                return Ok((block, most));
            }
            Err(CalibrateError::AllZero { block })
        };
        let ranges = self.histograms.into_iter().map(range).collect::<Result<_, _>>()?;
        Ok(Calibration { rule, source: source.to_owned(), clips, segments, ranges })
    }
}

/// Share of values below the range of [`RangeRule::Percentile`].
const PERCENTILE: f64 = 0.9999;

/// Bins of a histogram: enough that a range is found to a four-thousandth.
const BINS: usize = 4096;

/// Bins that the least error's range spans at least.
const LEAST_BINS: usize = 16;

/// Width of a bin at first, doubled as values come that lie beyond the last. A power of two, so that the sums of doubled
/// bins are exact and the order of clips does not matter.
const FIRST_WIDTH: f32 = 1.0 / (1 << 20) as f32;

#[derive(Clone, Debug)]
struct Histogram {
    width: f32,
    counts: Vec<u64>,
    largest: f32,
}

impl Histogram {
    fn new() -> Self {
        Histogram { width: FIRST_WIDTH, counts: vec![0; BINS], largest: 0.0 }
    }

    /// Values below zero, which only the maps without a ReLU have, count as those above.
    fn add(&mut self, values: &[f32]) {
        self.largest = values.iter().fold(self.largest, |largest, value| largest.max(value.abs()));
        while self.largest >= self.width * BINS as f32 {
            self.double();
        }
        for value in values {
            if let Some(count) = self.counts.get_mut((value.abs() / self.width) as usize) {
                *count += 1;
            }
        }
    }

    fn double(&mut self) {
        self.width *= 2.0;
        let mut doubled: Vec<u64> =
            self.counts.chunks(2).map(|pair| pair.iter().sum::<u64>()).collect();
        doubled.resize(BINS, 0);
        self.counts = doubled;
    }

    /// Upper edge of a bin, but never beyond what was seen.
    fn edge(&self, bin: usize) -> f32 {
        ((bin + 1) as f32 * self.width).min(self.largest)
    }

    fn percentile(&self) -> f32 {
        let all: u64 = self.counts.iter().sum();
        let below = (all as f64 * PERCENTILE).ceil() as u64;
        let mut sum = 0;
        let bin = self.counts.iter().position(|count| {
            sum += count;
            sum >= below
        });
        bin.map_or(self.largest, |bin| self.edge(bin))
    }

    /// The range with the least squared error over all values: those within are off by a step's rounding, those beyond by
    /// the clipping. The first bin, where the zeros are, is exact in every range.
    fn least_error(&self) -> f32 {
        let centre = |bin: usize| (bin as f64 + 0.5) * f64::from(self.width);
        let filled: Vec<(f64, f64)> = self
            .counts
            .iter()
            .enumerate()
            .skip(1)
            .filter(|(_, count)| **count > 0)
            .map(|(bin, count)| (centre(bin), *count as f64))
            .collect();
        let error = |range: f32| {
            let step = f64::from(range / ACTIVATION_MOST);
            let off = |value: f64| match value - f64::from(range) {
                beyond if beyond > 0.0 => beyond * beyond,
                _ => step * step / 12.0,
            };
            filled.iter().map(|(value, count)| count * off(*value)).sum::<f64>()
        };
        let last = self.counts.iter().rposition(|count| *count > 0).unwrap_or(0);
        // Values share a bin with zero where a range has fewer bins than this, and their rounding would cost nothing.
        let ranges = (LEAST_BINS.min(last)..=last).map(|bin| self.edge(bin));
        let best = ranges.map(|range| (error(range), range)).min_by(|a, b| a.0.total_cmp(&b.0));
        best.map_or(self.largest, |(_, range)| range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(parts: &[&[f32]]) -> Histogram {
        let mut histogram = Histogram::new();
        parts.iter().for_each(|part| histogram.add(part));
        histogram
    }

    /// Sixteen thousand values spread evenly over [0, 1), and one of 100.
    fn with_outlier() -> Vec<f32> {
        (0..16_384).map(|n| n as f32 / 16_384.0).chain([100.0]).collect()
    }

    #[test]
    fn the_order_of_clips_does_not_matter() {
        let (a, b) = (with_outlier(), [1e-6, 3.0]);
        let (one, other) = (histogram(&[&a, &b]), histogram(&[&b, &a]));
        assert_eq!((one.width, &one.counts), (other.width, &other.counts));
        assert_eq!(one.counts.iter().sum::<u64>(), 16_387);
    }

    #[test]
    fn an_outlier_is_cut_by_percentile_and_kept_by_minmax() {
        let histogram = histogram(&[&with_outlier()]);
        assert_eq!(histogram.largest, 100.0);
        assert!((histogram.percentile() - 1.0).abs() < 0.1, "{}", histogram.percentile());
    }

    #[test]
    fn the_least_error_weighs_clipping_against_rounding() {
        // One value in sixteen thousand is worth its cut only so far: between both ends.
        let found = histogram(&[&with_outlier()]).least_error();
        assert!((12.0..=100.0).contains(&found), "{found}");
        // One in sixteen million is worth less than the rounding of all others.
        let mut rare = histogram(&[&with_outlier()]);
        let outlier = rare.counts.iter().rposition(|count| *count > 0).unwrap();
        rare.counts.iter_mut().take(outlier).for_each(|count| *count *= 1024);
        let found = rare.least_error();
        assert!((1.0..=12.0).contains(&found), "{found}");
        // Without an outlier nothing is worth cutting.
        let even: Vec<f32> = (1..=4096).map(|n| n as f32 / 4096.0).collect();
        assert!(histogram(&[&even]).least_error() > 0.98);
    }

    #[test]
    fn the_range_of_a_map_with_both_signs_is_that_of_its_sizes() {
        let (one, other) = (histogram(&[&[-3.0, 1.0, -2.0]]), histogram(&[&[3.0, 1.0, 2.0]]));
        assert_eq!((one.largest, one.counts), (other.largest, other.counts));
    }

    #[test]
    fn zeros_alone_have_no_range() {
        assert_eq!(histogram(&[&[0.0; 100]]).least_error(), 0.0);
        assert_eq!(histogram(&[&[0.0; 100]]).percentile(), 0.0);
    }
}
