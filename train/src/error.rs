//! What can go wrong in this crate's library: one enum for each topic, and [`TrainError`] over all of them.
//!
//! A cause is in `source()` and not in the text, so print an error with its chain: anyhow's `{:#}`.

use std::path::{Path, PathBuf};

use leitmotif_dataset::store::StoreError;
use leitmotif_models::text::thousands;
use leitmotif_models::{PredictionsError, RunError};

use crate::model::cuda::CudaError;
use crate::model::native::NativeError;
use crate::ranks::error::RanksError;
use leitmotif_models::tensors::TensorProblems;

/// An error of this crate's library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A file or folder could not be read or written.
    #[error("{}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The data set cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The data set or its split does not serve for this.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A setting is wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A network cannot be built or computed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A checkpoint cannot be read or used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A run cannot be started or resumed in its folder.
    #[error(transparent)]
    Run(#[from] RunFolderError),
    /// The training has left the finite numbers; nothing of that is written.
    #[error(
        "{what} in epoch {epoch}, step {step}, with the clips {clips}; the last checkpoint is kept; \
         a smaller --rate, --warm-up or --clip-gradients usually helps"
    )]
    Diverged {
        /// What is no longer finite.
        what: NotFinite,
        /// Epoch, from 1.
        epoch: usize,
        /// Step of the whole run, from 1, at which it was found; a tensor may have been spoilt by an earlier one.
        step: u64,
        /// The first clips of that step's batch, and how many more there are.
        clips: String,
    },
    /// A training step needs more memory than there is.
    #[error("out of memory in a training step{}; {advice}", format_wanted(wanted.as_deref()))]
    OutOfMemory {
        /// How much it wanted in addition, with its unit, where libtorch says so.
        wanted: Option<String>,
        /// Which settings need less.
        advice: String,
    },
    /// The thread that prefetches batches ended without an error.
    #[error("the thread that reads batches ended early")]
    ReaderEnded,
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The network's outputs are no probabilities, e.g. NaN.
    #[error("the network's outputs cannot be used")]
    Predictions(#[from] PredictionsError),
    /// The fused operator or a CUDA graph fails.
    #[error(transparent)]
    Native(#[from] NativeError),
    /// Several processes cannot train together.
    #[error(transparent)]
    Ranks(RanksError),
    /// libtorch reports an error.
    #[error("libtorch: {message}")]
    Torch {
        /// Its message without the C++ back trace.
        message: String,
    },
}

/// What is no finite number in a training.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum NotFinite {
    /// The loss of a step.
    Loss(f64),
    /// The Euclidean norm of a step's gradients.
    GradientNorm(f64),
    /// A tensor of the weights or of the optimizer, by its name in a checkpoint.
    Tensor(String),
    /// The network's outputs for real clips, though its weights are finite.
    Outputs,
}

impl std::fmt::Display for NotFinite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotFinite::Loss(loss) => write!(f, "the loss became {loss}"),
            NotFinite::GradientNorm(norm) => write!(f, "the norm of the gradients became {norm}"),
            NotFinite::Outputs => {
                write!(f, "the network's outputs became values that are no finite numbers")
            }
            NotFinite::Tensor(name) => write!(f, "`{name}` has values that are no finite numbers"),
        }
    }
}

/// A data set or split that cannot be trained on or evaluated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Fewer than two classes.
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
    /// Auxiliary music of the same artists.
    #[error(
        "{}: its artists are all in the data set to train on, or in another --auxiliary: leave it out", path.display()
    )]
    NoAuxiliary {
        /// Folder of the data set.
        path: PathBuf,
    },
    /// A clip too short for the network.
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
}

/// A setting of a run that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// Outside its range.
    #[error("{name} is {found}, but it must be {allowed}")]
    OutOfRange {
        /// The setting's name on the command line.
        name: &'static str,
        /// The value given.
        found: String,
        /// The range.
        allowed: &'static str,
    },
    /// Fewer clips in a batch than processes.
    #[error("--batch is {batch}, but {ranks} ranks share its clips: take at least {ranks}")]
    BatchBelowRanks {
        /// Clips in a batch.
        batch: usize,
        /// Processes.
        ranks: usize,
    },
    /// Early stopping without a validation part.
    #[error(
        "--patience watches the validation part, and split {split} has none; \
         make a split with --validation, or leave --patience out"
    )]
    NoValidation {
        /// Name of the split.
        split: String,
    },
}

