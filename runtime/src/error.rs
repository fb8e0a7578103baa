//! What can go wrong between a model, a recording and an answer, told by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

use leitmotif_models::CardError;

use crate::audio::AudioError;

/// Why there is no answer. Variants of a model name its file, [`Error::Audio`] and [`Error::TooShort`] the recording's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recording cannot be heard.
    #[error(transparent)]
    Audio(#[from] AudioError),

    /// The recording is shorter than one segment of the network.
    #[error(
        "{} {found_seconds:.2} seconds long and the network needs {needed_seconds:.2}: give it more of the music",
        path.as_ref().map_or("the recording is".to_owned(), |path| format!("{} is", path.display()))
    )]
    TooShort {
        /// The recording; `None` where samples were given.
        path: Option<PathBuf>,
        /// Length of one segment in seconds.
        needed_seconds: f64,
        /// Length of the recording in seconds.
        found_seconds: f64,
    },

    /// A sample is NaN or infinite.
    #[error(
        "sample {index} is {value}, not a number between -1 and 1: mend what produced the samples"
    )]
    NotFinite {
        /// Which sample, counted from zero.
        index: usize,
        /// What it is.
        value: f32,
    },

    /// Samples of a rate that cannot be brought to the network's.
    #[error("samples at {rate} Hz cannot be resampled: give a rate from 1,000 to 768,000 Hz")]
    UnsupportedRate {
        /// The rate given.
        rate: u32,
    },

    /// The model's file cannot be read.
    #[error("model {path:?} cannot be read ({source}): check the path and its permissions")]
    ModelUnreadable {
        /// The model.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },

    /// ONNX Runtime does not accept the file: it is truncated, or no `.onnx` at all.
    #[error(
        "model {path:?} is no network that ONNX Runtime accepts ({reason}): fetch or export it again"
    )]
    ModelRefused {
        /// The model.
        path: PathBuf,
        /// ONNX Runtime's reason.
        reason: String,
    },

    /// The model says nothing about itself under the metadata key `leitmotif`.
    #[error(
        "model {path:?} carries no card under the metadata key `leitmotif`: use a file made by `leitmotif-export`"
    )]
    NoCard {
        /// The model.
        path: PathBuf,
    },

    /// The model's card is of a version this crate does not know.
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

    /// The model's card is not what a card must be.
    #[error("model {path:?} carries a bad card ({source}): export it again")]
    BadCard {
        /// The model.
        path: PathBuf,
        /// What is wrong with it.
        source: CardError,
    },

    /// The model's sizes are fixed in a way that recordings of any length do not have.
    #[error(
        "model {path:?} takes exactly so many recordings of so many segments at a call, for devices that need that: to recognise files, export it without --batch (or with --batch 1) and without --segments"
    )]
    FixedSizes {
        /// The model.
        path: PathBuf,
    },

    /// The model ends with the embedding and names no artists.
    #[error(
        "model {path:?} gives embeddings and names no artists: export it without --embedding-only, or run it as a `Session`"
    )]
    EmbeddingOnly {
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
        /// What the card promises.
        expected: String,
        /// What the graph declares or gave.
        found: String,
    },

    /// The network gave a value that is no number, or a probability that is none.
    #[error(
        "model {path:?} gave {value} in `{name}`, which makes no sense: its weights are broken, export it again"
    )]
    BadOutput {
        /// The model.
        path: PathBuf,
        /// Name of the output.
        name: String,
        /// What it gave.
        value: f32,
    },

    /// ONNX Runtime failed while it ran the network.
    #[error("ONNX Runtime could not run model {path:?} on {device} ({reason})")]
    Run {
        /// The model.
        path: PathBuf,
        /// The device it ran on.
        device: String,
        /// ONNX Runtime's reason.
        reason: String,
    },

    /// No library of ONNX Runtime was found.
    #[error(
        "ONNX Runtime's library was not found ({reason}): run `make setup` in the checkout, or `pip install onnxruntime` and set ORT_DYLIB_PATH to its libonnxruntime file, or put that file beside the program"
    )]
    OnnxRuntimeMissing {
        /// What was tried.
        reason: String,
    },

    /// A library was found and is not an ONNX Runtime that can be used.
    #[error(
        "{path:?} cannot serve as ONNX Runtime ({reason}): version 1.24 or later is needed; set ORT_DYLIB_PATH to another one"
    )]
    OnnxRuntimeUnusable {
        /// The library.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A process opens ONNX Runtime once, and it is open already from elsewhere.
    #[error(
        "ONNX Runtime is already open from {open:?} and a process opens it only once: ask for the same library everywhere"
    )]
    OnnxRuntimeOpen {
        /// The library that is open.
        open: PathBuf,
    },

    /// CUDA was asked for and cannot run.
    #[error(
        "CUDA cannot run here ({reason}): ask for `cpu` or `auto`, or mend it — `leitmotif providers` says what is there"
    )]
    CudaUnavailable {
        /// Why not, in ONNX Runtime's words where it has some.
        reason: String,
    },
}

impl Error {
    /// Names the recording where the error does not yet.
    pub(crate) fn in_file(mut self, file: &Path) -> Self {
        if let Error::TooShort { path, .. } = &mut self {
            path.get_or_insert_with(|| file.to_owned());
        }
        self
    }
}
