//! The command `leitmotif-train`.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use leitmotif_train::commands::{
    devices, evaluate, experiment, fit, inspect, plot, prepare, report, split,
};
use leitmotif_train::error::TrainError;
use leitmotif_train::model::cuda;

/// Prepares music, trains networks to recognise artists, and scores them
#[derive(Debug, Parser)]
#[command(name = "leitmotif-train", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Turn music into a data set
    Prepare(prepare::PrepareArgs),
    /// Divide a data set into training, validation and test parts
    Split(split::SplitArgs),
    /// Train a network
    #[command(allow_negative_numbers = true)]
    Fit(Box<fit::FitArgs>),
    /// Judge a checkpoint on a part of a split
    Evaluate(evaluate::EvaluateArgs),
    /// Repeat the paper's experiments, or others, on a data set
    Experiment(experiment::ExperimentArgs),
    /// Make one HTML file of the experiments that have been run
    Report(report::ReportArgs),
    /// Draw the artists' probabilities over a song
    Plot(plot::PlotArgs),
    /// Print a network as the paper prints it
    Inspect(inspect::InspectArgs),
    /// Tell what libtorch can train on here
    Devices(devices::DevicesArgs),
}

/// As shells report a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Before the first torch call, so that libtorch's CUDA half can register. It takes 230 MB, and music needs none of it.
    if !matches!(cli.command, Command::Prepare(_) | Command::Split(_) | Command::Plot(_)) {
        cuda::load();
    }
    let done = match cli.command {
        Command::Prepare(args) => prepare::run(args),
        Command::Split(args) => split::run(args),
        Command::Fit(args) => fit::run(*args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Experiment(args) => experiment::run(args),
        Command::Report(args) => report::run(args),
        Command::Plot(args) => plot::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Devices(args) => devices::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if matches!(error.downcast_ref(), Some(TrainError::Interrupted)) => {
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            // Nobody may read standard error any more; the exit code still tells.
            let _ = writeln!(std::io::stderr(), "error: {}", in_one_line(&error));
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
