//! How far the answers of served graphs are from libtorch's, and where their nodes ran.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::record::{Step, Tried};
use crate::markdown::rows;

#[derive(Deserialize)]
struct Opened {
    cuda: Tried<Compared>,
    /// By provider, how many nodes of each operator.
    not_on_device: BTreeMap<String, BTreeMap<String, usize>>,
}

/// A graph compared with libtorch on the CPU.
#[derive(Deserialize)]
struct Compared {
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    output: String,
    largest: f64,
}

/// Every graph that was opened on CUDA.
pub(super) fn table(smoke: &Step) -> anyhow::Result<String> {
    let mut table = Vec::new();
    for part in smoke.names().filter(|name| name.starts_with("opens ")) {
        let Some(Opened { cuda: Tried(Some(compared)), not_on_device }) = smoke.part(part)? else {
            continue;
        };
        let probabilities = compared.outputs.iter().find(|output| output.output == "probabilities");
        let Some(Output { largest, .. }) = probabilities else { continue };
        let nodes = not_on_device.values().flatten();
        let (counts, names): (Vec<usize>, Vec<String>) =
            nodes.map(|(name, count)| (*count, format!("{count} `{name}`"))).unzip();
        let elsewhere = match counts.iter().sum::<usize>() {
            0 => "0".to_owned(),
            _ => names.join(", "),
        };
        let graph = part.trim_start_matches("opens ");
        table.push(vec![format!("`{graph}`"), format!("{largest:.0e}"), elsewhere]);
    }
    if table.is_empty() {
        return Ok(String::new());
    }
    let heads = [
        "answers on CUDA, fp32",
        "largest difference of a probability to libtorch on the CPU",
        "nodes not on CUDA",
    ];
    Ok(rows(&heads, &table))
}
