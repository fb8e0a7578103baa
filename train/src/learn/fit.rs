//! The training loop.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use leitmotif_models::checkpoint::{BEST, LAST, PREDICTIONS, WEIGHTS};
use leitmotif_models::{Confidence, Scores};

use crate::console::log;
use crate::error::{RunFolderError, TrainError};
use crate::learn::average::WeightAverage;
use crate::learn::bar::Bar;
use crate::learn::checkpoint::{read_record, write_record, write_text};
use crate::learn::clips::Example;
use crate::learn::confidence::{calibrate, source};
use crate::learn::evaluate::{Evaluation, evaluate};
use crate::learn::events::{EndEvent, Observer};
use crate::learn::feed::Feed;
use crate::learn::probe::{self, Position, TrainedValues};
use crate::learn::progress::Progress;
use crate::learn::results::{EpochTotals, Unread};
use crate::learn::saving::Saving;
use crate::learn::start::{RunState, Start, begin};
use crate::learn::step::Steps;
use crate::learn::task::Task;
use crate::model::network::Model;
use crate::model::tensors;

/// The result of a finished run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Epochs done.
    pub epochs: usize,
    /// Epoch of the best checkpoint.
    pub best_epoch: usize,
    /// Scores of the best checkpoint on the test part, if there is one.
    pub best: Option<Scores>,
    /// Scores of the last checkpoint on the test part.
    pub last: Option<Scores>,
}

/// Trains in the folder `run` until the epochs are done, validation stops improving (`patience`), or `stop` is set.
///
/// A run that was stopped or killed and then resumed ends like an uninterrupted one, bit for bit on a CPU with one
/// number of threads and, as tried on an H200, on one GPU with `deterministic`; elsewhere sums differ in the last bits.
///
/// # Errors
///
/// `Interrupted` once `stop` is set: the last checkpoint, from which the run can be resumed, holds every step that was
/// taken, but for an interruption after the last epoch's. `Diverged` once a loss, a gradient or a tensor is no longer
/// finite: the last checkpoint is from before. `OutOfMemory` where a step needs more. Otherwise whatever cannot be
/// read, written or computed.
pub fn fit(
    run: &Path,
    task: &Task,
    start: Start,
    device: tch::Device,
    stop: &AtomicBool,
) -> Result<Outcome, TrainError> {
    fit_watched(run, task, start, device, stop, vec![Box::new(Bar::new())])
}

/// [`fit`], of which `observers` learn what happens.
///
/// # Errors
///
/// Those of [`fit`]; observers are notified of it.
pub fn fit_watched(
    run: &Path,
    task: &Task,
    start: Start,
    device: tch::Device,
    stop: &AtomicBool,
    observers: Vec<Box<dyn Observer>>,
) -> Result<Outcome, TrainError> {
    let mut progress = Progress::new(observers);
    let done = train(run, task, start, device, stop, &mut progress);
    if let Err(error) = &done {
        progress.stopped(error);
    }
    done
}

