//! Writes README's tables from the newest results. With `--since`, first keeps what `cargo bench` measured as a new result.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use clap::Parser;
use leitmotif_benches::machine::Machine;
use leitmotif_benches::results::{self, OWN, Own};
use leitmotif_benches::table;

#[derive(Parser)]
struct Arguments {
    /// Keep what `cargo bench` measured since this time, in seconds since 1970
    #[arg(long)]
    since: Option<u64>,
}

fn main() -> anyhow::Result<()> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    if let Some(since) = Arguments::parse().since {
        let target = std::env::var_os("CARGO_TARGET_DIR");
        let criterion = target.map_or(home.join("../target"), PathBuf::from).join("criterion");
        let own = Own::gather(&criterion, SystemTime::UNIX_EPOCH + Duration::from_secs(since))?;
        let Machine { date, cores, .. } = &own.machine;
        let folder = results::folder().join(format!("{date}-{cores}-cores"));
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        own.write(&folder.join(OWN))?;
    }
    let path = home.join("../README.md");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let made = table::readme(&text, &results::folder())?;
    fs::write(&path, made).with_context(|| path.display().to_string())
}
