//! Running a network in ONNX Runtime, and what its outputs mean for a recording.
//!
//! ```text
//! loader → ort_session, tract_session → session → pool, graph → model → recognition, listener → recognizer → batch
//! ```
//!
//! `loader` opens ONNX Runtime once in a process, `session` runs a network as it is, in either engine, `pool` lends sessions to callers,
//! `graph` runs a block of segments through any of the four graphs, `model` has both, `recognition` averages the blocks of
//! a recording, `listener` takes live audio, `recognizer` files and samples, `batch` many files on the threads of `jobs`.
//! Only `loader`, `ort_session`, `pinned` (its inputs for a GPU) and `assignment` (which provider has which node) know
//! `ort`, only `tract_session` tract.

mod answer;
mod assignment;
mod batch;
mod call;
mod cancel;
mod device;
mod error;
mod exit;
mod graph;
mod jobs;
mod listener;
mod loader;
mod model;
mod options;
mod ort_session;
mod pinned;
mod placement;
mod pool;
mod recognition;
mod recognizer;
pub mod session;
mod tensor;
#[cfg(feature = "tract")]
mod tract_session;

pub use answer::{Answer, Moment, RankedArtist, Timing};
pub use batch::Batch;
pub use call::{Average, RecognizeOptions};
pub use cancel::CancelToken;
pub use device::{DevicePolicy, DeviceTaken};
pub use error::Error;
pub use listener::Listener;
pub use options::{Engine, SessionOptions};
pub use placement::Placement;
pub use recognizer::{Recognizer, SelfTest};
