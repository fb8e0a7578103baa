//! What can go wrong while learning.

use std::path::{Path, PathBuf};

use leitmotif_models::tensors::TensorProblems;

/// An error of this crate's library half.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of tensors that is none.
    #[error("{}: not a safetensors file of f32 tensors: {reason}", path.display())]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Weights that do not fit their network.
    #[error("the weights do not fit the network: {0}")]
    Weights(TensorProblems),
    /// Optimizer state that does not fit the weights.
    #[error("the optimizer's state does not fit the network: {0}")]
    Optimizer(TensorProblems),
    /// A checkpoint whose parts are wrong.
    #[error("checkpoint {}: {source}", path.display())]
    Checkpoint {
        /// Its folder.
        path: PathBuf,
        /// What is wrong.
        source: Box<TrainError>,
    },
    /// A `run.json` that cannot be trusted.
    #[error("{}: {source}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: leitmotif_models::RunError,
    },
    /// Configuration in a `run.json` that this version does not understand.
    #[error("{}: the configuration of the run cannot be read: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A setting outside its range.
    #[error("{name} is {found}, but it must be {allowed}")]
    Setting {
        /// The setting's name on the command line.
        name: &'static str,
        /// What was given.
        found: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The run resumed belongs to other data or another network.
    #[error("{}: cannot resume: {reason}", path.display())]
    CannotResume {
        /// The run's folder.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// A checkpoint that learnt from another split: what it is to be tested on it may know.
    #[error(
        "{} learnt from another split ({difference}), so it may know what is to test it; \
         use the split it learnt from, or accept this with --other-split", path.display()
    )]
    OtherSplit {
        /// The checkpoint's folder.
        path: PathBuf,
        /// Both splits.
        difference: String,
    },
    /// A checkpoint whose convolutions are not those of the network.
    #[error("{}: its convolutions are not those of this network: {difference}", path.display())]
    OtherConvolutions {
        /// The checkpoint's folder.
        path: PathBuf,
        /// The first block that differs.
        difference: String,
    },
    /// A run's folder where one of its checkpoints is meant.
    #[error(
        "{0} is the folder of a run; name one of its checkpoints, {0}/last or {0}/best",
        path.display()
    )]
    RunFolder {
        /// The run's folder.
        path: PathBuf,
    },
    /// Another process trains in this folder.
    #[error("another `fit` is at work in {}; wait for it, or choose another folder", path.display())]
    RunInUse {
        /// The run's folder.
        path: PathBuf,
    },
    /// Early stopping without anything to watch.
    #[error(
        "--patience watches the validation part, and split {split} has none; \
         make a split with --validation, or leave --patience out"
    )]
    NoValidation {
        /// Name of the split.
        split: String,
    },
    /// A run folder that already holds a run.
    #[error("{} already holds a run; continue it with --resume, or choose another folder", path.display())]
    RunExists {
        /// The run's folder.
        path: PathBuf,
    },
    /// The data set cannot be read.
    #[error(transparent)]
    Store(#[from] leitmotif_dataset::store::StoreError),
    /// Nothing to tell apart.
    #[error(
        "the training part of split {split} has clips of {found} artist(s), but at least two are needed"
    )]
    TooFewArtists {
        /// Name of the split.
        split: String,
        /// Artists found.
        found: usize,
    },
    /// A part of a split without clips.
    #[error("split {split} has no clips in its {part} part")]
    EmptyPart {
        /// Name of the split.
        split: String,
        /// Name of the part.
        part: String,
    },
    /// Clips too short to train on.
    #[error("clip {clip} has {samples} samples, but {needed} are needed: {why}")]
    ClipTooShort {
        /// Name of the clip.
        clip: String,
        /// Samples it has.
        samples: u64,
        /// Samples needed.
        needed: usize,
        /// What needs them.
        why: &'static str,
    },
    /// A forward pass was given something else than waveforms or segments.
    #[error(
        "a network input has shape {found:?}, but it must be [batch, at least {segment}] or [batch, segments, {segment}]"
    )]
    InputShape {
        /// The shape given.
        found: Vec<i64>,
        /// Samples of a segment.
        segment: usize,
    },
    /// A tensor asked for by a name that the network lacks.
    #[error("the network has no tensor `{name}`")]
    NoSuchTensor {
        /// The name.
        name: String,
    },
    /// A description without an output layer.
    #[error("the network has no output layer")]
    NoOutputLayer,
    /// The loss is no number any more.
    #[error(
        "the loss became {loss} in epoch {epoch}, step {step}; the last checkpoint is kept; \
         a smaller --rate usually helps"
    )]
    Diverged {
        /// The loss.
        loss: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Step of the whole run, from 1.
        step: u64,
    },
    /// The device asked for cannot be used.
    #[error("cannot run on {device}: {reason}")]
    Device {
        /// The device asked for.
        device: String,
        /// Why not.
        reason: String,
    },
    /// The thread that reads batches ended without a word.
    #[error("the thread that reads batches ended early")]
    ReaderEnded,
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// Answers that cannot be, e.g. NaN.
    #[error("the network's answers cannot be used: {0}")]
    Predictions(#[from] leitmotif_models::PredictionsError),
    /// libtorch refused.
    #[error("libtorch: {}", first_line(.0))]
    Torch(#[from] tch::TchError),
}

impl TrainError {
    /// An I/O error with the file it happened to.
    pub fn file(path: &Path, source: std::io::Error) -> Self {
        TrainError::File { path: path.to_owned(), source }
    }
}

/// libtorch appends a C++ back trace to its messages.
fn first_line(error: &tch::TchError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
