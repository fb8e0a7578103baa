//! The trainer beside the box's PyTorch.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::record::{Step, Tried};
use crate::markdown::{rows, wrap};
use crate::pairs::median;

const PRECISIONS: [&str; 2] = ["bf16", "tf32"];

/// Ours and theirs, measured alternately; ours are all so far, also of the network's part before.
#[derive(Deserialize)]
struct Part {
    ours: BTreeMap<String, Vec<Tried<Ours>>>,
    theirs: Theirs,
}

#[derive(Deserialize)]
struct Ours {
    steps_per_second: f64,
}

#[derive(Deserialize)]
struct Theirs {
    modes: BTreeMap<String, Tried<Mode>>,
}

#[derive(Deserialize)]
struct Mode {
    #[serde(rename = "fed_steps_per_second")]
    fed: Option<f64>,
    #[serde(rename = "late_steps_per_second")]
    late: Option<f64>,
}

/// A network: our median steps a second by precision, and their modes that were measured, the fastest first.
struct Network {
    name: String,
    ours: BTreeMap<&'static str, f64>,
    theirs: Vec<(String, f64, f64)>,
}

impl Network {
    fn read(peers: &Step, name: &str) -> anyhow::Result<Self> {
        let mut network =
            Network { name: name.to_owned(), ours: BTreeMap::new(), theirs: Vec::new() };
        let mut runs: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
        // What they compile has parts of its own.
        let compiled = format!("{name}, ");
        let parts = peers.names().filter(|part| *part == name || part.starts_with(&compiled));
        for part in parts {
            let Some(part) = peers.part::<Part>(part)? else { continue };
            for precision in PRECISIONS {
                let found = part.ours.get(precision).into_iter().flatten();
                let speeds = found.filter_map(|run| Some(run.0.as_ref()?.steps_per_second));
                let speeds: Vec<f64> = speeds.collect();
                // Each part has the runs of those before it, too.
                let known = runs.entry(precision).or_default();
                if speeds.len() > known.len() {
                    *known = speeds;
                }
            }
            for (mode, speed) in part.theirs.modes {
                if let Some(Mode { fed: Some(fed), late: Some(late) }) = speed.0 {
                    network.theirs.push((mode, late, fed));
                }
            }
        }
        runs.retain(|_, speeds| !speeds.is_empty());
        network.ours = runs.iter().map(|(name, speeds)| (*name, median(speeds))).collect();
        network.theirs.sort_by(|(_, a, _), (_, b, _)| b.total_cmp(a));
        Ok(network)
    }
}

/// All modes of the first network, and the fastest of the others.
pub(super) fn table(peers: &Step) -> anyhow::Result<String> {
    let names = peers.names().filter(|name| !name.contains(' '));
    let networks = names.map(|name| Network::read(peers, name)).collect::<anyhow::Result<_>>()?;
    let mut networks: Vec<Network> = networks;
    networks.retain(|network| !network.theirs.is_empty() && !network.ours.is_empty());
    let measured = |precision: &&str| networks.iter().all(|of| of.ours.contains_key(*precision));
    let precisions: Vec<&str> = PRECISIONS.into_iter().filter(measured).collect();
    if networks.is_empty() || precisions.is_empty() {
        return Ok(String::new());
    }
    let ratios = precisions.iter().map(|name| format!("ours {name} to late, to each"));
    let mut heads = ["PyTorch's training: steps/s", "losses read late", "each loss read"]
        .map(str::to_owned)
        .to_vec();
    heads.extend(ratios);
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let mut table = Vec::new();
    for (place, Network { name, ours, theirs }) in networks.iter().enumerate() {
        let shown = if place == 0 { theirs.len() } else { 1 };
        for (mode, late, fed) in theirs.iter().take(shown) {
            let what = format!("`{name}`, {}", describe(mode));
            let mut row = vec![what, format!("{late:.1}"), format!("{fed:.1}")];
            let speeds = precisions.iter().filter_map(|precision| ours.get(precision));
            row.extend(speeds.map(|own| format!("{:.2}×, {:.2}×", own / late, own / fed)));
            table.push(row);
        }
    }
    let ours = networks.iter().map(|Network { name, ours, .. }| {
        let speeds =
            precisions.iter().filter_map(|precision| Some((precision, ours.get(precision)?)));
        let speeds: Vec<String> =
            speeds.map(|(precision, speed)| format!("{speed:.1} {precision}")).collect();
        format!("`{name}` {}", speeds.join(", "))
    });
    let ours: Vec<String> = ours.collect();
    let others = if networks.len() > 1 { "; of the other networks their fastest mode" } else { "" };
    let caption = format!(
        "Ratios above 1: we are faster. Both are fed from our data set, ours before and after theirs: steps/s {}. Reading each loss is the \
         obvious code, reading them late their best{others}.",
        ours.join("; ")
    );
    Ok(rows(&heads, &table) + "\n" + &wrap(&caption))
}

/// What a mode of `peers/gpu_train.py` is.
fn describe(mode: &str) -> String {
    let known = match mode {
        "eager" => "Conv1d, TF32 in convolutions",
        "channels-last" => "channels last, TF32 in convolutions",
        "fp32" => "channels last, fp32",
        "benchmark" => "channels last, TF32, `cudnn.benchmark`",
        "bf16" => "channels last, bf16",
        "bf16-benchmark" => "channels last, bf16, `cudnn.benchmark`",
        "compile" => "`torch.compile`, Conv1d, TF32",
        "compile-bf16" => "`torch.compile`, channels last, bf16",
        "compile-bf16-graphs" => "`torch.compile` with CUDA graphs, channels last, bf16",
        "compile-bf16-flat" => "`torch.compile`, Conv1d, bf16",
        other => return format!("`{other}`"),
    };
    known.to_owned()
}
