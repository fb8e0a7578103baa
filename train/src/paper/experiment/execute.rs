//! Does what is left of a plan, run after run.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use leitmotif_dataset::store::Dataset;
use leitmotif_models::Network;
use tch::Device;

use super::error::ExperimentError;
use super::filters::Learned;
use super::machine::Session;
use super::plan::{Plan, State, Wanted, state};
use super::results_dir;
use crate::console::log;
use crate::error::{RunFolderError, TrainError};
use crate::learn::checkpoint::Checkpoint;
use crate::learn::config::FitConfig;
use crate::learn::fit::fit;
use crate::learn::start::{Changes, Start};
use crate::learn::task::Task;
use crate::model::network::Model;
use leitmotif_models::checkpoint::{BEST, LAST};

/// Where and on what runs are done.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// The data set's folder.
    pub dataset: &'a Path,
    /// The results folder.
    pub results: &'a Path,
    /// What to compute on.
    pub device: Device,
    /// Threads of libtorch on the CPU.
    pub threads: usize,
}

/// What became of the runs of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Done now.
    pub done: usize,
    /// Finished before.
    pub there: usize,
    /// Another process is at them.
    pub elsewhere: usize,
}

/// Does every run of the plan that is not finished and that no other process is at.
///
/// # Errors
///
/// `Interrupted` once `stop` is set: everything finished, and the last epoch of the run under way, is kept. `RunsFailed` after
/// all others are done, where the loss of some became no number. Else whatever cannot be read, written or computed.
pub fn work(plan: &Plan, site: &Site<'_>, stop: &AtomicBool) -> Result<Outcome, ExperimentError> {
    let Site { dataset, results, .. } = *site;
    let music = Dataset::open(dataset)?;
    results_dir::check(results, &music)?;
    results_dir::describe(results, &music, &plan.splits)?;
    for asked in &plan.asked {
        let name = format!("{}.json", asked.experiment.name);
        results_dir::write(&results.join("experiments").join(name), asked)?;
    }
    plan.write_splits(&music)?;
    drop(music);
    let mut outcome = Outcome::default();
    let mut failed = Vec::new();
    for (i, wanted) in plan.runs.iter().enumerate() {
        let progress = format!("run {} of {}, {}", i + 1, plan.runs.len(), wanted.key);
        if state(results, &wanted.key)? == State::Finished {
            log!("{progress}: done already");
            outcome.there += 1;
        } else {
            log!("{progress}:");
            match one(wanted, site, stop) {
                Err(ExperimentError::Train(error @ TrainError::Diverged { .. })) => {
                    log!("{progress}: {error}");
                    failed.push((wanted.key.clone(), error.to_string()));
                    continue;
                }
                Err(ExperimentError::Train(TrainError::Run(RunFolderError::InUse { .. }))) => {
                    log!("{progress}: another process is at it");
                    outcome.elsewhere += 1;
                    continue;
                }
                other => other?,
            }
            outcome.done += 1;
        }
        if wanted.learned {
            look(wanted, site, stop)?;
        }
    }
    match failed.split_first() {
        Some(((first, reason), others)) => Err(ExperimentError::RunsFailed {
            first: first.clone(),
            reason: reason.clone(),
            others: others.len(),
        }),
        None => Ok(outcome),
    }
}

/// Begins a run or goes on with it.
fn one(wanted: &Wanted, site: &Site<'_>, stop: &AtomicBool) -> Result<(), ExperimentError> {
    let run = results_dir::run(site.results, &wanted.key);
    let task = Task::open(site.dataset, &wanted.split)?;
    if task.split_note().digest.as_deref() != Some(wanted.split_digest.as_str()) {
        return Err(ExperimentError::SplitChanged { split: wanted.split.clone() });
    }
    let start = match state(site.results, &wanted.key)? {
        State::Waiting => Start::Fresh {
            network: Box::new(wanted.network.clone()),
            config: Box::new(FitConfig { threads: site.threads, ..wanted.config.clone() }),
            pretrained: None,
        },
        State::Begun(_) | State::Finished => {
            Start::Resume(Changes { epochs: None, threads: Some(site.threads) })
        }
    };
    fs::create_dir_all(&run).map_err(|e| ExperimentError::file(&run, e))?;
    let began = Instant::now();
    let outcome = fit(&run, &task, start, site.device, stop);
    if !matches!(outcome, Err(TrainError::Run(RunFolderError::InUse { .. }))) {
        Session::here(site.device, began.elapsed().as_secs_f64()).note(&run)?;
    }
    outcome?;
    Ok(())
}

/// Finds out what the filters of a finished run have learnt, once.
fn look(wanted: &Wanted, site: &Site<'_>, stop: &AtomicBool) -> Result<(), ExperimentError> {
    let run = results_dir::run(site.results, &wanted.key);
    if Learned::is_there(&run) {
        return Ok(());
    }
    log!("looking at what the filters of {} have learnt", wanted.key);
    tch::set_num_threads(i32::try_from(site.threads).unwrap_or(1).max(1));
    let Checkpoint { record, weights, .. } = Checkpoint::read(&run.join(judged(&wanted.config)))?;
    let network: Network = record.network;
    let model = Model::from_values(network, record.classes.len(), &weights, site.device)?;
    Learned::of(&model, stop)?.write(&run)
}

/// The checkpoint whose scores count: the last, or with early stopping the best by validation.
pub fn judged(config: &FitConfig) -> &'static str {
    if config.patience.is_some() { BEST } else { LAST }
}
