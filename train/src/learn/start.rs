//! How a run starts: from initial values, from the pretrained blocks of another checkpoint, or where it stopped.

use std::fs;
use std::path::{Path, PathBuf};

use leitmotif_dataset::fs::Lock;
use leitmotif_models::checkpoint::{BEST, LAST, RECORD, WEIGHTS, locate};
use leitmotif_models::{
    Block, BlockKind, HeadKind, Init, Network, Param, RunRecord, UnfinishedEpoch,
};
use tch::Device;

use crate::console::log;
use crate::error::{CheckpointError, RunFolderError, SettingError, TrainError};
use crate::learn::adam::Adam;
use crate::learn::auxiliary::{Auxiliary, AuxiliaryNote};
use crate::learn::average::WeightAverage;
use crate::learn::checkpoint::{Checkpoint, read_record, write_record};
use crate::learn::config::FitConfig;
use crate::learn::history::History;
use crate::learn::saving::Saving;
use crate::learn::settings;
use crate::learn::task::{Task, artist_differences, differences, format_split};
use crate::model::device;
use crate::model::init::FirstFilters;
use crate::model::mel::mel_filters;
use crate::model::native;
use crate::model::network::Model;
use crate::model::tensors::{self, Tensors, check};
use crate::ranks::group::BACKEND;

/// The file of a run's folder that its process has locked; made when the run begins.
pub const LOCK: &str = "lock";

/// How a run starts.
#[derive(Clone, Debug)]
pub enum Start {
    /// From initial values, or with the convolution blocks of another checkpoint.
    Fresh {
        /// The network to train.
        network: Box<Network>,
        /// Settings of the run.
        config: Box<FitConfig>,
        /// Where the convolution blocks come from, if not from initial values.
        pretrained: Option<PretrainedBlocks>,
    },
    /// From the last checkpoint in the run's folder, with its network and settings.
    Resume(Changes),
}

/// A checkpoint whose convolution blocks a new run starts with.
#[derive(Clone, Debug)]
pub struct PretrainedBlocks {
    /// Its folder.
    pub checkpoint: PathBuf,
    /// Whether it may have been trained on another split of the music, and so on songs of this test part.
    pub other_split: bool,
}

/// What may change when a run is resumed; what is absent stays.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Changes {
    /// Epochs in all; the schedule of the learning rate follows.
    pub epochs: Option<usize>,
    /// Threads of libtorch on the CPU.
    pub threads: Option<usize>,
    /// Minutes after which a checkpoint is written within an epoch.
    pub checkpoint_minutes: Option<f64>,
    /// How many of the last finished epochs are kept.
    pub keep_checkpoints: Option<usize>,
}

impl Changes {
    /// Nothing.
    pub const NONE: Changes =
        Changes { epochs: None, threads: None, checkpoint_minutes: None, keep_checkpoints: None };
}

/// A run between two steps.
#[derive(Debug)]
pub struct RunState {
    /// The network.
    pub model: Model,
    /// Its optimizer.
    pub adam: Adam,
    /// The average of its weights, if the settings want one.
    pub average: Option<WeightAverage>,
    /// The run's settings.
    pub config: FitConfig,
    /// Epochs done.
    pub epoch: usize,
    /// Steps done, those of an unfinished epoch included.
    pub step: u64,
    /// What was done of the next epoch, if the run stopped within it.
    pub unfinished: Option<UnfinishedEpoch>,
    /// The finished epochs so far.
    pub history: History,
    /// Keeps other processes out of the run's folder; only rank 0 has it.
    pub(crate) lock: Option<Lock>,
}

/// Starts or resumes the run in the folder `run`.
///
/// # Errors
///
/// A folder that already holds a run, has none to resume, or is in use by another process; a run on other artists, data
/// or another split; settings out of range; weights that do not fit.
pub fn begin(
    run: &Path,
    task: &Task,
    start: Start,
    device: Device,
) -> Result<RunState, TrainError> {
    begin_as(run, task, start, device, 1)
}

/// [`begin`] for a run of so many ranks, of which this process is the first.
pub(crate) fn begin_as(
    run: &Path,
    task: &Task,
    start: Start,
    device: Device,
    ranks: usize,
) -> Result<RunState, TrainError> {
    match start {
        Start::Resume(changes) => resume(run, task, changes, device, ranks),
        Start::Fresh { network, config, pretrained } => {
            let mut config = *config;
            set_ranks(&mut config, ranks);
            fresh(run, task, *network, config, pretrained.as_ref(), device)
        }
    }
}

fn set_ranks(config: &mut FitConfig, ranks: usize) {
    config.ranks = ranks;
    config.backend = (ranks > 1).then(|| BACKEND.to_owned());
}

