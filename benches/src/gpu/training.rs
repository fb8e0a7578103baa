//! How fast the trainer is with each arithmetic, and what its parts save.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::record::{Step, Tried};
use crate::cases::PAPERS_CLIPS;
use crate::markdown::{rows, wrap};

const PRECISIONS: [&str; 3] = ["bf16", "tf32", "fp32"];

/// Ways to train without a part, by their names in the results.
const WITHOUT: [(&str, &str); 3] = [
    ("bf16, not fused", "without the fused operator"),
    ("bf16, no graph", "without the CUDA graph"),
    ("bf16, not fused, no graph", "without both"),
];

/// What the paper reports.
const EPOCHS: f64 = 50.0;
const PAPERS_HOURS: &str = "12 to 24 h on a GTX 1080 Ti";

/// Fits at full speed.
#[derive(Deserialize)]
struct Speed {
    batch: f64,
    steps_per_second: f64,
    clips_per_second: f64,
    gpu: Tried<Gpu>,
    /// Peers that were compiling or starting beside it: not a measurement of ours.
    #[serde(default)]
    compiling_beside: Vec<String>,
}

#[derive(Deserialize)]
struct Gpu {
    #[serde(default)]
    busy_share: Option<f64>,
    peak_memory_mib: f64,
    /// Of other processes.
    memory_before_mib: f64,
}

/// Our runs between those of PyTorch.
#[derive(Deserialize)]
struct BesidePeers {
    ours: BTreeMap<String, Vec<Tried<Speed>>>,
}

impl Speed {
    /// Hours of the paper's training.
    fn hours(&self) -> f64 {
        EPOCHS * (PAPERS_CLIPS / self.batch).ceil() / self.steps_per_second / 3600.0
    }

    fn memory(&self) -> Option<String> {
        let Gpu { peak_memory_mib, memory_before_mib, .. } = self.gpu.0.as_ref()?;
        Some(format!("{:.1} GiB", (peak_memory_mib - memory_before_mib) / 1024.0))
    }

    fn cell(&self) -> String {
        let speed = format!("{:.1} ({:.0})", self.steps_per_second, self.clips_per_second);
        self.memory().map_or(speed.clone(), |memory| format!("{speed}, {memory}"))
    }
}

/// A network with an arithmetic: measured by itself, else the run with the median speed of those between PyTorch's.
fn speed(
    train: &Step,
    peers: &Step,
    network: &str,
    precision: &str,
) -> anyhow::Result<Option<Speed>> {
    let alone = train.part::<Speed>(&format!("{network}, {precision}"))?;
    if let Some(speed) = alone.filter(|speed| speed.compiling_beside.is_empty()) {
        return Ok(Some(speed));
    }
    let mut runs: Vec<Speed> = Vec::new();
    let compiled = format!("{network}, ");
    for part in peers.names().filter(|name| *name == network || name.starts_with(&compiled)) {
        let found = peers.part::<BesidePeers>(part)?;
        let ours = found.and_then(|mut part| part.ours.remove(precision)).unwrap_or_default();
        let ours: Vec<Speed> = ours.into_iter().filter_map(|run| run.0).collect();
        if ours.len() > runs.len() {
            runs = ours;
        }
    }
    runs.retain(|run| run.compiling_beside.is_empty());
    runs.sort_by(|a, b| a.steps_per_second.total_cmp(&b.steps_per_second));
    let middle = runs.len() / 2;
    Ok(runs.into_iter().nth(middle))
}

/// Networks that were trained at full speed.
fn networks(train: &Step) -> BTreeSet<&str> {
    let named = train.names().filter_map(|name| name.split_once(", "));
    let timed = named
        .filter(|(network, precision)| !network.contains(' ') && PRECISIONS.contains(precision));
    timed.map(|(network, _)| network).collect()
}

