//! The command `leitmotif`: identifies the artist of a recording.

mod console;
mod enroll;
mod evaluate;
mod files;
mod gallery;
mod info;
mod listen;
mod manual;
mod model;
mod recognize;

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::console::log;

/// Identifies the artist of a recording, with a network in one .onnx file.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 all is well, 1 something failed (a file without an answer, a failed check), \
    2 wrong usage, 130 stopped by Ctrl-C";

#[derive(Subcommand)]
enum Command {
    /// Identify the artist of audio files
    #[command(after_help = EXIT_CODES)]
    Recognize(recognize::Recognize),
    /// Identify the artist of raw samples from standard input, as they come
    #[command(after_help = EXIT_CODES)]
    Listen(listen::Listen),
    /// Evaluate a model on a part of a prepared data set
    Evaluate(evaluate::Evaluate),
    /// Enrol songs of new artists in a gallery, by which `recognize --gallery` answers
    Enroll(enroll::Enroll),
    /// Describe a model by its card
    Info(info::Info),
    /// Run a model's golden input and compare with its golden probabilities
    Check(info::Check),
    /// Show which ONNX Runtime is used and which devices it can run on
    Providers,
    /// Print the completions of a shell
    Completions(manual::Completions),
    /// Write the manual pages
    Manual(manual::Manual),
}

/// Options that do not go together: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(&'static str);

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Recognize(command) => command.run(),
        Command::Listen(command) => command.run(),
        Command::Evaluate(command) => command.run(),
        Command::Enroll(command) => command.run(),
        Command::Info(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Providers => info::providers(),
        Command::Completions(command) => command.run(Cli::command()),
        Command::Manual(command) => command.run(Cli::command()),
    };
    match result {
        Ok(code) => code,
        // The reader closed the pipe early, as in `leitmotif recognize … | head -1`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            console::wait_if_ending();
            log(&format!("{error:#}"));
            if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