/// The settings in a checkpoint's record.
///
/// # Errors
///
/// Settings that this version does not know; the checkpoint's file is named.
pub fn recorded_config(folder: &Path, record: &RunRecord) -> Result<FitConfig, TrainError> {
    let invalid = |error: serde_json::Error| CheckpointError::Config {
        path: folder.join(RECORD),
        reason: error.to_string(),
    };
    Ok(serde_json::from_value(record.config.clone()).map_err(invalid)?)
}

fn fresh(
    run: &Path,
    task: &Task,
    mut network: Network,
    config: FitConfig,
    pretrained: Option<&PretrainedBlocks>,
    device: Device,
) -> Result<RunState, TrainError> {
    config.check()?;
    if config.patience.is_some() && task.validation.is_empty() {
        return Err(SettingError::NoValidation { split: task.split_name.clone() }.into());
    }
    // An LSTM is evaluated, exported and served on windows of the length that it is trained on.
    if let (HeadKind::Lstm, Some(segments)) = (network.head.kind, config.segments) {
        network.window = segments;
    }
    let is_new = !run.exists();
    fs::create_dir_all(run).map_err(|e| TrainError::file(run, e))?;
    let lock = lock(run)?;
    let begun = initial(run, task, network, config, pretrained, device);
    if begun.is_err() && is_new {
        // The folder is this run's own; if it holds anything else, it stays. What cannot be removed does no harm.
        let _ = fs::remove_file(run.join(LOCK)).and_then(|()| fs::remove_dir(run));
    }
    let (model, config) = begun?;
    RunState::new(model, config, Some(lock))
}

/// The initial network and the final settings of a new run, which its folder has as files; the folder is locked.
fn initial(
    run: &Path,
    task: &Task,
    network: Network,
    mut config: FitConfig,
    pretrained: Option<&PretrainedBlocks>,
    device: Device,
) -> Result<(Model, FitConfig), TrainError> {
    // A kill while it was being replaced leaves the old one under another name, which `locate` knows.
    if locate(&run.join(LAST)).exists() {
        return Err(RunFolderError::Exists { path: run.to_owned() }.into());
    }
    Saving::recover(run)?;
    set_threads(&config);
    config.device = device::kind(device).to_owned();
    config.auxiliary_music = task.auxiliary.as_ref().map(|auxiliary| auxiliary.note().clone());
    let mut model = Model::new(network, task.classes.len(), config.seed, device)?;
    if config.first_filters == FirstFilters::Mel {
        set_mel_filters(&mut model, config.seed)?;
    }
    if let Some(pretrained) = pretrained {
        config.started_from = Some(copy_blocks(&mut model, task, pretrained)?);
    }
    settings::write(run, &config, model.network())?;
    Ok((model, config))
}

/// The record of a run's newest checkpoint.
///
/// # Errors
///
/// `NothingToResume` where there is none; a record that cannot be read.
pub(crate) fn newest_record(run: &Path) -> Result<RunRecord, TrainError> {
    read_record(&run.join(LAST)).map_err(|error| match error {
        TrainError::Checkpoint(CheckpointError::Missing { .. }) => {
            RunFolderError::NothingToResume { path: run.to_owned() }.into()
        }
        other => other,
    })
}

fn resume(
    run: &Path,
    task: &Task,
    changes: Changes,
    device: Device,
    ranks: usize,
) -> Result<RunState, TrainError> {
    let folder = run.join(LAST);
    // Before anything is created: there may be no run at all.
    newest_record(run)?;
    let lock = lock(run)?;
    Saving::recover(run)?;
    let Checkpoint { mut record, weights, optimizer, .. } = Checkpoint::read(&folder)?;
    let cannot = |reason: String| RunFolderError::CannotResume { path: run.to_owned(), reason };
    check_same_data(task, &record).map_err(cannot)?;
    let mut config = recorded_config(&folder, &record)?;
    check_same_auxiliary(task, &config).map_err(cannot)?;
    let before = config.clone();
    let changed = change(&mut config, changes, (device, ranks), &format_progress(&record));
    config.check()?;
    if config.epochs < record.epoch + usize::from(record.unfinished.is_some()) {
        let (asked, done) = (config.epochs, record.epoch);
        let begun = record.unfinished.map_or("", |_| " and the next has begun");
        return Err(
            cannot(format!("--epochs is {asked}, but {done} epochs are done{begun}")).into()
        );
    }
    // After a kill between the two checkpoints of an epoch, that epoch must be repeated exactly: otherwise the best
    // checkpoint would belong to no epoch of this run.
    let best = match read_record(&run.join(BEST)) {
        // Within the first epoch there is none.
        Err(TrainError::Checkpoint(CheckpointError::Missing { .. })) if record.epoch == 0 => 0,
        found => found?.epoch,
    };
    if changed && best > record.epoch {
        let reason = "the run was killed while an epoch was being saved; resume it once without changes, then with them";
        return Err(cannot(reason.to_owned()).into());
    }
    let history = History::read(run, record.epoch)?;
    let rows = history.newest().map_or(0, |row| row.epoch);
    if rows != record.epoch {
        let done = record.epoch;
        return Err(
            cannot(format!("history.csv ends with epoch {rows}, but {done} are done")).into()
        );
    }
    if config != before {
        // At once, so that resuming after a kill in the next epoch keeps the changes.
        record.config = serde_json::to_value(&config).map_err(|e| cannot(e.to_string()))?;
        write_record(&folder, &record)?;
    }
    set_threads(&config);
    let model = Model::from_values(record.network, task.classes.len(), &weights, device)?;
    let mut state = RunState::new(model, config, Some(lock))?;
    state.model.restore_auxiliary(&optimizer)?;
    state.adam.restore(&optimizer, record.step)?;
    if let Some(average) = &mut state.average {
        average.restore(&optimizer, record.step)?;
    }
    (state.epoch, state.step, state.history) = (record.epoch, record.step, history);
    state.unfinished = record.unfinished;
    Ok(state)
}

