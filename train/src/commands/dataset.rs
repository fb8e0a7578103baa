//! `leitmotif-train dataset`: `merge` joins the parts that `prepare --part` has made, `check` compares the samples of a
//! data set with what was stored.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::ensure;
use clap::{Args, Subcommand};
use leitmotif_dataset::prepare::Merge;
use leitmotif_dataset::store::Dataset;
use leitmotif_models::text::count;
use serde::Serialize;

use super::prepare::display::ProgressDisplay;
use crate::console::log;
use crate::error::TrainError;

/// Arguments of `dataset`.
#[derive(Debug, Args)]
pub struct DatasetArgs {
    #[command(subcommand)]
    command: DatasetCommand,
}

#[derive(Debug, Subcommand)]
enum DatasetCommand {
    /// Join the parts of `prepare --part` to the data set that one `prepare` of all music would make
    Merge(MergeArgs),
    /// Read all samples and compare them with those that were stored
    Check(CheckArgs),
}

const EXIT_STATUS: &str = "The parts are left as they are. Exit status:
  0    the data set is finished
  1    a part is missing, there twice, not finished, damaged or of other music or settings, or the data set cannot be
       written; what is done is kept, and the same command resumes from there
  2    wrong usage
  130  stopped by Ctrl-C; what is done is kept";

#[derive(Debug, Args)]
#[command(after_help = EXIT_STATUS)]
struct MergeArgs {
    /// Folders of parts, or folders that hold them: the --out of `prepare --part`
    #[arg(required = true)]
    parts: Vec<PathBuf>,
    /// Folder of the data set; an interrupted run resumes there
    #[arg(long)]
    out: PathBuf,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 all samples are as they were stored, 1 some are not or cannot be read, \
                        2 wrong usage, 130 stopped by Ctrl-C"
)]
struct CheckArgs {
    /// Folder of the data set
    dataset: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// What `check` found.
#[derive(Debug, Default, Serialize)]
struct Checked {
    clips: usize,
    /// Clips whose samples are not those that were stored.
    damaged: Vec<String>,
    /// Clips without a digest: the data set is older than these.
    without_digest: usize,
}

/// Runs `dataset`.
pub fn run(args: DatasetArgs) -> anyhow::Result<()> {
    match args.command {
        DatasetCommand::Merge(args) => merge(args),
        DatasetCommand::Check(args) => check(&args),
    }
}

fn check(args: &CheckArgs) -> anyhow::Result<()> {
    let stop = super::stop_flag()?;
    let dataset = Dataset::open(&args.dataset)?;
    let clips = dataset.clips();
    let display = ProgressDisplay::new("checking");
    let mut found = Checked { clips: clips.len(), ..Checked::default() };
    for (clip, row) in clips.iter().enumerate() {
        if stop.load(Ordering::SeqCst) {
            return Err(TrainError::Interrupted.into());
        }
        match dataset.is_intact(clip)? {
            Some(true) => {}
            Some(false) => found.damaged.push(row.clip.to_owned()),
            None => found.without_digest += 1,
        }
        display.update(&format!("{} of {} clips", clip + 1, clips.len()));
    }
    display.bar.finish_and_clear();
    let json = serde_json::to_string_pretty(&found)?;
    super::print(|out| if args.json { writeln!(out, "{json}") } else { write!(out, "{found}") })?;
    ensure!(
        found.damaged.is_empty(),
        "{}: the samples of {} clips are damaged; prepare it again in another folder",
        args.dataset.display(),
        found.damaged.len()
    );
    Ok(())
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for clip in &self.damaged {
            writeln!(f, "damaged: {clip}")?;
        }
        if self.without_digest > 0 {
            writeln!(
                f,
                "{} of {} clips have no digest, because they were stored by an older version: nothing is known of them",
                self.without_digest, self.clips
            )?;
        }
        let intact = self.clips - self.damaged.len() - self.without_digest;
        writeln!(f, "{intact} of {} clips have the samples that were stored", self.clips)
    }
}

fn merge(args: MergeArgs) -> anyhow::Result<()> {
    let stop = super::stop_flag()?;
    let stopped = || stop.load(Ordering::SeqCst);
    let merge = Merge::open(&args.parts)?;
    log!(
        "{} of {} songs of {} artists: at most {:.2} GB in {}",
        count(merge.parts(), "part"),
        merge.plan().songs(),
        merge.plan().artists(),
        merge.bytes() as f64 / 1e9,
        args.out.display()
    );
    let display = ProgressDisplay::for_songs("merging", merge.plan().songs());
    let mut update = |progress| display.update_songs(&progress);
    let report = merge.store(&args.out, &mut update, &stopped);
    display.bar.finish_and_clear();
    let report = report?;
    let json = serde_json::to_string_pretty(&report)?;
    super::print(|out| {
        if args.json {
            return writeln!(out, "{json}");
        }
        write!(out, "{report}")?;
        let list = args.out.join("left-out.csv");
        writeln!(out, "files left out, with reasons: {}", list.display())?;
        writeln!(
            out,
            "{} merged in {:.0} s; data set: {}",
            count(merge.parts(), "part"),
            report.wall_seconds,
            args.out.display()
        )
    })?;
    if !report.finished {
        log!(
            "stopped; what is done is kept in {}, and the same command resumes from there",
            args.out.display()
        );
        return Err(TrainError::Interrupted.into());
    }
    Ok(())
}