/// A network that cannot be built or computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Weights that do not fit the network.
    #[error("the weights do not fit the network")]
    Weights(#[source] TensorProblems),
    /// Optimizer state that does not fit the network.
    #[error("the optimizer's state does not fit the network")]
    Optimizer(#[source] TensorProblems),
    /// The input of a forward pass is neither waveforms nor segments.
    #[error(
        "a network input has shape {found:?}, but it must be [batch, at least {segment}] or [batch, segments, {segment}]"
    )]
    InputShape {
        /// The shape given.
        found: Vec<i64>,
        /// Samples of a segment.
        segment: usize,
    },
    /// The network has no tensor of this name.
    #[error("the network has no tensor `{name}`")]
    NoSuchTensor {
        /// The name.
        name: String,
    },
    /// The libtorch that is loaded lacks a function.
    #[error(
        "the libtorch that is loaded has no `{symbol}` (this program needs the release that `make setup` fetches)"
    )]
    Libtorch {
        /// The function's name in the library.
        symbol: &'static str,
    },
    /// The description has no output layer.
    #[error("the network has no output layer")]
    NoOutputLayer,
    /// A residual block adds what no fork kept.
    #[error("a residual block ends that did not begin")]
    NothingKept,
    /// The device asked for cannot be used.
    #[error("cannot run on {device}")]
    Device {
        /// The device asked for.
        device: String,
        /// Why not.
        source: CudaError,
    },
}

/// A checkpoint that cannot be read or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Not a safetensors file of f32 tensors.
    #[error("{}: not a safetensors file of f32 tensors: {reason}", path.display())]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Weights that do not fit the network in `run.json`.
    #[error("checkpoint {}: the weights do not fit the network", path.display())]
    Weights {
        /// The checkpoint's folder.
        path: PathBuf,
        /// Every tensor that does not fit.
        source: TensorProblems,
    },
    /// A `run.json` that is not valid.
    #[error("{}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: RunError,
    },
    /// Settings in a `run.json` that this version does not understand.
    #[error("{}: the configuration of the run cannot be read: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Trained on another split, perhaps on songs that are to test it.
    #[error(
        "{} was trained on another split ({difference}), perhaps on songs of this test part; \
         use the split it was trained on, or accept this with --other-split", path.display()
    )]
    OtherSplit {
        /// The checkpoint's folder.
        path: PathBuf,
        /// Both splits.
        difference: String,
    },
    /// Its convolution blocks are not those of the network.
    #[error("{}: its convolutions are not those of this network: {difference}", path.display())]
    OtherConvolutions {
        /// The checkpoint's folder.
        path: PathBuf,
        /// The first block that differs.
        difference: String,
    },
    /// Written anew while it was used.
    #[error(
        "{} was replaced by its run meanwhile, so nothing was written; wait for the run, or name RUN/best or a copy",
        path.display()
    )]
    Replaced {
        /// The checkpoint's folder.
        path: PathBuf,
    },
    /// A folder without a checkpoint.
    #[error("{} holds no checkpoint (run.json is missing); name a folder such as RUN/last", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// The folder of a run where one of its checkpoints is needed.
    #[error(
        "{0} is the folder of a run; name one of its checkpoints, {0}/last or {0}/best",
        path.display()
    )]
    RunFolder {
        /// The run's folder.
        path: PathBuf,
    },
}

