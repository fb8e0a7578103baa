//! `leitmotif-train split`: divides a data set into training, validation and test parts.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use leitmotif_dataset::split::{LeakReport, Protocol, SplitRequest, split};
use leitmotif_dataset::store::{self, Dataset, Part, StoreError};

use crate::console::log;

/// Arguments of `split`.
#[derive(Debug, Args)]
pub struct SplitArgs {
    /// Folder of the data set
    dataset: PathBuf,
    /// Unit that stays in one part
    #[arg(long, value_enum, default_value = "song")]
    by: Protocol,
    /// Seed of the shuffle
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Share of each artist's clips in the test part
    #[arg(long, default_value_t = 0.2)]
    test: f64,
    /// Share of the remaining clips in the validation part; 0 for none
    #[arg(long, default_value_t = 0.1)]
    validation: f64,
    /// Replace a different split of the same name; runs that were trained on the old one then match no split
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
        Ok(parts) if parts == split.parts => {
            log!("the split {name} exists already and stays as it is")
        }
        Ok(_) if !args.force => bail!(
            "{} already has a different split {name} (made with other shares or from other music); \
             choose another --seed, or replace it with --force",
            args.dataset.display()
        ),
        Err(error) if !args.force && !matches!(error, StoreError::NoSplit { .. }) => {
            return Err(error)
                .context("the existing split cannot be read; replace it with --force");
        }
        _ => store::write_split(&args.dataset, &name, clips, &split.parts)?,
    }
    let [train, validation, test] =
        [Part::Train, Part::Validation, Part::Test].map(|part| split.count(part));
    super::print(|out| {
        if args.json {
            let json = serde_json::json!({
                "name": name,
                "request": request,
                "clips": { "train": train, "validation": validation, "test": test },
                "without": split.excluded_artists,
                "without_validation": split.artists_without_validation,
                "leaks": leaks,
            });
            return writeln!(out, "{json:#}");
        }
        for artist in &split.excluded_artists {
            writeln!(out, "excluded: {artist}")?;
        }
        for artist in &split.artists_without_validation {
            writeln!(out, "no validation clips (only two {}s): `{artist}`", args.by)?;
        }
        writeln!(out, "{name}: {train} training, {validation} validation and {test} test clips")?;
        write!(out, "{leaks}")
    })
}
