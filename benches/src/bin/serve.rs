//! How fast a model runs in ONNX Runtime, on which provider each of its nodes runs, and how far a device's outputs are
//! from the CPU's.
//!
//! Uses `leitmotif`'s own session; outputs are copied back to the host. Prints one JSON object.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Parser;
use leitmotif::session::{NamedTensor, Session};
use leitmotif::{Card, Device, SessionOptions};
use leitmotif_models::{GoldenInput, GraphKind};
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Parser)]
struct Arguments {
    /// The model
    model: PathBuf,
    /// cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Let CUDA use TF32
    #[arg(long)]
    tf32: bool,
    /// Clips (or segments, of a graph that takes one at a time) in a call
    #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
    batches: Vec<usize>,
    /// Seconds to measure each batch size for; at least three calls
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Also report the provider of every node
    #[arg(long)]
    placement: bool,
    /// Also compare with the CPU's outputs for the same input
    #[arg(long)]
    against_cpu: bool,
}

/// One size of call.
#[derive(Serialize)]
struct Speed {
    batch: usize,
    /// Calls of the network that it takes.
    parts: usize,
    calls: usize,
    /// Median of the calls, and the slowest.
    seconds: f64,
    slowest: f64,
    per_second: f64,
}

fn main() -> Result<()> {
    let began = Instant::now();
    let arguments = Arguments::parse();
    let options = SessionOptions::on(arguments.device).with_tf32(arguments.tf32);
    let mut session = Session::open(&arguments.model, &options)?;
    let opened = began.elapsed().as_secs_f64();
    let card = session.metadata(Card::KEY).context("the model has no card")?;
    let card = Card::from_json(&card)?;
    Input::new(&card, 1).run(&mut session)?;
    let first_answer = began.elapsed().as_secs_f64();

    let mut speeds = Vec::new();
    for batch in &arguments.batches {
        match speed(&mut session, &card, *batch, arguments.seconds) {
            Ok(speed) => speeds.push(json!(speed)),
            Err(error) => {
                // A batch that does not fit in memory: larger ones will not either.
                speeds.push(json!({ "batch": batch, "error": format!("{error:#}") }));
                break;
            }
        }
    }
    let placement =
        arguments.placement.then(|| placement(&arguments.model, &card, &options)).transpose()?;
    let difference = arguments
        .against_cpu
        .then(|| difference(&arguments.model, &card, &mut session))
        .transpose()?;
    println!(
        "{}",
        json!({
            "model": arguments.model.file_name().map(|name| name.to_string_lossy()),
            "graph": card.graph,
            "unit": if Input::takes_clips(&card) { "clip" } else { "segment" },
            "device": session.device(),
            "tf32": arguments.tf32,
            "opened_seconds": opened,
            "first_answer_seconds": first_answer,
            "batches": speeds,
            "placement": placement,
            "largest_difference_to_cpu": difference,
        })
    );
    Ok(())
}

/// Noise in the shape of a graph's inputs.
struct Input {
    batch: usize,
    samples: usize,
    waveform: Vec<f32>,
    /// Units and values of an LSTM's state, where the graph takes it.
    state: Option<(usize, Vec<f32>)>,
}

impl Input {
    fn takes_clips(card: &Card) -> bool {
        matches!(card.graph, GraphKind::Clip | GraphKind::Sequence)
    }

    fn new(card: &Card, batch: usize) -> Self {
        let clip = card.network.clip_samples();
        let samples = if Self::takes_clips(card) { clip } else { card.segment_samples };
        let units = card.embedding_units;
        Input {
            batch,
            samples,
            waveform: GoldenInput { seed: 1, samples: batch * samples }.samples(),
            state: (card.graph == GraphKind::Step).then(|| (units, vec![0.0; batch * units])),
        }
    }

    fn run(&self, session: &mut Session) -> Result<Vec<NamedTensor>> {
        let waveform = ("waveform", &[self.batch, self.samples][..], &self.waveform[..]);
        let answers = match &self.state {
            None => session.run(&[waveform]),
            Some((units, zeros)) => {
                let shape = [self.batch, *units];
                session.run(&[waveform, ("h", &shape, zeros), ("c", &shape, zeros)])
            }
        };
        Ok(answers?)
    }
}

