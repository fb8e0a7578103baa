//! `leitmotif-train split`: which clips of a data set teach, which guide, which judge.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use leitmotif::store::{self, Dataset, Part};

use crate::split::{LeakReport, Protocol, SplitRequest, split};

/// Arguments of `split`.
#[derive(Debug, Args)]
pub struct SplitArgs {
    /// Folder of the data set
    dataset: PathBuf,
    /// What must not lie on two sides
    #[arg(long, value_enum, default_value = "song")]
    by: Protocol,
    /// Seed of the choice
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Share of each artist's clips to test on
    #[arg(long, default_value_t = 0.2)]
    test: f64,
    /// Share to validate on of the clips that testing leaves
    #[arg(long, default_value_t = 0.1)]
    validation: f64,
    /// Print the counts and the leak report as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `split`.
pub fn run(args: SplitArgs) -> anyhow::Result<()> {
    let dataset = Dataset::open(&args.dataset)?;
    let request = SplitRequest {
        protocol: args.by,
        seed: args.seed,
        test: args.test,
        validation: args.validation,
    };
    let split = split(dataset.clips(), &request)?;
    let leaks = LeakReport::new(dataset.clips(), &split.parts);
    store::write_split(&args.dataset, &request.name(), dataset.clips(), &split.parts)?;
    let [train, validation, test] =
        [Part::Train, Part::Validation, Part::Test].map(|part| split.count(part));
    let mut out = std::io::stdout().lock();
    if args.json {
        let json = serde_json::json!({
            "name": request.name(), "request": request, "clips": { "train": train, "validation": validation, "test": test },
            "without": split.without, "without_validation": split.without_validation, "leaks": leaks,
        });
        writeln!(out, "{json:#}")?;
        return Ok(());
    }
    for artist in &split.without {
        writeln!(out, "takes no part: {artist}")?;
    }
    for artist in &split.without_validation {
        writeln!(out, "no validation clips (two {}s only): `{artist}`", args.by)?;
    }
    writeln!(
        out,
        "{}: {train} clips to train, {validation} to validate, {test} to test",
        request.name()
    )?;
    write!(out, "{leaks}")?;
    Ok(())
}
