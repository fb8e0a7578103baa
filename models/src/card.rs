//! The model card inside every `.onnx` file: all that a runtime must know, under one metadata key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::run::check_classes;
use crate::{
    Calibration, Confidence, DatasetNote, Fixed, GoldenInput, HeadKind, Measured, Network,
    Precision, SampleRate, Scores, SplitNote, Target,
};

/// Version of the card that this crate writes, and the newest it reads. Version 1 had neither `calibration` nor `measured`
/// and is still read. Fields that a reader of version 2 does not know are ignored: they may be added within a
/// version as long as they change the meaning of no other.
pub const CARD_VERSION: u32 = 2;

/// Largest tolerance of a golden answer: a tenth of a probability is coarser than any precision needs.
const MOST_TOLERANCE: f32 = 0.1;

/// The description inside an `.onnx` file; checked when read, and trusted after that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// [`CARD_VERSION`], or an older one.
    pub version: u32,
    /// Name of the model, as in `NAME.clip.onnx`.
    pub name: String,
    /// Inputs and outputs of this file's graph.
    pub graph: GraphKind,
    /// Which form of the operators was chosen.
    pub target: Target,
    /// The numbers in which it computes.
    pub precision: Precision,
    /// ONNX operator set.
    pub opset: u32,
    /// Rate of the samples that go in.
    pub sample_rate: SampleRate,
    /// Samples of one segment.
    pub segment_samples: usize,
    /// Samples from the start of a segment to the start of the next.
    pub hop_samples: usize,
    /// Segments of one window: an LSTM is run over so many, then starts from zeros again.
    pub window_segments: usize,
    /// Most seconds of music to give the graph in one call; its activations grow with the length. At most those of
    /// [`Network::MOST_CLIP_SAMPLES`].
    pub max_seconds_per_call: f64,
    /// Values of the embedding, and of each LSTM state.
    pub embedding_units: usize,
    /// Artists, in the order of the outputs.
    pub classes: Vec<String>,
    /// The whole description of the network.
    pub network: Network,
    /// The music that it was trained on.
    pub dataset: DatasetNote,
    /// The split that it was trained and evaluated on.
    pub split: SplitNote,
    /// Scores on that split's test part, if the run had ended.
    #[serde(default)]
    pub scores: Option<Scores>,
    /// Temperature and threshold of a recording's probabilities, which a runtime applies: the graph's outputs and the golden
    /// probabilities are without. Absent where they were not fitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// Seed of the training run.
    pub seed: u64,
    /// Epochs that it was trained.
    pub epoch: usize,
    /// Versions of the programs that made it.
    pub tools: BTreeMap<String, String>,
    /// SHA-256 of the checkpoint's `weights.safetensors`, in hexadecimal.
    pub weights_sha256: String,
    /// An input with its answer, by which any runtime can test itself.
    pub golden: Golden,
    /// Sizes that are not free; absent where all are.
    #[serde(default, skip_serializing_if = "Fixed::is_free")]
    pub fixed: Fixed,
    /// Whether the file ends with the embedding and names no artists: its outputs are `embedding`, and, of a dense head,
    /// `segment_embeddings`. Absent where it does not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub embedding_only: bool,
    /// Whether the file is in the form of Hugging Face's libraries: the input `input_values` and the one output `logits`,
    /// logarithms of a whole recording's probabilities, an LSTM's windows included, divided by the temperature of
    /// `confidence`. Their softmax is the calibrated answer. Absent where it is not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub huggingface: bool,
    /// How the ranges of int8 were found; absent in other precisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// What the precision changed on real music; absent in fp32, and where nothing was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

/// The four graphs of the artifact contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GraphKind {
    /// Dense head, any length, averaged inside the graph.
    Clip,
    /// Dense head, one segment.
    Segment,
    /// LSTM head, any length, one window at a time.
    Sequence,
    /// LSTM head, one segment and the state before it.
    Step,
}

