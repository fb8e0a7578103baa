//! `leitmotif-train compare`: runs side by side.

use std::path::PathBuf;

use clap::Args;

use crate::error::TrainError;
use crate::runs::compare::Comparison;
use crate::runs::run::{Run, names};

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Folders of the runs
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Print JSON, with every epoch
    #[arg(long)]
    json: bool,
}

/// Runs `compare`.
pub fn run(args: CompareArgs) -> anyhow::Result<()> {
    let runs: Vec<Run> =
        args.runs.iter().map(|run| Run::read(run)).collect::<Result<_, TrainError>>()?;
    let comparison = Comparison::of(names(&args.runs)?, &runs);
    if args.json {
        let json = serde_json::to_string_pretty(&comparison)?;
        return super::print(|out| writeln!(out, "{json}"));
    }
    super::print(|out| write!(out, "{}", comparison.text()))
}