/// A run that cannot be started or resumed in its folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunFolderError {
    /// The folder already holds a run.
    #[error("{} already holds a run; continue it with --resume, or choose another folder", path.display())]
    Exists {
        /// The run's folder.
        path: PathBuf,
    },
    /// Another process trains in this folder.
    #[error("another `fit` is running in {}; wait for it, or choose another folder", path.display())]
    InUse {
        /// The run's folder.
        path: PathBuf,
    },
    /// There is no run to continue.
    #[error("{} has no checkpoint to resume; start the run with --out", path.display())]
    NothingToResume {
        /// The run's folder.
        path: PathBuf,
    },
    /// The run belongs to other data, or cannot be changed as asked.
    #[error("{}: cannot resume: {reason}", path.display())]
    CannotResume {
        /// The run's folder.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// Not the folder of a run.
    #[error("{} is no folder of a run: it has neither history.csv nor last/ nor best/", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// No folder of a run below a folder.
    #[error(
        "{} holds no run, nor does a folder below it; name a folder that `fit --out` was given, or one around it",
        path.display()
    )]
    NoRuns {
        /// The folder.
        path: PathBuf,
    },
    /// The same run is named twice.
    #[error("{} is named twice; name each run once", path.display())]
    Twice {
        /// The run's folder.
        path: PathBuf,
    },
    /// The history cannot be read or written.
    #[error("{}: the history of the run cannot be read or written: {reason}", path.display())]
    History {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl TrainError {
    /// An I/O error with its file.
    pub fn file(path: &Path, source: std::io::Error) -> Self {
        TrainError::File { path: path.to_owned(), source }
    }
}

impl TrainError {
    /// As the error of a training step with `batch` clips in each of `accumulate` batches: where it says that memory is
    /// lacking, it becomes `OutOfMemory`.
    pub fn in_step(self, batch: usize, accumulate: usize) -> Self {
        let (TrainError::Torch { message } | TrainError::Native(NativeError::Failed { message })) =
            &self
        else {
            return self;
        };
        if !["out of memory", "can't allocate memory", "bad_alloc"]
            .iter()
            .any(|of| message.contains(of))
        {
            return self;
        }
        TrainError::OutOfMemory { wanted: wanted(message), advice: advice(batch, accumulate) }
    }

    /// A batch that does not fit into memory, of so many bytes.
    pub fn too_large(bytes: Option<u64>, batch: usize, accumulate: usize) -> Self {
        let wanted = bytes.map(|bytes| format!("{} bytes", thousands(bytes)));
        TrainError::OutOfMemory { wanted, advice: advice(batch, accumulate) }
    }
}

/// Which settings need less memory.
fn advice(batch: usize, accumulate: usize) -> String {
    match batch {
        0 | 1 => "it has one clip only: take fewer --segments, or a smaller network".to_owned(),
        _ => format!(
            "halve the batch: --batch {} (with --accumulate {} a step has as many clips as now), or take fewer \
                 --segments",
            batch / 2,
            accumulate.saturating_mul(2)
        ),
    }
}

/// The memory that libtorch wanted, by its message: `Tried to allocate 2.00 GiB. …` on a GPU,
/// `you tried to allocate 4096 bytes. …` on a CPU.
fn wanted(message: &str) -> Option<String> {
    let mut words = message.split_once("ried to allocate ")?.1.split_whitespace();
    let (count, unit) = (words.next()?, words.next()?.trim_end_matches(['.', ',']));
    count.parse::<f64>().ok()?;
    match (unit, count.parse()) {
        ("bytes", Ok(bytes)) => Some(format!("{} bytes", thousands(bytes))),
        _ => Some(format!("{count} {unit}")),
    }
}

fn format_wanted(wanted: Option<&str>) -> String {
    wanted.map_or_else(String::new, |wanted| format!(", which wanted {wanted} more"))
}

impl From<RanksError> for TrainError {
    fn from(error: RanksError) -> Self {
        match error {
            RanksError::Interrupted => TrainError::Interrupted,
            error => TrainError::Ranks(error),
        }
    }
}

impl From<tch::TchError> for TrainError {
    fn from(error: tch::TchError) -> Self {
        // libtorch appends a C++ back trace to its messages.
        let message = error.to_string().lines().next().unwrap_or_default().to_owned();
        TrainError::Torch { message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_printed_once() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        let error = anyhow::Error::from(TrainError::file(Path::new("a/b"), missing));
        assert_eq!(format!("{error:#}"), "a/b: entity not found");
    }

    #[test]
    fn the_back_trace_of_libtorch_is_cut_off() {
        let error = TrainError::from(tch::TchError::Torch("no memory\nframe #0: c10".to_owned()));
        let printed = format!("{:#}", anyhow::Error::from(error));
        assert_eq!(printed, "libtorch: Internal torch error: no memory");
    }

    #[test]
    fn lack_of_memory_in_a_step_tells_how_much_and_what_needs_less() {
        let torch = |message: &str| TrainError::Torch { message: message.to_owned() };
        let cpu = "Internal torch error: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't \
                   allocate memory: you tried to allocate 137438953472 bytes. Error code 12 (Cannot allocate memory)";
        let printed = torch(cpu).in_step(16, 1).to_string();
        assert_eq!(
            printed,
            "out of memory in a training step, which wanted 137,438,953,472 bytes more; halve the batch: --batch 8 \
             (with --accumulate 2 a step has as many clips as now), or take fewer --segments"
        );
        let gpu = "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79.10 GiB";
        assert!(
            torch(gpu)
                .in_step(5, 2)
                .to_string()
                .contains("wanted 2.50 GiB more; halve the batch: --batch 2")
        );
        let native = NativeError::Failed { message: "CUDA error: out of memory".to_owned() };
        let printed = TrainError::from(native).in_step(1, 1).to_string();
        assert!(
            printed.starts_with("out of memory in a training step; it has one clip only"),
            "{printed}"
        );
        assert_eq!(torch("shapes differ").in_step(16, 1).to_string(), "libtorch: shapes differ");
    }
}
