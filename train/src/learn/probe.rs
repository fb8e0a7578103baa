//! What a run needs beside its network: batches, the probe, and checkpoints.
//!
//! A probe is a few inputs with the network's outputs for them; an exported graph must reproduce these.

use std::sync::Arc;

use leitmotif_models::checkpoint::RECORD;
use leitmotif_models::{GoldenInput, Network, RUN_VERSION, RunRecord, UnfinishedEpoch};
use tch::{Device, Tensor};

use crate::error::{CheckpointError, NotFinite, TrainError};
use crate::learn::adam::Adam;
use crate::learn::average::WeightAverage;
use crate::learn::batches::Batches;
use crate::learn::checkpoint::Checkpoint;
use crate::learn::config::FitConfig;
use crate::learn::task::Task;
use crate::model::host::to_host;
use crate::model::machine;
use crate::model::network::Model;
use crate::model::tensors::{Tensors, Values};
use crate::ranks::world::Share;

/// Seed of the probe's first row; any would do.
const GOLDEN_SEED: u32 = 1;
/// Real clips in a probe, beside the golden input.
const PROBE_CLIPS: usize = 4;

/// The training batches of a run.
///
/// # Errors
///
/// A training clip too short for the configured segments.
pub fn batches(
    task: &Task,
    network: &Network,
    config: &FitConfig,
) -> Result<Arc<Batches>, TrainError> {
    shared_batches(task, network, config, Share::WHOLE)
}

/// The rows of a share of these batches.
///
/// # Errors
///
/// As [`batches`].
pub fn shared_batches(
    task: &Task,
    network: &Network,
    config: &FitConfig,
    share: Share,
) -> Result<Arc<Batches>, TrainError> {
    let (clips, examples) = (task.clips(), task.train.clone());
    let batches = Batches::new(clips, examples, task.classes.len(), network, config.batches())?;
    let batches = batches.with_share(share);
    Ok(Arc::new(match &task.auxiliary {
        None => batches,
        Some(of) => {
            let (examples, classes) = (of.examples.clone(), of.artists.len());
            batches.with_auxiliary(examples, classes, config.auxiliary.share)?
        }
    }))
}

/// The probe's inputs `[rows, samples of a clip]`: the golden input, then clips of different artists, of the test part
/// if possible.
///
/// # Errors
///
/// A clip that cannot be read.
pub fn probe_input(task: &Task, network: &Network) -> Result<Values, TrainError> {
    let samples = network.clip_samples();
    let mut data = golden(network).samples();
    let mut rows = 1;
    let mut classes = Vec::new();
    for example in task.test.iter().chain(&task.validation).chain(&task.train) {
        let is_taken = classes.contains(&example.class);
        if rows > PROBE_CLIPS || example.samples < samples as u64 || is_taken {
            continue;
        }
        let mut clip = vec![0.0; samples];
        task.dataset.read(example.clip, 0, &mut clip)?;
        data.extend(clip);
        classes.push(example.class);
        rows += 1;
    }
    Ok(Values { shape: vec![rows, samples], data })
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// Epochs done.
    pub epoch: usize,
    /// Steps done, those of an unfinished epoch included.
    pub step: u64,
    /// What was done of the next epoch, if it has begun.
    pub unfinished: Option<UnfinishedEpoch>,
}

/// The tensors of a training, as a checkpoint keeps them.
#[derive(Clone, Debug)]
pub struct TrainedValues {
    pub(crate) weights: Tensors,
    pub(crate) optimizer: Tensors,
}

impl TrainedValues {
    /// Those of `model`, which is [swapped](WeightAverage::swap) with its average if it has one.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses.
    pub fn of(
        model: &Model,
        adam: &Adam,
        average: Option<&WeightAverage>,
    ) -> Result<Self, TrainError> {
        let (weights, mut optimizer) = (model.values()?, adam.values()?);
        optimizer.append(&mut model.auxiliary_values()?);
        if let Some(average) = average {
            optimizer.append(&mut average.values()?);
        }
        Ok(TrainedValues { weights, optimizer })
    }

    /// The first tensor with a value that is no finite number.
    pub fn not_finite(&self) -> Option<NotFinite> {
        let mut tensors = self.weights.iter().chain(&self.optimizer);
        let (tensor, _) = tensors.find(|(_, of)| of.data.iter().any(|x| !x.is_finite()))?;
        Some(NotFinite::Tensor(tensor.clone()))
    }

    /// The checkpoint of a run with these tensors, with the probe's outputs of these weights.
    ///
    /// # Errors
    ///
    /// Weights that are not finite; whatever libtorch refuses.
    pub fn checkpoint(
        self,
        task: &Task,
        network: &Network,
        config: &FitConfig,
        at: Position,
        probe: &Values,
    ) -> Result<Checkpoint, TrainError> {
        let settings = serde_json::to_value(config)
            .map_err(|e| CheckpointError::Config { path: RECORD.into(), reason: e.to_string() })?;
        let Position { epoch, step, unfinished } = at;
        let record = RunRecord {
            version: RUN_VERSION,
            network: network.clone(),
            classes: task.classes.clone(),
            epoch,
            step,
            unfinished,
            seed: config.seed,
            dataset: task.dataset_note(),
            split: task.split_note(),
            scores: None,
            confidence: None,
            golden: golden(network),
            tools: machine::tools(config.device != "cpu"),
            config: settings,
        };
        let TrainedValues { weights, optimizer } = self;
        let probe = with_outputs(network, task.classes.len(), &weights, probe)?;
        let is_finite = |of: &Values| of.data.iter().all(|value| value.is_finite());
        if !probe.values().all(is_finite) {
            let (epoch, clips) = (epoch + usize::from(unfinished.is_some()), "of the probe".into());
            return Err(TrainError::Diverged { what: NotFinite::Outputs, epoch, step, clips });
        }
        Ok(Checkpoint { record, weights, optimizer, probe })
    }
}

/// The probe with the network's outputs, always of the CPU, whose convolutions do not round to TF32.
fn with_outputs(
    network: &Network,
    classes: usize,
    weights: &Tensors,
    probe: &Values,
) -> Result<Tensors, TrainError> {
    let model = Model::from_values(network.clone(), classes, weights, Device::Cpu)?;
    let shape: Vec<i64> = probe.shape.iter().map(|d| *d as i64).collect();
    let input = Tensor::f_from_slice(&probe.data)?.f_reshape(&shape)?;
    tch::no_grad(|| {
        // Row by row: the activations of a whole batch of clips would take far more memory than the network.
        let rows = (0..shape.first().copied().unwrap_or(0))
            .map(|row| model.forward(&input.f_narrow(0, row, 1)?, None))
            .collect::<Result<Vec<_>, TrainError>>()?;
        let logits: Vec<&Tensor> = rows.iter().map(|r| &r.logits).collect();
        let embedding: Vec<&Tensor> = rows.iter().map(|r| &r.embedding).collect();
        Ok(Tensors::from([
            ("waveform".to_owned(), probe.clone()),
            ("logits".to_owned(), to_host(&Tensor::f_cat(&logits, 0)?)?),
            ("embedding".to_owned(), to_host(&Tensor::f_cat(&embedding, 0)?)?),
        ]))
    })
}

fn golden(network: &Network) -> GoldenInput {
    GoldenInput { seed: GOLDEN_SEED, samples: network.clip_samples() }
}
