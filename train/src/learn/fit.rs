//! The training loop.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use leitmotif_models::checkpoint::{BEST, LAST, PREDICTIONS, WEIGHTS};
use leitmotif_models::{HeadKind, Predictions, Scores};
use tch::{Kind, Tensor};

use crate::console::log;
use crate::error::TrainError;
use crate::learn::adam::Adam;
use crate::learn::batches::{Batch, Example};
use crate::learn::checkpoint::{Checkpoint, read_record, write_record, write_text};
use crate::learn::evaluate::predict;
use crate::learn::history::{EpochRow, History};
use crate::learn::probe;
use crate::learn::progress::Progress;
use crate::learn::start::{Start, State, begin};
use crate::learn::task::Task;
use crate::model::network::Model;
use crate::model::tensors;

/// What a finished run is worth.
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

/// Trains in the folder `run` until the epochs are done, validation gets no better, or `stop` is set.
///
/// A run that was stopped or killed and resumed ends as an uninterrupted one, bit for bit, on the same device with the same
/// number of threads; elsewhere sums differ in their last bits.
///
/// # Errors
///
/// `Interrupted` once `stop` is set: the checkpoint of the last finished epoch is there to be resumed. `Diverged` where
/// the loss is no number any more. Else whatever cannot be read, written or computed.
pub fn fit(
    run: &Path,
    task: &Task,
    start: Start,
    device: tch::Device,
    stop: &AtomicBool,
) -> Result<Outcome, TrainError> {
    let State { mut model, mut adam, config, mut epoch, mut step, mut history, lock: _lock } =
        begin(run, task, start, device)?;
    let batches = probe::batches(task, model.network(), &config)?;
    let probe = probe::probe_input(task, model.network())?;
    let steps = batches.steps_per_epoch();
    let all_steps = (config.epochs as u64).saturating_mul(steps as u64);
    let coming = batches.read_ahead(epoch..config.epochs);
    let mut progress = Progress::new(&model, task, &config, steps);
    if epoch < config.epochs && history.is_exhausted(config.patience) {
        log!("validation had stopped getting better: no epoch is added");
    }

    while epoch < config.epochs && !history.is_exhausted(config.patience) {
        let mut tally = Tally::default();
        let began = Instant::now();
        let mut rate = config.rate;
        progress.epoch(epoch);
        for _ in 0..steps {
            if stop.load(Ordering::Relaxed) {
                return Err(TrainError::Interrupted);
            }
            rate = config.rate * config.schedule.factor(step, all_steps, config.warm_up);
            let batch = coming.recv().map_err(|_| TrainError::ReaderEnded)??;
            let (loss, right, answers) = learn(&model, &mut adam, &batch, rate)?;
            step += 1;
            if !loss.is_finite() {
                return Err(TrainError::Diverged { loss, epoch: epoch + 1, step });
            }
            tally.add(loss, (right, answers), batch.shape[0]);
            progress.step(tally.mean_loss(), tally.accuracy(), batch.shape[0]);
        }
        epoch += 1;
        let seconds = began.elapsed().as_secs_f64();
        // An epoch that is learnt is finished, whatever was asked meanwhile: its work would be lost.
        let validation = judge(&model, task, "validation", &task.validation, &NEVER, &progress)?;
        let watched = match config.watch_test {
            true => judge(&model, task, "test", &task.test, &NEVER, &progress)?,
            false => None,
        };
        let row = tally
            .row(epoch, step, rate, seconds)
            .with_validation(validation.as_ref().map(|(_, scores)| scores))
            .with_test(watched.as_ref().map(|(_, scores)| scores));
        let is_best = history.push(row);
        let checkpoint = probe::checkpoint(task, &model, &adam, &config, (epoch, step), &probe)?;
        keep(run, &checkpoint, is_best, &history)?;
        progress.epoch_done(&history);
    }
    drop(coming);
    finish(run, task, &mut model, stop, &progress)
}

/// A flag that nobody sets.
static NEVER: AtomicBool = AtomicBool::new(false);

