//! `leitmotif-train calibrate`: fits temperature and threshold of a checkpoint and writes them into its `run.json`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use leitmotif_models::checkpoint::locate;
use leitmotif_models::{Confidence, Device};

use crate::error::CheckpointError;
use crate::learn::bar::{bar, evaluation};
use crate::learn::checkpoint::{Checkpoint, read_record, write_record};
use crate::learn::confidence::{calibrate, source};
use crate::learn::evaluate::evaluate;
use crate::learn::task::Task;
use crate::model::device;
use crate::model::network::Model;

/// Arguments of `calibrate`.
#[derive(Debug, Args)]
pub struct CalibrateArgs {
    /// Folder of the checkpoint
    checkpoint: PathBuf,
    /// Folder of the data set
    dataset: PathBuf,
    /// Name of the split that it was trained on, e.g. `song-seed1`
    #[arg(long)]
    split: String,
    /// Part of the split; what is fitted on the test part flatters the scores of that part
    #[arg(long, value_enum, default_value = "validation")]
    part: HeldOut,
    /// Another data set: how many songs of artists that the checkpoint does not know are accepted, of all in it [default:
    /// of those in the same part]
    #[arg(long, value_name = "DATASET")]
    unknown: Option<PathBuf>,
    /// Share of the songs of known artists that the threshold keeps, above 0 and at most 1
    #[arg(long, default_value_t = Confidence::KEEP)]
    keep: f64,
    /// Device: `auto`, `cpu`, `cuda` or `cuda:N`
    #[arg(long, default_value = "auto")]
    device: Device,
    /// Threads of libtorch on the CPU [default: one for each core]
    #[arg(long)]
    threads: Option<usize>,
    /// Print what was fitted as JSON
    #[arg(long)]
    json: bool,
}

/// Parts that did not train.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum HeldOut {
    Validation,
    Test,
}

/// Runs `calibrate`.
pub fn run(args: CalibrateArgs) -> anyhow::Result<()> {
    anyhow::ensure!(
        args.keep > 0.0 && args.keep <= 1.0,
        "--keep is {}, but it must be above 0 and at most 1",
        args.keep
    );
    let part = match args.part {
        HeldOut::Validation => "validation",
        HeldOut::Test => "test",
    };
    let stop = super::stop_flag()?;
    let device = device::resolve(args.device)?;
    super::set_threads(args.threads);
    let Checkpoint { mut record, weights, .. } = Checkpoint::read(&args.checkpoint)?;
    let task = Task::open_for(&args.dataset, &args.split, &record.classes)?;
    if let Some(difference) = task.difference_to(&record.split) {
        return Err(CheckpointError::OtherSplit { path: args.checkpoint, difference }.into());
    }
    let clips = task.part(part)?;
    let model = Model::from_values(record.network.clone(), record.classes.len(), &weights, device)?;
    let bar = bar(clips.len());
    let progress = evaluation(bar.clone(), part, clips.len());
    let known = evaluate(&model, &task, clips, &stop, progress);
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let here = (args.dataset.as_path(), Some((args.split.as_str(), part)));
    let unknown = args.unknown.as_deref().map_or(here, |folder: &Path| (folder, None));
    let predictions = known?.predictions;
    let confidence =
        calibrate(&model, &predictions, source(&task, part), args.keep, unknown, &stop, None)?
            .with_context(|| {
                format!("the {part} part has fewer than {} songs", Confidence::LEAST_SONGS)
            })?;
    // A run may have replaced it meanwhile, whose newer weights must not get this older record.
    if read_record(&args.checkpoint)? != record {
        let path = args.checkpoint;
        return Err(CheckpointError::Replaced { path }.into());
    }
    record.confidence = Some(confidence.clone());
    write_record(&locate(&args.checkpoint), &record)?;
    let json = serde_json::to_string_pretty(&confidence)?;
    super::print(|out| match args.json {
        true => writeln!(out, "{json}"),
        false => super::write_confidence(out, &confidence),
    })
}
