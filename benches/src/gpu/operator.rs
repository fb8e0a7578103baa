//! The fused operator beside libtorch's three.

use std::path::Path;

use serde::Deserialize;

use super::record::Step;
use crate::markdown::{rows, wrap};
use crate::results::read_json;

/// Blocks that are shown: the others take little of a step's time.
const LARGEST: usize = 3;

/// What the program `kernels` prints, where it comes from another run than the rest.
const FILE: &str = "kernels.json";

#[derive(Deserialize)]
struct Kernels {
    /// Of [`FILE`] alone.
    commit: Option<String>,
    blocks: Vec<Block>,
}

#[derive(Deserialize)]
struct Block {
    /// Clips, channels, segments, samples.
    shape: [u64; 4],
    pool: u64,
    kind: String,
    bytes: Bytes,
    fused: Times,
    libtorch: Times,
}

/// What the fused operator must move.
#[derive(Deserialize)]
struct Bytes {
    forward: f64,
    backward: f64,
}

#[derive(Deserialize)]
struct Times {
    forward_ms: f64,
    backward_ms: f64,
}

/// What the card can do at most.
#[derive(Deserialize)]
struct Limits {
    #[serde(rename = "device copy, GB/s read and written")]
    copy: Option<f64>,
}

/// The largest blocks in bf16.
pub(super) fn table(path: &Path, serve: &Step) -> anyhow::Result<String> {
    let file = path.with_file_name(FILE);
    let found: Option<Kernels> = match serve.part("kernels")? {
        None if file.exists() => Some(read_json(&file)?),
        found => found,
    };
    let Some(Kernels { commit, mut blocks }) = found else { return Ok(String::new()) };
    blocks.retain(|block| block.kind == "bf16");
    if blocks.is_empty() {
        return Ok(String::new());
    }
    blocks.sort_by(|a, b| b.bytes.forward.total_cmp(&a.bytes.forward));
    blocks.truncate(LARGEST);
    let copy = serve.part::<Limits>("limits")?.and_then(|limits| limits.copy);
    let speed = if copy.is_some() { "TB/s, of the limit" } else { "TB/s" };
    let heads = [
        "batch norm, ReLU, max pool in bf16",
        "forward: ours",
        "libtorch's",
        speed,
        "backward: ours",
        "libtorch's",
        speed,
    ];
    let table = blocks.iter().map(|block| {
        let [_, channels, _, samples] = block.shape;
        let pool = match block.pool {
            1 => "no pool".to_owned(),
            pool => format!("pool {pool}"),
        };
        let mut row = vec![format!("{channels} channels of {samples} samples, {pool}")];
        let Block { bytes, fused, libtorch, .. } = block;
        for (bytes, ours, theirs) in [
            (bytes.forward, fused.forward_ms, libtorch.forward_ms),
            (bytes.backward, fused.backward_ms, libtorch.backward_ms),
        ] {
            let gigabytes = bytes / ours / 1e6;
            let share = copy.map(|copy| format!(", {:.0} %", 100.0 * gigabytes / copy));
            row.push(format!("{ours:.3} ms"));
            row.push(format!("{theirs:.3} ms ({:.1}×)", theirs / ours));
            row.push(format!("{:.2}{}", gigabytes / 1e3, share.unwrap_or_default()));
        }
        row
    });
    let table = rows(&heads, &table.collect::<Vec<_>>());
    let limit = copy.map_or(String::new(), |copy| {
        format!(" The limit is a copy on the card: {:.2} TB/s.", copy / 1e3)
    });
    let of = commit.map_or(String::new(), |commit| format!(" Commit {commit}."));
    let caption = format!(
        "The {LARGEST} largest blocks of model 1; TB/s of what must be moved at the least.{limit}{of}"
    );
    Ok(table + "\n" + &wrap(&caption))
}
