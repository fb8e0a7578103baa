//! The training loop.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use leitmotif_models::{HeadKind, Network, Predictions, Scores};
use tch::{Kind, Tensor};

use crate::adam::Adam;
use crate::batches::{Batch, Example};
use crate::checkpoint::{read_record, write_record, write_text};
use crate::config::FitConfig;
use crate::error::TrainError;
use crate::evaluate::predict;
use crate::history::{EpochRow, History};
use crate::network::Model;
use crate::progress::Progress;
use crate::run::{self, State};
use crate::task::Task;
use crate::tensors;

/// Folder of the newest checkpoint within a run's folder.
pub const LAST: &str = "last";
/// Folder of the checkpoint with the best validation.
pub const BEST: &str = "best";
/// File of a checkpoint with its answers for the test part.
pub const PREDICTIONS: &str = "test.predictions.jsonl";

/// How a run begins.
#[derive(Clone, Debug)]
pub enum Start {
    /// From first values, or with the convolutions of another checkpoint.
    Fresh {
        /// The network to train.
        network: Box<Network>,
        /// Settings of the run.
        config: Box<FitConfig>,
        /// Checkpoint whose convolution blocks are taken over.
        convolutions_of: Option<PathBuf>,
    },
    /// From the newest checkpoint in the run's folder, with its network and settings.
    Resume,
}

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
    let State { mut model, mut adam, config, mut epoch, mut step, mut history } =
        run::begin(run, task, start, device)?;
    let batches = run::batches(task, model.network(), &config)?;
    let probe = run::probe_input(task, model.network())?;
    let steps = batches.steps_per_epoch();
    let all_steps = (config.epochs * steps) as u64;
    let coming = batches.read_ahead(epoch..config.epochs);
    let mut progress = Progress::new(&model, task, &config, steps);

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
        let validation = judge(&model, task, &task.validation, stop)?;
        let row = tally.row(epoch, step, rate, began.elapsed().as_secs_f64());
        let is_best =
            history.push(row.with_validation(validation.as_ref().map(|(_, scores)| scores)));
        let checkpoint = run::checkpoint(task, &model, &adam, &config, (epoch, step), &probe)?;
        checkpoint.write(&run.join(LAST))?;
        if is_best {
            checkpoint.write(&run.join(BEST))?;
        }
        history.write(run)?;
        progress.epoch_done(&history);
    }
    drop(coming);
    finish(run, task, &mut model, &history, stop)
}

/// One step: forward, loss, gradients, Adam. Gives the mean loss, how many answers were right, and of how many.
fn learn(
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
            seconds,
            clips_per_second: self.clips as f64 / seconds.max(1e-9),
        }
    }
}

/// Predictions and scores on a part; `None` where it is empty.
fn judge(
    model: &Model,
    task: &Task,
    part: &[Example],
    stop: &AtomicBool,
) -> Result<Option<(Predictions, Scores)>, TrainError> {
    let predictions = predict(model, task, part, stop, |_| {})?;
    Ok(Scores::of(&predictions).map(|scores| (predictions, scores)))
}

/// Judges the last and the best checkpoint on the test part and writes predictions and scores into their folders.
fn finish(
    run: &Path,
    task: &Task,
    model: &mut Model,
    history: &History,
    stop: &AtomicBool,
) -> Result<Outcome, TrainError> {
    let epochs = history.newest().map_or(0, |row| row.epoch);
    let best_epoch = history.best_epoch();
    let mut scores = [None, None];
    let mut judged = None;
    for (folder, scores) in [LAST, BEST].into_iter().zip(&mut scores) {
        let folder = run.join(folder);
        let mut record = read_record(&folder)?;
        if judged.is_none() || best_epoch != epochs {
            model.set_values(&tensors::read(&folder.join("weights.safetensors"))?)?;
            judged = judge(model, task, &task.test, stop)?;
        }
        if let Some((predictions, found)) = &judged {
            write_text(&folder.join(PREDICTIONS), &predictions.to_lines()?)?;
            record.scores = Some(found.clone());
            write_record(&folder, &record)?;
            *scores = Some(found.clone());
        }
    }
    let [last, best] = scores;
    Ok(Outcome { epochs, best_epoch, best, last })
}
