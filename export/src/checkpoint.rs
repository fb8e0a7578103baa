//! A checkpoint folder as the exporter reads it: `run.json`, `weights.safetensors` and `probe.safetensors`; or a mapping
//! file beside tensors that another program trained.

use std::fs;
use std::path::Path;

use leitmotif_models::checkpoint::{PROBE, RECORD, WEIGHTS, is_run, locate};
use leitmotif_models::tensors::{ExpectedTensor, TensorProblem, TensorProblems};
use leitmotif_models::{RunRecord, Step};
use ndarray::{Array2, Array3};

use crate::CheckpointError;
use crate::mapping::Mapping;
use crate::weights::{Tensors, unfit};

/// The record, the weights and the probe of a checkpoint, checked.
#[derive(Debug)]
pub struct Checkpoint {
    run: RunRecord,
    /// The layers as they were trained.
    steps: Vec<Step>,
    weights: Tensors,
    probe: Probe,
}

/// Inputs of one clip each with the outputs of the trainer's own network. Row 0 is the golden input.
#[derive(Clone, Debug)]
pub struct Probe {
    waveform: Vec<Vec<f32>>,
    /// For each row and segment.
    logits: Vec<Vec<Vec<f32>>>,
    /// For each row and segment.
    embedding: Vec<Vec<Vec<f32>>>,
}

impl Checkpoint {
    /// Reads the checkpoint in the folder `path`, or what the mapping file `path` (ending in `.toml`) names, and checks it.
    ///
    /// # Errors
    /// [`CheckpointError::Unreadable`], [`CheckpointError::Run`], [`CheckpointError::Mapping`], [`CheckpointError::NotSafetensors`],
    /// [`CheckpointError::Tensors`] or [`CheckpointError::NotGolden`], each with its file. Tensors that do not fit are named all at
    /// once, those of the weights before those of the probe: a network with NaN weights also has NaN outputs.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        if path.extension().is_some_and(|extension| extension == "toml") {
            return Self::mapped(Mapping::open(path)?);
        }
        let run = Self::read_run(path)?;
        let folder = &locate(path);
        let params = run.network.params(run.classes.len());
        let expected: Vec<ExpectedTensor> = params.into_iter().map(ExpectedTensor::from).collect();
        let weights = Tensors::read(&folder.join(WEIGHTS), &expected);
        let probe = Probe::read(&folder.join(PROBE), &run);
        let steps = run.network.steps(run.classes.len());
        Self::of(run, steps, weights, probe)
    }

    fn mapped(mapping: Mapping) -> Result<Self, CheckpointError> {
        let ignored = |tensor: &str| mapping.ignores(tensor);
        let weights = Tensors::read_but(&mapping.weights, &mapping.expected(), &ignored);
        let probe = Probe::read(&mapping.probe, &mapping.run);
        let steps = mapping.steps();
        Self::of(mapping.run, steps, weights, probe)
    }

    fn of(
        run: RunRecord,
        steps: Vec<Step>,
        weights: Result<Tensors, CheckpointError>,
        probe: Result<Probe, CheckpointError>,
    ) -> Result<Self, CheckpointError> {
        match (weights, probe) {
            (Ok(weights), Ok(probe)) => Ok(Checkpoint { run, steps, weights, probe }),
            (
                Err(CheckpointError::Tensors { files: mut all }),
                Err(CheckpointError::Tensors { files }),
            ) => {
                all.extend(files);
                Err(CheckpointError::Tensors { files: all })
            }
            (Err(error), _) | (Ok(_), Err(error)) => Err(error),
        }
    }

    /// Reads only the record of the checkpoint in `folder`.
    ///
    /// # Errors
    /// [`CheckpointError::Unreadable`] or [`CheckpointError::Run`].
    pub fn read_run(folder: &Path) -> Result<RunRecord, CheckpointError> {
        if is_run(folder) {
            return Err(CheckpointError::RunFolder { path: folder.to_path_buf() });
        }
        let path = locate(folder).join(RECORD);
        let text = fs::read_to_string(&path)
            .map_err(|source| CheckpointError::Unreadable { path: path.clone(), source })?;
        RunRecord::from_json(&text).map_err(|source| CheckpointError::Run { path, source })
    }

    /// The checkpoint's record.
    pub fn run(&self) -> &RunRecord {
        &self.run
    }

    /// Outputs of the trained network, to compare with.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// The layers with their configuration.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// SHA-256 of the weights' file, as the cards of its graphs have it.
    pub fn weights_sha256(&self) -> &str {
        self.weights.sha256()
    }

    /// The trained weights, each of the shape that the network needs.
    pub(crate) fn weights(&self) -> &Tensors {
        &self.weights
    }
}

