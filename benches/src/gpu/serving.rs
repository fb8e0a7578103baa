//! Serving beside the box's PyTorch.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::record::{Step, Tried};
use crate::markdown::{rows, wrap};
use crate::pairs::median;

/// Our ways to serve that are shown.
const OURS: [&str; 3] = ["fp32", "tf32", "fp16"];

/// What follows a network's name in the name of a part.
const AGAINST: &str = " against ";
const ALONE: &str = " alone";

#[derive(Deserialize)]
struct Part {
    ours: BTreeMap<String, Tried<Served>>,
    #[serde(rename = "ours, again")]
    again: Option<BTreeMap<String, Tried<Served>>>,
    /// Absent where no peer has the network.
    theirs: Option<Theirs>,
}

#[derive(Deserialize)]
struct Served {
    first_answer_seconds: f64,
    batches: Vec<Tried<Batch>>,
}

/// One process with several modes, or one for each mode that is compiled.
#[derive(Deserialize)]
#[serde(untagged)]
enum Theirs {
    Together(Modes),
    Apart(BTreeMap<String, Tried<Modes>>),
}

#[derive(Deserialize)]
struct Modes {
    first_answer_seconds: Option<f64>,
    modes: BTreeMap<String, Tried<Vec<Tried<Batch>>>>,
}

impl Theirs {
    fn all(self) -> Vec<Modes> {
        match self {
            Theirs::Together(modes) => vec![modes],
            Theirs::Apart(each) => each.into_values().filter_map(|modes| modes.0).collect(),
        }
    }
}

#[derive(Deserialize)]
struct Batch {
    batch: u64,
    per_second: f64,
}

/// Clips a second of a network by batch, then by our way or their mode, and seconds to the first answer.
#[derive(Default)]
struct Network {
    ours: BTreeMap<u64, BTreeMap<String, Vec<f64>>>,
    theirs: BTreeMap<u64, Vec<(String, f64)>>,
    our_first: Vec<(String, f64)>,
    their_first: Option<f64>,
}

impl Network {
    fn read(serve: &Step, name: &str) -> anyhow::Result<Self> {
        let mut network = Network::default();
        for how in
            [AGAINST.to_owned() + "PyTorch", AGAINST.to_owned() + "torch.compile", ALONE.to_owned()]
        {
            let Some(part) = serve.part::<Part>(&format!("{name}{how}"))? else {
                continue;
            };
            for (way, served) in part.ours.iter().chain(part.again.iter().flatten()) {
                let Some(served) = &served.0 else { continue };
                if !OURS.contains(&way.as_str()) {
                    continue;
                }
                if network.our_first.iter().all(|(known, _)| known != way) {
                    network.our_first.push((way.clone(), served.first_answer_seconds));
                }
                for Batch { batch, per_second } in
                    served.batches.iter().filter_map(|of| of.0.as_ref())
                {
                    let of_batch = network.ours.entry(*batch).or_default();
                    of_batch.entry(way.clone()).or_default().push(*per_second);
                }
            }
            for theirs in part.theirs.map(Theirs::all).unwrap_or_default() {
                network.their_first = network.their_first.or(theirs.first_answer_seconds);
                for (mode, batches) in theirs.modes {
                    let batches = batches.0.into_iter().flatten().filter_map(|of| of.0);
                    for Batch { batch, per_second } in batches {
                        network.theirs.entry(batch).or_default().push((mode.clone(), per_second));
                    }
                }
            }
        }
        Ok(network)
    }

    /// Our speed by way with this batch, and their fastest mode.
    fn with(&self, batch: u64) -> (BTreeMap<&str, f64>, Option<&(String, f64)>) {
        let ours = self.ours.get(&batch).into_iter().flatten();
        let ours = ours.map(|(way, speeds)| (way.as_str(), median(speeds))).collect();
        let theirs = self.theirs.get(&batch).into_iter().flatten();
        (ours, theirs.max_by(|(_, a), (_, b)| a.total_cmp(b)))
    }
}

/// Clips a second by batch: ours each way, their fastest; and what one of the two could not do.
pub(super) fn table(serve: &Step) -> anyhow::Result<String> {
    let names: BTreeSet<&str> = serve
        .names()
        .filter_map(|name| Some(name.split_once(AGAINST).or(name.split_once(ALONE))?.0))
        .collect();
    let (mut table, mut notes, mut first) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        let network = Network::read(serve, name)?;
        let batches: BTreeSet<u64> =
            network.ours.keys().chain(network.theirs.keys()).copied().collect();
        for batch in batches {
            let (ours, theirs) = network.with(batch);
            let cell = |way| ours.get(way).map_or("–".to_owned(), |speed| format!("{speed:.0}"));
            match theirs {
                Some((mode, their)) if !ours.is_empty() => {
                    let best = ours.values().copied().fold(0.0, f64::max);
                    let mut row = vec![format!("`{name}`, {batch}")];
                    row.extend(OURS.map(cell));
                    row.push(format!("{their:.0} ({mode})"));
                    row.push(format!("{:.2}×", best / their));
                    table.push(row);
                }
                // One of the two did not run: what did, in words.
                theirs => {
                    let ours = ours.iter().map(|(way, speed)| format!("ours {speed:.0} ({way})"));
                    let theirs = theirs.map(|(mode, speed)| format!("theirs {speed:.0} ({mode})"));
                    let found: Vec<String> = ours.chain(theirs).collect();
                    notes.push(format!("`{name}` with {batch}: only {}", found.join(", ")));
                }
            }
        }
        let ours = network.our_first.iter().map(|(way, seconds)| format!("{seconds:.2} s ({way})"));
        let ours: Vec<String> = ours.collect();
        if let (false, Some(theirs)) = (ours.is_empty(), network.their_first) {
            first.push(format!("`{name}` ours {}, theirs {theirs:.2} s", ours.join(", ")));
        }
    }
    let mut caption = Vec::new();
    if !notes.is_empty() {
        caption.push(format!("{}.", notes.join("; ")));
    }
    if !first.is_empty() {
        caption.push(format!("First answer after the start: {}.", first.join("; ")));
    }
    let mut text = String::new();
    if !table.is_empty() {
        let heads = [
            "serving: clips/s by batch",
            "ours fp32",
            "tf32",
            "fp16",
            "PyTorch's fastest",
            "our best to it",
        ];
        text += &rows(&heads, &table);
        text.push('\n');
        caption.insert(
            0,
            "From the host's memory and back to it; PyTorch's is page-locked, ours any.".to_owned(),
        );
    }
    if !caption.is_empty() {
        text += &wrap(&caption.join(" "));
    }
    Ok(text)
}