/// A recipe for an input and the expected answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// How to make the input: a whole clip for `clip` and `sequence`, one segment for `segment` and `step`.
    pub input: GoldenInput,
    /// One a class (an LSTM starts from zero states): what libtorch computed, or, in int8, what this file computed in ONNX
    /// Runtime when it was compiled, because eight bits move an answer further than an error of a runtime would.
    pub probabilities: Vec<f32>,
    /// Largest difference that this file's precision allows; at most 0.1, beyond which a test would show nothing.
    pub tolerance: f32,
}

/// Why a card cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CardError {
    /// Not JSON, or fields and types that a card does not have.
    #[error("the card cannot be read: {0}")]
    Syntax(String),
    /// Written for another version of leitmotif.
    #[error(
        "the card is of version {found}; this leitmotif reads versions up to {CARD_VERSION}, so update it or export the model again"
    )]
    Version {
        /// Version in the file.
        found: u64,
    },
    /// Fields that contradict each other.
    #[error("the card contradicts itself: {0}")]
    Contradiction(String),
}

impl GraphKind {
    /// The word in the file name: `clip`, `segment`, `sequence`, `step`.
    pub fn name(self) -> &'static str {
        match self {
            GraphKind::Clip => "clip",
            GraphKind::Segment => "segment",
            GraphKind::Sequence => "sequence",
            GraphKind::Step => "step",
        }
    }

    /// The head that this graph is of.
    pub fn head(self) -> HeadKind {
        match self {
            GraphKind::Clip | GraphKind::Segment => HeadKind::Dense,
            GraphKind::Sequence | GraphKind::Step => HeadKind::Lstm,
        }
    }

    /// Whether one call takes any number of segments rather than one.
    pub fn takes_any_length(self) -> bool {
        matches!(self, GraphKind::Clip | GraphKind::Sequence)
    }

    /// The graphs of a head: for files, then for live audio.
    pub fn of_head(head: HeadKind) -> [GraphKind; 2] {
        match head {
            HeadKind::Dense => [GraphKind::Clip, GraphKind::Segment],
            HeadKind::Lstm => [GraphKind::Sequence, GraphKind::Step],
        }
    }
}

impl Card {
    /// Metadata key of the card's JSON.
    pub const KEY: &'static str = "leitmotif";