impl Probe {
    fn read(path: &Path, run: &RunRecord) -> Result<Self, CheckpointError> {
        let network = &run.network;
        let per_segment = |name: &str, width| {
            ExpectedTensor::new(name, vec![None, Some(network.window), Some(width)])
        };
        let expected = [
            ExpectedTensor::new("waveform", vec![None, Some(network.clip_samples())]),
            per_segment("logits", run.classes.len()),
            per_segment("embedding", network.head.units),
        ];
        let tensors = Tensors::read(path, &expected)?;
        let waveform: Array2<f32> = tensors.get("waveform")?;
        let rows = waveform.nrows().max(1);
        let logits: Array3<f32> = tensors.get("logits")?;
        let embedding: Array3<f32> = tensors.get("embedding")?;
        let uneven = |name: &str, found: &[usize]| {
            let mut expected = found.to_vec();
            expected.splice(..1, [rows]);
            (found != expected).then(|| TensorProblem::WrongShape {
                name: name.to_owned(),
                expected: expected.into_iter().map(Some).collect(),
                found: found.to_vec(),
            })
        };
        let shapes = [
            ("waveform", waveform.shape()),
            ("logits", logits.shape()),
            ("embedding", embedding.shape()),
        ];
        let problems: Vec<_> =
            shapes.iter().filter_map(|(name, found)| uneven(name, found)).collect();
        if !problems.is_empty() {
            return Err(unfit(path, TensorProblems(problems)));
        }
        let probe = Probe {
            waveform: waveform.rows().into_iter().map(|row| row.to_vec()).collect(),
            logits: nested(&logits),
            embedding: nested(&embedding),
        };
        let golden = run.golden.samples();
        match probe.waveform(0).iter().zip(&golden).position(|(found, made)| found != made) {
            Some(sample) => Err(CheckpointError::NotGolden { path: path.to_owned(), sample }),
            None => Ok(probe),
        }
    }

    /// Number of rows, at least one.
    pub fn rows(&self) -> usize {
        self.waveform.len()
    }

    /// Segments of each row: the network's window.
    pub fn segments(&self) -> usize {
        self.logits.first().map_or(0, Vec::len)
    }

    /// Samples of one clip; empty beyond the last row.
    pub fn waveform(&self, row: usize) -> &[f32] {
        self.waveform.get(row).map_or(&[], Vec::as_slice)
    }

    /// One value a class: a dense head's answer to this segment, an LSTM's after segments 0 to this one. Empty where
    /// there is no such row or segment, as with the two below.
    pub fn logits(&self, row: usize, segment: usize) -> &[f32] {
        vector(&self.logits, row, segment)
    }

    /// One value a unit: the tanh layer of this segment, or h after segments 0 to this one.
    pub fn embedding(&self, row: usize, segment: usize) -> &[f32] {
        vector(&self.embedding, row, segment)
    }

    /// The softmax of [`logits`](Probe::logits), computed in f64.
    pub fn probabilities(&self, row: usize, segment: usize) -> Vec<f64> {
        let logits = self.logits(row, segment).iter().copied().map(f64::from);
        let largest = logits.clone().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = logits.map(|logit| (logit - largest).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.iter().map(|power| power / sum).collect()
    }

    /// The mean over the segments of a row of one vector per segment.
    pub fn mean_over_segments(&self, of: impl Fn(usize) -> Vec<f64>) -> Vec<f64> {
        self.mean_over(self.segments(), of)
    }

    /// The mean over the first `segments` of a row.
    pub fn mean_over(&self, segments: usize, of: impl Fn(usize) -> Vec<f64>) -> Vec<f64> {
        let mut mean: Vec<f64> = Vec::new();
        for segment in 0..segments {
            let values = of(segment);
            mean.resize(values.len(), 0.0);
            for (sum, value) in mean.iter_mut().zip(values) {
                *sum += value / segments as f64;
            }
        }
        mean
    }
}

fn nested(tensor: &Array3<f32>) -> Vec<Vec<Vec<f32>>> {
    let rows = tensor.outer_iter();
    rows.map(|row| row.outer_iter().map(|vector| vector.to_vec()).collect()).collect()
}

fn vector(rows: &[Vec<Vec<f32>>], row: usize, segment: usize) -> &[f32] {
    rows.get(row).and_then(|row| row.get(segment)).map_or(&[], Vec::as_slice)
}
