//! A run's folder: beginning or resuming it, and the checkpoints that it holds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use leitmotif_models::{GoldenInput, Network, RUN_VERSION, RunRecord};
use tch::{Device, Tensor};

use crate::adam::Adam;
use crate::batches::Batches;
use crate::checkpoint::{Checkpoint, read_record};
use crate::config::FitConfig;
use crate::error::TrainError;
use crate::fit::{LAST, Start};
use crate::history::History;
use crate::init::{FirstFilters, mel_filters};
use crate::network::Model;
use crate::task::Task;
use crate::tensors::{Tensors, Values, check};

/// Seed of the probe's first row; any would do.
const GOLDEN_SEED: u32 = 1;
/// Real clips in a probe, beside the golden input.
const PROBE_CLIPS: usize = 4;

/// Where a run stands between two epochs.
#[derive(Debug)]
pub struct State {
    /// The network.
    pub model: Model,
    /// Its optimizer.
    pub adam: Adam,
    /// The run's settings.
    pub config: FitConfig,
    /// Epochs done.
    pub epoch: usize,
    /// Steps done.
    pub step: u64,
    /// The epochs so far.
    pub history: History,
}

/// Begins or resumes the run in the folder `run`.
///
/// # Errors
///
/// A folder that already holds a run, or none to resume; a run of other artists, data or split; settings out of range;
/// weights that do not fit.
pub fn begin(run: &Path, task: &Task, start: Start, device: Device) -> Result<State, TrainError> {
    match start {
        Start::Resume => resume(run, task, device),
        Start::Fresh { network, mut config, convolutions_of } => {
            config.check()?;
            if run.join(LAST).exists() {
                return Err(TrainError::RunExists { path: run.to_owned() });
            }
            fs::create_dir_all(run).map_err(|e| TrainError::file(run, e))?;
            set_threads(&config);
            let mut model = Model::new(*network, task.classes.len(), config.seed, device)?;
            if config.first_filters == FirstFilters::Mel {
                take_mel_filters(&mut model, config.seed)?;
            }
            if let Some(other) = &convolutions_of {
                config.started_from = Some(take_convolutions(&mut model, other)?);
            }
            State::new(model, *config)
        }
    }
}

/// The batches of a run.
pub fn batches(
    task: &Task,
    network: &Network,
    config: &FitConfig,
) -> Result<Arc<Batches>, TrainError> {
    let (dataset, examples) = (Arc::clone(&task.dataset), task.train.clone());
    let batches = Batches::new(dataset, examples, task.classes.len(), network, config.batches())?;
    Ok(Arc::new(batches))
}

/// The probe's inputs f32 [rows, samples of a clip]: the golden input, then clips of different artists, if possible of
/// the test part.
pub fn probe_input(task: &Task, network: &Network) -> Result<Values, TrainError> {
    let samples = network.clip_samples();
    let mut data = golden(network).samples();
    let mut rows = 1;
    let mut heard = Vec::new();
    for example in task.test.iter().chain(&task.validation).chain(&task.train) {
        if rows > PROBE_CLIPS || example.samples < samples as u64 || heard.contains(&example.class)
        {
            continue;
        }
        let mut clip = vec![0.0; samples];
        task.dataset.read(example.clip, 0, &mut clip)?;
        data.extend(clip);
        heard.push(example.class);
        rows += 1;
    }
    Ok(Values { shape: vec![rows, samples], data })
}