    /// Reads and checks a card.
    ///
    /// # Errors
    /// What is wrong with it; the caller knows the file.
    pub fn from_json(text: &str) -> Result<Self, CardError> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|e| CardError::Syntax(e.to_string()))?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(found) if !(1..=u64::from(CARD_VERSION)).contains(&found) => {
                return Err(CardError::Version { found });
            }
            _ => {}
        }
        let card: Card =
            serde_json::from_value(value).map_err(|e| CardError::Syntax(e.to_string()))?;
        card.check()?;
        Ok(card)
    }

    /// The card as one line of JSON.
    ///
    /// # Errors
    /// Those of [`from_json`](Card::from_json): only a card that can be read back is written.
    pub fn to_json(&self) -> Result<String, CardError> {
        let text = serde_json::to_string(self).map_err(|e| CardError::Syntax(e.to_string()))?;
        // Read back rather than checked alone: JSON has no NaN, and serde_json writes one as `null`.
        Self::from_json(&text)?;
        Ok(text)
    }

    /// Name of the graph's input of samples.
    pub fn waveform_input(&self) -> &'static str {
        if self.huggingface { "input_values" } else { "waveform" }
    }

    /// Samples that one call may take: whole segments within [`max_seconds_per_call`](Card::max_seconds_per_call).
    pub fn max_samples_per_call(&self) -> usize {
        let samples = self.max_seconds_per_call * f64::from(self.sample_rate.0);
        (samples as usize).max(self.segment_samples)
    }

    /// Sizes are those of calls: at least one, and no more segments than a window.
    fn check_sizes(&self) -> Result<(), CardError> {
        let no = |what: String| Err(CardError::Contradiction(what));
        let window = self.network.window;
        let whole = self.graph.takes_any_length() && self.fixed.is_free() && !self.embedding_only;
        if self.huggingface && !whole {
            return no("Hugging Face's form of a graph that does not answer for whole recordings of any length".to_owned());
        }
        match self.fixed {
            Fixed { batch: Some(0), .. } => no("a batch of none".to_owned()),
            Fixed { batch: Some(batch), .. } if batch > Fixed::MOST_BATCH => {
                no(format!("a batch of {batch}, where {} is the most", Fixed::MOST_BATCH))
            }
            Fixed { segments: Some(_), .. } if !self.graph.takes_any_length() => {
                no(format!("a number of segments of a {} graph", self.graph.name()))
            }
            Fixed { segments: Some(count), .. } if !(1..=window).contains(&count) => {
                no(format!("{count} segments a call, where a window has {window}"))
            }
            _ => Ok(()),
        }
    }

    /// A card of int8 holds the range of every block, and no other card holds any.
    fn check_form(&self) -> Result<(), CardError> {
        let no = |what: String| Err(CardError::Contradiction(what));
        if let Err(error) = self.target.check(self.precision) {
            return no(error.to_string());
        }
        match (&self.calibration, self.precision) {
            (None, Precision::Fp32 | Precision::Fp16) => Ok(()),
            (None, Precision::Int8) => no("an int8 model without its calibration".to_owned()),
            (Some(_), Precision::Fp32 | Precision::Fp16) => {
                no(format!("a calibration of a model in {}", self.precision))
            }
            (Some(calibration), Precision::Int8) => match calibration.check(&self.network) {
                Ok(()) => Ok(()),
                Err(what) => no(what),
            },
        }
    }

    fn check(&self) -> Result<(), CardError> {
        let no = |what: String| Err(CardError::Contradiction(what));
        if let Err(what) = check_classes(&self.classes) {
            return no(format!("classes: {what}"));
        }
        if self.sample_rate != SampleRate::NETWORK {
            return no(format!(
                "sample_rate is {}, but networks take {}",
                self.sample_rate,
                SampleRate::NETWORK
            ));
        }
        let network = &self.network;
        if self.graph.head() != network.head.kind {
            return no(format!("a {} graph over a {} head", self.graph.name(), network.head.kind));
        }
        let pairs = [
            ("segment_samples", self.segment_samples, network.segment),
            ("hop_samples", self.hop_samples, network.hop),
            ("window_segments", self.window_segments, network.window),
            ("embedding_units", self.embedding_units, network.head.units),
        ];
        for (key, found, expected) in pairs {
            if found != expected {
                return no(format!("{key} is {found}, but its network has {expected}"));
            }
        }
        if let Some(Err(what)) = self.confidence.as_ref().map(Confidence::check) {
            return no(format!("confidence: {what}"));
        }
        self.check_form()?;
        self.check_sizes()?;
        let most = SampleRate::NETWORK.seconds(Network::MOST_CLIP_SAMPLES as u64);
        if !(self.max_seconds_per_call > 0.0 && self.max_seconds_per_call <= most) {
            return no(format!(
                "max_seconds_per_call is {}, but it must be above 0 and at most {most}",
                self.max_seconds_per_call
            ));
        }
        let golden = &self.golden;
        let samples = match self.graph.takes_any_length() {
            true => network.samples_of(self.fixed.segments.unwrap_or(network.window)),
            false => network.segment,
        };
        if golden.input.samples != samples {
            return no(format!(
                "golden input of {} samples where {samples} are a call",
                golden.input.samples
            ));
        }
        if golden.probabilities.len() != self.classes.len() {
            return no(format!(
                "{} golden probabilities for {} classes",
                golden.probabilities.len(),
                self.classes.len()
            ));
        }
        let sum: f64 = golden.probabilities.iter().map(|p| f64::from(*p)).sum();
        if !((sum - 1.0).abs() < 1e-3
            && golden.probabilities.iter().all(|p| (0.0..=1.0).contains(p)))
        {
            return no("golden probabilities do not sum to one".to_owned());
        }
        if !(golden.tolerance > 0.0 && golden.tolerance <= MOST_TOLERANCE) {
            return no(format!(
                "golden tolerance is {}, but it must be above 0 and at most {MOST_TOLERANCE}",
                golden.tolerance
            ));
        }
        Ok(())
    }
}
