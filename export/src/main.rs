//! `leitmotif-export`: compiles a checkpoint to `.onnx` files, verifies and inspects them.

mod inspect;
mod verify;

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::builder::RangedU64ValueParser;
use clap::{Parser, Subcommand};
use leitmotif::{Device, SessionOptions};
use leitmotif_export::{Artifact, Checkpoint, Staged, compile};
use leitmotif_models::{GraphKind, HeadKind, Network, table};
use serde_json::json;

use verify::{Report, on_cpu, verify};

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
        /// Replace files of the same names.
        #[arg(long)]
        force: bool,
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
        /// Where to run it: cpu, cuda or cuda:N, never another.
        #[arg(long, default_value = "cpu")]
        device: Device,
        /// Let CUDA use TF32, and judge by what that may do.
        #[arg(long)]
        tf32: bool,
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
        #[arg(long, value_parser = RangedU64ValueParser::<usize>::new().range(2..=Network::MOST_CLASSES as u64))]
        classes: Option<usize>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let mut out = io::stdout().lock();
    match run(command, &mut out).and_then(|()| Ok(out.flush()?)) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our answer has seen enough, as `head` does.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Lines stay lines; what is in them may come from a file.
            let text: Vec<String> = in_one_line(&error).lines().map(table::printable).collect();
            let _nobody_listens = writeln!(io::stderr(), "error: {}", text.join("\n"));
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// An error with its causes, each said once: many of ours already hold their cause's words.
fn in_one_line(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text {
        text if text.contains(&cause) => text,
        text if text.is_empty() => cause,
        text => format!("{text}: {cause}"),
    })
}

fn run(command: Command, out: &mut impl Write) -> Result<()> {
    match command {
        Command::Compile { checkpoint, out: folder, name, force, json } => {
            run_compile(&checkpoint, &folder, name, force, json, out)
        }
        Command::Verify { model, checkpoint, device, tf32, json } => {
            let checkpoint = Checkpoint::open(&checkpoint)?;
            let options = SessionOptions::on(device).with_tf32(tf32);
            let report = verify(&model, &checkpoint, &options)
                .with_context(|| model.display().to_string())?;
            print_reports(&[report], &[], json, out)
        }
        Command::Inspect { what, head, classes, json } => {
            inspect::inspect(&what, head, classes, json, out)
        }
    }
}

fn run_compile(
    checkpoint: &Path,
    folder: &Path,
    name: Option<String>,
    force: bool,
    json: bool,
    out: &mut impl Write,
) -> Result<()> {
    let checkpoint = Checkpoint::open(checkpoint)?;
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
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let files: Vec<PathBuf> = artifacts.iter().map(|a| folder.join(a.file_name())).collect();
    let reports = write_all(&artifacts, &files, force, &checkpoint)?;
    print_reports(&reports, &files, json, out)
}

/// Writes and verifies every file under a temporary name, then gives all of them their names: a failure leaves none.
fn write_all(
    artifacts: &[Artifact],
    files: &[PathBuf],
    force: bool,
    checkpoint: &Checkpoint,
) -> Result<Vec<Report>> {
    let mut staged = Staged::new(force);
    let mut reports = Vec::new();
    for (artifact, path) in artifacts.iter().zip(files) {
        let temporary = staged.add(path, artifact.bytes())?;
        let report = verify(&temporary, checkpoint, &on_cpu())
            .with_context(|| format!("verify: {} was not written", path.display()))?;
        reports.push(report);
    }
    staged.publish()?;
    Ok(reports)
}

fn print_reports(
    reports: &[Report],
    files: &[PathBuf],
    json: bool,
    out: &mut impl Write,
) -> Result<()> {
    if json {
        writeln!(out, "{}", json!({ "graphs": reports, "files": files }))?;
        return Ok(());
    }
    writeln!(out, "{}", Report::header())?;
    for line in reports.iter().flat_map(Report::lines) {
        writeln!(out, "{line}")?;
    }
    for file in files {
        writeln!(out, "wrote {}", table::printable(&file.to_string_lossy()))?;
    }
    Ok(())
}