/// Everything of a checkpoint, the probe's answers computed anew.
pub fn checkpoint(
    task: &Task,
    model: &Model,
    adam: &Adam,
    config: &FitConfig,
    at: (usize, u64),
    probe: &Values,
) -> Result<Checkpoint, TrainError> {
    let weights = model.values()?;
    let tools = BTreeMap::from([
        ("leitmotif-train".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("libtorch".to_owned(), "2.11.0".to_owned()),
    ]);
    let config = serde_json::to_value(config)
        .map_err(|e| TrainError::Config { path: "run.json".into(), reason: e.to_string() })?;
    let record = RunRecord {
        version: RUN_VERSION,
        network: model.network().clone(),
        classes: task.classes.clone(),
        epoch: at.0,
        step: at.1,
        seed: seed_of(&config),
        dataset: task.dataset_note(),
        split: task.split_note(),
        scores: None,
        golden: golden(model.network()),
        tools,
        config,
    };
    let probe = answered(model.network(), model.classes(), &weights, probe)?;
    Ok(Checkpoint { record, weights, optimizer: adam.values()?, probe })
}

fn seed_of(config: &serde_json::Value) -> u64 {
    config.get("seed").and_then(serde_json::Value::as_u64).unwrap_or(0)
}

/// Probe with answers: always of the CPU, whose convolutions do not round to TF32.
fn answered(
    network: &Network,
    classes: usize,
    weights: &Tensors,
    probe: &Values,
) -> Result<Tensors, TrainError> {
    let model = Model::from_values(network.clone(), classes, weights, Device::Cpu)?;
    let shape: Vec<i64> = probe.shape.iter().map(|d| *d as i64).collect();
    let input = Tensor::f_from_slice(&probe.data)?.f_reshape(&shape)?;
    tch::no_grad(|| {
        // Row by row: activations of a whole batch of clips would dwarf the network.
        let rows = (0..shape.first().copied().unwrap_or(0))
            .map(|row| model.forward(&input.f_narrow(0, row, 1)?, false))
            .collect::<Result<Vec<_>, TrainError>>()?;
        let logits: Vec<&Tensor> = rows.iter().map(|r| &r.logits).collect();
        let embedding: Vec<&Tensor> = rows.iter().map(|r| &r.embedding).collect();
        Ok(Tensors::from([
            ("waveform".to_owned(), probe.clone()),
            ("logits".to_owned(), crate::network::to_host(&Tensor::f_cat(&logits, 0)?)?),
            ("embedding".to_owned(), crate::network::to_host(&Tensor::f_cat(&embedding, 0)?)?),
        ]))
    })
}

fn golden(network: &Network) -> GoldenInput {
    GoldenInput { seed: GOLDEN_SEED, samples: network.clip_samples() }
}

fn resume(run: &Path, task: &Task, device: Device) -> Result<State, TrainError> {
    let folder = run.join(LAST);
    let checkpoint = Checkpoint::read(&folder)?;
    let record = checkpoint.record;
    let differs = |what: &str, then: String, now: String| TrainError::CannotResume {
        path: run.to_owned(),
        reason: format!("{what} then: {then}; now: {now}"),
    };
    if record.classes != task.classes {
        return Err(differs("artists", record.classes.join(", "), task.classes.join(", ")));
    }
    for (what, then, now) in [
        ("data set", format!("{:?}", record.dataset), format!("{:?}", task.dataset_note())),
        ("split", format!("{:?}", record.split), format!("{:?}", task.split_note())),
    ] {
        if then != now {
            return Err(differs(what, then, now));
        }
    }
    let config: FitConfig = serde_json::from_value(record.config)
        .map_err(|e| TrainError::Config { path: folder.join("run.json"), reason: e.to_string() })?;
    config.check()?;
    set_threads(&config);
    let model =
        Model::from_values(record.network, task.classes.len(), &checkpoint.weights, device)?;
    let mut state = State::new(model, config)?;
    state.adam.restore(&checkpoint.optimizer, record.step)?;
    (state.epoch, state.step) = (record.epoch, record.step);
    state.history = History::read(run, record.epoch)?;
    Ok(state)
}

impl State {
    fn new(model: Model, config: FitConfig) -> Result<Self, TrainError> {
        let mut model = model.with_norm_momentum(config.norm_momentum);
        if config.freeze_convolutions {
            model.freeze_convolutions()?;
        }
        let adam = Adam::new(config.adam, &model.trainable()?)?;
        Ok(State { model, adam, config, epoch: 0, step: 0, history: History::default() })
    }
}

fn set_threads(config: &FitConfig) {
    // In range by `FitConfig::check`; libtorch refuses only numbers below one.
    tch::set_num_threads(i32::try_from(config.threads).unwrap_or(1).max(1));
}

fn take_mel_filters(model: &mut Model, seed: u64) -> Result<(), TrainError> {
    const FIRST: &str = "block1.conv.weight";
    let params = model.network().params(model.classes());
    let Some(first) = params.into_iter().find(|p| p.name == FIRST) else { return Ok(()) };
    model.set_values(&Tensors::from([(first.name, mel_filters(&first.shape, seed))]))
}

/// Copies every block's tensors, statistics included, and names the checkpoint.
fn take_convolutions(model: &mut Model, other: &Path) -> Result<String, TrainError> {
    let record = read_record(other)?;
    let is_block = |name: &String| name.starts_with("block");
    let mut weights = crate::tensors::read(&other.join("weights.safetensors"))?;
    weights.retain(|name, _| is_block(name));
    let params = model.network().params(model.classes());
    let shapes = params.into_iter().map(|p| (p.name, p.shape)).filter(|(name, _)| is_block(name));
    check(shapes, &weights).map_err(|misfits| TrainError::Checkpoint {
        path: other.to_owned(),
        source: Box::new(TrainError::Weights(misfits)),
    })?;
    model.set_values(&weights)?;
    Ok(format!(
        "{} ({} head), epoch {}",
        record.network.name, record.network.head.kind, record.epoch
    ))
}
