//! The forms in which one network is compiled: for which runtime, in which precision, and what that was measured to cost.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Network;

/// The runtime for whose kernels a graph is written. Every form computes the same; speed and compatibility differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Plain operators that every reader of ONNX has: for browsers, tract and phones.
    #[default]
    Portable,
    /// What ONNX Runtime runs fastest on a CPU: for machines that are known to have it.
    Cpu,
    /// What ONNX Runtime's CUDA provider runs fastest: nothing that would send indices back and forth, and half precision
    /// as arithmetic rather than as storage.
    Cuda,
}

/// The numbers in which weights are stored and convolutions computed. Inputs and outputs are 32-bit floats in all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats: the trained network's own answers, up to rounding.
    #[default]
    Fp32,
    /// Weights of 16 bits: half the size. A GPU also computes the convolutions in them; a CPU has no such arithmetic, so
    /// there the weights are widened when the file is opened.
    Fp16,
    /// Weights and feature maps of 8 bits, calibrated on real music: a quarter of the size, and several times the speed.
    Int8,
}

/// How the range of a feature map is chosen from what calibration saw; all begin at zero, as the ReLU's output does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RangeRule {
    /// Up to the largest value: nothing is clipped, but one large value coarsens all others.
    MinMax,
    /// Up to the 99.99th percentile: the few values above are clipped. It changed the fewest answers of the demo's networks.
    #[default]
    Percentile,
    /// Where the mean squared error of rounding and clipping together is least.
    Mse,
}

/// A precision that a target cannot do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the target `{target}` has no form in {precision}: ONNX Runtime's CUDA provider has no integer convolutions and would turn each back into floats; take fp16 for it, or the target cpu for int8"
)]
pub struct NoSuchForm {
    /// The target asked for.
    pub target: Target,
    /// The precision asked for.
    pub precision: Precision,
}

/// What calibration found, enough to compile the same file again from the checkpoint alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// How ranges were chosen.
    pub rule: RangeRule,
    /// The music.
    pub source: String,
    /// Clips, or files of a folder.
    pub clips: usize,
    /// Segments in them.
    pub segments: usize,
    /// Largest value of each block's output that its eight bits hold.
    pub ranges: BTreeMap<String, f32>,
}

/// What a precision was measured to change, on music that neither trained nor calibrated the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// The music.
    pub source: String,
    /// Clips evaluated, or files of a folder.
    pub clips: usize,
    /// Clips whose most probable artist is another than in fp32.
    pub changed: usize,
    /// Clips that fp32 has right and that this precision has right; absent where the artists are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<BeforeAfter>,
}

/// Sizes that are fixed in a graph, for devices and compilers that need them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    /// Recordings, or segments, side by side in one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// Segments of each recording, at most a window; a graph that takes one segment has no such size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<usize>,
}

/// A count in fp32 and in the precision of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeforeAfter {
    /// In fp32.
    pub before: usize,
    /// In the precision of the file.
    pub after: usize,
}

impl Fixed {
    /// The largest batch that a graph may be fixed to.
    pub const MOST_BATCH: usize = 1024;
}

impl Target {
    /// Every target, in the order of the documentation.
    pub const ALL: [Target; 3] = [Target::Portable, Target::Cpu, Target::Cuda];

    /// Whether the target has a form in `precision`.
    ///
    /// # Errors
    /// [`NoSuchForm`] where it has none.
    pub fn check(self, precision: Precision) -> Result<(), NoSuchForm> {
        match (self, precision) {
            (Target::Cuda, Precision::Int8) => Err(NoSuchForm { target: self, precision }),
            _ => Ok(()),
        }
    }
}

impl Fixed {
    /// Whether every size is free.
    pub fn is_free(&self) -> bool {
        *self == Fixed::default()
    }
}

impl Calibration {
    /// One range for each feature map of `network` that has one, each a positive number.
    pub(crate) fn check(&self, network: &Network) -> Result<(), String> {
        let maps: BTreeSet<String> = network.map_names().collect();
        if !self.ranges.keys().eq(&maps) {
            let found: Vec<&str> = self.ranges.keys().map(String::as_str).collect();
            return Err(format!(
                "calibration has ranges of [{}], but its network needs those of [{}]",
                found.join(", "),
                maps.into_iter().collect::<Vec<_>>().join(", ")
            ));
        }
        match self.ranges.iter().find(|(_, most)| !(most.is_finite() && **most > 0.0)) {
            Some((block, most)) => Err(format!("the range of {block} is {most}, not above zero")),
            None => Ok(()),
        }
    }
}

impl Measured {
    /// The share of clips lost against fp32, negative where some were won. Where the artists are not known, every changed
    /// answer counts as lost.
    pub fn loss(&self) -> f64 {
        let lost = match self.right {
            Some(BeforeAfter { before, after }) => before as f64 - after as f64,
            None => self.changed as f64,
        };
        lost / self.clips.max(1) as f64
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measured { source, clips, changed, right } = self;
        let share = |count: usize| 100.0 * count as f64 / (*clips).max(1) as f64;
        if let Some(BeforeAfter { before, after }) = right {
            write!(f, "{:.1} % right in fp32 and {:.1} % after, ", share(*before), share(*after))?;
        }
        write!(f, "{changed} of {clips} answers changed ({source})")
    }
}

/// Words for an enum whose variants serde writes in lower case: one list for files and for command lines.
macro_rules! words {
    ($type:ty, $what:literal, $($variant:ident = $word:literal),+) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $word),+ })
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("`{text}` is not a {}; choose {}", $what, [$($word),+].join(", "))),
                }
            }
        }
    };
}

words!(Target, "target", Portable = "portable", Cpu = "cpu", Cuda = "cuda");
words!(Precision, "precision", Fp32 = "fp32", Fp16 = "fp16", Int8 = "int8");
words!(RangeRule, "rule", MinMax = "minmax", Percentile = "percentile", Mse = "mse");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_that_files_hold() {
        for target in Target::ALL {
            assert_eq!(serde_json::to_value(target).unwrap(), target.to_string());
            assert_eq!(target.to_string().parse(), Ok(target));
        }
        for precision in [Precision::Fp32, Precision::Fp16, Precision::Int8] {
            assert_eq!(serde_json::to_value(precision).unwrap(), precision.to_string());
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        for rule in [RangeRule::MinMax, RangeRule::Percentile, RangeRule::Mse] {
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.to_string());
            assert_eq!(rule.to_string().parse(), Ok(rule));
        }
        let complaint = "int4".parse::<Precision>().unwrap_err();
        assert!(complaint.contains("fp32, fp16, int8"), "{complaint}");
    }

    #[test]
    fn only_int8_on_cuda_is_refused() {
        let all = [Precision::Fp32, Precision::Fp16, Precision::Int8];
        let forms = Target::ALL.into_iter().flat_map(|t| all.map(|p| (t, p)));
        let refused: Vec<_> = forms.filter(|(t, p)| t.check(*p).is_err()).collect();
        assert_eq!(refused, [(Target::Cuda, Precision::Int8)]);
    }

    #[test]
    fn a_loss_counts_right_answers_or_changed_ones_without_labels() {
        let right = Some(BeforeAfter { before: 90, after: 88 });
        let measured = Measured { source: "x".into(), clips: 100, changed: 5, right };
        assert_eq!(measured.loss(), 0.02);
        assert_eq!(Measured { right: None, ..measured }.loss(), 0.05);
    }
}
