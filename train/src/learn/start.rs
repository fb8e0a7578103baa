//! How a run begins: from first values, from another checkpoint's convolutions, or where it was left.

use std::fs;
use std::path::{Path, PathBuf};

use leitmotif_models::{HeadKind, Network, RunRecord};
use tch::Device;

use crate::console::log;
use crate::error::TrainError;
use crate::learn::adam::Adam;
use crate::learn::checkpoint::{Checkpoint, read_record, settle, write_record};
use crate::learn::config::FitConfig;
use crate::learn::history::History;
use crate::learn::task::{Task, artist_differences, differences, shown};
use crate::model::device;
use crate::model::init::{FirstFilters, mel_filters};
use crate::model::network::Model;
use crate::model::tensors::{self, Tensors, check};
use leitmotif_dataset::fs::Lock;
use leitmotif_models::checkpoint::{BEST, LAST, WEIGHTS, locate};

/// How a run begins.
#[derive(Clone, Debug)]
pub enum Start {
    /// From first values, or with the convolutions of another checkpoint.
    Fresh {
        /// The network to train.
        network: Box<Network>,
        /// Settings of the run.
        config: Box<FitConfig>,
        /// Where the convolution blocks are taken over from.
        convolutions_of: Option<Donor>,
    },
    /// From the newest checkpoint in the run's folder, with its network and settings.
    Resume(Changes),
}

/// A checkpoint whose convolution blocks are taken over.
#[derive(Clone, Debug)]
pub struct Donor {
    /// Its folder.
    pub checkpoint: PathBuf,
    /// Whether it may have learnt from another split of the same music, and so from this split's test songs.
    pub other_split: bool,
}

/// What may change where a run goes on; what is absent stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Epochs in all; the schedule of the rate follows.
    pub epochs: Option<usize>,
    /// Threads of libtorch on the CPU.
    pub threads: Option<usize>,
}

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
    /// Keeps every other process out of the run's folder.
    pub(crate) lock: Lock,
}

/// Begins or resumes the run in the folder `run`.
///
/// # Errors
///
/// A folder that already holds a run, none to resume, or one that another process trains in; a run of other artists, data or
/// split; settings out of range; weights that do not fit.
pub fn begin(run: &Path, task: &Task, start: Start, device: Device) -> Result<State, TrainError> {
    match start {
        Start::Resume(changes) => resume(run, task, changes, device),
        Start::Fresh { network, config, convolutions_of } => {
            fresh(run, task, *network, *config, convolutions_of.as_ref(), device)
        }
    }
}

/// The settings in a checkpoint's record.
///
/// # Errors
///
/// Settings that this version does not know, with the checkpoint's file.
pub fn recorded_config(folder: &Path, record: &RunRecord) -> Result<FitConfig, TrainError> {
    let broken = |reason: serde_json::Error| TrainError::Config {
        path: folder.join("run.json"),
        reason: reason.to_string(),
    };
    serde_json::from_value(record.config.clone()).map_err(broken)
}

fn fresh(
    run: &Path,
    task: &Task,
    mut network: Network,
    mut config: FitConfig,
    convolutions_of: Option<&Donor>,
    device: Device,
) -> Result<State, TrainError> {
    config.check()?;
    if config.patience.is_some() && task.validation.is_empty() {
        return Err(TrainError::NoValidation { split: task.split_name.clone() });
    }
    // An LSTM is judged, exported and served on windows of the length that it learns from.
    if let (HeadKind::Lstm, Some(segments)) = (network.head.kind, config.segments) {
        network.window = segments;
    }
    fs::create_dir_all(run).map_err(|e| TrainError::file(run, e))?;
    let lock = lock(run)?;
    // The old one lies under another name where a kill struck while it was being replaced.
    if locate(&run.join(LAST)).exists() {
        return Err(TrainError::RunExists { path: run.to_owned() });
    }
    set_threads(&config);
    config.device = device::kind(device).to_owned();
    let mut model = Model::new(network, task.classes.len(), config.seed, device)?;
    if config.first_filters == FirstFilters::Mel {
        take_mel_filters(&mut model, config.seed)?;
    }
    if let Some(donor) = convolutions_of {
        config.started_from = Some(take_convolutions(&mut model, task, donor)?);
    }
    State::new(model, config, lock)
}

