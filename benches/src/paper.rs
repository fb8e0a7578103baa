//! The table of the paper's claims, from the CSV tables of a report of `leitmotif-train experiment`.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::machine::Machine;
use crate::markdown::wrap;
use crate::results::read_json;

/// The answers among the results, in the folder of a report's tables.
pub const ANSWERS: &str = "paper-small/answers.csv";

/// File beside the answers: what the runs were measured on.
pub const MACHINE: &str = "machine.json";

/// One question of the report; the fields are columns of `answers.csv`.
#[derive(Debug, Clone, Deserialize)]
struct Answer {
    question: String,
    here: String,
    #[serde(rename = "the paper")]
    paper: String,
    #[serde(rename = "this, %")]
    this: Option<f64>,
    #[serde(rename = "that, %")]
    that: Option<f64>,
    #[serde(rename = "points ahead")]
    ahead: Option<f64>,
    from: Option<f64>,
    to: Option<f64>,
}

/// One row of `runs.csv`.
#[derive(Debug, Clone, Deserialize)]
struct Run {
    epochs: u32,
}

/// One row of `dataset.csv`.
#[derive(Debug, Clone, Deserialize)]
struct Count {
    what: String,
    here: u64,
}

/// The answers as a table, with the data set and the runs they come from; `path` is that of [`ANSWERS`].
///
/// # Errors
///
/// A table that is missing or unreadable.
pub fn table(path: &Path) -> anyhow::Result<String> {
    let answers: Vec<Answer> = rows(path)?;
    let runs: Vec<Run> = rows(&path.with_file_name("runs.csv"))?;
    let counts: Vec<Count> = rows(&path.with_file_name("dataset.csv"))?;
    let count = |what: &str| {
        let found = counts.iter().find(|count| count.what == what).map(|count| count.here);
        found.with_context(|| format!("{}: no {what} in dataset.csv", path.display()))
    };
    let epochs: BTreeSet<u32> = runs.iter().map(|run| run.epochs).collect();
    let epochs: Vec<String> = epochs.iter().map(u32::to_string).collect();

    let mut text = "| question | the paper | here | of clips right, % | points ahead, 95 % interval over songs |\n|---|---|---|---|---|\n".to_owned();
    for answer in &answers {
        let Answer { question, here, paper, .. } = answer;
        let scores = match (answer.this, answer.that) {
            (Some(this), Some(that)) => format!("{this:.1}, {that:.1}"),
            _ => String::new(),
        };
        let ahead = match (answer.ahead, answer.from, answer.to) {
            (Some(ahead), Some(from), Some(to)) => format!("{ahead:.1} [{from:.1} to {to:.1}]"),
            _ => String::new(),
        };
        writeln!(text, "| {question} | {paper} | {here} | {scores} | {ahead} |")?;
    }
    let machine: Machine = read_json(&path.with_file_name(MACHINE))?;
    text.push('\n');
    text += &wrap(&format!(
        "`--scale small` on the demo's music: {} clips of {} songs by {} artists, {} runs of {} epochs. {machine}.",
        count("clips")?,
        count("songs")?,
        count("artists")?,
        runs.len(),
        epochs.join(" or ")
    ));
    Ok(text)
}

fn rows<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let mut reader = csv::Reader::from_path(path).with_context(|| path.display().to_string())?;
    let rows = reader.deserialize().collect::<Result<_, _>>();
    rows.with_context(|| path.display().to_string())
}
