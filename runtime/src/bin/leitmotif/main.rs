//! The command `leitmotif`: says who plays.

mod info;
mod recognize;

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use leitmotif::{Device, SessionOptions};
use leitmotif_models::text::printable;

/// Says who plays in a recording, with a network in one .onnx file.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say who plays in audio files
    Recognize(recognize::Recognize),
    /// Tell what a model says of itself
    Info(info::Info),
    /// Run the input that a model carries and compare with the answer that it carries
    Check(info::Check),
    /// Tell which ONNX Runtime is used and what it can run on
    Providers,
}

/// Where and how a model runs.
#[derive(Args)]
struct Running {
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: Device,
    /// CPU threads, at most 1024; 0 lets ONNX Runtime choose
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=SessionOptions::MOST_THREADS as i64))]
    threads: u16,
}

impl Running {
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
    let done = match Cli::parse().command {
        Command::Recognize(command) => command.run(),
        Command::Info(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Providers => info::providers(),
    };
    match done {
        Ok(code) => code,
        // Who reads has read enough, as in `leitmotif recognize … | head -1`.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Our own errors tell their cause themselves.
            match error.downcast_ref::<leitmotif::Error>() {
                Some(own) => complain(&own.to_string()),
                None => complain(&format!("{error:#}")),
            }
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// One line on standard error.
fn complain(what: &str) {
    let _ = writeln!(io::stderr(), "leitmotif: {}", printable(what));
}
