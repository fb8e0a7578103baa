//! `leitmotif-train fit`: trains a network on a prepared data set.

use std::path::{Path, PathBuf};

use clap::Args;
use leitmotif_models::HeadKind;

use crate::augment::Augmentation;
use crate::batches::{Balance, Crop};
use crate::config::FitConfig;
use crate::device::DeviceChoice;
use crate::error::TrainError;
use crate::fit::{LAST, Start, fit};
use crate::init::FirstFilters;
use crate::schedule::Schedule;
use crate::task::Task;

/// Arguments of `fit`.
#[derive(Debug, Args)]
pub struct FitArgs {
    /// Folder of the data set
    dataset: PathBuf,
    /// Name of the split, e.g. `song-seed1`
    #[arg(long)]
    split: String,
    /// Folder of the run, for a new one
    #[arg(long, required_unless_present = "resume", conflicts_with = "resume")]
    out: Option<PathBuf>,
    /// Folder of a run that goes on, with its own settings
    #[arg(long)]
    resume: Option<PathBuf>,
    /// A preset or a TOML file
    #[arg(long, default_value = "model3")]
    network: String,
    /// Another head than described: `dense` or `lstm`
    #[arg(long)]
    head: Option<HeadKind>,
    /// Device: `auto`, `cpu`, `cuda` or `cuda:N`
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// Start with the convolutions of this checkpoint, e.g. an LSTM with those of a dense network
    #[arg(long, value_name = "CHECKPOINT")]
    start_from: Option<PathBuf>,
    /// Leave the convolutions as they are
    #[arg(long, requires = "start_from")]
    freeze_convolutions: bool,
    #[command(flatten)]
    settings: Settings,
}

/// Settings of a new run.
#[derive(Debug, Args)]
struct Settings {
    /// Times over the training part
    #[arg(long, default_value_t = 20)]
    epochs: usize,
    /// Clips in a batch
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Segments from each clip in a batch [default: all]
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
    /// Learning rate at its highest
    #[arg(long, default_value_t = 1e-3)]
    rate: f64,
    /// How the learning rate changes
    #[arg(long, value_enum, default_value = "constant")]
    schedule: Schedule,
    /// Share of all steps over which the learning rate first rises
    #[arg(long, default_value_t = 0.0)]
    warm_up: f64,
    /// Share of a weight taken off per step, times the rate
    #[arg(long, default_value_t = 0.0)]
    weight_decay: f64,
    /// Share of each target spread over all artists
    #[arg(long, default_value_t = 0.0)]
    label_smoothing: f64,
    /// Change loudness by up to so many decibels
    #[arg(long, default_value_t = 0.0)]
    gain: f64,
    /// Turn half of the clips upside down
    #[arg(long)]
    polarity: bool,
    /// Change speed and pitch by up to so many semitones
    #[arg(long, default_value_t = 0.0)]
    speed: f64,
    /// Change tone colour: two short echoes of up to so much of the sound
    #[arg(long, default_value_t = 0.0)]
    colour: f64,
    /// Alpha of mixup; 0 for none
    #[arg(long, default_value_t = 0.0)]
    mixup: f64,
    /// Share of the clips that mixup mixes
    #[arg(long, default_value_t = 1.0)]
    mixup_share: f64,
    /// Share of old running statistics that batch norms keep [default: the network's own, 0.99]
    #[arg(long)]
    norm_momentum: Option<f32>,
    /// How the filters of the first convolution begin
    #[arg(long, value_enum, default_value = "described")]
    first_filters: FirstFilters,
    /// End after so many epochs without better validation
    #[arg(long)]
    patience: Option<usize>,
    /// Seed of first values, batches and augmentation
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads of libtorch on the CPU [default: one a core]
    #[arg(long)]
    threads: Option<usize>,
}

/// Runs `fit`.
pub fn run(args: FitArgs) -> anyhow::Result<()> {
    let stop = super::stop_flag()?;
    let device = args.device.resolve()?;
    let task = Task::open(&args.dataset, &args.split)?;
    let (run, start) = match (args.resume, args.out) {
        (Some(run), _) => (run, Start::Resume),
        (None, Some(run)) => {
            let mut network = super::network(&args.network)?;
            if let Some(head) = args.head {
                network = network.with_head(head);
            }
            let mut config = args.settings.config();
            config.freeze_convolutions = args.freeze_convolutions;
            config.device = if device == tch::Device::Cpu { "cpu" } else { "cuda" }.to_owned();
            let (network, config) = (Box::new(network), Box::new(config));
            (run, Start::Fresh { network, config, convolutions_of: args.start_from })
        }
        (None, None) => anyhow::bail!("give a folder for the run with --out"),
    };
    match fit(&run, &task, start, device, &stop) {
        Ok(outcome) => {
            println!("{} epochs; best after epoch {}", outcome.epochs, outcome.best_epoch);
            if let Some(scores) = &outcome.best {
                println!("test part of {} with {}:", args.split, run.join("best").display());
                super::print_scores(scores);
            }
            Ok(())
        }
        Err(TrainError::Interrupted) => {
            say_how_to_go_on(&run);
            Err(TrainError::Interrupted.into())
        }
        Err(error) => Err(error.into()),
    }
}

fn say_how_to_go_on(run: &Path) {
    let run_shown = run.display();
    match crate::checkpoint::read_record(&run.join(LAST)) {
        Ok(record) => eprintln!(
            "stopped; {run_shown} holds epoch {}: go on with --resume {run_shown}",
            record.epoch
        ),
        Err(_) => {
            eprintln!("stopped before the end of the first epoch: {run_shown} holds no checkpoint")
        }
    }
}

impl Settings {
    fn config(self) -> FitConfig {
        let defaults = FitConfig::default();
        FitConfig {
            epochs: self.epochs,
            batch: self.batch,
            segments: self.segments,
            crop: self.crop,
            balance: self.balance,
            steps_per_epoch: self.steps,
            rate: self.rate,
            schedule: self.schedule,
            warm_up: self.warm_up,
            adam: crate::adam::AdamConfig { weight_decay: self.weight_decay, ..defaults.adam },
            label_smoothing: self.label_smoothing,
            augmentation: Augmentation {
                gain: self.gain,
                polarity: self.polarity,
                speed: self.speed,
                colour: self.colour,
                mixup: self.mixup,
                mixup_share: self.mixup_share,
            },
            norm_momentum: self.norm_momentum,
            first_filters: self.first_filters,
            patience: self.patience,
            seed: self.seed,
            threads: super::cores(self.threads),
            ..defaults
        }
    }
}