/// Writes an epoch down. The last checkpoint comes last: a run that is killed before goes on from the epoch before, and so
/// repeats this one and writes the same again.
fn keep(
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

/// One step: forward, loss, gradients, Adam. Gives the mean loss, how many answers were right, and of how many.
///
/// # Errors
///
/// Whatever libtorch refuses.
pub fn learn(
    model: &Model,
    adam: &mut Adam,
    batch: &Batch,
    rate: f64,
) -> Result<(f64, i64, usize), TrainError> {
    let shape = batch.shape.map(|d| d as i64);
    let input =
        Tensor::f_from_slice(&batch.segments)?.f_reshape(shape)?.f_to_device(model.device())?;
    let targets = Tensor::f_from_slice(&batch.targets)?
        .f_reshape([shape[0], 1, -1])?
        .f_to_device(model.device())?;
    let mut logits = model.forward(&input, true)?.logits;
    if model.network().head.kind == HeadKind::Lstm {
        logits = logits.f_narrow(1, shape[1] - 1, 1)?;
    }
    // Categorical cross-entropy; of a dense head every segment is an example.
    let surprise = logits.f_log_softmax(-1, Kind::Float)?.f_neg()?.f_mul(&targets)?;
    let loss = surprise.f_sum_dim_intlist(-1, false, Kind::Float)?.f_mean(Kind::Float)?;
    let params = model.trainable()?;
    let inputs: Vec<&Tensor> = params.iter().map(|(_, tensor)| tensor).collect();
    let gradients = Tensor::f_run_backward(&[&loss], &inputs, false, false)?;
    adam.step(&params, &gradients, rate)?;
    let right = logits
        .f_argmax(-1, false)?
        .f_eq_tensor(&targets.f_argmax(-1, false)?)?
        .f_sum(Kind::Int64)?;
    let answers = surprise.numel() / model.classes();
    Ok((loss.f_double_value(&[])?, right.f_int64_value(&[])?, answers))
}

/// Sums over an epoch.
#[derive(Debug, Default)]
struct Tally {
    loss: f64,
    steps: usize,
    right: i64,
    answers: usize,
    clips: usize,
}

impl Tally {
    fn add(&mut self, loss: f64, (right, answers): (i64, usize), clips: usize) {
        self.loss += loss;
        self.steps += 1;
        self.right += right;
        self.answers += answers;
        self.clips += clips;
    }

    fn mean_loss(&self) -> f64 {
        self.loss / self.steps.max(1) as f64
    }

    fn accuracy(&self) -> f64 {
        self.right as f64 / self.answers.max(1) as f64
    }

    fn row(&self, epoch: usize, step: u64, rate: f64, seconds: f64) -> EpochRow {
        EpochRow {
            epoch,
            step,
            rate,
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
        }
    }
}

/// Predictions and scores on a part; `None` where it is empty.
fn judge(
    model: &Model,
    task: &Task,
    name: &'static str,
    part: &[Example],
    stop: &AtomicBool,
    progress: &Progress,
) -> Result<Option<(Predictions, Scores)>, TrainError> {
    let predictions = predict(model, task, part, stop, progress.judging(name, part.len()))?;
    Ok(Scores::of(&predictions).map(|scores| (predictions, scores)))
}

/// Judges the last and the best checkpoint on the test part and writes predictions and scores into their folders.
fn finish(
    run: &Path,
    task: &Task,
    model: &mut Model,
    stop: &AtomicBool,
    progress: &Progress,
) -> Result<Outcome, TrainError> {
    let mut epochs = [0, 0];
    let mut scores = [None, None];
    // Of the epoch judged last: the two checkpoints often are one.
    let mut judged = None;
    for ((name, epoch), scores) in [LAST, BEST].into_iter().zip(&mut epochs).zip(&mut scores) {
        let folder = run.join(name);
        let mut record = read_record(&folder)?;
        *epoch = record.epoch;
        let answers = match judged.take() {
            Some((of, answers)) if of == record.epoch => answers,
            _ => {
                model.set_values(&tensors::read(&folder.join(WEIGHTS))?)?;
                judge(model, task, "test", &task.test, stop, progress)?
            }
        };
        if let Some((predictions, found)) = &answers {
            write_text(&folder.join(PREDICTIONS), &predictions.to_lines()?)?;
            record.scores = Some(found.clone());
            write_record(&folder, &record)?;
            *scores = Some(found.clone());
        }
        judged = Some((record.epoch, answers));
    }
    progress.end();
    let ([epochs, best_epoch], [last, best]) = (epochs, scores);
    Ok(Outcome { epochs, best_epoch, best, last })
}