fn train(
    run: &Path,
    task: &Task,
    start: Start,
    device: tch::Device,
    stop: &AtomicBool,
    progress: &mut Progress,
) -> Result<Outcome, TrainError> {
    let state = begin(run, task, start, device)?;
    let RunState { mut model, mut adam, mut average, config, unfinished, .. } = state;
    let RunState { mut epoch, mut step, mut history, lock: _lock, .. } = state;
    let batches = probe::batches(task, model.network(), &config)?;
    let (steps, clips) = (batches.steps_per_epoch(), batches.clips_per_step());
    let all_steps = (config.epochs as u64).saturating_mul(steps as u64);
    let mut training = Steps::new(device, &config);
    // Made with the first epoch: there may be none left.
    let mut feed = None;
    let probe = probe::probe_input(task, model.network())?;
    let mut saving = Saving::new(run, task, &config, probe);
    let mut totals = EpochTotals::from(unfinished.unwrap_or_default());
    check_steps(run, totals.steps(), steps)?;
    saving.remove_older(epoch)?;
    progress.start(run, (&model, task), &config, (steps, step), &history);
    if epoch < config.epochs && history.is_exhausted(config.patience) {
        log!("validation had stopped improving: no epoch is added");
    }

    while epoch < config.epochs && !history.is_exhausted(config.patience) {
        // Every step so far is in a checkpoint.
        if stop.load(Ordering::Relaxed) {
            return Err(TrainError::Interrupted);
        }
        let diverged = |what, step_of_epoch, step| {
            let clips = batches.names(epoch, step_of_epoch);
            TrainError::Diverged { what, epoch: epoch + 1, step, clips }
        };
        let mut learning_rate = config.learning_rate;
        let first = totals.steps();
        progress.epoch(epoch);
        let feed = match &mut feed {
            Some(feed) => feed,
            None => {
                let first = first * config.accumulate;
                feed.insert(Feed::new(&batches, epoch..config.epochs, first, device)?)
            }
        };
        let mut began = Instant::now();
        let mut unread = Unread::new(device);
        let rate_of =
            |step| config.learning_rate * config.schedule.factor(step, all_steps, config.warm_up);
        for step_of_epoch in first..steps {
            learning_rate = rate_of(step);
            let in_step = |error: TrainError| error.in_step(config.batch, config.accumulate);
            let batch = |part| feed.take(epoch, step_of_epoch * config.accumulate + part);
            let measured = training.take(&model, &mut adam, batch, learning_rate);
            let measured = measured.map_err(in_step)?;
            step += 1;
            if let Some(average) = &mut average {
                average.update()?;
            }
            let is_last = step_of_epoch + 1 == steps;
            let stopped = stop.load(Ordering::Relaxed);
            let saves = !is_last && (stopped || saving.is_due());
            for (result, before) in unread.push(measured, is_last || saves).map_err(in_step)? {
                if let Some(what) = result.not_finite() {
                    return Err(diverged(what, step_of_epoch - before, step - before as u64));
                }
                totals.add(&result, clips);
                let means = (totals.mean_loss(), totals.accuracy());
                // The steps before the newest had their own learning rates.
                let done = step - before as u64;
                progress.step(done, rate_of(done.saturating_sub(1)), &result, means, clips);
            }
            if !saves {
                continue;
            }
            totals.add_time(began.elapsed());
            swap(&mut average)?;
            let values = TrainedValues::of(&model, &adam, average.as_ref())?;
            if let Some(what) = values.not_finite() {
                return Err(diverged(what, step_of_epoch, step));
            }
            let at = Position { epoch, step, unfinished: Some(totals.so_far()) };
            saving.within_epoch(values, model.network(), at)?;
            swap(&mut average)?;
            if stopped {
                return Err(TrainError::Interrupted);
            }
            began = Instant::now();
        }
        totals.add_time(began.elapsed());
        swap(&mut average)?;
        let values = TrainedValues::of(&model, &adam, average.as_ref())?;
        if let Some(what) = values.not_finite() {
            return Err(diverged(what, steps - 1, step));
        }
        epoch += 1;
        // A trained epoch is also evaluated and saved, even after Ctrl-C: otherwise its work would be lost.
        let evaluate_on = |part: &str, examples: &[Example]| {
            evaluate_part(&model, task, part, examples, &NEVER, progress)
        };
        let validation = evaluate_on("validation", &task.validation)?;
        let test = match config.watch_test {
            true => evaluate_on("test", &task.test)?,
            false => None,
        };
        let row = totals
            .row(epoch, step, learning_rate)
            .with_validation(validation.as_ref().map(|(of, scores)| (of.loss, scores)))
            .with_test(test.as_ref().map(|(_, scores)| scores));
        totals = EpochTotals::default();
        let is_best = history.push(row);
        let at = Position { epoch, step, unfinished: None };
        saving.after_epoch(values, model.network(), at, is_best, &history)?;
        swap(&mut average)?;
        progress.epoch_done(&history);
    }
    drop(feed);
    finish(run, task, &mut model, stop, progress)
}

