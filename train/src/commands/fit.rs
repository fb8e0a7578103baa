//! `leitmotif-train fit`: trains a network on a prepared data set.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{ArgAction, Args, Parser as _};
use leitmotif_models::checkpoint::{BEST, LAST, RECORD};
use leitmotif_models::text::count;
use leitmotif_models::{Device, HeadKind, UnknownDevice};

use crate::console::{self, log};
use crate::error::{CheckpointError, SettingError, TrainError};
use crate::learn::adam::AdamConfig;
use crate::learn::augment::Augmentation;
use crate::learn::auxiliary::AuxiliaryConfig;
use crate::learn::bar::Bar;
use crate::learn::batches::{Balance, Crop};
use crate::learn::config::FitConfig;
use crate::learn::dry_run::dry_run;
use crate::learn::events::Observer;
use crate::learn::fit::{Outcome, fit_watched};
use crate::learn::schedule::Schedule;
use crate::learn::start::{
    Changes, PretrainedBlocks, Start, format_progress, newest_record, recorded_config,
};
use crate::learn::task::Task;
use crate::learn::together::statement;
use crate::model::device;
use crate::model::init::FirstFilters;
use crate::model::precision::Precision;
use crate::ranks::error::RanksError;
use crate::ranks::group::Ranks;
use crate::ranks::launch::{self, Ended};
use crate::ranks::meeting::Meeting;
use crate::ranks::world::World;
use crate::watch::json::JsonLines;
use crate::watch::tensorboard::TensorBoard;
use crate::watch::view::View;

/// Arguments of `fit`.
#[derive(Debug, Args)]
pub struct FitArgs {
    /// Folder of the data set
    dataset: PathBuf,
    /// Name of the split, e.g. `song-seed1`
    #[arg(long)]
    split: String,
    /// Folder of the run, for a new one
    #[arg(long, required_unless_present_any = ["resume", "dry_run"], conflicts_with = "resume")]
    out: Option<PathBuf>,
    /// Folder of a run to resume with its own settings; only --epochs, --device, --threads, --checkpoint-minutes and
    /// --keep-checkpoints may change. Without changes of the first three it ends like a run that never stopped, bit for
    /// bit on a CPU with one number of threads, and on one GPU with --deterministic
    #[arg(long)]
    resume: Option<PathBuf>,
    /// Settings from a recipe, before those given here, which win: `small` (tens of artists, hours of music: two cores, a
    /// quarter of an hour), `compact` (the same in five minutes, fewer right), `large` (hundreds of artists, a GPU; its
    /// accuracy is not measured), `paper` (the paper's model 1), or a TOML file whose keys are options of this list
    #[arg(long, conflicts_with = "resume")]
    recipe: Option<String>,
    /// Settings from a TOML file whose keys are options of this list, before those given here and after a recipe's; every
    /// run writes one, RUN/config.toml, with which another repeats it
    #[arg(long, value_name = "FILE.toml", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// A preset or a TOML file
    #[arg(long, default_value = "model3", conflicts_with = "resume")]
    network: String,
    /// Head, if not the one described: `dense` or `lstm`
    #[arg(long, conflicts_with = "resume")]
    head: Option<HeadKind>,
    /// Epochs: passes over the training part [default: 20]; with --resume, the new total, which a schedule follows
    #[arg(long)]
    epochs: Option<usize>,
    /// Music of other artists, which trains the network but is no answer of it: another data set, without the artists of
    /// this one; may be repeated, and is repeated with --resume
    #[arg(long, value_name = "DATASET")]
    auxiliary: Vec<PathBuf>,
    /// Device: `auto`, `cpu`, `cuda` or `cuda:N` [default: auto; with --resume, the run's own kind]
    #[arg(long)]
    device: Option<Device>,
    /// Threads of libtorch on the CPU [default: one for each core; with --resume, the run's own]
    #[arg(long)]
    threads: Option<usize>,
    /// Share every batch among so many processes of this machine, which this command starts; started by torchrun, mpirun,
    /// srun or Kubernetes, the number that must be there. Batch norms use the statistics of each process' clips
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    ranks: Option<u16>,
    /// With several processes: seconds after which the others end where one does not answer
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    rank_timeout: u32,
    /// Write a checkpoint within an epoch, too, once so many minutes have passed since the last: what a kill costs at
    /// most; 0 writes them at the ends of epochs only, and after Ctrl-C [default: 10; with --resume, the run's own]
    #[arg(long, value_name = "MINUTES")]
    checkpoint_minutes: Option<f64>,
    /// Keep the checkpoints of the last N finished epochs as OUT/epoch-0001 and so on, beside `last` and `best`
    /// [default: 0; with --resume, the run's own]
    #[arg(long, value_name = "N")]
    keep_checkpoints: Option<usize>,
    /// Start with the convolution blocks of this checkpoint, e.g. an LSTM with those of a dense network
    #[arg(long, value_name = "CHECKPOINT", conflicts_with = "resume")]
    start_from: Option<PathBuf>,
    /// Allow a checkpoint that was trained on another split or other music, and so perhaps on these test songs
    #[arg(long, requires = "start_from")]
    other_split: bool,
    /// Do not train these convolution blocks
    #[arg(long, requires = "start_from")]
    freeze_convolutions: bool,
    /// Begin the run in a folder that is removed again, take a few steps, and print what it will cost: time, memory, disk;
    /// with --json as JSON
    #[arg(long, conflicts_with = "resume")]
    dry_run: bool,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    settings: Settings,
}

