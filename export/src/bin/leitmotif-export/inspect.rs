//! Prints networks and `.onnx` files.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use leitmotif_export::{Checkpoint, Summary};
use leitmotif_models::layer_table;
use leitmotif_models::text::{count, printable, thousands};
use leitmotif_models::{Card, HeadKind, Network};
use serde_json::json;

use crate::quantization;

/// Prints `what`: a preset, a description, a checkpoint folder or an `.onnx` file.
///
/// # Errors
/// Where it cannot be read, each with what to do; where a head or number of classes is given for what has its own.
pub(crate) fn inspect(
    what: &str,
    head: Option<HeadKind>,
    classes: Option<usize>,
    json: bool,
    out: &mut impl Write,
) -> Result<()> {
    let path = Path::new(what);
    let is = |extension: &str| path.extension().is_some_and(|found| found == extension);
    let settled = |kind: &str| {
        ensure!(
            head.is_none() && classes.is_none(),
            "{what} is {kind}, which has its head and its classes; --head and --classes are for presets and descriptions"
        );
        Ok(())
    };
    // A preset's name wins over a folder that is called the same.
    if path.is_dir() && Network::preset_names().all(|preset| preset != what) {
        settled("a checkpoint")?;
        let run = Checkpoint::read_run(path)?;
        return print_network(&run.network, run.classes.len(), json, out);
    }
    if is("onnx") || (path.is_file() && !is("toml")) {
        settled("a compiled file")?;
        return inspect_model(path, json, out);
    }
    let network = if is("toml") {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {what}"))?;
        Network::from_toml(&text).with_context(|| what.to_owned())?
    } else {
        Network::preset(what)?
    };
    let network = match head {
        Some(head) => network.with_head(head),
        None => network,
    };
    let classes = classes
        .or(network.classes)
        .with_context(|| format!("{what} does not give the number of classes; add --classes N"))?;
    print_network(&network, classes, json, out)
}

fn print_network(
    network: &Network,
    classes: usize,
    json: bool,
    out: &mut impl Write,
) -> Result<()> {
    if json {
        let layers = layer_table::rows(network, classes);
        writeln!(out, "{}", json!({ "network": network, "classes": classes, "layers": layers }))?;
    } else {
        write!(out, "{}", layer_table::text(network, classes))?;
    }
    Ok(())
}

fn inspect_model(path: &Path, json: bool, out: &mut impl Write) -> Result<()> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut summary = Summary::of(&bytes, path)?;
    let card = match summary.metadata.remove(Card::KEY) {
        Some(text) => Some(Card::from_json(&text).with_context(|| path.display().to_string())?),
        None => None,
    };
    // Of one segment: a graph that takes recordings does as much for each.
    let multiply_adds =
        card.as_ref().map(|card| card.network.costs(card.classes.len()).multiply_adds());
    if json {
        let layers = card.as_ref().map(|card| layer_table::rows(&card.network, card.classes.len()));
        let object = json!({ "model": summary, "card": card, "layers": layers, "multiply_adds_per_segment": multiply_adds });
        writeln!(out, "{object}")?;
        return Ok(());
    }
    let mut lines = summary_lines(path, &summary);
    match &card {
        None => lines.push(("card", "none: not a leitmotif model".to_owned())),
        Some(card) => lines.extend(card_lines(card)),
    }
    for (word, text) in lines {
        writeln!(out, "{word:<13} {}", printable(&text))?;
    }
    if let Some(card) = card {
        write!(out, "\n{}", layer_table::text(&card.network, card.classes.len()))?;
    }
    Ok(())
}

/// A heading with its text, which may come from the file.
type Line = (&'static str, String);

fn summary_lines(path: &Path, summary: &Summary) -> Vec<Line> {
    let opsets: Vec<String> =
        summary.opsets.iter().map(|(domain, version)| format!("{domain} {version}")).collect();
    let operators: Vec<String> =
        summary.operators.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let bytes = thousands;
    let mut lines = vec![
        ("file", format!("{}, {} bytes", path.display(), bytes(summary.file_bytes))),
        ("tensors", format!("{} bytes", bytes(summary.tensor_bytes))),
        ("bytes", parts(summary)),
        ("producer", summary.producer.clone()),
        (
            "graph",
            format!("{}, IR {}, opset {}", summary.graph, summary.ir_version, opsets.join(", ")),
        ),
        ("operators", operators.join(", ")),
    ];
    for (word, ports) in [("input", &summary.inputs), ("output", &summary.outputs)] {
        lines.extend(ports.iter().map(|port| (word, port.clone())));
    }
    let metadata = summary.metadata.iter();
    lines.extend(metadata.map(|(key, value)| ("metadata", format!("{key} = {value}"))));
    lines
}

/// The parts of the file, the largest first.
fn parts(summary: &Summary) -> String {
    let mut parts: Vec<(&String, &u64)> = summary.parts.iter().collect();
    parts.sort_by_key(|(name, bytes)| (std::cmp::Reverse(**bytes), *name));
    let formatted = parts.iter().map(|(name, bytes)| format!("{name} {}", thousands(**bytes)));
    formatted.collect::<Vec<_>>().join(", ")
}

fn card_lines(card: &Card) -> Vec<Line> {
    let Card { name, graph, target, precision, dataset, split, .. } = card;
    let mut lines = vec![
        ("model", format!("{name} ({} graph, {target}, {precision})", graph.name())),
        (
            "trained",
            format!("{}, seed {}, on {}", count(card.epoch, "epoch"), card.seed, dataset.name),
        ),
        ("licence", dataset.licence.clone()),
        ("split", format!("by {}, seed {}", split.protocol, split.seed)),
    ];
    if let Some(scores) = &card.scores {
        let clips = 100.0 * scores.clip_accuracy.value;
        let songs = 100.0 * scores.song_accuracy.value;
        lines.push(("scores", format!("{clips:.1} % of clips, {songs:.1} % of songs")));
    }
    lines.extend(
        quantization::format_quantization(card).into_iter().map(|line| ("precision", line)),
    );
    let multiply_adds = card.network.costs(card.classes.len()).multiply_adds();
    lines.push(("cost", format!("{} multiply-adds a segment", thousands(multiply_adds))));
    lines.push(("one call", format!("at most {:.1} s", card.max_seconds_per_call)));
    lines.push(("weights", format!("SHA-256 {}", card.weights_sha256)));
    lines
}
