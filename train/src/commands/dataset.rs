//! `leitmotif-train dataset merge`: joins the parts that `prepare --part` has made.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::{Args, Subcommand};
use leitmotif_dataset::prepare::Merge;
use leitmotif_models::text::count;

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

/// Runs `dataset`.
pub fn run(args: DatasetArgs) -> anyhow::Result<()> {
    let DatasetCommand::Merge(args) = args.command;
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
