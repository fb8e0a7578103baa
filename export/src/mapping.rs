//! Weights that another program trained: a TOML file beside a safetensors file maps its tensors to ours.
//!
//! ```toml
//! version = 1
//! weights = "model.safetensors"      # beside this file
//! probe = "probe.safetensors"        # `waveform`, `logits`, `embedding`: outputs of the trained network for some clips
//! golden_seed = 1                    # of the probe's first clip
//! epsilon = 1e-5                     # of every batch norm; PyTorch's own default
//! classes = ["Ada", "Bo"]
//!
//! [network]                          # as in a network description
//! name = "mine"
//! segment = 59049
//! # …
//!
//! [modules]                          # ours = theirs
//! "block1.conv" = "features.0.0"
//! "block1.norm" = "features.0.1"
//! output = "classifier"
//! ```
//!
//! A convolution or dense layer may have a bias, and a norm that is not mapped is not there. [`GoldenInput`] has the recipe
//! of the probe's first clip. `dataset = { … }` and `ignore = ["their.tensor"]` are optional.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use leitmotif_models::tensors::ExpectedTensor;
use leitmotif_models::{
    DatasetNote, GoldenInput, Layer, Network, RUN_VERSION, RunRecord, SplitNote, Step,
};
use serde::Deserialize;

use crate::CheckpointError;

/// Version of the file that is read here.
const VERSION: u32 = 1;

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    weights: PathBuf,
    probe: PathBuf,
    golden_seed: u32,
    epsilon: f32,
    classes: Vec<String>,
    #[serde(default)]
    ignore: BTreeSet<String>,
    #[serde(default)]
    dataset: DatasetNote,
    network: Network,
    modules: BTreeMap<String, String>,
}

/// The content of the file, checked.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) run: RunRecord,
    pub(crate) weights: PathBuf,
    pub(crate) probe: PathBuf,
    pub(crate) ignore: BTreeSet<String>,
    epsilon: f32,
    modules: BTreeMap<String, String>,
}

impl Mapping {
    /// Reads the file and makes a record of it such as a trainer leaves.
    ///
    /// # Errors
    /// [`CheckpointError::Unreadable`]; [`CheckpointError::Mapping`] for mistakes in it.
    pub(crate) fn open(path: &Path) -> Result<Self, CheckpointError> {
        let text = fs::read_to_string(path)
            .map_err(|source| CheckpointError::Unreadable { path: path.to_owned(), source })?;
        let wrong = |reason: String| CheckpointError::Mapping { path: path.to_owned(), reason };
        let file: File =
            toml::from_str(&text).map_err(|e| wrong(e.to_string().trim().to_owned()))?;
        if file.version != VERSION {
            return Err(wrong(format!("it is of version {}, and {VERSION} is read", file.version)));
        }
        if !(file.epsilon.is_finite() && file.epsilon >= 0.0) {
            return Err(wrong(format!("epsilon is {}, not a number from 0 on", file.epsilon)));
        }
        let known = modules(&file.network, file.classes.len());
        let unknown: Vec<&str> =
            file.modules.keys().filter(|m| !known.contains(*m)).map(String::as_str).collect();
        if !unknown.is_empty() {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            return Err(wrong(format!(
                "the network has no {}; it has {}",
                unknown.join(", "),
                known.join(", ")
            )));
        }
        let lacking: Vec<&str> = known
            .iter()
            .filter(|module| !module.ends_with(".norm") && !file.modules.contains_key(*module))
            .map(String::as_str)
            .collect();
        if !lacking.is_empty() {
            return Err(wrong(format!("nothing is mapped to {}", lacking.join(", "))));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let samples = file.network.clip_samples();
        let run = RunRecord {
            version: RUN_VERSION,
            golden: GoldenInput { seed: file.golden_seed, samples },
            network: file.network,
            classes: file.classes,
            epoch: 0,
            step: 0,
            unfinished: None,
            seed: 0,
            dataset: file.dataset,
            split: SplitNote::default(),
            scores: None,
            confidence: None,
            tools: BTreeMap::new(),
            config: serde_json::Value::Null,
        };
        // What is checked of a trainer's record is checked of this one: its classes.
        run.to_json().map_err(|error| wrong(error.to_string()))?;
        Ok(Mapping {
            run,
            weights: folder.join(file.weights),
            probe: folder.join(file.probe),
            ignore: file.ignore,
            epsilon: file.epsilon,
            modules: file.modules,
        })
    }

    /// The layers, with this file's ε and without norms that are not mapped.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = self.run.network.steps(self.run.classes.len());
        steps.retain(|step| {
            !matches!(step.layer, Layer::BatchNorm(_))
                || self.modules.contains_key(&format!("{}.norm", step.name))
        });
        for step in &mut steps {
            if let Layer::BatchNorm(norm) = &mut step.layer {
                norm.epsilon = self.epsilon;
            }
        }
        steps
    }

    /// The tensors that the file of weights must and may hold: our names with those in the file.
    pub(crate) fn expected(&self) -> Vec<ExpectedTensor> {
        let params = self.run.network.params(self.run.classes.len());
        let mut expected: Vec<ExpectedTensor> = Vec::new();
        for param in params {
            let Some((module, part)) = param.name.rsplit_once('.') else { continue };
            let Some(theirs) = self.modules.get(module) else { continue };
            // PyTorch numbers the layers of an LSTM; ours has one.
            let number = if module == "lstm" { "_l0" } else { "" };
            let of = |name: String, part: &str, shape: &[usize], optional| ExpectedTensor {
                stored_as: format!("{theirs}.{part}{number}"),
                name,
                shape: shape.iter().copied().map(Some).collect(),
                optional,
            };
            let has_bias = module.ends_with(".conv") || module == "dense";
            if has_bias && part == "weight" {
                let filters = param.shape.get(..1).unwrap_or_default();
                expected.push(of(format!("{module}.bias"), "bias", filters, true));
            }
            expected.push(of(param.name.clone(), part, &param.shape, false));
        }
        expected
    }

    /// Whether a tensor of the file is no part of the network: PyTorch counts the batches that each norm has seen.
    pub(crate) fn ignores(&self, tensor: &str) -> bool {
        tensor.ends_with(".num_batches_tracked") || self.ignore.contains(tensor)
    }
}

/// The modules that tensors belong to: `block1.conv`, `block1.norm`, …, `dense`, `dense.norm` or `lstm`, `output`.
fn modules(network: &Network, classes: usize) -> BTreeSet<String> {
    let params = network.params(classes);
    params.iter().filter_map(|p| p.name.rsplit_once('.')).map(|(m, _)| m.to_owned()).collect()
}
