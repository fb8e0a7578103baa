//! What happens in a run, for whoever watches it: bars, lines for programs, event files, a view of the terminal.

use std::fmt::Debug;

use leitmotif_models::Scores;
use serde::Serialize;

use crate::learn::history::EpochRow;

/// What happens in a run: one `Start`; for each epoch its steps, its evaluations and one `Epoch`; the evaluations of
/// the end; `End`, or at any time `Stopped`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event<'a> {
    /// Training begins or goes on.
    Start(&'a StartEvent),
    /// A step is done.
    Step(StepEvent),
    /// A part is being evaluated.
    Evaluation(EvaluationEvent<'a>),
    /// An epoch is done, evaluated and saved.
    Epoch(EpochEvent<'a>),
    /// The run is done.
    End(EndEvent<'a>),
    /// The run ends before its time.
    Stopped {
        /// Why, with its causes.
        reason: String,
    },
}

/// Where and what a run trains.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StartEvent {
    /// Version of this program.
    pub version: &'static str,
    /// The run's folder.
    pub run: String,
    /// Name of the network.
    pub network: String,
    /// Its head: `dense` or `lstm`.
    pub head: String,
    /// Its trainable parameters.
    pub parameters: u64,
    /// Artists that it recognises.
    pub artists: usize,
    /// Name of the data set.
    pub dataset: String,
    /// Name of the split.
    pub split: String,
    /// Clips of each part.
    pub clips: PartClips,
    /// The recipe, if there is one.
    pub recipe: Option<String>,
    /// Seed of the run.
    pub seed: u64,
    /// Device, e.g. `cpu` or `cuda:0`.
    pub device: String,
    /// Threads of libtorch.
    pub threads: usize,
    /// Clips in a batch.
    pub batch: usize,
    /// Highest learning rate.
    #[serde(rename = "rate")]
    pub learning_rate: f64,
    /// Epochs of the whole run.
    pub epochs: usize,
    /// Steps of an epoch.
    pub steps_per_epoch: usize,
    /// Epochs done before; 0 for a new run.
    pub epochs_done: usize,
    /// Steps done before.
    pub steps_done: u64,
    /// The best of these epochs; 0 before any.
    pub best_epoch: usize,
    /// What a user should know of the data, a sentence each.
    pub notes: Vec<String>,
    /// The epochs done before.
    #[serde(skip)]
    pub history: Vec<EpochRow>,
}

/// Clips of each part of a split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartClips {
    /// Training.
    pub train: usize,
    /// Validation.
    pub validation: usize,
    /// Test.
    pub test: usize,
    /// Of other artists, to train on, too.
    pub auxiliary: usize,
}

/// A step of training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct StepEvent {
    /// Its epoch, from 1.
    pub epoch: usize,
    /// Steps done in the whole run.
    pub step: u64,
    /// Its learning rate.
    #[serde(rename = "rate")]
    pub learning_rate: f64,
    /// Its loss in nats.
    pub loss: f64,
    /// Euclidean norm of its gradients.
    pub gradient_norm: f64,
    /// Mean loss over the epoch so far.
    pub mean_loss: f64,
    /// Accuracy on the epoch's batches so far.
    pub accuracy: f64,
    /// Training clips per second in this epoch.
    pub clips_per_second: f64,
    /// Seconds of training until the last epoch ends, evaluation aside.
    pub seconds_left: f64,
}

/// An evaluation that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct EvaluationEvent<'a> {
    /// `validation` or `test`.
    pub part: &'a str,
    /// Clips of it.
    pub clips: usize,
    /// Clips evaluated.
    pub done: usize,
}

/// An epoch that is done.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EpochEvent<'a> {
    /// Its line of the history.
    #[serde(flatten)]
    pub row: &'a EpochRow,
    /// Whether it is the best so far.
    pub best: bool,
    /// Epochs of the whole run.
    pub epochs: usize,
}

/// A run that is done.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EndEvent<'a> {
    /// Epochs done.
    pub epochs: usize,
    /// The best of them.
    pub best_epoch: usize,
    /// Scores of the best checkpoint on the test part, if there is one.
    pub best: Option<&'a Scores>,
    /// Scores of the last checkpoint on it.
    pub last: Option<&'a Scores>,
}

/// Someone who watches a run. What cannot be shown or written must not stop training, so nothing is returned: an
/// observer says once what it cannot do, and leaves it from then on.
pub trait Observer: Debug {
    /// Called for every event, in the thread that trains: it should return soon.
    fn observe(&mut self, event: &Event<'_>);
}
