//! The training loop.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use leitmotif_models::checkpoint::{BEST, LAST, PREDICTIONS, WEIGHTS};
use leitmotif_models::{Confidence, Scores};

use crate::console::log;
use crate::error::TrainError;
use crate::learn::bar::Bar;
use crate::learn::checkpoint::{Checkpoint, read_record, write_record, write_text};
use crate::learn::clips::Example;
use crate::learn::confidence::{calibrate, source};
use crate::learn::evaluate::{Evaluation, evaluate};
use crate::learn::events::{EndEvent, Observer};
use crate::learn::feed::Feed;
use crate::learn::history::{EpochRow, History};
use crate::learn::probe;
use crate::learn::progress::Progress;
use crate::learn::start::{RunState, Start, begin};
use crate::learn::step::{Measured, StepResult, Steps};
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
/// `Interrupted` once `stop` is set: the checkpoint of the last finished epoch can be resumed. `Diverged` if the loss
/// is no longer finite. Otherwise whatever cannot be read, written or computed.
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
/// Those of [`fit`]; the observers are told.
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
    let RunState { mut model, mut adam, mut average, config, .. } = state;
    let RunState { mut epoch, mut step, mut history, lock: _lock, .. } = state;
    let batches = probe::batches(task, model.network(), &config)?;
    let probe = probe::probe_input(task, model.network())?;
    let steps = batches.steps_per_epoch();
    let all_steps = (config.epochs as u64).saturating_mul(steps as u64);
    let mut training = Steps::new(device, &config);
    // Made with the first epoch: there may be none left.
    let mut feed = None;
    progress.start(run, (&model, task), &config, (steps, step), &history);
    if epoch < config.epochs && history.is_exhausted(config.patience) {
        log!("validation had stopped improving: no epoch is added");
    }

    while epoch < config.epochs && !history.is_exhausted(config.patience) {
        let mut totals = EpochTotals::default();
        let mut learning_rate = config.learning_rate;
        progress.epoch(epoch);
        let feed = match &mut feed {
            Some(feed) => feed,
            None => feed.insert(Feed::new(&batches, epoch..config.epochs, device)?),
        };
        let began = Instant::now();
        let mut unread = Unread::new(device);
        for step_of_epoch in 0..steps {
            if stop.load(Ordering::Relaxed) {
                return Err(TrainError::Interrupted);
            }
            let factor = config.schedule.factor(step, all_steps, config.warm_up);
            learning_rate = config.learning_rate * factor;
            let batch = feed.take(epoch, step_of_epoch)?;
            let clips = batch.clips();
            let measured = training.take(&model, &mut adam, &batch, learning_rate)?;
            step += 1;
            if let Some(average) = &mut average {
                average.update()?;
            }
            for (result, before) in unread.push(measured, step_of_epoch + 1 == steps)? {
                if !result.loss.is_finite() {
                    let step = step - before;
                    return Err(TrainError::Diverged { loss: result.loss, epoch: epoch + 1, step });
                }
                totals.add(&result, clips);
                let means = (totals.mean_loss(), totals.accuracy());
                progress.step(step - before, learning_rate, &result, means, clips);
            }
        }
        epoch += 1;
        let seconds = began.elapsed().as_secs_f64();
        if let Some(average) = &mut average {
            average.swap()?;
        }
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
            .row(epoch, step, learning_rate, seconds)
            .with_validation(validation.as_ref().map(|(of, scores)| (of.loss, scores)))
            .with_test(test.as_ref().map(|(_, scores)| scores));
        let is_best = history.push(row);
        let at = (epoch, step);
        let checkpoint =
            probe::checkpoint(task, &model, &adam, average.as_ref(), &config, at, &probe)?;
        save(run, &checkpoint, is_best, &history)?;
        if let Some(average) = &mut average {
            average.swap()?;
        }
        progress.epoch_done(&history);
    }
    drop(feed);
    finish(run, task, &mut model, stop, progress)
}

