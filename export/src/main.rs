//! `leitmotif-export`: compiles a checkpoint to `.onnx` files, verifies and inspects them.

mod inspect;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use leitmotif_export::{Artifact, Checkpoint, compile};
use leitmotif_models::{GraphKind, HeadKind};
use serde_json::json;

use verify::{Report, verify};

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
    Compile {
        /// Folder that the trainer saved.
        checkpoint: PathBuf,
        /// Folder for the files.
        #[arg(long, default_value = ".")]
        out: PathBuf,
        /// Name of the model; the network's own where it is left out.
        #[arg(long)]
        name: Option<String>,
        /// Print the comparison as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Compare a compiled file with its checkpoint.
    Verify {
        /// The .onnx file.
        model: PathBuf,
        /// Folder that the trainer saved.
        checkpoint: PathBuf,
        /// Print the comparison as JSON.
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
        #[arg(long)]
        classes: Option<usize>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", in_one_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, each said once: many of ours already hold their cause's words.
fn in_one_line(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text {
        text if text.contains(&cause) => text,
        text if text.is_empty() => cause,
        text => format!("{text}: {cause}"),
    })
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Compile { checkpoint, out, name, json } => {
            run_compile(&checkpoint, &out, name, json)
        }
        Command::Verify { model, checkpoint, json } => {
            let checkpoint = Checkpoint::open(&checkpoint)?;
            let report =
                verify(&model, &checkpoint).with_context(|| model.display().to_string())?;
            print_reports(&[report], &[], json);
            Ok(())
        }
        Command::Inspect { what, head, classes, json } => {
            inspect::inspect(&what, head, classes, json)
        }
    }
}

fn run_compile(folder: &Path, out: &Path, name: Option<String>, json: bool) -> Result<()> {
    let checkpoint = Checkpoint::open(folder)?;
    let network = &checkpoint.run().network;
    let name = name.unwrap_or_else(|| network.name.clone());
    ensure!(
        !name.is_empty() && !name.contains(['/', '\\']) && !name.starts_with('.'),
        "`{name}` cannot begin a file name; choose another with --name"
    );
    let artifacts = GraphKind::of_head(network.head.kind)
        .into_iter()
        .map(|kind| compile(&checkpoint, kind, &name))
        .collect::<Result<Vec<_>, _>>()?;
    fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    let reports = write_all(&artifacts, out, &checkpoint)?;
    let files: Vec<PathBuf> = artifacts.iter().map(|a| out.join(a.file_name())).collect();
    print_reports(&reports, &files, json);
    Ok(())
}

/// Writes and verifies each file; the first gets its name only when all after it have theirs, so a failure leaves none.
fn write_all(artifacts: &[Artifact], out: &Path, checkpoint: &Checkpoint) -> Result<Vec<Report>> {
    let Some((artifact, rest)) = artifacts.split_first() else {
        return Ok(Vec::new());
    };
    let path = out.join(artifact.file_name());
    let mut reports = Vec::new();
    artifact.write(&path, |temporary| {
        let report = verify(temporary, checkpoint)
            .with_context(|| format!("verify: {} was not written", path.display()))?;
        reports.push(report);
        reports.extend(write_all(rest, out, checkpoint)?);
        anyhow::Ok(())
    })?;
    Ok(reports)
}

fn print_reports(reports: &[Report], files: &[PathBuf], json: bool) {
    if json {
        println!("{}", json!({ "graphs": reports, "files": files }));
        return;
    }
    println!("{}", Report::header());
    for line in reports.iter().flat_map(Report::lines) {
        println!("{line}");
    }
    for file in files {
        println!("wrote {}", file.display());
    }
}
