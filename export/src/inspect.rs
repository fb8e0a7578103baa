//! Prints networks and `.onnx` files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use leitmotif::Device;
use leitmotif::session::{Session, SessionOptions};
use leitmotif_export::{Checkpoint, Summary};
use leitmotif_models::{Card, HeadKind, Network, table};
use serde_json::json;

/// Prints `what`: a preset, a description, a checkpoint folder or an `.onnx` file.
///
/// # Errors
/// Where it cannot be read, each with what to do.
pub(crate) fn inspect(
    what: &str,
    head: Option<HeadKind>,
    classes: Option<usize>,
    json: bool,
) -> Result<()> {
    let path = Path::new(what);
    let is = |extension: &str| path.extension().is_some_and(|found| found == extension);
    // A preset's name wins over a folder that is called the same.
    if path.is_dir() && Network::preset_names().all(|preset| preset != what) {
        let checkpoint = Checkpoint::open(path)?;
        let run = checkpoint.run();
        return print_network(&run.network, run.classes.len(), json);
    }
    if is("onnx") || (path.is_file() && !is("toml")) {
        return inspect_model(path, json);
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
        .with_context(|| format!("{what} does not say how many classes; add --classes N"))?;
    print_network(&network, classes, json)
}

fn print_network(network: &Network, classes: usize, json: bool) -> Result<()> {
    if json {
        let layers = table::rows(network, classes);
        println!("{}", json!({ "network": network, "classes": classes, "layers": layers }));
    } else {
        print!("{}", table::text(network, classes));
    }
    Ok(())
}

fn inspect_model(path: &Path, json: bool) -> Result<()> {
    // ONNX Runtime reads the file first: it bounds every recursion, which the protobuf crate of `Summary` does not do
    // for nested unknown groups (RUSTSEC-2024-0437).
    let options = SessionOptions { device: Device::Cpu, ..SessionOptions::default() };
    Session::open(path, &options)?;
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut summary = Summary::of(&bytes, path)?;
    let card = match summary.metadata.remove(Card::KEY) {
        Some(text) => Some(Card::from_json(&text).with_context(|| path.display().to_string())?),
        None => None,
    };
    if json {
        let layers = card.as_ref().map(|card| table::rows(&card.network, card.classes.len()));
        println!("{}", json!({ "model": summary, "card": card, "layers": layers }));
        return Ok(());
    }
    print_summary(path, &summary);
    match card {
        None => println!("card          none: not a leitmotif model"),
        Some(card) => {
            print_card(&card);
            print!("\n{}", table::text(&card.network, card.classes.len()));
        }
    }
    Ok(())
}

fn print_summary(path: &Path, summary: &Summary) {
    let opsets: Vec<String> =
        summary.opsets.iter().map(|(domain, version)| format!("{domain} {version}")).collect();
    let operators: Vec<String> =
        summary.operators.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let bytes = table::thousands;
    println!("file          {}, {} bytes", path.display(), bytes(summary.file_bytes));
    println!("tensors       {} bytes", bytes(summary.tensor_bytes));
    println!("producer      {}", summary.producer);
    println!(
        "graph         {}, IR {}, opset {}",
        summary.graph,
        summary.ir_version,
        opsets.join(", ")
    );
    println!("operators     {}", operators.join(", "));
    for (word, ports) in [("input", &summary.inputs), ("output", &summary.outputs)] {
        for port in ports {
            println!("{word:<13} {port}");
        }
    }
    for (key, value) in &summary.metadata {
        println!("metadata      {key} = {value}");
    }
}

fn print_card(card: &Card) {
    println!(
        "model         {} ({} graph, {}, {})",
        card.name,
        card.graph.name(),
        card.target,
        card.precision
    );
    println!("trained       {} epochs, seed {}, on {}", card.epoch, card.seed, card.dataset.name);
    println!("licence       {}", card.dataset.licence);
    println!("split         by {}, seed {}", card.split.protocol, card.split.seed);
    if let Some(scores) = &card.scores {
        println!(
            "scores        {:.1} % of clips, {:.1} % of songs",
            100.0 * scores.clip_accuracy.value,
            100.0 * scores.song_accuracy.value
        );
    }
    println!("one call      at most {:.1} s", card.max_seconds_per_call);
    println!("weights       SHA-256 {}", card.weights_sha256);
}
