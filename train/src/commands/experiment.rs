//! `leitmotif-train experiment`: plans, runs and resumes the paper's experiments.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use leitmotif_dataset::store::{Dataset, Part};
use leitmotif_models::Device;

use super::recipe;
use crate::console::log;
use crate::error::TrainError;
use crate::model::device;
use crate::paper::experiment::error::ExperimentError;
use crate::paper::experiment::estimate::{Basis, Speeds, seconds};
use crate::paper::experiment::execute::{PlanOutcome, RunContext, execute};
use crate::paper::experiment::plan::Plan;
use crate::paper::experiment::results_dir::{RunStatus, check_dataset, run_status};
use crate::paper::experiment::scale::{Scale, ScaleChanges};
use crate::paper::experiment::spec::Experiment;

/// What to do about runs whose epochs were changed by `fit --resume --epochs N`.
const ADVICE: &str = "the report leaves these out; to train one as planned, remove its folder in `runs` and start the same command again";

/// Arguments of `experiment`.
#[derive(Debug, Args)]
pub struct ExperimentArgs {
    /// The paper's: `all`, `splits`, `filters`, `segments`, `heads`, `topk`, `genres`; `ablation` of the recipe `small` and
    /// `ablation-compact`, with --scale five-splits; or TOML files that describe others
    #[arg(required = true)]
    experiments: Vec<String>,
    /// Folder of the data set; splits that are missing are made there
    #[arg(long)]
    dataset: PathBuf,
    /// Folder of the results; finished runs there are not repeated
    #[arg(long)]
    out: PathBuf,
    /// How large everything is: `paper`, `small` (for two CPU cores), `five-splits` (for lines with recipes), or a TOML file
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
    /// Print the runs and an estimate of the time, without training any of them; a network's speed is measured by some steps
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
    let scale = Scale::named(&args.scale, ScaleChanges { epochs, runs, splits, patience })?;
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
    let device = device::resolve_for_training(args.device)?;
    let dataset = Dataset::open(&args.dataset)?;
    check_dataset(&args.out, &dataset)?;
    let plan = Plan::new(&experiments, &scale, &dataset, &recipe::config)?;
    if args.plan {
        super::set_threads(args.threads);
        return print_plan(&plan, &args.out, &dataset, device);
    }
    drop(dataset);
    let context = RunContext {
        dataset: &args.dataset,
        results: &args.out,
        device,
        threads: super::cores(args.threads),
    };
    match execute(&plan, &context, &stop) {
        Ok(PlanOutcome { done, already_done, other_epochs, in_use }) => super::print(|out| {
            let all = plan.runs.len();
            writeln!(out, "{done} runs done, {already_done} of {all} were there already")?;
            if in_use > 0 {
                writeln!(out, "{in_use} are left to another process, which trains them")?;
            }
            if other_epochs > 0 {
                writeln!(out, "{other_epochs} with other epochs than planned; {ADVICE}")?;
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
    let mut other_epochs = 0;
    for run in &plan.runs {
        let planned = run.config.epochs;
        let status = run_status(results, &run.key, planned)?;
        let (text, epochs) = match status {
            RunStatus::Finished => ("done".to_owned(), 0),
            RunStatus::OtherEpochs(other) => {
                other_epochs += 1;
                (format!("{} epochs instead of {planned}", other.given), 0)
            }
            RunStatus::InProgress(done) => {
                (format!("{done} of {planned} epochs done"), planned.saturating_sub(done))
            }
            RunStatus::NotStarted => ("to do".to_owned(), planned),
        };
        let mut hours = String::new();
        if matches!(status, RunStatus::InProgress(_) | RunStatus::NotStarted) {
            let (speed, basis) = speeds.of(run, plan, results, dataset.artists().len(), device)?;
            let split = plan.splits.iter().find(|split| split.name == run.split);
            let count = |part| {
                let parts = split.map_or(&[][..], |split| &split.parts);
                parts.iter().filter(|of| **of == Some(part)).count()
            };
            let test = if run.config.watch_test { count(Part::Test) } else { 0 };
            let steps = run.config.steps_per_epoch.map(|steps| steps * run.config.batch);
            let training = steps.unwrap_or_else(|| count(Part::Train));
            let seconds = seconds(epochs, training, count(Part::Validation) + test, speed);
            left += seconds;
            let by = if basis == Basis::Epochs { "by epochs" } else { "by one step" };
            hours = format!("{}, {speed:.1} clips/s {by}", format_duration(seconds));
        }
        lines.push(format!("{:70} {text:24} {hours}", run.key));
    }
    super::print(|out| {
        for planned in &plan.experiments {
            let runs: std::collections::BTreeSet<&String> = planned.runs.iter().flatten().collect();
            writeln!(
                out,
                "{} ({} runs): {}",
                planned.experiment.name,
                runs.len(),
                planned.experiment.question
            )?;
        }
        for split in &plan.splits {
            let status = if split.exists { "there" } else { "to be made" };
            writeln!(out, "split {}: {status}", split.name)?;
        }
        for line in &lines {
            writeln!(out, "{}", line.trim_end())?;
        }
        if other_epochs > 0 {
            writeln!(out, "{other_epochs} with other epochs than planned; {ADVICE}")?;
        }
        writeln!(
            out,
            "{} runs, {} left on {}",
            plan.runs.len(),
            format_duration(left),
            device::name(device)
        )
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
