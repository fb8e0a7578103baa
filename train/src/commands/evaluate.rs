//! `leitmotif-train evaluate`: predictions and scores of a checkpoint on a part of a split.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use leitmotif_models::{Device, Scores};

use crate::console::log;
use crate::error::CheckpointError;
use crate::learn::bar::{bar, evaluation};
use crate::learn::checkpoint::{Checkpoint, check_writable, write_text};
use crate::learn::evaluate::evaluate;
use crate::learn::task::{Task, format_names};
use crate::model::device;
use crate::model::network::Model;

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
    /// Allow another split than the one it was trained on: it may have been trained on the songs that test it
    #[arg(long)]
    other_split: bool,
    /// Part of the split: `train`, `validation` or `test`
    #[arg(long, default_value = "test")]
    part: String,
    /// Write the predictions for every clip to this file
    #[arg(long)]
    predictions: Option<PathBuf>,
    /// Device: `auto`, `cpu`, `cuda` or `cuda:N`
    #[arg(long, default_value = "auto")]
    device: Device,
    /// Threads of libtorch on the CPU [default: one for each core]
    #[arg(long)]
    threads: Option<usize>,
    /// Print the scores as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `evaluate`.
pub fn run(args: EvaluateArgs) -> anyhow::Result<()> {
    let stop = super::stop_flag()?;
    let device = device::resolve(args.device)?;
    super::set_threads(args.threads);
    let Checkpoint { record, weights, .. } = Checkpoint::read(&args.checkpoint)?;
    let task = Task::open_for(&args.dataset, &args.split, &record.classes)?;
    if !args.other_split {
        let path = args.checkpoint.clone();
        if let Some(difference) = task.difference_to(&record.split) {
            return Err(CheckpointError::OtherSplit { path, difference }.into());
        }
    }
    let (clips, artists) = task.left_out(Some(&args.part));
    if clips > 0 {
        log!(
            "{clips} clips are left out: the checkpoint has no class for {}",
            format_names(artists.into_iter())
        );
    }
    let part = task.part(&args.part)?;
    if let Some(file) = &args.predictions {
        check_writable(file)?;
    }
    let model = Model::from_values(record.network, record.classes.len(), &weights, device)?;
    let bar = bar(part.len());
    let progress = evaluation(bar.clone(), &args.part, part.len());
    let evaluated = evaluate(&model, &task, part, &stop, progress);
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let predictions = evaluated?.predictions;
    if let Some(file) = &args.predictions {
        write_text(file, &predictions.to_lines()?)?;
    }
    let scores = Scores::of(&predictions).context("there are no clips to evaluate")?;
    let json = serde_json::to_string_pretty(&scores)?;
    super::print(|out| {
        if args.json {
            return writeln!(out, "{json}");
        }
        writeln!(out, "{} part of {} on {}", args.part, args.split, device::name(device))?;
        write!(out, "{scores}")
    })
}
