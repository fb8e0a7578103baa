//! `leitmotif-train experiment`: plans, runs and resumes the paper's experiments.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use leitmotif_dataset::store::{Dataset, Part};
use leitmotif_models::Device;

use crate::console::log;
use crate::error::TrainError;
use crate::model::device;
use crate::paper::experiment::error::ExperimentError;
use crate::paper::experiment::estimate::{Basis, Speeds, seconds};
use crate::paper::experiment::execute::{Outcome, Site, work};
use crate::paper::experiment::plan::{Plan, State, state};
use crate::paper::experiment::results_dir;
use crate::paper::experiment::scale::{Changes, Scale};
use crate::paper::experiment::spec::Experiment;

/// Arguments of `experiment`.
#[derive(Debug, Args)]
pub struct ExperimentArgs {
    /// `all`, `splits`, `filters`, `segments`, `heads`, `topk`, `genres`, or TOML files that describe others
    #[arg(required = true)]
    experiments: Vec<String>,
    /// Folder of the data set; splits that are missing are made there
    #[arg(long)]
    dataset: PathBuf,
    /// Folder of the results; finished runs there are not repeated
    #[arg(long)]
    out: PathBuf,
    /// How large everything is: `paper`, `small` (for two CPU cores), or a TOML file
    #[arg(long, default_value = "paper")]
    scale: String,
    /// Epochs of every run [default: the scale's; the paper's 50]
    #[arg(long)]
    epochs: Option<usize>,
    /// Runs on each split, each with its own seed [default: the scale's; the paper's 3]
    #[arg(long)]
    runs: Option<usize>,
    /// Splits, each with its own seed [default: the scale's; the paper's 1]
    #[arg(long)]
    splits: Option<usize>,
    /// Early stopping: stop a run after this many epochs without better validation, and score its best epoch
    #[arg(long)]
    patience: Option<usize>,
    /// Print the runs and an estimate of the time, without running anything
    #[arg(long)]
    plan: bool,
    /// Device: `auto`, `cpu`, `cuda` or `cuda:N`
    #[arg(long, default_value = "auto")]
    device: Device,
    /// Threads of libtorch on the CPU [default: one for each core]
    #[arg(long)]
    threads: Option<usize>,
}

/// Runs `experiment`.
pub fn run(args: ExperimentArgs) -> anyhow::Result<()> {
    let stop = super::stop_flag()?;
    let ExperimentArgs { epochs, runs, splits, patience, .. } = args;
    let scale = Scale::named(&args.scale, Changes { epochs, runs, splits, patience })?;
    let mut experiments: Vec<(String, Experiment)> = Vec::new();
    for name in &args.experiments {
        for experiment in Experiment::named(name)? {
            match experiments.iter().find(|(_, known)| known.name == experiment.name) {
                None => experiments.push((name.clone(), experiment)),
                Some((_, known)) if *known == experiment => {}
                Some((other, known)) => bail!(
                    "`{other}` and `{name}` are two experiments of one name, `{}`; rename one",
                    known.name
                ),
            }
        }
    }
    let device = device::resolve(args.device)?;
    let dataset = Dataset::open(&args.dataset)?;
    results_dir::check(&args.out, &dataset)?;
    let plan = Plan::new(&experiments, &scale, &dataset)?;
    if args.plan {
        super::set_threads(args.threads);
        return print_plan(&plan, &args.out, &dataset, device);
    }
    drop(dataset);
    let site = Site {
        dataset: &args.dataset,
        results: &args.out,
        device,
        threads: super::cores(args.threads),
    };
    match work(&plan, &site, &stop) {
        Ok(Outcome { done, there, elsewhere }) => super::print(|out| {
            let all = plan.runs.len();
            writeln!(out, "{done} runs done, {there} of {all} were there already")?;
            if elsewhere > 0 {
                writeln!(out, "{elsewhere} are left to another process, which is at them")?;
            }
            let results = args.out.display();
            writeln!(out, "`leitmotif-train report {results} --out report.html` shows them")
        }),
        Err(ExperimentError::Train(TrainError::Interrupted)) => {
            log!("stopped; the same command resumes");
            Err(TrainError::Interrupted.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Prints the plan with an estimate of the time left.
fn print_plan(
    plan: &Plan,
    results: &Path,
    dataset: &Dataset,
    device: tch::Device,
) -> anyhow::Result<()> {
    let mut speeds = Speeds::default();
    let mut lines = Vec::new();
    let mut left = 0.0;
    for wanted in &plan.runs {
        let state = state(results, &wanted.key)?;
        let done = match state {
            State::Finished => wanted.config.epochs,
            State::Begun(epochs) => epochs,
            State::Waiting => 0,
        };
        let text = match state {
            State::Finished => "done".to_owned(),
            State::Begun(epochs) => format!("{epochs} of {} epochs done", wanted.config.epochs),
            State::Waiting => "to do".to_owned(),
        };
        let mut hours = String::new();
        if state != State::Finished {
            let (speed, basis) =
                speeds.of(wanted, plan, results, dataset.artists().len(), device)?;
            let split = plan.splits.iter().find(|split| split.name == wanted.split);
            let count = |part| {
                let parts = split.map_or(&[][..], |split| &split.parts);
                parts.iter().filter(|of| **of == Some(part)).count()
            };
            let judged = count(Part::Validation) + count(Part::Test);
            let seconds = seconds(
                wanted.config.epochs.saturating_sub(done),
                count(Part::Train),
                judged,
                speed,
            );
            left += seconds;
            let by = if basis == Basis::Epochs { "by epochs" } else { "by one step" };
            hours = format!("{}, {speed:.1} clips/s {by}", format_duration(seconds));
        }
        lines.push(format!("{:70} {text:24} {hours}", wanted.key));
    }
    super::print(|out| {
        for asked in &plan.asked {
            let runs: std::collections::BTreeSet<&String> = asked.runs.iter().flatten().collect();
            writeln!(
                out,
                "{} ({} runs): {}",
                asked.experiment.name,
                runs.len(),
                asked.experiment.question
            )?;
        }
        for split in &plan.splits {
            let there = if split.there { "there" } else { "to be made" };
            writeln!(out, "split {}: {there}", split.name)?;
        }
        for line in &lines {
            writeln!(out, "{}", line.trim_end())?;
        }
        writeln!(out, "{} runs, {} left on {device:?}", plan.runs.len(), format_duration(left))
    })
}

/// `12.3 h`, or `4.5 min` for less than an hour.
fn format_duration(seconds: f64) -> String {
    if seconds >= 3600.0 {
        format!("{:.1} h", seconds / 3600.0)
    } else {
        format!("{:.1} min", seconds / 60.0)
    }
}
