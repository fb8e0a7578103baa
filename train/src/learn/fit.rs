//! The training loop.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use leitmotif_models::checkpoint::{BEST, LAST, PREDICTIONS};
use leitmotif_models::text::thousands;
use leitmotif_models::{Confidence, Scores};

use crate::console::log;
use crate::error::{RunFolderError, TrainError};
use crate::learn::average::WeightAverage;
use crate::learn::bar::Bar;
use crate::learn::checkpoint::{read_record, write_record, write_text};
use crate::learn::clips::Example;
use crate::learn::confidence::{calibrate, source};
use crate::learn::evaluate::{Evaluation, evaluate_together};
use crate::learn::events::{EndEvent, Observer};
use crate::learn::feed::Feed;
use crate::learn::probe::{self, Position, TrainedValues};
use crate::learn::progress::Progress;
use crate::learn::results::{EpochTotals, Unread};
use crate::learn::saving::Saving;
use crate::learn::start::{RunState, Start};
use crate::learn::step::{Steps, Sums};
use crate::learn::task::Task;
use crate::learn::together::{any, begin_together, load_weights, of_first};
use crate::model::network::Model;
use crate::ranks::group::Ranks;
use crate::ranks::world::Share;

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
    fit_watched(run, task, start, device, stop, vec![Box::new(Bar::new())], None)
}

