//! `leitmotif-train report`: the results of experiments so far, or one run, as one HTML file.

use std::path::PathBuf;

use clap::Args;

use crate::learn::checkpoint::check_writable;
use crate::paper::report::Report;

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Folder of the results, as `experiment` fills it, or of one run, as `fit` does
    folder: PathBuf,
    /// The page; the numbers go into CSV files in a folder beside it
    #[arg(long, default_value = "report.html")]
    out: PathBuf,
    /// Also write the numbers to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs `report`.
pub fn run(args: ReportArgs) -> anyhow::Result<()> {
    let report = Report::of(&args.folder)?;
    anyhow::ensure!(
        args.json.as_ref() != Some(&args.out),
        "--out and --json are the same file, {}: the page and its numbers need one each",
        args.out.display()
    );
    for file in std::iter::once(&args.out).chain(&args.json) {
        check_writable(file)?;
    }
    let tables = report.write(&args.out, args.json.as_deref())?;
    super::print(|out| {
        let count = report.tables().count();
        writeln!(out, "{} and {count} tables in {}", args.out.display(), tables.display())
    })
}