/// Clips, or segments, that fit into one call: cuDNN takes tensors of less than 2³¹ values.
fn most_at_once(card: &Card) -> usize {
    let network = &card.network;
    let steps = network.steps(card.classes.len());
    let segments = if Input::takes_clips(card) { network.window } else { 1 };
    let largest = steps.iter().map(|step| step.output.values()).max().unwrap_or(1) * segments;
    ((i32::MAX as usize) / largest).max(1)
}

fn speed(session: &mut Session, card: &Card, batch: usize, seconds: f64) -> Result<Speed> {
    const LEAST_CALLS: usize = 3;
    let parts = batch.div_ceil(most_at_once(card));
    let input = Input::new(card, batch.div_ceil(parts));
    let mut all = || (0..parts).try_for_each(|_| input.run(session).map(drop));
    // The first call of a shape chooses algorithms and allocates memory.
    all()?;
    let mut calls = Vec::new();
    let began = Instant::now();
    while calls.len() < LEAST_CALLS || began.elapsed().as_secs_f64() < seconds {
        let began = Instant::now();
        all()?;
        calls.push(began.elapsed().as_secs_f64());
    }
    calls.sort_by(f64::total_cmp);
    let seconds = calls.get(calls.len() / 2).copied().unwrap_or(f64::NAN);
    let slowest = calls.last().copied().unwrap_or(f64::NAN);
    let batch = parts * input.batch;
    Ok(Speed {
        batch,
        parts,
        calls: calls.len(),
        seconds,
        slowest,
        per_second: batch as f64 / seconds,
    })
}

/// How many nodes of each operator ran on each provider, from the profile of one call.
fn placement(
    model: &Path,
    card: &Card,
    options: &SessionOptions,
) -> Result<BTreeMap<String, BTreeMap<String, usize>>> {
    let prefix = std::env::temp_dir().join(format!("leitmotif-profile-{}", std::process::id()));
    let mut session = Session::open(model, &options.clone().with_profile(prefix))?;
    Input::new(card, 1).run(&mut session)?;
    let file = session.end_profile()?;
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string());
    // Removed even where it could not be read.
    let _ = fs::remove_file(&file);
    count_nodes(&serde_json::from_str(&text?)?)
}

/// Counts the nodes of a profile by provider and operator.
fn count_nodes(profile: &Value) -> Result<BTreeMap<String, BTreeMap<String, usize>>> {
    let mut found: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for event in profile.as_array().into_iter().flatten() {
        let is_kernel = event["name"].as_str().is_some_and(|name| name.ends_with("_kernel_time"));
        let arguments = &event["args"];
        if let (true, Some(provider), Some(operator)) =
            (is_kernel, arguments["provider"].as_str(), arguments["op_name"].as_str())
        {
            let operators = found.entry(provider.to_owned()).or_default();
            *operators.entry(operator.to_owned()).or_default() += 1;
        }
    }
    if found.is_empty() {
        bail!("the profile names no node");
    }
    Ok(found)
}

/// The largest difference of each output between `session` and the CPU, on two rows of the same noise.
fn difference(model: &Path, card: &Card, session: &mut Session) -> Result<BTreeMap<String, f32>> {
    let input = Input::new(card, 2);
    let ours = input.run(session)?;
    let theirs = input.run(&mut Session::open(model, &SessionOptions::on(Device::Cpu))?)?;
    let largest = |a: &NamedTensor, b: &NamedTensor| {
        let differences = a.data.iter().zip(&b.data).map(|(a, b)| (a - b).abs());
        // Keep a NaN: `max` would drop it.
        differences.fold(0.0, |most: f32, d| if d.is_nan() || d > most { d } else { most })
    };
    Ok(ours.iter().zip(&theirs).map(|(a, b)| (a.name.clone(), largest(a, b))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_counted_by_provider_and_operator() {
        let kernel = |node: &str, operator: &str, provider: &str| {
            json!({ "cat": "Node", "name": format!("{node}_kernel_time"),
                "args": { "op_name": operator, "provider": provider } })
        };
        let profile = json!([
            { "cat": "Session", "name": "model_run", "args": {} },
            kernel("a", "Conv", "CUDAExecutionProvider"),
            kernel("b", "Conv", "CUDAExecutionProvider"),
            kernel("c", "Range", "CPUExecutionProvider"),
        ]);
        let found = count_nodes(&profile).unwrap();
        assert_eq!(found["CUDAExecutionProvider"]["Conv"], 2);
        assert_eq!(found["CPUExecutionProvider"]["Range"], 1);
        assert!(count_nodes(&json!([])).is_err());
    }
}
