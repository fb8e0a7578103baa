//! `run.json` of a checkpoint: what resuming and exporting need besides the tensors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Confidence, GoldenInput, Network, Scores};

/// Version of `run.json` that this crate writes, and the only one it reads.
pub const RUN_VERSION: u32 = 1;

/// The description inside a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// [`RUN_VERSION`].
    pub version: u32,
    /// The network that was trained.
    pub network: Network,
    /// Artists, in the order of the output layer.
    pub classes: Vec<String>,
    /// Epochs finished.
    pub epoch: usize,
    /// Optimizer steps taken, those of an unfinished epoch included.
    pub step: u64,
    /// What was done of the next epoch; absent from a checkpoint between two epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<UnfinishedEpoch>,
    /// Seed of initial weights, batches and augmentation.
    pub seed: u64,
    /// The music that it was trained on.
    pub dataset: DatasetNote,
    /// The split that it was trained on.
    pub split: SplitNote,
    /// Scores on that split's test part; absent until the run has ended.
    #[serde(default)]
    pub scores: Option<Scores>,
    /// Temperature and threshold, fitted on songs that did not train; absent where they were not fitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// Row 0 of the probe.
    pub golden: GoldenInput,
    /// Versions of the programs that made it, e.g. `leitmotif-train`, `libtorch`.
    pub tools: BTreeMap<String, String>,
    /// The trainer's configuration, as the trainer writes it.
    pub config: serde_json::Value,
}

/// How far an epoch was when a checkpoint was written in the middle of it, with the sums that its line of the history
/// is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnfinishedEpoch {
    /// Steps taken of it.
    pub steps: usize,
    /// Sum of the steps' losses, in nats.
    pub loss: f64,
    /// Sum of the Euclidean norms of the steps' gradients.
    pub gradient_norm: f64,
    /// Outputs whose most probable class was that of the target.
    pub correct: usize,
    /// Outputs.
    pub outputs: usize,
    /// Clips.
    pub clips: usize,
    /// Seconds of training.
    pub seconds: f64,
}

/// What a checkpoint and a card record of the data set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetNote {
    /// Name of the data set.
    pub name: String,
    /// Licence or licences of the music.
    pub licence: String,
    /// Anything a user of the model should know of it.
    pub notes: String,
    /// Clips in all parts.
    pub clips: usize,
    /// Songs in all parts.
    pub songs: usize,
}

/// Which split was used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitNote {
    /// `clip`, `song` or `album`.
    pub protocol: String,
    /// Seed of the split.
    pub seed: u64,
    /// Share of the clips that test.
    pub test_share: f64,
    /// Share of the others that validate.
    pub validation_share: f64,
    /// First 16 hexadecimal digits of the SHA-256 over the names and parts of all clips: equal digests, equal splits.
    /// Absent from files that were written before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// First 16 hexadecimal digits of the SHA-256 over the names of all clips and the digests of their samples: equal
    /// digests, equal audio. Absent where the data set was written before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<String>,
}

/// Why a `run.json` cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RunError {
    /// Not JSON, or fields and types that a run record does not have.
    #[error("run.json cannot be read: {0}")]
    Syntax(String),
    /// Written by another version of leitmotif.
    #[error(
        "run.json is of version {found}; this leitmotif reads version {RUN_VERSION}, so use the one that wrote it"
    )]
    Version {
        /// Version in the file.
        found: u64,
    },
    /// Too few artists or the same one twice.
    #[error("run.json lists its classes wrongly: {0}")]
    Classes(String),
    /// A temperature, threshold or count that cannot be.
    #[error("run.json: its confidence has {0}")]
    Confidence(String),
    /// The golden input does not fit the network.
    #[error(
        "run.json: the golden input has {found} samples, but a clip of this network has {expected}"
    )]
    Golden {
        /// Samples of a clip.
        expected: usize,
        /// Samples in the record.
        found: usize,
    },
}

impl RunRecord {
    /// Reads and checks a record.
    ///
    /// # Errors
    /// What is wrong with it; the caller knows the file.
    pub fn from_json(text: &str) -> Result<Self, RunError> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|e| RunError::Syntax(e.to_string()))?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(found) if found != u64::from(RUN_VERSION) => {
                return Err(RunError::Version { found });
            }
            _ => {}
        }
        let run: RunRecord =
            serde_json::from_value(value).map_err(|e| RunError::Syntax(e.to_string()))?;
        check_classes(&run.classes).map_err(RunError::Classes)?;
        if let Some(Err(what)) = run.confidence.as_ref().map(Confidence::check) {
            return Err(RunError::Confidence(what));
        }
        let expected = run.network.clip_samples();
        if run.golden.samples != expected {
            return Err(RunError::Golden { expected, found: run.golden.samples });
        }
        Ok(run)
    }

    /// The record as readable JSON.
    ///
    /// # Errors
    /// Those of [`from_json`](RunRecord::from_json): only a record that can be read back is written.
    pub fn to_json(&self) -> Result<String, RunError> {
        let text = serde_json::to_string_pretty(self)
            .map(|text| text + "\n")
            .map_err(|e| RunError::Syntax(e.to_string()))?;
        // JSON has no NaN, and serde_json writes one as `null`.
        Self::from_json(&text)?;
        Ok(text)
    }
}

/// At least two artists, none empty, none twice.
pub(crate) fn check_classes(classes: &[String]) -> Result<(), String> {
    if classes.len() < 2 {
        return Err(format!("{} of them, where at least two are needed", classes.len()));
    }
    let mut seen = std::collections::BTreeSet::new();
    for class in classes {
        if class.is_empty() {
            return Err("an empty name".to_owned());
        }
        if !seen.insert(class) {
            return Err(format!("`{class}` twice"));
        }
    }
    Ok(())
}