/// Never set: for an evaluation that is not to be interrupted.
static NEVER: AtomicBool = AtomicBool::new(false);

/// Writes an epoch. The last checkpoint is written last: a run that is killed before that resumes from the epoch
/// before, and so repeats this one and writes the same again.
fn save(
    run: &Path,
    checkpoint: &Checkpoint,
    is_best: bool,
    history: &History,
) -> Result<(), TrainError> {
    if is_best {
        checkpoint.write(&run.join(BEST))?;
    }
    history.write(run)?;
    checkpoint.write(&run.join(LAST))
}

/// Results of steps that have not been read: reading waits for the device, and a GPU would then wait for the next step.
#[derive(Debug)]
struct Unread {
    steps: Vec<Measured>,
    at_once: bool,
    since: Instant,
}

impl Unread {
    /// Progress is shown, and a loss that is not finite is noticed, after so long.
    const LONGEST: Duration = Duration::from_millis(250);

    fn new(device: tch::Device) -> Self {
        // A CPU's steps have ended when they return.
        Unread { steps: Vec::new(), at_once: device == tch::Device::Cpu, since: Instant::now() }
    }

    /// Adds a step; returns the results that are due, each with the number of steps after it.
    fn push(&mut self, step: Measured, all: bool) -> Result<Vec<(StepResult, u64)>, TrainError> {
        self.steps.push(step);
        if !(all || self.at_once || self.since.elapsed() > Self::LONGEST) {
            return Ok(Vec::new());
        }
        let results = Measured::read(&self.steps)?;
        self.steps.clear();
        self.since = Instant::now();
        let after = (0..results.len() as u64).rev();
        Ok(results.into_iter().zip(after).collect())
    }
}

/// Sums over an epoch.
#[derive(Debug, Default)]
struct EpochTotals {
    loss: f64,
    gradient_norm: f64,
    steps: usize,
    correct: usize,
    outputs: usize,
    clips: usize,
}

impl EpochTotals {
    fn add(&mut self, step: &StepResult, clips: usize) {
        self.loss += step.loss;
        self.gradient_norm += step.gradient_norm;
        self.steps += 1;
        self.correct += step.correct;
        self.outputs += step.outputs;
        self.clips += clips;
    }

    fn mean_loss(&self) -> f64 {
        self.loss / self.steps.max(1) as f64
    }

    fn accuracy(&self) -> f64 {
        self.correct as f64 / self.outputs.max(1) as f64
    }

    fn row(&self, epoch: usize, step: u64, learning_rate: f64, seconds: f64) -> EpochRow {
        EpochRow {
            epoch,
            step,
            learning_rate,
            loss: self.mean_loss(),
            accuracy: self.accuracy(),
            validation_segments: None,
            validation_clips: None,
            validation_songs: None,
            test_segments: None,
            test_clips: None,
            test_songs: None,
            seconds,
            clips_per_second: self.clips as f64 / seconds.max(1e-9),
            validation_loss: None,
            gradient_norm: Some(self.gradient_norm / self.steps.max(1) as f64),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_due_at_once_on_a_cpu_and_else_when_all_are_wanted() {
        let step = |loss: f64| Measured::of(&[loss, 0.5, 3.0], 4);
        let losses = |due: Vec<(StepResult, u64)>| {
            due.iter().map(|(result, after)| (result.loss, *after)).collect::<Vec<_>>()
        };
        let mut unread = Unread::new(tch::Device::Cpu);
        assert_eq!(losses(unread.push(step(1.0), false).unwrap()), [(1.0, 0)]);
        let mut unread = Unread::new(tch::Device::Cuda(0));
        unread.since = Instant::now() + Duration::from_secs(3600);
        assert!(unread.push(step(1.0), false).unwrap().is_empty());
        assert!(unread.push(step(2.0), false).unwrap().is_empty());
        let due = losses(unread.push(step(3.0), true).unwrap());
        assert_eq!(due, [(1.0, 2), (2.0, 1), (3.0, 0)]);
        assert!(unread.steps.is_empty());
    }
}
