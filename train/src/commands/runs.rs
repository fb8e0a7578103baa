//! `leitmotif-train runs`: a table of the runs below a folder.

use std::path::PathBuf;

use clap::Args;

use crate::runs::list::{list, table};

/// Arguments of `runs`.
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// A folder with runs, at any depth
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `runs`.
pub fn run(args: RunsArgs) -> anyhow::Result<()> {
    let rows = list(&args.folder)?;
    if args.json {
        let json = serde_json::to_string_pretty(&rows)?;
        return super::print(|out| writeln!(out, "{json}"));
    }
    super::print(|out| write!(out, "{}", table(&rows)))
}