/// Never set: for an evaluation that is not to be interrupted.
static NEVER: AtomicBool = AtomicBool::new(false);

/// Exchanges the weights with their average, if there is one.
fn swap(average: &mut Option<WeightAverage>) -> Result<(), TrainError> {
    average.as_mut().map_or(Ok(()), WeightAverage::swap)
}

/// Whether a run that was resumed after `done` steps of an epoch of `steps` has any of them left, as it must.
fn check_steps(run: &Path, done: usize, steps: usize) -> Result<(), TrainError> {
    if done < steps {
        return Ok(());
    }
    let reason = format!("{done} steps of an epoch are done, which has only {steps}");
    Err(RunFolderError::CannotResume { path: run.to_owned(), reason }.into())
}

/// Evaluates the model on a part and scores it; `None` where the part is empty.
fn evaluate_part(
    model: &Model,
    task: &Task,
    name: &str,
    part: &[Example],
    stop: &AtomicBool,
    progress: &Progress,
) -> Result<Option<(Evaluation, Scores)>, TrainError> {
    let evaluation = evaluate(model, task, part, stop, progress.evaluation(name, part.len()))?;
    let scores = Scores::of(&evaluation.predictions);
    Ok(scores.map(|scores| (evaluation, scores)))
}

/// Evaluates the last and the best checkpoint on the test part and writes predictions and scores into their folders.
fn finish(
    run: &Path,
    task: &Task,
    model: &mut Model,
    stop: &AtomicBool,
    progress: &Progress,
) -> Result<Outcome, TrainError> {
    let mut epochs = [0, 0];
    let mut scores = [None, None];
    // The two checkpoints are often of one epoch, which is then evaluated once.
    let mut evaluated = None;
    for ((name, epoch), scores) in [LAST, BEST].into_iter().zip(&mut epochs).zip(&mut scores) {
        let folder = run.join(name);
        let mut record = read_record(&folder)?;
        *epoch = record.epoch;
        let (evaluation, confidence) = match evaluated.take() {
            Some((epoch, evaluation, confidence)) if epoch == record.epoch => {
                (evaluation, confidence)
            }
            _ => {
                model.set_values(&tensors::read(&folder.join(WEIGHTS))?)?;
                let evaluation = evaluate_part(model, task, "test", &task.test, stop, progress)?;
                (evaluation, confidence(model, task, stop, progress)?)
            }
        };
        // What `calibrate` fitted stays where there is no validation part.
        if confidence.is_some() {
            record.confidence.clone_from(&confidence);
        }
        if let Some((Evaluation { predictions, .. }, found)) = &evaluation {
            write_text(&folder.join(PREDICTIONS), &predictions.to_lines()?)?;
            record.scores = Some(found.clone());
            *scores = Some(found.clone());
        }
        write_record(&folder, &record)?;
        evaluated = Some((record.epoch, evaluation, confidence));
    }
    let ([epochs, best_epoch], [last, best]) = (epochs, scores);
    progress.end(EndEvent { epochs, best_epoch, best: best.as_ref(), last: last.as_ref() });
    Ok(Outcome { epochs, best_epoch, best, last })
}

/// Temperature and threshold by the validation part, if there is one with enough songs: it also chose the best epoch, which
/// flatters its probabilities a little, but tests are left to the scores.
fn confidence(
    model: &Model,
    task: &Task,
    stop: &AtomicBool,
    progress: &Progress,
) -> Result<Option<Confidence>, TrainError> {
    let part = "validation";
    let Some((validation, _)) = evaluate_part(model, task, part, &task.validation, stop, progress)?
    else {
        return Ok(None);
    };
    let unknown = (task.dataset.folder(), Some((task.split_name.as_str(), part)));
    let (known, source) = (&validation.predictions, source(task, part));
    calibrate(model, known, source, Confidence::KEEP, unknown, stop)
}
