//! `leitmotif-train evaluate`: a checkpoint's answers for a part of a split.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use leitmotif_models::Scores;

use crate::checkpoint::{Checkpoint, write_text};
use crate::device::DeviceChoice;
use crate::error::TrainError;
use crate::evaluate::predict;
use crate::network::Model;
use crate::task::Task;

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Folder of the checkpoint
    checkpoint: PathBuf,
    /// Folder of the data set
    dataset: PathBuf,
    /// Name of the split, e.g. `song-seed1`
    #[arg(long)]
    split: String,
    /// Part of the split: `train`, `validation` or `test`
    #[arg(long, default_value = "test")]
    part: String,
    /// Write the answer for every clip to this file
    #[arg(long)]
    predictions: Option<PathBuf>,
    /// Device: `auto`, `cpu`, `cuda` or `cuda:N`
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// Threads of libtorch on the CPU [default: one a core]
    #[arg(long)]
    threads: Option<usize>,
    /// Print the scores as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `evaluate`.
pub fn run(args: EvaluateArgs) -> anyhow::Result<()> {
    let stop = super::stop_flag()?;
    let device = args.device.resolve()?;
    super::set_threads(args.threads);
    let checkpoint = Checkpoint::read(&args.checkpoint)?;
    let task = Task::open(&args.dataset, &args.split)?;
    if checkpoint.record.classes != task.classes {
        return Err(TrainError::OtherArtists {
            path: args.checkpoint,
            then: checkpoint.record.classes.join(", "),
            now: task.classes.join(", "),
        }
        .into());
    }
    let classes = task.classes.len();
    let model =
        Model::from_values(checkpoint.record.network, classes, &checkpoint.weights, device)?;
    let predictions = predict(&model, &task, task.part(&args.part)?, &stop, |_| {})?;
    if let Some(file) = &args.predictions {
        write_text(file, &predictions.to_lines()?)?;
    }
    let scores = Scores::of(&predictions).context("there is nothing to judge")?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&scores)?);
    } else {
        println!("{} part of {} on {device:?}", args.part, args.split);
        super::print_scores(&scores);
    }
    Ok(())
}
