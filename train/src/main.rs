//! The command `leitmotif-train`.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use leitmotif_train::commands::{
    INTERRUPTED, calibrate, compare, dataset, devices, evaluate, experiment, fit, inspect, plot,
    prepare, recipe, report, runs, split,
};
use leitmotif_train::error::TrainError;
use leitmotif_train::model::{cuda, process};
use leitmotif_train::ranks::error::RanksError;
use leitmotif_train::ranks::launch;

/// Prepares music, trains networks to recognise artists, and evaluates them
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
    /// Join the parts of a data set that many machines prepared, or check one
    Dataset(dataset::DatasetArgs),
    /// Split a data set into training, validation and test parts
    Split(split::SplitArgs),
    /// Train a network
    #[command(allow_negative_numbers = true, args_override_self = true)]
    Fit(Box<fit::FitArgs>),
    /// Evaluate a checkpoint on a part of a split
    Evaluate(evaluate::EvaluateArgs),
    /// Fit temperature and threshold of a checkpoint on songs that did not train
    Calibrate(calibrate::CalibrateArgs),
    /// List the runs below a folder
    Runs(runs::RunsArgs),
    /// Put runs side by side: settings that differ, scores, curves
    Compare(compare::CompareArgs),
    /// Repeat the paper's experiments, or others, on a data set
    Experiment(experiment::ExperimentArgs),
    /// Write the results of experiments so far, or one run, to one HTML file
    Report(report::ReportArgs),
    /// Draw the artists' probabilities over a song, or the curves of runs
    Plot(plot::PlotArgs),
    /// Print the layers of a network as a table
    Inspect(inspect::InspectArgs),
    /// Print the devices that libtorch can train on here
    Devices(devices::DevicesArgs),
}

fn main() -> ExitCode {
    let cli = match recipe::expand(std::env::args_os().collect()) {
        Ok(arguments) => Cli::parse_from(arguments),
        Err(error) => return failure(&error),
    };
    let computes = matches!(
        cli.command,
        Command::Fit(_) | Command::Evaluate(_) | Command::Calibrate(_) | Command::Experiment(_)
    );
    if computes && let Err(error) = process::start_again() {
        let _ = writeln!(
            std::io::stderr(),
            "training will be slower: set OMP_WAIT_POLICY=passive and MALLOC_MMAP_MAX_=0, since the program cannot \
             start again with them: {error}"
        );
    }
    // Before the first torch call, so that libtorch's CUDA library can register. It takes 230 MB, which preparing music
    // does not need.
    if !needs_no_torch(&cli.command) {
        cuda::load();
    }
    let done = match cli.command {
        Command::Prepare(args) => prepare::run(args),
        Command::Dataset(args) => dataset::run(args),
        Command::Split(args) => split::run(args),
        Command::Fit(args) => fit::run(*args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Calibrate(args) => calibrate::run(args),
        Command::Runs(args) => runs::run(args),
        Command::Compare(args) => compare::run(args),
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
        Err(error) if is_reported(&error) => ExitCode::FAILURE,
        Err(error) => failure(&error),
    }
}

/// Whether standard error has it already, from another process.
fn is_reported(error: &anyhow::Error) -> bool {
    let elsewhere =
        matches!(error.downcast_ref(), Some(TrainError::Ranks(RanksError::Elsewhere { .. })));
    error.is::<fit::Reported>() || (elsewhere && launch::is_launched())
}

fn needs_no_torch(command: &Command) -> bool {
    use Command::{Compare, Dataset, Plot, Prepare, Runs, Split};
    matches!(command, Prepare(_) | Dataset(_) | Split(_) | Plot(_) | Runs(_) | Compare(_))
}

fn failure(error: &anyhow::Error) -> ExitCode {
    // Standard error may be closed; the exit code remains.
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    ExitCode::FAILURE
}
