//! Compiles trained leitmotif weights to ONNX: no libtorch, no ONNX Runtime, no Python.
//!
//! A [`Checkpoint`] is the folder that the trainer saved, or a mapping file beside tensors that another program trained;
//! [`compile`] turns it into an [`Artifact`], the bytes of one self-describing `.onnx` file; [`Staged`] puts several in
//! place together once the caller has accepted each. A [`Recipe`] names the target and the precision; for int8 a
//! [`Calibrator`] finds the ranges of feature maps.
//!
//! The phases are modules: check (`checkpoint`, `weights`, `mapping`) → fold (`fold`, `gates`) → lower (`lower/`, one layer
//! a file; `quantize`) → assemble (`assemble`, `card`) → write (`onnx/`, `staging`). The command `leitmotif-export` runs
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

mod about;
mod assemble;
mod calibrate;
mod card;
mod checkpoint;
mod compile;
mod diff;
mod error;
mod essentia;
mod fold;
mod gates;
mod graph;
mod hub_folder;
mod hub_readme;
mod huggingface;
mod lower;
mod mapping;
mod onnx;
mod quantize;
mod recipe;
mod reference;
mod staging;
mod summary;
mod tolerance;
mod weights;

pub use about::About;
pub use calibrate::Calibrator;
pub use card::batch_per_call;
pub use checkpoint::{Checkpoint, Probe};
pub use compile::{Artifact, Shape, compile, compile_as};
pub use diff::{Difference, Part, differences};
pub use error::{
    CalibrateError, CheckpointError, ExportError, LowerError, ReadError, UnfitFile, WriteError,
};
pub use essentia::essentia_sidecar;
pub use hub_folder::hub_folder;
pub use onnx::edit::{tap_name, tapped, with_batch};
pub use recipe::Recipe;
pub use reference::{LayerOutput, layer_outputs, layer_tolerance};
pub use staging::Staged;
pub use summary::Summary;
pub use tolerance::{FP16_TOLERANCE, FP32_TOLERANCE, INT8_TOLERANCE, MOST_LOSS, tolerance};
