//! Does what is left of a plan, run after run.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use leitmotif_dataset::store::Dataset;
use tch::Device;

use super::error::{ExperimentError, ResultsError};
use super::filters::FilterAnalysis;
use super::machine::Session;
use super::plan::{Plan, PlannedRun};
use super::results_dir::{self, RunStatus, evaluated_checkpoint, run_folder, run_status};
use crate::console::log;
use crate::error::{RunFolderError, TrainError};
use crate::learn::checkpoint::Checkpoint;
use crate::learn::config::FitConfig;
use crate::learn::fit::fit;
use crate::learn::start::{Changes, Start};
use crate::learn::task::Task;
use crate::model::network::Model;

/// Where runs read and write, and what they compute on.
#[derive(Clone, Copy, Debug)]
pub struct RunContext<'a> {
    /// The data set's folder.
    pub dataset: &'a Path,
    /// The results folder.
    pub results: &'a Path,
    /// The device.
    pub device: Device,
    /// Threads of libtorch on the CPU.
    pub threads: usize,
}

/// What became of the runs of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanOutcome {
    /// Finished now.
    pub done: usize,
    /// Finished before.
    pub already_done: usize,
    /// Left alone, because they have other epochs than planned.
    pub other_epochs: usize,
    /// Left to another process that trains them.
    pub in_use: usize,
}

/// Does every run of the plan that is not finished and that no other process trains.
///
/// # Errors
///
/// `Interrupted` once `stop` is set: everything finished, and the last epoch of the current run, is kept. `RunsFailed` after
/// all others are done, where the loss of some diverged. Else whatever cannot be read, written or computed.
pub fn execute(
    plan: &Plan,
    context: &RunContext<'_>,
    stop: &AtomicBool,
) -> Result<PlanOutcome, ExperimentError> {
    let results = context.results;
    write_plan(plan, context)?;
    let mut outcome = PlanOutcome::default();
    let mut failed = Vec::new();
    for (i, run) in plan.runs.iter().enumerate() {
        let progress = format!("run {} of {}, {}", i + 1, plan.runs.len(), run.key);
        let status = run_status(results, &run.key, run.config.epochs)?;
        match status {
            RunStatus::Finished => {
                log!("{progress}: done already");
                outcome.already_done += 1;
            }
            RunStatus::OtherEpochs(other) => {
                let folder = run_folder(results, &run.key);
                log!(
                    "{progress}: left out of the report: {other}; remove {} and start the same command again to train it as planned",
                    folder.display()
                );
                outcome.other_epochs += 1;
                continue;
            }
            RunStatus::InProgress(_) | RunStatus::NotStarted => {
                log!("{progress}:");
                match train(run, status, context, stop) {
                    Err(ExperimentError::Train(error @ TrainError::Diverged { .. })) => {
                        log!("{progress}: {error}");
                        failed.push((run.key.clone(), error));
                        continue;
                    }
                    Err(ExperimentError::Train(TrainError::Run(RunFolderError::InUse {
                        ..
                    }))) => {
                        log!("{progress}: another process trains it");
                        outcome.in_use += 1;
                        continue;
                    }
                    other => other?,
                }
                outcome.done += 1;
            }
        }
        if run.analyse_filters {
            analyse_filters(run, context, stop)?;
        }
    }
    let others = failed.len().saturating_sub(1);
    match failed.into_iter().next() {
        Some((first, error)) => {
            Err(ExperimentError::RunsFailed { first, source: Box::new(error), others })
        }
        None => Ok(outcome),
    }
}

/// Writes the plan into the results folder, and the splits that the data set lacks.
fn write_plan(plan: &Plan, context: &RunContext<'_>) -> Result<(), ExperimentError> {
    let results = context.results;
    let dataset = Dataset::open(context.dataset)?;
    results_dir::check_dataset(results, &dataset)?;
    let splits: Vec<_> = plan.splits.iter().map(|split| split.to_file(dataset.clips())).collect();
    results_dir::write_dataset(results, &dataset, &splits)?;
    for planned in &plan.experiments {
        let name = format!("{}.json", planned.experiment.name);
        results_dir::write_json(&results.join("experiments").join(name), planned)?;
    }
    plan.write_splits(&dataset)
}

/// Starts a run or resumes it.
fn train(
    run: &PlannedRun,
    status: RunStatus,
    context: &RunContext<'_>,
    stop: &AtomicBool,
) -> Result<(), ExperimentError> {
    let folder = run_folder(context.results, &run.key);
    let task = Task::open(context.dataset, &run.split)?;
    if task.split_note().digest.as_deref() != Some(run.split_digest.as_str()) {
        return Err(ResultsError::SplitChanged { split: run.split.clone() }.into());
    }
    let start = match status {
        RunStatus::NotStarted => Start::Fresh {
            network: Box::new(run.network.clone()),
            config: Box::new(FitConfig { threads: context.threads, ..run.config.clone() }),
            pretrained: None,
        },
        _ => Start::Resume(Changes { threads: Some(context.threads), ..Changes::NONE }),
    };
    fs::create_dir_all(&folder).map_err(|e| ExperimentError::file(&folder, e))?;
    let began = Instant::now();
    let outcome = fit(&folder, &task, start, context.device, stop);
    if !matches!(outcome, Err(TrainError::Run(RunFolderError::InUse { .. }))) {
        Session::on_this_machine(context.device, began.elapsed().as_secs_f64()).append(&folder)?;
    }
    outcome?;
    Ok(())
}

/// Analyses the filters of a finished run, once.
fn analyse_filters(
    run: &PlannedRun,
    context: &RunContext<'_>,
    stop: &AtomicBool,
) -> Result<(), ExperimentError> {
    let folder = run_folder(context.results, &run.key);
    if FilterAnalysis::exists(&folder) {
        return Ok(());
    }
    log!("analysing the filters of {}", run.key);
    tch::set_num_threads(i32::try_from(context.threads).unwrap_or(1).max(1));
    let checkpoint = folder.join(evaluated_checkpoint(&run.config));
    let Checkpoint { record, weights, .. } = Checkpoint::read(&checkpoint)?;
    let classes = record.classes.len();
    let model = Model::from_values(record.network, classes, &weights, context.device)?;
    FilterAnalysis::of(&model, stop)?.write(&folder)
}
