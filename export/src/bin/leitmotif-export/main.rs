//! `leitmotif-export`: compiles a checkpoint to `.onnx` files, verifies and inspects them.

mod about;
mod compile;
mod diff;
mod inspect;
mod music;
mod quantization;
mod session;
mod speed;
mod verify;

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::builder::RangedU64ValueParser;
use clap::{Parser, Subcommand};
use leitmotif::{Device, SessionOptions};
use leitmotif_export::Checkpoint;
use leitmotif_models::text::printable;
use leitmotif_models::{HeadKind, Network};
use serde_json::json;

use speed::Speed;
use verify::{Departure, Report, verify};

/// Trained weights to ONNX: compiles, compares with the trained network, then gives the file its name.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compile a checkpoint to NAME.clip.onnx and NAME.segment.onnx, or NAME.sequence.onnx and NAME.step.onnx.
    Compile(Box<compile::Options>),
    /// Compare a compiled file with its checkpoint: the last line, but with --json, begins with `passed:`, or with `failed:` on standard
    /// error, and the exit status is then 1.
    Verify {
        /// The .onnx file.
        model: PathBuf,
        /// Folder that the trainer saved, or a mapping file.
        checkpoint: PathBuf,
        /// Device to run it on: cpu, cuda or cuda:N.
        #[arg(long, default_value = "cpu")]
        device: Device,
        /// Let CUDA use TF32, and allow for its lower precision.
        #[arg(long)]
        tf32: bool,
        /// Compare layer by layer first, and name the first that departs.
        #[arg(long)]
        layers: bool,
        /// Print the comparison as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show how two .onnx files differ: graph, weights, card. Exits with 0 where they are equal, 1 where they differ, 2
    /// where one cannot be read.
    Diff {
        /// The first file.
        one: PathBuf,
        /// The second.
        other: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a network layer by layer, and what an .onnx file holds.
    Inspect {
        /// A preset's name, a .toml description, a checkpoint folder or an .onnx file.
        what: String,
        /// Head to put on a preset or description: dense or lstm.
        #[arg(long)]
        head: Option<HeadKind>,
        /// Classes of a preset or description.
        #[arg(long, value_parser = RangedU64ValueParser::<usize>::new().range(2..=Network::MOST_CLASSES as u64))]
        classes: Option<usize>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Exit status of `diff` where it could not compare; 1 means that the files differ.
const NOT_COMPARED: u8 = 2;

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let failure = if matches!(command, Command::Diff { .. }) {
        NOT_COMPARED.into()
    } else {
        ExitCode::FAILURE
    };
    let mut out = io::stdout().lock();
    match run(command, &mut out).and_then(|code| Ok((out.flush()?, code))) {
        Ok(((), code)) => code,
        // Broken pipe: the reader, such as `head`, closed early.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain("error", &error);
            failure
        }
    }
}

fn complain(what: &str, error: &anyhow::Error) {
    // Lines stay lines; their text may come from a file.
    let text = format!("{error:#}");
    let lines: Vec<String> = text.lines().map(printable).collect();
    // Standard error may be closed; then nothing can be reported.
    let _ = writeln!(io::stderr(), "{what}: {}", lines.join("\n"));
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

fn run(command: Command, out: &mut impl Write) -> Result<ExitCode> {
    match command {
        Command::Compile(options) => compile::compile(*options, out)?,
        Command::Verify { model, checkpoint, device, tf32, layers, json } => {
            let checkpoint = Checkpoint::open(&checkpoint)?;
            let options = SessionOptions::on(device).with_tf32(tf32);
            let compare = || {
                let layers = match layers {
                    true => verify::layers(&model, &checkpoint)?,
                    false => Vec::new(),
                };
                Ok((verify(&model, &checkpoint, &options)?, layers))
            };
            let file = model.display().to_string();
            match compare().map_err(|error: anyhow::Error| error.context(file.clone())) {
                Ok((report, layers)) => {
                    print_verified(&report, &layers, json, out)?;
                    if !json {
                        writeln!(out, "passed: {} {}", printable(&file), report.verdict())?;
                    }
                }
                Err(error) => {
                    complain("failed", &error);
                    return Ok(ExitCode::FAILURE);
                }
            }
        }
        Command::Diff { one, other, json } => {
            let same = diff::diff(&one, &other, json, out)?;
            return Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Inspect { what, head, classes, json } => {
            inspect::inspect(&what, head, classes, json, out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_verified(
    report: &Report,
    layers: &[Departure],
    json: bool,
    out: &mut impl Write,
) -> Result<()> {
    if json {
        writeln!(out, "{}", json!({ "graphs": [report], "layers": layers }))?;
        return Ok(());
    }
    if !layers.is_empty() {
        writeln!(out, "layer          relative Δ    allowed")?;
    }
    for Departure { layer, relative, tolerance } in layers {
        writeln!(out, "{layer:<13} {relative:>11.1e} {tolerance:>10.0e}")?;
    }
    print_reports(std::slice::from_ref(report), &[], None, false, out)
}

fn print_reports(
    reports: &[Report],
    files: &[PathBuf],
    speed: Option<&Speed>,
    json: bool,
    out: &mut impl Write,
) -> Result<()> {
    if json {
        writeln!(out, "{}", json!({ "graphs": reports, "files": files, "speed": speed }))?;
        return Ok(());
    }
    writeln!(out, "{}", Report::header())?;
    for line in reports.iter().flat_map(Report::lines) {
        writeln!(out, "{line}")?;
    }
    for file in files {
        writeln!(out, "wrote {}", printable(&file.to_string_lossy()))?;
    }
    Ok(())
}