/// Steps a second with every arithmetic, and the hours of the paper's training.
pub(super) fn speeds(train: &Step, peers: &Step) -> anyhow::Result<String> {
    let mut measured = Vec::new();
    for network in networks(train) {
        let mut speeds = Vec::new();
        for precision in PRECISIONS {
            if let Some(speed) = speed(train, peers, network, precision)? {
                speeds.push((precision, speed));
            }
        }
        if !speeds.is_empty() {
            measured.push((network, speeds));
        }
    }
    if measured.is_empty() {
        return Ok(String::new());
    }
    // An arithmetic that not every network was trained with has no column.
    let (columns, others): (Vec<&str>, Vec<&str>) = PRECISIONS.into_iter().partition(|precision| {
        measured.iter().all(|(_, speeds)| speeds.iter().any(|(found, _)| found == precision))
    });
    let mut heads = vec!["training: steps/s (clips/s), GPU memory"];
    heads.extend(&columns);
    heads.push("50 epochs of the paper's clips, the fastest");
    let (mut table, mut rest) = (Vec::new(), Vec::new());
    for (network, speeds) in &measured {
        let mut row = vec![format!("`{network}`")];
        let shown = speeds.iter().filter(|(precision, _)| columns.contains(precision));
        row.extend(shown.map(|(_, speed)| speed.cell()));
        let fastest = speeds.iter().min_by(|(_, a), (_, b)| a.hours().total_cmp(&b.hours()));
        row.extend(fastest.map(|(name, speed)| format!("{:.2} h ({name})", speed.hours())));
        table.push(row);
        let hidden = speeds.iter().filter(|(precision, _)| others.contains(precision));
        rest.extend(hidden.map(|(name, speed)| format!("`{network}` in {name} {}", speed.cell())));
    }
    let also = if rest.is_empty() { rest.concat() } else { format!(" Also {}.", rest.join("; ")) };
    let caption = format!(
        "Fed from our data set; memory is the most that it took on the card.{also} The hours are computed for {PAPERS_CLIPS} clips, without \
         validation and checkpoints; the paper's took {PAPERS_HOURS}."
    );
    Ok(rows(&heads, &table) + "\n" + &wrap(&caption))
}

/// What each part of the trainer saves.
pub(super) fn savings(train: &Step, peers: &Step) -> anyhow::Result<String> {
    let mut table = Vec::new();
    for network in networks(train) {
        let Some(whole) = speed(train, peers, network, "bf16")? else { continue };
        let row = |what: &str, speed: &Speed| {
            let steps = speed.steps_per_second;
            let share = 100.0 * steps / whole.steps_per_second;
            let what = format!("`{network}`, bf16, {what}");
            Some(vec![what, format!("{steps:.1}"), format!("{share:.0} %"), speed.memory()?])
        };
        let mut found = Vec::new();
        for (name, what) in WITHOUT {
            let speed = speed(train, peers, network, name)?;
            found.extend(speed.and_then(|speed| row(what, &speed)));
        }
        if !found.is_empty() {
            table.extend(row("as it is", &whole));
            table.append(&mut found);
            let searched = speed(train, peers, network, "bf16-benchmark")?;
            table.extend(searched.and_then(|speed| row("with `--cudnn-benchmark`", &speed)));
        }
    }
    if table.is_empty() {
        return Ok(String::new());
    }
    Ok(rows(
        &["what each part of the trainer saves", "steps/s", "of the whole", "GPU memory"],
        &table,
    ))
}

/// Steps a second of the recipes, each a row.
pub(super) fn recipes(train: &Step) -> anyhow::Result<String> {
    let mut table = Vec::new();
    for name in train.names() {
        let Some(recipe) = name.strip_prefix("recipe ") else { continue };
        let Some(speed) = train.part::<Speed>(name)? else { continue };
        let busy = speed.gpu.0.as_ref().and_then(|gpu| gpu.busy_share);
        table.push(vec![
            recipe.to_owned(),
            format!("{:.0}", speed.batch),
            speed.cell(),
            busy.map_or("–".to_owned(), |share| format!("{:.0} %", 100.0 * share)),
        ]);
    }
    if table.is_empty() {
        return Ok(String::new());
    }
    let heads =
        ["training by recipes", "clips in a step", "steps/s (clips/s), GPU memory", "GPU busy"];
    Ok(rows(&heads, &table))
}
