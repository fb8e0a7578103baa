//! Compiles trained leitmotif weights to ONNX: no libtorch, no ONNX Runtime, no Python.
//!
//! A [`Checkpoint`] is the folder that the trainer saved; [`compile`] turns it into an [`Artifact`], the bytes of one
//! self-describing `.onnx` file; [`Staged`] puts several in place together once the caller has accepted each.
//! The phases are modules: check (`checkpoint`, `weights`) → fold (`fold`, `gates`) → lower (`lower/`, one layer a
//! file) → assemble (`assemble`) → write (`proto`, `write`). The command `leitmotif-export` adds the check itself: it runs
//! every file in ONNX Runtime against the checkpoint's [`Probe`] before any file gets its name.
//!
//! ```
//! # fn main() -> Result<(), leitmotif_export::ExportError> {
//! use leitmotif_export::{Checkpoint, compile};
//! use leitmotif_models::GraphKind;
//!
//! let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny-dense");
//! let checkpoint = Checkpoint::open(folder.as_ref())?;
//! let artifact = compile(&checkpoint, GraphKind::Clip, "tiny")?;
//! assert_eq!(artifact.file_name(), "tiny.clip.onnx");
//! # Ok(())
//! # }
//! ```

mod assemble;
mod checkpoint;
mod compile;
mod error;
mod fold;
mod gates;
mod graph;
mod lower;
mod proto;
mod weights;
mod wire;
mod write;

pub use assemble::FP32_TOLERANCE;
pub use checkpoint::{Checkpoint, Probe};
pub use compile::{Artifact, compile};
pub use error::{ExportError, Misfit, TensorProblem};
pub use proto::Summary;
pub use write::Staged;
