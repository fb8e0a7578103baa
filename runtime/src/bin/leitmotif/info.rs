//! `leitmotif info`, `check` and `providers`: a model's description, and whether it runs correctly here.

use std::io::{self, Write};
use std::process::ExitCode;

use leitmotif::session::{Port, Session, runtime_info};
use leitmotif::{Device, SessionOptions};
use leitmotif_models::text::printable;
use leitmotif_models::{Card, Confidence};
use serde_json::json;

use crate::model::{Model, RunOptions, check_compiled};

#[derive(clap::Args)]
pub(crate) struct Info {
    #[command(flatten)]
    model: Model,
    /// The whole card and the graph's inputs and outputs as JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct Check {
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    options: RunOptions,
    /// The differences and the device as JSON
    #[arg(long)]
    json: bool,
}

impl Info {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        check_compiled(&self.model.model)?;
        // A session, not a recognizer: this also describes files that only give embeddings or have fixed sizes.
        let session = Session::open(&self.model.model, &SessionOptions::on(Device::Cpu))?;
        let (card, inputs, outputs) = (session.card()?, session.inputs(), session.outputs());
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", json!({ "card": card, "inputs": inputs, "outputs": outputs }))?;
            return Ok(ExitCode::SUCCESS);
        }
        for (key, value) in format_card(&card) {
            writeln!(out, "{key:<10} {}", printable(&value))?;
        }
        for port in inputs {
            writeln!(out, "{:<10} {}", "input", format_port(port))?;
        }
        for port in outputs {
            writeln!(out, "{:<10} {}", "output", format_port(port))?;
        }
        for (class, artist) in card.classes.iter().enumerate() {
            writeln!(out, "artist {class:<3} {}", printable(artist))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The card's lines, each with its key.
fn format_card(card: &Card) -> Vec<(&'static str, String)> {
    let seconds = |samples: usize| card.sample_rate.seconds(samples as u64);
    let network = &card.network;
    let mut lines = vec![
        ("model", card.name.clone()),
        (
            "graph",
            format!(
                "{} for {}, {}{}",
                card.graph.name(),
                card.target,
                card.precision,
                match card {
                    Card { embedding_only: true, .. } => "; ends with the embedding",
                    Card { huggingface: true, .. } => "; in the form of Hugging Face's libraries",
                    _ => "",
                }
            ),
        ),
        (
            "network",
            format!("{}, {} head: {}", network.name, network.head.kind, network.description),
        ),
        (
            "audio",
            format!(
                "mono at {}; segments of {} samples ({:.2} s) every {:.2} s, windows of {} ({:.1} s)",
                card.sample_rate,
                card.segment_samples,
                seconds(card.segment_samples),
                seconds(card.hop_samples),
                card.window_segments,
                seconds(network.clip_samples()),
            ),
        ),
        (
            "data set",
            format!(
                "{} ({}), {} clips of {} songs, {} epochs, seed {}",
                card.dataset.name,
                card.dataset.licence,
                card.dataset.clips,
                card.dataset.songs,
                card.epoch,
                card.seed,
            ),
        ),
        ("split", format!("by {}, seed {}", card.split.protocol, card.split.seed)),
    ];
    let fixed = [("batch", card.fixed.batch), ("segments", card.fixed.segments)];
    let fixed = fixed.iter().filter_map(|(of, size)| size.map(|size| format!("{of} {size}")));
    let fixed: Vec<String> = fixed.collect();
    if !fixed.is_empty() {
        lines.push(("fixed", fixed.join(", ")));
    }
    if let Some(scores) = &card.scores {
        let scores = [
            ("songs", scores.song_accuracy),
            ("clips", scores.clip_accuracy),
            ("macro-F1 by song", scores.song_macro_f1),
        ];
        let scores = scores.map(|(of, e)| {
            format!("{of} {:.1} % ({:.1}–{:.1})", 100.0 * e.value, 100.0 * e.low, 100.0 * e.high)
        });
        lines.push(("scores", scores.join(", ")));
    }
    if let Some(confidence) = &card.confidence {
        lines.extend(format_confidence(confidence));
    }
    if let Some(measured) = &card.measured {
        lines.push(("precision", format!("{}: {measured}", card.precision)));
    }
    lines.push(("artists", card.classes.len().to_string()));
    lines
}

/// Temperature, threshold and the reliability table.
fn format_confidence(confidence: &Confidence) -> Vec<(&'static str, String)> {
    let Confidence { temperature, threshold, songs, kept, kept_right, source, .. } = confidence;
    let mut lines = vec![
        (
            "confidence",
            format!(
                "temperature {temperature:.3}, certainty from {:.2} % on, fitted on {songs} songs ({source})",
                100.0 * threshold
            ),
        ),
        ("", format!("keeps {kept} of these songs, {kept_right} of them with the right artist")),
    ];
    if let Some(unknown) = &confidence.unknown {
        let (accepted, songs, source) = (unknown.accepted, unknown.songs, &unknown.source);
        lines
            .push(("", format!("accepts {accepted} of {songs} songs of other artists ({source})")));
    }
    for bin in &confidence.reliability {
        lines.push((
            "",
            format!(
                "{:>3.0} to {:>3.0} %: {} of {} songs right, {:.1} % on average",
                100.0 * bin.from,
                100.0 * bin.to,
                bin.right,
                bin.songs,
                100.0 * bin.mean
            ),
        ));
    }
    lines
}

fn format_port(port: &Port) -> String {
    let dims = port.dims.iter().flatten();
    let dims: Vec<_> =
        dims.map(|dim| dim.map_or("any".to_owned(), |dim| dim.to_string())).collect();
    format!("{} [{}]", printable(&port.name), dims.join(", "))
}

impl Check {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let recognizer = self.options.open(&self.model.model)?;
        let test = recognizer.self_test()?;
        let code = if test.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        if self.json {
            let report = json!({ "passed": test.passed(), "test": test, "device": recognizer.device(), "placement": recognizer.placement() });
            writeln!(io::stdout(), "{report}")?;
            return Ok(code);
        }
        let best = if test.same_best { "the same" } else { "another" };
        writeln!(
            io::stdout(),
            "{}: {best} best artist, probabilities within {:.1e} of the trainer's ({:.1e} allowed; most for {})",
            if test.passed() { "passed" } else { "failed" },
            test.largest_difference,
            test.tolerance,
            printable(&test.artist),
        )?;
        writeln!(io::stdout(), "{}: {}", recognizer.device().device, recognizer.placement())?;
        Ok(code)
    }
}

pub(crate) fn providers() -> anyhow::Result<ExitCode> {
    let info = runtime_info(None)?;
    let mut out = io::stdout().lock();
    writeln!(out, "library  {}", printable(&info.library.to_string_lossy()))?;
    writeln!(out, "build    {}", printable(&info.build))?;
    writeln!(out, "cpu      yes")?;
    match info.cuda_obstacle {
        Some(obstacle) => writeln!(out, "cuda     no: {}", printable(&obstacle))?,
        None => writeln!(out, "cuda     yes, as far as is known without a model")?,
    }
    Ok(ExitCode::SUCCESS)
}