/// How a run is watched.
#[derive(Debug, Args)]
struct WatchArgs {
    /// Print what happens as lines of JSON on standard output, of steps one a second; text stays on standard error
    #[arg(long)]
    json: bool,
    /// Write the curves into the run's folder for TensorBoard, too
    #[arg(long)]
    tensorboard: bool,
    /// Show curves and numbers on the whole terminal instead of a bar; without a terminal, lines as ever
    #[arg(long)]
    view: bool,
}

impl WatchArgs {
    fn observers(&self, run: &Path) -> Vec<Box<dyn Observer>> {
        let view = if self.view { View::open() } else { None };
        let bar = if view.is_some() { Bar::without_bar() } else { Bar::new() };
        let mut observers: Vec<Box<dyn Observer>> = vec![Box::new(bar)];
        if self.json {
            observers.push(Box::new(JsonLines::new(std::io::stdout())));
        }
        if self.tensorboard {
            observers.push(Box::new(TensorBoard::new(run)));
        }
        // Last, so that it shows what the others said.
        if let Some(view) = view {
            observers.push(Box::new(view));
        }
        observers
    }
}

/// Settings of a new run; a resumed run has its own.
#[derive(Debug, Args)]
#[group(conflicts_with = "resume")]
struct Settings {
    /// Clips in a batch
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Batches whose gradients are averaged for one step of Adam: as a larger batch, in the memory of one. Batch norms use
    /// the statistics of each batch of --batch clips
    #[arg(long, value_name = "BATCHES", default_value_t = 1)]
    accumulate: usize,
    /// Segments from each clip in a batch [default: all]; for an LSTM also the window of evaluation, export and serving
    #[arg(long)]
    segments: Option<usize>,
    /// Steps in an epoch [default: enough to see as many clips as there are]
    #[arg(long)]
    steps: Option<usize>,
    /// Where segments are cut from a clip
    #[arg(long, value_enum, default_value = "grid")]
    crop: Crop,
    /// How clips are chosen
    #[arg(long, value_enum, default_value = "clips")]
    balance: Balance,
    /// Highest learning rate
    #[arg(long = "rate", value_name = "RATE", default_value_t = 1e-3)]
    learning_rate: f64,
    /// How the learning rate changes
    #[arg(long, value_enum, default_value = "constant")]
    schedule: Schedule,
    /// Share of all steps over which the learning rate first rises linearly
    #[arg(long, default_value_t = 0.0)]
    warm_up: f64,
    /// Precision of training: of convolutions, LSTM and matrix products (tf32: fp32 where the device has none)
    #[arg(long, value_enum, default_value = "tf32")]
    precision: Precision,
    /// Let cuDNN try its algorithms and keep the fastest: bits may change from run to run
    #[arg(long)]
    cudnn_benchmark: bool,
    /// Let cuDNN take only algorithms that give the same bits each time
    #[arg(long, conflicts_with = "cudnn_benchmark")]
    deterministic: bool,
    /// On a GPU: batch norm, ReLU and pooling by libtorch's operators, not by one fused operator
    #[arg(long)]
    no_fused_operator: bool,
    /// On a GPU: launch every kernel by itself, not all of a step as one CUDA graph
    #[arg(long)]
    no_cuda_graph: bool,
    /// Shorten the gradients of a step, all together by their Euclidean norm, to this norm where they are longer
    #[arg(long, value_name = "NORM")]
    clip_gradients: Option<f64>,
    /// Weight decay: share of a weight taken off per step, times the learning rate
    #[arg(long, default_value_t = 0.0)]
    weight_decay: f64,
    /// Evaluate and save an exponential moving average of the weights, of which every step keeps this share, e.g. 0.999
    #[arg(long, value_name = "SHARE")]
    weight_average: Option<f64>,
    /// Label smoothing: share of each target spread over all artists
    #[arg(long, default_value_t = 0.0)]
    label_smoothing: f64,
    /// Augmentation: change the loudness by up to this many decibels
    #[arg(long, default_value_t = 0.0)]
    gain: f64,
    /// Augmentation: invert the sign of half of the clips; `--polarity=false` where a recipe does
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true",
          action = ArgAction::Set)]
    polarity: bool,
    /// Augmentation: change speed and pitch by up to this many semitones
    #[arg(long, default_value_t = 0.0)]
    speed: f64,
    /// Augmentation: change the tone colour by two one-tap filters with taps up to this value
    #[arg(long, default_value_t = 0.0)]
    colour: f64,
    /// Augmentation: raise or lower four random bands by up to this many decibels
    #[arg(long, value_name = "DECIBELS", default_value_t = 0.0)]
    equalizer: f64,
    /// Augmentation: take off what is above 2.5 to 7.5 kHz, as lossy codecs do, in this share of the segments
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    low_pass: f64,
    /// Augmentation: add white noise, this many decibels quieter than the music or up to 30 more
    #[arg(long, value_name = "DECIBELS")]
    noise: Option<f64>,
    /// Augmentation: silence a stretch of up to this many seconds in every segment
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    time_mask: f64,
    /// Augmentation: alpha of mixup, at least 0.01; 0 for none
    #[arg(long, default_value_t = 0.0)]
    mixup: f64,
    /// Share of the clips that mixup mixes
    #[arg(long, default_value_t = 1.0)]
    mixup_share: f64,
    /// Share of the clips that become noise or tones, of which every artist is equally probable: so that the network is
    /// not certain of what is no music
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    noise_clips: f64,
    /// Share of auxiliary clips in a batch
    #[arg(long, value_name = "SHARE", default_value_t = AuxiliaryConfig::default().share)]
    auxiliary_share: f64,
    /// Outlier exposure: weight of the loss by which auxiliary clips become equally probable of all artists to recognise
    #[arg(long, value_name = "WEIGHT", default_value_t = AuxiliaryConfig::default().outlier_exposure)]
    outlier_exposure: f64,
    /// Batch norm: share of the old running statistics that is kept [default: the network's own, 0.99]
    #[arg(long)]
    norm_momentum: Option<f32>,
    /// Initial values of the first convolution's filters; an energy block's pairs begin in mel anyway
    #[arg(long, value_enum, default_value = "described")]
    first_filters: FirstFilters,
    /// Early stopping after this many epochs without better validation; needs a split with a validation part
    #[arg(long)]
    patience: Option<usize>,
    /// Evaluate the test part after every epoch, for curves as in the paper; nothing is chosen by it
    #[arg(long)]
    watch_test: bool,
    /// Seed of initial values, batches and augmentation
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs `fit`: in this process, as one of several, or by starting several.
pub fn run(args: FitArgs) -> anyhow::Result<()> {
    let world = World::from_environment().map_err(TrainError::from)?;
    let ranks = args.ranks.map(usize::from);
    let count = world.as_ref().map(|world| world.size).or(ranks).unwrap_or(1);
    if args.resume.is_none() && args.settings.batch < count {
        let (batch, ranks) = (args.settings.batch, count);
        return Err(TrainError::from(SettingError::BatchBelowRanks { batch, ranks }).into());
    }
    let Some(world) = world else {
        return match ranks {
            Some(ranks) if ranks > 1 => start_ranks(&args, ranks),
            _ => train(args, None),
        };
    };
    if let Some(asked) = ranks.filter(|asked| *asked != world.size) {
        let World { size: found, launcher, .. } = world;
        return Err(TrainError::from(RanksError::OtherCount { asked, found, launcher }).into());
    }
    if args.dry_run {
        anyhow::bail!(NO_DRY_RUN);
    }
    if !world.is_first() {
        console::silence();
    }
    let meeting = Meeting::open(world, Duration::from_secs(args.rank_timeout.into()));
    let meeting = meeting.map_err(TrainError::from)?;
    let done = train(args, Some(&meeting));
    if let Err(error) = &done {
        meeting.end(&format!("{error:#}"));
    }
    done
}

