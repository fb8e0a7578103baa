//! The command `leitmotif`: identifies the artist of a recording.

mod enroll;
mod gallery;
mod info;
mod recognize;

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use leitmotif::{Device, SessionOptions};
use leitmotif_models::text::printable;

/// Identifies the artist of a recording, with a network in one .onnx file.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Identify the artist of audio files
    Recognize(recognize::Recognize),
    /// Enrol songs of new artists in a gallery, by which `recognize --gallery` answers
    Enroll(enroll::Enroll),
    /// Describe a model by its card
    Info(info::Info),
    /// Run a model's golden input and compare with its golden probabilities
    Check(info::Check),
    /// Show which ONNX Runtime is used and which devices it can run on
    Providers,
}

/// Where and how a model runs.
#[derive(Args)]
struct RunOptions {
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: Device,
    /// CPU threads, at most 1024; 0 lets ONNX Runtime choose
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=SessionOptions::MOST_THREADS as i64))]
    threads: u16,
}

impl RunOptions {
    fn options(&self) -> SessionOptions {
        SessionOptions::on(self.device).with_threads(usize::from(self.threads))
    }
}

/// The model's file, named on the command line or by a variable.
#[derive(Args)]
struct Model {
    /// The model, a file made by leitmotif-export
    #[arg(value_name = "MODEL.onnx", env = "LEITMOTIF_MODEL")]
    model: PathBuf,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Recognize(command) => command.run(),
        Command::Enroll(command) => command.run(),
        Command::Info(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Providers => info::providers(),
    };
    match result {
        Ok(code) => code,
        // The reader closed the pipe early, as in `leitmotif recognize … | head -1`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            log(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// Writes one line to standard error.
fn log(message: &str) {
    let _ = writeln!(io::stderr(), "leitmotif: {}", printable(message));
}
