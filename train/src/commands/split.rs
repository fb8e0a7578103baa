//! `leitmotif-train split`: which clips of a data set teach, which guide, which judge.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use leitmotif_dataset::store::{self, Dataset, Part, StoreError};

use crate::console::log;
use leitmotif_dataset::split::{LeakReport, Protocol, SplitRequest, split};

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
    /// Replace a split of the same name that divides the clips otherwise; what was trained on that one then fits no split
    #[arg(long)]
    force: bool,
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
    let (name, clips) = (request.name(), dataset.clips());
    let split = split(clips, &request)?;
    let leaks = LeakReport::new(clips, &split.parts);
    match dataset.read_split(&name) {
        Ok(there) if there == split.parts => log!("{name} is there already and stays as it is"),
        Ok(_) if !args.force => bail!(
            "{} already has a split {name} that divides the clips otherwise (other shares, or other music then); \
             choose another --seed, or replace it with --force",
            args.dataset.display()
        ),
        Err(error) if !args.force && !matches!(error, StoreError::NoSplit { .. }) => {
            return Err(error)
                .context("the split that is there cannot be read; replace it with --force");
        }
        _ => store::write_split(&args.dataset, &name, clips, &split.parts)?,
    }
    let [train, validation, test] =
        [Part::Train, Part::Validation, Part::Test].map(|part| split.count(part));
    super::print(|out| {
        if args.json {
            let json = serde_json::json!({
                "name": name, "request": request, "clips": { "train": train, "validation": validation, "test": test },
                "without": split.without, "without_validation": split.without_validation, "leaks": leaks,
            });
            return writeln!(out, "{json:#}");
        }
        for artist in &split.without {
            writeln!(out, "takes no part: {artist}")?;
        }
        for artist in &split.without_validation {
            writeln!(out, "no validation clips (two {}s only): `{artist}`", args.by)?;
        }
        writeln!(out, "{name}: {train} clips to train, {validation} to validate, {test} to test")?;
        write!(out, "{leaks}")
    })
}