const NO_DRY_RUN: &str =
    "--dry-run measures one process: give it the --batch of one rank, without --ranks";

fn start_ranks(args: &FitArgs, ranks: usize) -> anyhow::Result<()> {
    if args.dry_run {
        anyhow::bail!(NO_DRY_RUN);
    }
    let signals = super::signal_count()?;
    match launch::launch(ranks, &signals).map_err(TrainError::from)? {
        Ended::Well => Ok(()),
        Ended::Interrupted => Err(TrainError::Interrupted.into()),
        Ended::Failed => Err(Reported.into()),
    }
}

/// An error that standard error has already.
#[derive(Debug, thiserror::Error)]
#[error("a rank ended with an error")]
pub struct Reported;

/// Trains in this process, as one of the ranks of a `meeting` if there is one.
fn train(args: FitArgs, meeting: Option<&Meeting>) -> anyhow::Result<()> {
    let stop = match meeting {
        None => super::stop_flag()?,
        Some(_) => super::stop_flag_of_rank()?,
    };
    if meeting.is_some() && launch::is_launched() {
        launch::stop_with_launcher(Arc::clone(&stop));
    }
    let is_other = meeting.is_some_and(|meeting| !meeting.world().is_first());
    let task = Task::open(&args.dataset, &args.split)?.with_auxiliary(&args.auxiliary)?;
    // A dry run needs no folder but to say how much space it has.
    let out = args.out.or_else(|| args.dry_run.then(|| PathBuf::from("leitmotif-run")));
    let (run, start, device) = match (args.resume, out) {
        (Some(run), _) => {
            let changes = Changes {
                epochs: args.epochs,
                threads: args.threads.or_else(|| threads_of_other_ranks(&run, meeting)),
                checkpoint_minutes: args.checkpoint_minutes,
                keep_checkpoints: args.keep_checkpoints,
            };
            let device = match args.device {
                Some(asked) => device::resolve_for_training(asked)?,
                // Rank 0's decides: the others may be on machines that do not have the run's folder.
                None if is_other => {
                    let recorded = recorded_device(&run);
                    recorded.or_else(|_| device::resolve(Device::default()))?
                }
                None => recorded_device(&run)?,
            };
            (run, Start::Resume(changes), device)
        }
        (None, Some(run)) => {
            let mut network = super::network(&args.network)?;
            if let Some(head) = args.head {
                network = network.with_head(head);
            }
            let mut config = args.settings.config();
            config.epochs = args.epochs.unwrap_or(config.epochs);
            config.threads = args.threads.unwrap_or_else(|| threads_of_rank(meeting));
            config.checkpoint_minutes =
                args.checkpoint_minutes.unwrap_or(config.checkpoint_minutes);
            config.keep_checkpoints = args.keep_checkpoints.unwrap_or(config.keep_checkpoints);
            config.freeze_convolutions = args.freeze_convolutions;
            config.recipe = args.recipe;
            let other_split = args.other_split;
            let pretrained =
                args.start_from.map(|checkpoint| PretrainedBlocks { checkpoint, other_split });
            let (network, config) = (Box::new(network), Box::new(config));
            let device = device::resolve_for_training(args.device.unwrap_or_default())?;
            (run, Start::Fresh { network, config, pretrained }, device)
        }
        (None, None) => anyhow::bail!("give a folder for the run with --out"),
    };
    if args.dry_run {
        let estimate = dry_run(&run, &task, start, device, &stop)?;
        let json = serde_json::to_string_pretty(&estimate)?;
        return super::print(|out| match args.watch.json {
            true => writeln!(out, "{json}"),
            false => write!(out, "{estimate}"),
        });
    }
    let device = own_gpu(device, meeting)?;
    let ranks = match meeting {
        None => None,
        Some(meeting) => {
            let statement = statement(&run, &task, &start, device);
            Some(Ranks::join(meeting, &statement, &stop).map_err(TrainError::from)?)
        }
    };
    let is_first = ranks.as_ref().is_none_or(Ranks::is_first);
    let observers = if is_first { args.watch.observers(&run) } else { Vec::new() };
    match fit_watched(&run, &task, start, device, &stop, observers, ranks.as_ref()) {
        Ok(_) if !is_first => Ok(()),
        Ok(outcome) => {
            let summary = format_outcome(&outcome, &run, &args.split);
            if args.watch.json {
                log!("{}", summary.trim_end());
                return Ok(());
            }
            super::print(|out| out.write_all(summary.as_bytes()))
        }
        Err(TrainError::Interrupted) => {
            log_how_to_resume(&run);
            Err(TrainError::Interrupted.into())
        }
        // What could not be written may be a full disk.
        Err(error @ TrainError::File { .. }) if newest_record(&run).is_ok() => {
            log_how_to_resume(&run);
            Err(error.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Threads of a process, of which this machine has others.
fn threads_of_rank(meeting: Option<&Meeting>) -> usize {
    let here = meeting.and_then(|meeting| meeting.world().local_size).unwrap_or(1);
    (super::cores(None) / here.max(1)).max(1)
}

/// Those of a run that is resumed by another number of ranks: its own were for as many as it had.
fn threads_of_other_ranks(run: &Path, meeting: Option<&Meeting>) -> Option<usize> {
    let last = run.join(LAST);
    // What cannot be read is reported where the run is resumed.
    let config = recorded_config(&last, &newest_record(run).ok()?).ok()?;
    let ranks = meeting.map_or(1, |meeting| meeting.world().size);
    (config.ranks != ranks).then(|| threads_of_rank(meeting))
}

/// The GPU of a rank: each of a machine's ranks takes its own, as long as there are enough.
fn own_gpu(device: tch::Device, meeting: Option<&Meeting>) -> anyhow::Result<tch::Device> {
    let (tch::Device::Cuda(0), Some(meeting)) = (device, meeting) else { return Ok(device) };
    let count = usize::try_from(tch::Cuda::device_count()).unwrap_or(1).max(1);
    Ok(device::resolve(Device::Cuda(meeting.world().local_rank % count))?)
}

/// The settings that these options of a new run stand for, by the recipe of that name.
///
/// # Errors
///
/// What is wrong with an option, as text.
pub(crate) fn config(recipe: &str, options: Vec<OsString>) -> Result<FitConfig, String> {
    /// `fit` on its own, as the recipe's options come twice.
    #[derive(clap::Parser)]
    #[command(allow_negative_numbers = true, args_override_self = true)]
    struct Options {
        #[command(flatten)]
        fit: FitArgs,
    }
    let required = ["fit", "-", "--split=-", "--out=-"].map(OsString::from);
    let options = Options::try_parse_from(required.into_iter().chain(options));
    let FitArgs { settings, epochs, .. } = options.map_err(|error| error.to_string())?.fit;
    let config = settings.config();
    let (epochs, recipe) = (epochs.unwrap_or(config.epochs), Some(recipe.to_owned()));
    Ok(FitConfig { epochs, recipe, ..config })
}

/// The device of a run so far.
fn recorded_device(run: &Path) -> anyhow::Result<tch::Device> {
    let last = run.join(LAST);
    let config = recorded_config(&last, &newest_record(run)?)?;
    let choice: Device = config.device.parse().map_err(|error: UnknownDevice| {
        CheckpointError::Config { path: last.join(RECORD), reason: error.to_string() }
    })?;
    device::resolve(choice).with_context(|| {
        format!(
            "the run used {choice}; --device moves it to another device, and run.json records that"
        )
    })
}

/// What a run came to, in several lines, each with its end.
fn format_outcome(outcome: &Outcome, run: &Path, split: &str) -> String {
    let (epochs, best) = (count(outcome.epochs, "epoch"), outcome.best_epoch);
    let summary = format!("{epochs}; best after epoch {best}\n");
    match &outcome.best {
        Some(scores) => {
            let best = run.join(BEST);
            format!("{summary}test part of {split} with {}:\n{scores}", best.display())
        }
        None => summary,
    }
}

fn log_how_to_resume(run: &Path) {
    let folder = run.display();
    match newest_record(run) {
        Ok(record) => {
            let held = format_progress(&record);
            log!("stopped; {folder} holds {held}: resume it with --resume {folder}");
        }
        Err(_) => log!("stopped before the first step: start it again with --out {folder}"),
    }
}

impl Settings {
    fn config(self) -> FitConfig {
        let defaults = FitConfig::default();
        FitConfig {
            batch: self.batch,
            accumulate: self.accumulate,
            segments: self.segments,
            crop: self.crop,
            balance: self.balance,
            steps_per_epoch: self.steps,
            learning_rate: self.learning_rate,
            schedule: self.schedule,
            warm_up: self.warm_up,
            adam: AdamConfig {
                weight_decay: self.weight_decay,
                clip_gradients: self.clip_gradients,
                ..defaults.adam
            },
            weight_average: self.weight_average,
            label_smoothing: self.label_smoothing,
            augmentation: Augmentation {
                gain: self.gain,
                polarity: self.polarity,
                speed: self.speed,
                colour: self.colour,
                equalizer: self.equalizer,
                low_pass: self.low_pass,
                noise: self.noise,
                time_mask: self.time_mask,
                mixup: self.mixup,
                mixup_share: self.mixup_share,
                noise_clips: self.noise_clips,
            },
            auxiliary: AuxiliaryConfig {
                share: self.auxiliary_share,
                outlier_exposure: self.outlier_exposure,
            },
            norm_momentum: self.norm_momentum,
            first_filters: self.first_filters,
            patience: self.patience,
            watch_test: self.watch_test,
            precision: self.precision,
            cudnn_benchmark: self.cudnn_benchmark,
            deterministic: self.deterministic,
            no_fused_operator: self.no_fused_operator,
            no_cuda_graph: self.no_cuda_graph,
            seed: self.seed,
            ..defaults
        }
    }
}
