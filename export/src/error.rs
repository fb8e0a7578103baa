//! What can go wrong between a checkpoint and an `.onnx` file, by topic.
//!
//! A message begins with the phase or the file that failed. What caused it is in [`source`](std::error::Error::source) and
//! not repeated in the text: print the whole chain.

use std::fmt;
use std::io;
use std::path::PathBuf;

use leitmotif_models::tensors::TensorProblems;
use leitmotif_models::{CardError, HeadKind, NoSuchForm, RunError};

/// Why nothing was compiled, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The checkpoint cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The network cannot be lowered to these operators.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// No ranges can be found for int8.
    #[error(transparent)]
    Calibrate(#[from] CalibrateError),
    /// A size that the file format cannot hold.
    #[error(
        "{what} is too large for an ONNX file, which holds less than 2 GiB; describe a smaller network"
    )]
    TooLarge {
        /// The quantity.
        what: &'static str,
    },
    /// The card would not be readable again.
    #[error("assemble: the card is invalid")]
    Card(#[from] CardError),
    /// An `.onnx` file cannot be read or compared.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The files cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A file of the checkpoint could not be read.
    #[error(
        "cannot read {path} (a checkpoint folder holds run.json, weights.safetensors and probe.safetensors, and a mapping file names its own)"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder of a run, which holds checkpoints and is none.
    #[error(
        "{path} is the folder of a run: name one of its checkpoints, {path}/last or {path}/best"
    )]
    RunFolder {
        /// The folder.
        path: PathBuf,
    },
    /// `run.json` is not a run record that this version understands.
    #[error("{path} is not a usable run record")]
    Run {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: RunError,
    },
    /// A mapping file with mistakes.
    #[error("{path} does not map a network: {reason}")]
    Mapping {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that is not a whole safetensors file.
    #[error("{path} is not a whole safetensors file ({reason}); copy the checkpoint again")]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Tensors that do not fit the network of `run.json`, all of them.
    #[error("check: {}", format_files(files))]
    Tensors {
        /// Each file that does not fit, the weights before the probe.
        files: Vec<UnfitFile>,
    },
    /// The golden input of `run.json` is not the first row of the probe.
    #[error(
        "check: row 0 of {path} is not the golden input of run.json (first difference at sample {sample}); save the checkpoint again"
    )]
    NotGolden {
        /// The probe.
        path: PathBuf,
        /// The first sample that differs.
        sample: usize,
    },
}

/// Why a network cannot be lowered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LowerError {
    /// A batch norm that follows nothing into which it could be folded.
    #[error("fold: the batch norm of {layer} follows neither a convolution nor a dense layer")]
    Unfoldable {
        /// The layer.
        layer: String,
    },
    /// A residual block ends that did not begin.
    #[error("lower: {layer} adds the input of its block, which nothing kept")]
    NothingKept {
        /// The layer.
        layer: String,
    },
    /// Weights that were finite and no longer are, with the batch norm in them.
    #[error(
        "fold: the weights of {layer} overflow f32 once their batch norm is folded in; its scale is huge or its variance tiny, so take an earlier checkpoint or train with a lower learning rate"
    )]
    Overflow {
        /// The layer.
        layer: String,
    },
    /// A graph that this head does not have.
    #[error("lower: a network with a {head} head has no `{graph}` graph")]
    WrongHead {
        /// The graph asked for.
        graph: String,
        /// The head of the network.
        head: HeadKind,
    },
    /// A graph of one segment without its artists.
    #[error(
        "lower: only a graph that takes recordings is cut off at the embedding; the `{graph}` graph gives it among others"
    )]
    NoEmbeddingOf {
        /// The graph asked for.
        graph: String,
    },
    /// Hugging Face's form of a graph that does not answer for whole recordings of any length.
    #[error(
        "lower: Hugging Face's form answers for whole recordings of any length; leave out --batch, --segments and --embedding-only"
    )]
    NotWhole,
    /// A precision that the target cannot do.
    #[error(transparent)]
    Form(#[from] NoSuchForm),
    /// A weight that 16 bits cannot hold.
    #[error(
        "lower: `{name}` has weights beyond 65,504, the largest float of 16 bits; take fp32 or int8 for this checkpoint"
    )]
    BeyondHalf {
        /// The tensor.
        name: String,
    },
    /// Int8 without the range of a feature map.
    #[error(
        "lower: int8 needs the range of {block}, which calibration finds on real music; name some with --calibrate"
    )]
    NotCalibrated {
        /// The block.
        block: String,
    },
}

/// Why there are no ranges for int8.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// A block with values that are not finite.
    #[error(
        "calibrate: {block} gave values that are NaN or infinite; calibrate with music that the network knows, and if that does not help take fp16"
    )]
    NotFinite {
        /// The block.
        block: String,
    },
    /// A block that is always silent: its range would be empty.
    #[error(
        "calibrate: {block} gave nothing above zero; calibrate with music that the network knows, and if that does not help take fp16"
    )]
    AllZero {
        /// The block.
        block: String,
    },
}

/// Why an `.onnx` file cannot be read or compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Not an ONNX file.
    #[error("{path} is not an ONNX model ({reason})")]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An ONNX file that holds more than can be compared.
    #[error("{path} cannot be compared: {reason}")]
    Incomparable {
        /// The file.
        path: PathBuf,
        /// The content that is not compared.
        reason: String,
    },
    /// A file in which a layer is not to be found.
    #[error("{path} has no node with which {layer} ends; was it made by leitmotif-export?")]
    NoLayer {
        /// The file.
        path: PathBuf,
        /// The layer.
        layer: String,
    },
}

/// Why files were not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A file of that name is there, and replacing it was not asked for.
    #[error(
        "write: {path} is there already; choose another name or folder, or replace it with --force"
    )]
    Exists {
        /// The file that was to be.
        path: PathBuf,
    },
    /// A folder of that name is there.
    #[error("write: {path} is a folder; move it away, or choose another name")]
    InTheWay {
        /// The folder.
        path: PathBuf,
    },
    /// The output could not be written.
    #[error("write: cannot write {path}")]
    Unwritable {
        /// The file that was to be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that had its name already could not be taken back when a later one failed.
    #[error("{path} could not be taken back ({undo}), so do not use it, after a later file failed")]
    NotUndone {
        /// The file that stayed.
        path: PathBuf,
        /// Why it stayed.
        undo: io::Error,
        /// The failure that came first.
        source: Box<WriteError>,
    },
}

/// A file with tensors that do not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfitFile {
    /// The safetensors file.
    pub path: PathBuf,
    /// Every problem found.
    pub problems: TensorProblems,
}

impl fmt::Display for UnfitFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not fit the network of run.json:", self.path.display())?;
        self.problems.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

fn format_files(files: &[UnfitFile]) -> String {
    files.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