fn resume(run: &Path, task: &Task, changes: Changes, device: Device) -> Result<State, TrainError> {
    let folder = run.join(LAST);
    // Before anything is made: there may be no run at all.
    read_record(&folder)?;
    let lock = lock(run)?;
    settle(&folder)?;
    settle(&run.join(BEST))?;
    let Checkpoint { mut record, weights, optimizer, .. } = Checkpoint::read(&folder)?;
    let cannot = |reason: String| TrainError::CannotResume { path: run.to_owned(), reason };
    if record.classes != task.classes {
        let artists = artist_differences(&record.classes, &task.classes);
        return Err(cannot(format!("other artists: {artists}")));
    }
    let (then, now) = (&record.dataset, &task.dataset_note());
    if then != now {
        return Err(cannot(format!("another data set: {}", differences(then, now))));
    }
    if let Some(splits) = task.difference_to(&record.split) {
        return Err(cannot(format!("another split; {splits}")));
    }
    let mut config = recorded_config(&folder, &record)?;
    let changed = change(&mut config, changes, device, record.epoch);
    config.check()?;
    if config.epochs < record.epoch {
        let (asked, done) = (config.epochs, record.epoch);
        return Err(cannot(format!("--epochs is {asked}, but {done} epochs are done")));
    }
    // A kill between the two checkpoints of an epoch: it is repeated exactly, or the best one would belong to no epoch of this run.
    let best = read_record(&run.join(BEST))?.epoch;
    if changed && best > record.epoch {
        let reason = "the run was killed while an epoch was written down; resume it once unchanged, then with what is to change";
        return Err(cannot(reason.to_owned()));
    }
    let history = History::read(run, record.epoch)?;
    let rows = history.newest().map_or(0, |row| row.epoch);
    if rows != record.epoch {
        let done = record.epoch;
        return Err(cannot(format!("history.csv ends with epoch {rows}, but {done} are done")));
    }
    if changed {
        // At once: whoever resumes after a kill in the next epoch need not ask for it again.
        record.config = serde_json::to_value(&config).map_err(|e| cannot(e.to_string()))?;
        write_record(&folder, &record)?;
    }
    set_threads(&config);
    let model = Model::from_values(record.network, task.classes.len(), &weights, device)?;
    let mut state = State::new(model, config, lock)?;
    state.adam.restore(&optimizer, record.step)?;
    (state.epoch, state.step, state.history) = (record.epoch, record.step, history);
    Ok(state)
}

/// Changes settings of a run, writes down which, and says so; gives whether there were any.
fn change(config: &mut FitConfig, changes: Changes, device: Device, epoch: usize) -> bool {
    let mut told = Vec::new();
    let mut tell = |what: &str, then: String, now: String| {
        if then != now {
            told.push(format!("{what} {then} to {now} after epoch {epoch}"));
        }
        now
    };
    let device = device::kind(device).to_owned();
    config.device = tell("device", std::mem::take(&mut config.device), device);
    for (what, setting, asked) in [
        ("epochs", &mut config.epochs, changes.epochs),
        ("threads", &mut config.threads, changes.threads),
    ] {
        if let Some(now) = asked {
            tell(what, setting.to_string(), now.to_string());
            *setting = now;
        }
    }
    for line in &told {
        log!("changed: {line}");
    }
    let changed = !told.is_empty();
    config.changes.append(&mut told);
    changed
}

fn lock(run: &Path) -> Result<Lock, TrainError> {
    let path = run.join("lock");
    let taken = Lock::take(&path).map_err(|e| TrainError::file(&path, e))?;
    taken.ok_or_else(|| TrainError::RunInUse { path: run.to_owned() })
}

impl State {
    fn new(model: Model, config: FitConfig, lock: Lock) -> Result<Self, TrainError> {
        let mut model = model.with_norm_momentum(config.norm_momentum);
        if config.freeze_convolutions {
            model.freeze_convolutions()?;
        }
        let adam = Adam::new(config.adam, &model.trainable()?)?;
        Ok(State { model, adam, config, epoch: 0, step: 0, history: History::default(), lock })
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

/// Copies every block's tensors, statistics included, and says what they come from.
fn take_convolutions(model: &mut Model, task: &Task, donor: &Donor) -> Result<String, TrainError> {
    let path = &donor.checkpoint;
    let record = read_record(path)?;
    // Whatever the data set is called: one may be part of the other.
    if !donor.other_split
        && let Some(difference) = task.difference_to(&record.split)
    {
        return Err(TrainError::OtherSplit { path: path.clone(), difference });
    }
    // Tensors of one shape may be meant for another stride or pool.
    let (theirs, ours) = (&record.network.blocks, &model.network().blocks);
    if theirs != ours {
        let first = (0..).find(|i| theirs.get(*i) != ours.get(*i)).unwrap_or(0);
        let shown = |blocks: &[leitmotif_models::Block]| {
            blocks.get(first).map_or_else(|| "absent".to_owned(), |block| format!("{block:?}"))
        };
        let difference =
            format!("block {} is {} there and {} here", first + 1, shown(theirs), shown(ours));
        return Err(TrainError::OtherConvolutions { path: path.clone(), difference });
    }
    let is_block = |name: &String| name.starts_with("block");
    let mut weights = tensors::read(&locate(path).join(WEIGHTS))?;
    weights.retain(|name, _| is_block(name));
    let params = model.network().params(model.classes());
    let shapes = params.into_iter().map(|p| (p.name, p.shape)).filter(|(name, _)| is_block(name));
    check(shapes, &weights).map_err(|misfits| TrainError::Checkpoint {
        path: path.clone(),
        source: Box::new(TrainError::Weights(misfits)),
    })?;
    model.set_values(&weights)?;
    let RunRecord { network, epoch, dataset, split, .. } = &record;
    Ok(format!(
        "{} ({} head), epoch {epoch}, learnt from {}, split {}",
        network.name,
        network.head.kind,
        dataset.name,
        shown(split)
    ))
}