/// [`fit`], of which `observers` learn what happens, by several ranks if there are: each calls this with its own `ranks`,
/// and rank 0 alone reads and writes the folder `run`.
///
/// # Errors
///
/// Those of [`fit`], of any rank; observers are notified of it.
pub fn fit_watched(
    run: &Path,
    task: &Task,
    start: Start,
    device: tch::Device,
    stop: &AtomicBool,
    observers: Vec<Box<dyn Observer>>,
    ranks: Option<&Ranks>,
) -> Result<Outcome, TrainError> {
    let mut progress = Progress::new(observers);
    let done = train(run, task, start, device, stop, &mut progress, ranks);
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
    ranks: Option<&Ranks>,
) -> Result<Outcome, TrainError> {
    let state = begin_together(run, task, start, device, ranks)?;
    let RunState { mut model, mut adam, mut average, config, unfinished, .. } = state;
    let RunState { mut epoch, mut step, mut history, lock: _lock, .. } = state;
    let share = ranks.map_or(Share::WHOLE, Ranks::share);
    let batches = probe::shared_batches(task, model.network(), &config, share)?;
    let (steps, clips) = (batches.steps_per_epoch(), batches.clips_per_step());
    let all_steps = (config.epochs as u64).saturating_mul(steps as u64);
    let mut training = Steps::new(device, &config).with_ranks(ranks.cloned());
    // Made with the first epoch: there may be none left.
    let mut feed = None;
    // Rank 0 alone writes.
    let mut saving = match ranks.is_none_or(Ranks::is_first) {
        true => {
            let probe = probe::probe_input(task, model.network())?;
            Some(Saving::new(run, task, &config, probe))
        }
        false => None,
    };
    let mut totals = EpochTotals::from(unfinished.unwrap_or_default());
    check_steps(run, totals.steps(), steps)?;
    if let Some(saving) = &saving {
        saving.remove_older(epoch)?;
    }
    progress.start(run, (&model, task), &config, (steps, step), &history);
    if epoch < config.epochs && history.is_exhausted(config.patience) {
        log!("validation had stopped improving: no epoch is added");
    }

    while epoch < config.epochs && !history.is_exhausted(config.patience) {
        // Every step so far is in a checkpoint.
        if any(ranks, stop.load(Ordering::Relaxed))? {
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
        let mut unread = Unread::new(device, ranks.is_some());
        let rate_of =
            |step| config.learning_rate * config.schedule.factor(step, all_steps, config.warm_up);
        for step_of_epoch in first..steps {
            learning_rate = rate_of(step);
            let in_step = |error: TrainError| error.in_step(config.batch, config.accumulate);
            let batch = |part| feed.take(epoch, step_of_epoch * config.accumulate + part);
            let stops = stop.load(Ordering::Relaxed);
            let measured = training.take(&model, &mut adam, batch, learning_rate, stops);
            let measured = measured.map_err(in_step)?;
            step += 1;
            if let Some(average) = &mut average {
                average.update()?;
            }
            let is_last = step_of_epoch + 1 == steps;
            let stopped = training.stopped();
            let is_due = saving.as_ref().is_some_and(Saving::is_due);
            let saves = !is_last && (stopped || is_due);
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
            if let Some(saving) = &mut saving {
                swap(&mut average)?;
                let values = TrainedValues::of(&model, &adam, average.as_ref())?;
                if let Some(what) = values.not_finite() {
                    return Err(diverged(what, step_of_epoch, step));
                }
                let at = Position { epoch, step, unfinished: Some(totals.so_far()) };
                saving.within_epoch(values, model.network(), at)?;
                swap(&mut average)?;
            }
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
            evaluate_part(&model, task, part, examples, &NEVER, (progress, ranks))
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
        if let Some(saving) = &mut saving {
            saving.after_epoch(values, model.network(), at, is_best, &history)?;
        }
        swap(&mut average)?;
        progress.epoch_done(&history);
    }
    drop(feed);
    if let Some(Sums { count, bytes, time }) = training.sums().filter(|sums| sums.count > 0) {
        let (bytes, each) = (thousands(bytes), 1e3 * time.as_secs_f64() / f64::from(count));
        log!(
            "{bytes} bytes a step were all-reduced in {each:.1} ms, waiting for the slowest rank included"
        );
    }
    finish(run, task, &mut model, stop, (progress, ranks))
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
    (progress, ranks): (&Progress, Option<&Ranks>),
) -> Result<Option<(Evaluation, Scores)>, TrainError> {
    let progress = progress.evaluation(name, part.len());
    let evaluation = evaluate_together(model, task, part, stop, progress, ranks)?;
    let scores = Scores::of(&evaluation.predictions);
    Ok(scores.map(|scores| (evaluation, scores)))
}

/// Evaluates the last and the best checkpoint on the test part and writes predictions and scores into their folders.
fn finish(
    run: &Path,
    task: &Task,
    model: &mut Model,
    stop: &AtomicBool,
    (progress, ranks): (&Progress, Option<&Ranks>),
) -> Result<Outcome, TrainError> {
    let is_first = ranks.is_none_or(Ranks::is_first);
    let together = (progress, ranks);
    let mut epochs = [0, 0];
    let mut scores = [None, None];
    // The two checkpoints are often of one epoch, which is then evaluated once.
    let mut evaluated = None;
    for ((name, epoch), scores) in [LAST, BEST].into_iter().zip(&mut epochs).zip(&mut scores) {
        let folder = run.join(name);
        *epoch = of_first(ranks, || Ok(read_record(&folder)?.epoch))?;
        let (evaluation, confidence) = match evaluated.take() {
            Some((of, evaluation, confidence)) if of == *epoch => (evaluation, confidence),
            _ => {
                load_weights(ranks, model, &folder)?;
                let evaluation = evaluate_part(model, task, "test", &task.test, stop, together)?;
                (evaluation, confidence(model, task, stop, together)?)
            }
        };
        if let Some((_, found)) = &evaluation {
            *scores = Some(found.clone());
        }
        if is_first {
            write_evaluation(&folder, evaluation.as_ref(), confidence.as_ref())?;
        }
        evaluated = Some((*epoch, evaluation, confidence));
    }
    let ([epochs, best_epoch], [last, best]) = (epochs, scores);
    progress.end(EndEvent { epochs, best_epoch, best: best.as_ref(), last: last.as_ref() });
    Ok(Outcome { epochs, best_epoch, best, last })
}

/// Writes what the evaluation of a checkpoint gave into its folder.
fn write_evaluation(
    folder: &Path,
    evaluation: Option<&(Evaluation, Scores)>,
    confidence: Option<&Confidence>,
) -> Result<(), TrainError> {
    let mut record = read_record(folder)?;
    // What `calibrate` fitted stays where there is no validation part.
    if confidence.is_some() {
        record.confidence = confidence.cloned();
    }
    if let Some((Evaluation { predictions, .. }, found)) = evaluation {
        write_text(&folder.join(PREDICTIONS), &predictions.to_lines()?)?;
        record.scores = Some(found.clone());
    }
    write_record(folder, &record)
}

/// Temperature and threshold by the validation part, if there is one with enough songs: it also chose the best epoch, which
/// flatters its probabilities a little, but tests are left to the scores.
fn confidence(
    model: &Model,
    task: &Task,
    stop: &AtomicBool,
    together: (&Progress, Option<&Ranks>),
) -> Result<Option<Confidence>, TrainError> {
    let part = "validation";
    let Some((validation, _)) = evaluate_part(model, task, part, &task.validation, stop, together)?
    else {
        return Ok(None);
    };
    let unknown = (task.dataset.folder(), Some((task.split_name.as_str(), part)));
    let (known, source) = (&validation.predictions, source(task, part));
    calibrate(model, known, source, Confidence::KEEP, unknown, stop, together.1)
}