/// Whether the run of `record` was trained on this task; otherwise how they differ.
fn check_same_data(task: &Task, record: &RunRecord) -> Result<(), String> {
    if record.classes != task.classes {
        let artists = artist_differences(&record.classes, &task.classes);
        return Err(format!("other artists: {artists}"));
    }
    let (then, now) = (&record.dataset, &task.dataset_note());
    if then != now {
        return Err(format!("another data set: {}", differences(then, now)));
    }
    match task.difference_to(&record.split) {
        Some(splits) => Err(format!("another split; {splits}")),
        None => Ok(()),
    }
}

/// Whether a run of these settings was trained on the task's auxiliary music; otherwise how they differ.
fn check_same_auxiliary(task: &Task, config: &FitConfig) -> Result<(), String> {
    let names = |note: &AuxiliaryNote| {
        let names: Vec<&str> = note.datasets.iter().map(|of| of.name.as_str()).collect();
        names.join(", ")
    };
    let now = task.auxiliary.as_ref().map(Auxiliary::note);
    match (&config.auxiliary_music, now) {
        (None, None) => Ok(()),
        (Some(then), Some(now)) if then == now => Ok(()),
        (Some(then), Some(now)) => {
            Err(format!("other auxiliary music: {}", differences(then, now)))
        }
        (Some(then), None) => {
            Err(format!("it has auxiliary music of {}: name it with --auxiliary", names(then)))
        }
        (None, Some(_)) => Err("it has no auxiliary music: leave --auxiliary out".to_owned()),
    }
}

/// `epoch 3`, or `epoch 3 and 20 steps of the next`: how far the run of a record is.
pub(crate) fn format_progress(record: &RunRecord) -> String {
    let epoch = record.epoch;
    match &record.unfinished {
        None => format!("epoch {epoch}"),
        Some(UnfinishedEpoch { steps: 1, .. }) => format!("epoch {epoch} and 1 step of the next"),
        Some(UnfinishedEpoch { steps, .. }) => {
            format!("epoch {epoch} and {steps} steps of the next")
        }
    }
}

/// Changes settings of a run, records and logs each change that makes another run, and returns whether there was one.
fn change(
    config: &mut FitConfig,
    changes: Changes,
    (device, ranks): (Device, usize),
    after: &str,
) -> bool {
    let mut lines = Vec::new();
    let mut note = |what: &str, then: &str, now: &str| {
        if then != now {
            lines.push(format!("{what} {then} to {now} after {after}"));
        }
    };
    let device = device::kind(device);
    note("device", &config.device, device);
    config.device = device.to_owned();
    note("ranks", &config.ranks.to_string(), &ranks.to_string());
    set_ranks(config, ranks);
    for (what, setting, asked) in [
        ("epochs", &mut config.epochs, changes.epochs),
        ("threads", &mut config.threads, changes.threads),
    ] {
        if let Some(now) = asked {
            note(what, &setting.to_string(), &now.to_string());
            *setting = now;
        }
    }
    for line in &lines {
        log!("changed: {line}");
    }
    let changed = !lines.is_empty();
    config.changes.append(&mut lines);
    config.checkpoint_minutes = changes.checkpoint_minutes.unwrap_or(config.checkpoint_minutes);
    config.keep_checkpoints = changes.keep_checkpoints.unwrap_or(config.keep_checkpoints);
    changed
}

fn lock(run: &Path) -> Result<Lock, TrainError> {
    let path = run.join(LOCK);
    let taken = Lock::take(&path).map_err(|e| TrainError::file(&path, e))?;
    Ok(taken.ok_or_else(|| RunFolderError::InUse { path: run.to_owned() })?)
}

