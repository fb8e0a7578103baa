//! Writes the tables in the documents from the newest results. With `--since` or `--paper`, first keeps a new result.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use clap::Parser;
use leitmotif_benches::machine::Machine;
use leitmotif_benches::paper::{ANSWERS, MACHINE};
use leitmotif_benches::results::{self, OWN, Own};
use leitmotif_benches::table;

#[derive(Parser)]
struct Arguments {
    /// Keep what `cargo bench` measured since this time, in seconds since 1970
    #[arg(long)]
    since: Option<u64>,
    /// Keep the CSV tables of a report of `leitmotif-train experiment all --scale small`, made on this machine and commit
    #[arg(long, value_name = "TABLES")]
    paper: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let arguments = Arguments::parse();
    if let Some(since) = arguments.since {
        let target = std::env::var_os("CARGO_TARGET_DIR");
        let criterion = target.map_or(home.join("../target"), PathBuf::from).join("criterion");
        let own = Own::gather(&criterion, SystemTime::UNIX_EPOCH + Duration::from_secs(since))?;
        own.write(&new_result(&own.machine, OWN)?)?;
    }
    if let Some(tables) = arguments.paper {
        let machine = Machine::here();
        let answers = new_result(&machine, ANSWERS)?;
        for entry in fs::read_dir(&tables).with_context(|| tables.display().to_string())? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "csv") {
                let name = path.file_name().unwrap_or_default();
                fs::copy(&path, answers.with_file_name(name))
                    .with_context(|| path.display().to_string())?;
            }
        }
        let text = serde_json::to_string_pretty(&machine)? + "\n";
        fs::write(answers.with_file_name(MACHINE), text)?;
    }
    for (path, text) in table::documents(&home.join(".."), &results::folder())? {
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Where a new result of this name goes; its folder is made.
fn new_result(machine: &Machine, name: &str) -> anyhow::Result<PathBuf> {
    let Machine { date, cores, .. } = machine;
    let path = results::folder().join(format!("{date}-{cores}-cores")).join(name);
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    Ok(path)
}
