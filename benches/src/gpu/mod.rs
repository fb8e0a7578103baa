//! The tables of a measurement on a GPU box, from the files that `scripts/gpu/run.sh` left in
//! `benches/results/DATE-GPU`.
//!
//! What was left out, or failed, has no row; a format that this does not know is an error.

mod operator;
mod parity;
mod peers;
mod record;
mod serving;
mod training;

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;

use crate::markdown::wrap;
use crate::results::read_json;
use record::Step;

/// Name of the file that a folder with a GPU's results has.
pub const RUN: &str = "run.json";

/// Of [`RUN`]: what was run.
#[derive(Deserialize)]
struct Run {
    commit: Option<String>,
    command: Option<String>,
}

/// What the driver says of the GPU.
#[derive(Deserialize)]
struct Gpu {
    name: String,
    driver_version: String,
}

/// What the programs were built from.
#[derive(Deserialize)]
struct Bundle {
    commit: String,
}

/// Every table; `runs` are the paths of their [`RUN`], the newest first. A table is that of the run in which it has the
/// most rows, of several the newest, and each run's tables end with its caption.
///
/// # Errors
///
/// A file that is unreadable or of another format, and a run that names no commit.
pub fn table(runs: &[PathBuf]) -> anyhow::Result<String> {
    let mut found = runs.iter().map(|run| sections(run)).collect::<anyhow::Result<Vec<_>>>()?;
    for at in 0..TABLES {
        let rows = |run: &[String; TABLES + 1]| run[at].matches("\n|").count();
        let most = found.iter().map(rows).max().unwrap_or(0);
        let shown = found.iter().position(|run| rows(run) == most);
        for (_, run) in found.iter_mut().enumerate().filter(|(run, _)| Some(*run) != shown) {
            run[at].clear();
        }
    }
    // The newest run's caption stands even where all its tables are older ones'.
    let shown = found.iter().enumerate().filter(|(place, run)| {
        *place == 0 || run.iter().take(TABLES).any(|table| !table.is_empty())
    });
    let shown: Vec<&str> = shown.flat_map(|(_, run)| run).map(String::as_str).collect();
    Ok(shown.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n"))
}

/// Tables of a run.
const TABLES: usize = 7;

/// The tables of a run, each empty where nothing was measured, and their caption.
fn sections(path: &Path) -> anyhow::Result<[String; TABLES + 1]> {
    let [smoke, train, peers, serve] =
        ["smoke", "train", "peers", "serve"].map(|name| Step::read(&path.with_file_name(name)));
    let (smoke, train, peers, serve) = (smoke?, train?, peers?, serve?);
    Ok([
        training::speeds(&train, &peers)?,
        training::savings(&train, &peers)?,
        training::recipes(&train)?,
        peers::table(&peers)?,
        operator::table(path, &serve)?,
        serving::table(&serve)?,
        parity::table(&smoke, &serve)?,
        caption(path, &smoke, &[&train, &peers, &serve])?,
    ])
}

/// What failed; when, where, of what and how it was measured.
fn caption(path: &Path, smoke: &Step, others: &[&Step]) -> anyhow::Result<String> {
    let run: Run = read_json(path)?;
    let mut text = String::new();
    let failed = [smoke].into_iter().chain(others.iter().copied()).filter_map(Step::failed);
    let failed: Vec<String> = failed.collect();
    if !failed.is_empty() {
        text += &format!("Failed in this run: {}. ", failed.join("; "));
    }
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    // `DATE-GPU`.
    text += folder.get(.."YYYY-MM-DD".len()).unwrap_or(&folder);
    if let Some(Gpu { name, driver_version }) = smoke.part("gpu")? {
        text += &format!(", {name}, driver {driver_version}");
    }
    let built = smoke.part("bundle")?.map(|Bundle { commit }| commit);
    let commit = run.commit.or(built);
    let commit = commit.with_context(|| format!("{} names no commit", path.display()))?;
    text += &format!(", commit {commit}");
    if let Some(command) = run.command {
        text += &format!(", `{command}`");
    }
    Ok(wrap(&(text + ".")))
}

#[cfg(test)]
mod tests;