impl RunState {
    /// A network of initial values, or those of a checkpoint's, before its first step.
    pub(crate) fn new(
        model: Model,
        config: FitConfig,
        lock: Option<Lock>,
    ) -> Result<Self, TrainError> {
        let mut model = configured(model, &config)?;
        let further = config.auxiliary_music.as_ref().map_or(0, |music| music.artists);
        model = model.with_auxiliary_classes(further, config.seed)?;
        if config.freeze_convolutions {
            model.freeze_convolutions()?;
        }
        let adam = Adam::new(config.adam, &model.trainable()?)?;
        // After the optimizer, which gives the weights other memory.
        let average = config.weight_average.map(|decay| WeightAverage::new(decay, &model));
        let average = average.transpose()?;
        let history = History::default();
        let unfinished = None;
        Ok(RunState { model, adam, average, config, epoch: 0, step: 0, unfinished, history, lock })
    }
}

/// `model` as the settings of a run want its training passes; on a GPU libtorch's switches with it.
///
/// # Errors
///
/// A libtorch without these switches.
pub(crate) fn configured(model: Model, config: &FitConfig) -> Result<Model, TrainError> {
    let model = model
        .with_norm_momentum(config.norm_momentum)
        .with_precision(config.precision)
        .with_dropout_seed(config.seed);
    if model.device() == Device::Cpu {
        return Ok(model);
    }
    config.switches().set()?;
    if config.no_fused_operator {
        return Ok(model);
    }
    match native::available() {
        Ok(()) => Ok(model.with_fused_operator()),
        Err(error) => {
            log!("training is slower than it could be: {error}");
            Ok(model)
        }
    }
}

pub(crate) fn set_threads(config: &FitConfig) {
    // In range by `FitConfig::check`; libtorch refuses only numbers below one.
    tch::set_num_threads(i32::try_from(config.threads).unwrap_or(1).max(1));
}

fn set_mel_filters(model: &mut Model, seed: u64) -> Result<(), TrainError> {
    const FIRST: &str = "block1.conv.weight";
    let params = model.network().params(model.classes());
    // The pairs of an energy block begin so anyway, and must stay pairs.
    let random = |p: &Param| p.name == FIRST && !matches!(p.init, Init::MelPairs | Init::MelBank);
    let Some(first) = params.into_iter().find(random) else { return Ok(()) };
    model.set_values(&Tensors::from([(first.name, mel_filters(&first.shape, seed))]))
}

fn format_block(block: &Block) -> String {
    let Block { kind, filters, kernel, stride, padding, pool, squeeze, trainable } = block;
    let text =
        format!("{filters} filters of {kernel}, stride {stride}, padding {padding}, pool {pool}");
    let text = if *trainable { text } else { format!("{text}, not trained") };
    match (kind, squeeze) {
        (BlockKind::Conv, _) => text,
        (kind, None) => format!("{kind}: {text}"),
        (kind, Some(squeeze)) => format!("{kind}: {text}, squeeze {squeeze}"),
    }
}

/// Copies the tensors of every block, running statistics included; returns a description of where they come from.
fn copy_blocks(
    model: &mut Model,
    task: &Task,
    pretrained: &PretrainedBlocks,
) -> Result<String, TrainError> {
    let path = &pretrained.checkpoint;
    let record = read_record(path)?;
    // Even if the data sets have other names: one may be part of the other.
    if !pretrained.other_split
        && let Some(difference) = task.difference_to(&record.split)
    {
        return Err(CheckpointError::OtherSplit { path: path.clone(), difference }.into());
    }
    // Tensors of one shape may belong to another stride or pool.
    let (theirs, ours) = (&record.network.blocks, &model.network().blocks);
    if theirs != ours {
        let first = (0..).find(|i| theirs.get(*i) != ours.get(*i)).unwrap_or(0);
        let format =
            |blocks: &[Block]| blocks.get(first).map_or_else(|| "absent".to_owned(), format_block);
        let difference =
            format!("block {} is {} there and {} here", first + 1, format(theirs), format(ours));
        return Err(CheckpointError::OtherConvolutions { path: path.clone(), difference }.into());
    }
    let is_block = |name: &String| name.starts_with("block");
    let mut weights = tensors::read(&locate(path).join(WEIGHTS))?;
    weights.retain(|name, _| is_block(name));
    let params = model.network().params(model.classes());
    let shapes = params.into_iter().map(|p| (p.name, p.shape)).filter(|(name, _)| is_block(name));
    check(shapes, &weights)
        .map_err(|source| CheckpointError::Weights { path: path.clone(), source })?;
    model.set_values(&weights)?;
    let RunRecord { network, epoch, dataset, split, .. } = &record;
    Ok(format!(
        "{} ({} head), epoch {epoch}, trained on {}, split {}",
        network.name,
        network.head.kind,
        dataset.name,
        format_split(split)
    ))
}
