//! The progress of a run, as events for its observers.

use std::cell::RefCell;
use std::path::Path;
use std::time::Instant;

use leitmotif_models::text::with_causes;

use crate::error::TrainError;
use crate::learn::config::FitConfig;
use crate::learn::events::{
    EndEvent, EpochEvent, EvaluationEvent, Event, Observer, PartClips, StartEvent, StepEvent,
};
use crate::learn::history::History;
use crate::learn::lag;
use crate::learn::step::StepResult;
use crate::learn::task::{Task, format_names};
use crate::model::device;
use crate::model::network::Model;

/// Turns what the training loop knows into events.
#[derive(Debug)]
pub struct Progress {
    // An evaluation reports while the loop holds a reference, too.
    observers: RefCell<Vec<Box<dyn Observer>>>,
    epoch: usize,
    epochs: usize,
    /// Steps of the whole run.
    steps: u64,
    /// Clips and steps of this epoch.
    clips: usize,
    done: usize,
    began: Instant,
}

impl Progress {
    /// Nothing has happened yet.
    pub fn new(observers: Vec<Box<dyn Observer>>) -> Self {
        Progress {
            observers: RefCell::new(observers),
            epoch: 0,
            epochs: 0,
            steps: 0,
            clips: 0,
            done: 0,
            began: Instant::now(),
        }
    }

    /// Training in the folder `run` begins, or goes on after `done` steps and the epochs of `history`; an epoch has
    /// `steps` steps.
    pub fn start(
        &mut self,
        run: &Path,
        (model, task): (&Model, &Task),
        config: &FitConfig,
        (steps, done): (usize, u64),
        history: &History,
    ) {
        self.epochs = config.epochs;
        self.steps = (config.epochs as u64).saturating_mul(steps as u64);
        let network = model.network();
        let start = StartEvent {
            version: env!("CARGO_PKG_VERSION"),
            run: run.display().to_string(),
            network: network.name.clone(),
            head: network.head.kind.to_string(),
            parameters: model.trainable_values() as u64,
            artists: model.classes(),
            dataset: task.dataset_note().name,
            split: task.split_name.clone(),
            clips: PartClips {
                train: task.train.len(),
                validation: task.validation.len(),
                test: task.test.len(),
                auxiliary: task.auxiliary.as_ref().map_or(0, |music| music.examples.len()),
            },
            recipe: config.recipe.clone(),
            seed: config.seed,
            device: device::name(model.device()),
            threads: config.threads,
            batch: config.batch,
            learning_rate: config.learning_rate,
            epochs: config.epochs,
            steps_per_epoch: steps,
            epochs_done: history.newest().map_or(0, |row| row.epoch),
            steps_done: done,
            best_epoch: history.best_epoch(),
            notes: notes(task, config, (steps, done)),
            history: history.rows().to_vec(),
        };
        self.notify(&Event::Start(&start));
    }

    /// Starts the epoch after `done` epochs.
    pub fn epoch(&mut self, done: usize) {
        self.epoch = done + 1;
        (self.clips, self.done) = (0, 0);
        self.began = Instant::now();
    }

    /// Step `step` of the run is done; `means` are loss and accuracy over the epoch so far.
    pub fn step(
        &mut self,
        step: u64,
        learning_rate: f64,
        result: &StepResult,
        means: (f64, f64),
        clips: usize,
    ) {
        self.clips += clips;
        self.done += 1;
        let left = self.steps.saturating_sub(step);
        let seconds = self.began.elapsed().as_secs_f64().max(1e-9);
        self.notify(&Event::Step(StepEvent {
            epoch: self.epoch,
            step,
            learning_rate,
            loss: result.loss,
            gradient_norm: result.gradient_norm,
            mean_loss: means.0,
            accuracy: means.1,
            clips_per_second: self.clips as f64 / seconds,
            seconds_left: seconds / self.done as f64 * left as f64,
        }));
    }

    /// Starts the evaluation of a part; returns the function to call with the number of clips done.
    pub fn evaluation<'a>(&'a self, part: &'a str, clips: usize) -> impl FnMut(usize) + 'a {
        let notify = move |done| {
            self.notify(&Event::Evaluation(EvaluationEvent { part, clips, done }));
        };
        notify(0);
        notify
    }

    /// An epoch is done; its row is the newest in the history.
    pub fn epoch_done(&self, history: &History) {
        let Some(row) = history.newest() else { return };
        let best = history.best_epoch() == row.epoch;
        self.notify(&Event::Epoch(EpochEvent { row, best, epochs: self.epochs }));
    }

    /// The run is done.
    pub fn end(&self, end: EndEvent<'_>) {
        self.notify(&Event::End(end));
    }

    /// The run ends with an error.
    pub fn stopped(&self, error: &TrainError) {
        self.notify(&Event::Stopped { reason: with_causes(error) });
    }

    fn notify(&self, event: &Event<'_>) {
        // Only an observer that calls back could hold them already.
        let Ok(mut observers) = self.observers.try_borrow_mut() else { return };
        for observer in observers.iter_mut() {
            observer.observe(event);
        }
    }
}

/// What a user should know of the data, and of epochs of so many steps of a run that is new if it has done none.
fn notes(task: &Task, config: &FitConfig, (steps, done): (usize, u64)) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(auxiliary) = &task.auxiliary {
        notes.push(format!(
            "auxiliary music: {} clips of {} other artists, {} of each batch",
            auxiliary.examples.len(),
            auxiliary.artists.len(),
            config.auxiliary.share
        ));
    }
    if let Some(backend) = &config.backend {
        notes.push(format!(
            "{} ranks share each batch of {} clips; {backend} sums up their gradients",
            config.ranks, config.batch
        ));
        if config.device != "cpu" {
            notes.push(format!(
                "warning: {backend} on GPUs has not been tried by leitmotif's makers"
            ));
        }
    }
    if task.validation.is_empty() {
        notes.push("no validation part: the best checkpoint is the last one".to_owned());
    }
    let (clips, artists) = task.left_out(None);
    if clips > 0 {
        notes.push(format!(
            "{} clips are left out: the training part has none of {}",
            clips,
            format_names(artists.into_iter())
        ));
    }
    if done == 0 {
        notes.extend(lag::warning(config, steps.saturating_mul(config.accumulate)));
    }
    notes
}
