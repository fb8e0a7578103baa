//! Errors of opening and running models, one variant for each remedy.

use std::io;
use std::path::{Path, PathBuf};

use leitmotif_models::CardError;

use crate::audio::{AudioError, Level};

/// Why a model cannot be used or gives no answer.
///
/// Errors of a model name its file, [`Error::Audio`] and [`Error::TooShort`] that of the recording.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recording cannot be decoded.
    #[error(transparent)]
    Audio(#[from] AudioError),

    /// The recording is shorter than one segment of the network.
    #[error(
        "{} {found_seconds:.2} seconds long and the network needs {needed_seconds:.2}: use a longer part of the music",
        path.as_ref().map_or("the recording is".to_owned(), |path| format!("{} is", path.display()))
    )]
    TooShort {
        /// The recording; `None` if samples were given.
        path: Option<PathBuf>,
        /// Length of one segment in seconds.
        needed_seconds: f64,
        /// Length of the recording in seconds.
        found_seconds: f64,
    },

    /// A sample is NaN or infinite.
    #[error(
        "sample {index} is {value}, not a number between -1 and 1: fix what produced the samples"
    )]
    NotFinite {
        /// Which sample, counted from zero.
        index: usize,
        /// Its value.
        value: f32,
    },

    /// Samples far over full scale: integers that were never divided.
    #[error("the samples reach {peak:.0} times full scale: divide them by {}", Level::divisor(*peak))]
    OutOfScale {
        /// The largest absolute sample; full scale is 1.
        peak: f32,
    },

    /// Samples at a rate that cannot be resampled to the network's.
    #[error("samples at {rate} Hz cannot be resampled: use a rate from 1,000 to 768,000 Hz")]
    UnsupportedRate {
        /// The rate given.
        rate: u32,
    },

    /// The model's file cannot be read.
    #[error("model {path:?} cannot be read (check the path and its permissions)")]
    ModelUnreadable {
        /// The model.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },

    /// ONNX Runtime does not accept the file: it is truncated, or not an `.onnx` file.
    #[error(
        "model {path:?} is not a network that ONNX Runtime accepts ({reason}): fetch or export it again"
    )]
    ModelRefused {
        /// The model.
        path: PathBuf,
        /// ONNX Runtime's reason.
        reason: String,
    },

    /// The model keeps weights in another file, which files of this project never do.
    ///
    /// ONNX Runtime would look for it in the working directory, and take another model's weights there for these.
    #[error(
        "model {path:?} keeps weights in another file ({location}): store it as one file (in Python, `onnx.save` of the loaded model), or export it again with `leitmotif-export`"
    )]
    ExternalData {
        /// The model.
        path: PathBuf,
        /// The file that it names.
        location: String,
    },

    /// There is not enough memory to open the model.
    #[error(
        "there is not enough memory to open model {path:?} ({reason}): free some or raise the limit, or fetch it again if it should be small"
    )]
    NoMemory {
        /// The model.
        path: PathBuf,
        /// ONNX Runtime's reason.
        reason: String,
    },

    /// The system does not let this process start the threads that the session needs.
    #[error(
        "the system refuses the {threads} threads that model {path:?} is to run on: ask for fewer (--threads 1, `SessionOptions::with_threads`), or raise the limit (`ulimit -u`, a container's `pids.max`)"
    )]
    NoThreads {
        /// The model.
        path: PathBuf,
        /// How many threads the session was to have.
        threads: usize,
    },

    /// The model has no card under the metadata key `leitmotif`.
    #[error(
        "model {path:?} carries no card under the metadata key `leitmotif`: use a file made by `leitmotif-export`"
    )]
    NoCard {
        /// The model.
        path: PathBuf,
    },

    /// The model's card has a version that this crate does not know.
    #[error(
        "model {path:?} carries a card of version {found} and this program reads versions up to {supported}: use the leitmotif release that wrote it, or export it again"
    )]
    CardVersion {
        /// The model.
        path: PathBuf,
        /// The card's version.
        found: u64,
        /// The newest version this crate reads.
        supported: u32,
    },

    /// The model's card is invalid.
    #[error("model {path:?} has an invalid card (export it again)")]
    BadCard {
        /// The model.
        path: PathBuf,
        /// What is wrong with it.
        source: CardError,
    },

    /// The model has a fixed batch or number of segments, which recordings of any length do not fit.
    #[error(
        "model {path:?} has a fixed batch or number of segments, for devices that need fixed sizes: to recognise files, export it without --batch (or with --batch 1) and without --segments"
    )]
    FixedSizes {
        /// The model.
        path: PathBuf,
    },

    /// The model ends with the embedding and has no artist probabilities.
    #[error(
        "model {path:?} gives embeddings and no artist probabilities: export it without --embedding-only, or run it as a `Session`"
    )]
    EmbeddingOnly {
        /// The model.
        path: PathBuf,
    },

    /// The model is in the form of Hugging Face's libraries.
    #[error(
        "model {path:?} is in the form of Hugging Face's libraries: open the file that was compiled beside it, NAME.clip.onnx or NAME.sequence.onnx, or run it as a `Session`"
    )]
    HuggingFace {
        /// The model.
        path: PathBuf,
    },

    /// The graph does not have the inputs and outputs that its card promises.
    #[error(
        "model {path:?} does not match its card: `{name}` should be {expected} and is {found}; export it again"
    )]
    WrongShape {
        /// The model.
        path: PathBuf,
        /// Name of the input or output.
        name: String,
        /// The shape that the card promises.
        expected: String,
        /// The shape that the graph declares or gave.
        found: String,
    },

    /// The network gave a value that is not finite, or a probability outside of 0 to 1.
    #[error(
        "model {path:?} gave {value} in `{name}`, which is out of range: its weights are broken, export it again"
    )]
    BadOutput {
        /// The model.
        path: PathBuf,
        /// Name of the output.
        name: String,
        /// The value.
        value: f32,
    },

    /// What runs the network failed.
    #[error("{engine} could not run model {path:?} on {device} ({reason})")]
    Run {
        /// The model.
        path: PathBuf,
        /// ONNX Runtime or tract.
        engine: &'static str,
        /// The device it ran on.
        device: String,
        /// The engine's reason.
        reason: String,
    },

    /// A part of the graph would not run on the device asked for.
    #[error(
        "model {path:?} would not run on {device} alone: ONNX Runtime gives {elsewhere}; compile it for CUDA (`leitmotif-export compile --target cuda`), or allow it with `DevicePolicy::Warn` (--device-policy warn)"
    )]
    Placement {
        /// The model.
        path: PathBuf,
        /// The device.
        device: String,
        /// How many nodes run elsewhere, where, and which operators they are.
        elsewhere: String,
    },

    /// tract was asked for and is not in this program.
    #[error(
        "this program was built without tract: build it with the feature `tract`, or use ONNX Runtime"
    )]
    NoTract,

    /// tract does not accept the model.
    #[error(
        "model {path:?} cannot be run in tract ({reason}): compile it with `leitmotif-export compile --target portable`, or use ONNX Runtime"
    )]
    TractRefused {
        /// The model.
        path: PathBuf,
        /// tract's reason.
        reason: String,
    },

    /// This machine does not compute what the trainer computed.
    #[error(
        "model {path:?} gives other answers here than when it was trained: {largest_difference:.1e} for {artist}, where {tolerance:.1e} is allowed; try the CPU or another ONNX Runtime"
    )]
    SelfTest {
        /// The model.
        path: PathBuf,
        /// Largest difference of a probability.
        largest_difference: f32,
        /// The artist whose probability it is.
        artist: String,
        /// Largest difference that is allowed.
        tolerance: f32,
    },

    /// The recognition was cancelled by its [`CancelToken`](crate::CancelToken).
    #[error("cancelled")]
    Cancelled,

    /// The recognition took longer than its limit.
    #[error("it took longer than the {} seconds that were allowed: allow more", limit.as_secs_f64())]
    TimeLimit {
        /// What was allowed.
        limit: std::time::Duration,
    },

    /// A hop of no samples, or another one than an LSTM was trained with.
    #[error("a hop of {hop} samples cannot be used with model {path:?}: {reason}")]
    Hop {
        /// The model.
        path: PathBuf,
        /// The hop asked for.
        hop: usize,
        /// Why not.
        reason: &'static str,
    },

    /// Live audio needs an LSTM's `step` graph, which takes one segment and a state.
    #[error(
        "model {path:?} takes whole windows only: for live audio open the `step` graph that was compiled beside it"
    )]
    NeedsStep {
        /// The model.
        path: PathBuf,
    },

    /// ONNX Runtime's library was not found.
    #[error(
        "ONNX Runtime's library was not found ({reason}): `pip install onnxruntime` in the active Python environment, or set ORT_DYLIB_PATH to a libonnxruntime file or put one beside the program, or build with the feature `tract`, which needs none"
    )]
    OnnxRuntimeMissing {
        /// Where it was looked for.
        reason: String,
    },

    /// A library was found, but it is not ONNX Runtime or its version is too old.
    #[error(
        "{path:?} cannot be used as ONNX Runtime ({reason}): version 1.24 or later is needed; set ORT_DYLIB_PATH to another library"
    )]
    OnnxRuntimeUnusable {
        /// The library.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A process opens ONNX Runtime once, and another library is open already.
    #[error(
        "ONNX Runtime is already open from {open:?} and a process opens it only once: use the same library everywhere"
    )]
    OnnxRuntimeOpen {
        /// The library that is open.
        open: PathBuf,
    },

    /// Another part of the program opened ONNX Runtime through `ort`, which allows one environment in a process.
    #[error(
        "another part of this program opened ONNX Runtime through the crate `ort`, which lets only one part of a process do so: run one of the two in a process of its own, or build them on different releases of `ort`"
    )]
    OnnxRuntimeTaken,

    /// The process ends: `exit` was called, or `main` returned.
    #[error(
        "the process ends and no model is opened or run any more: join the threads that recognise before `main` returns"
    )]
    Exiting,

    /// This process is a fork of the one that opened ONNX Runtime, whose threads it does not have.
    #[error(
        "ONNX Runtime was opened before this process was forked and cannot be used in it: open models after the fork, or start a program of its own"
    )]
    Forked,

    /// CUDA was asked for and cannot run.
    #[error(
        "CUDA cannot run here ({reason}): use `cpu` or `auto`, or repair CUDA — `leitmotif providers` shows its state"
    )]
    CudaUnavailable {
        /// Why not, from ONNX Runtime where it gives a reason.
        reason: String,
    },
}

impl Error {
    /// Adds the recording's file to an error that lacks it.
    pub(super) fn in_file(mut self, file: &Path) -> Self {
        if let Error::TooShort { path, .. } = &mut self {
            path.get_or_insert_with(|| file.to_owned());
        }
        self
    }
}
