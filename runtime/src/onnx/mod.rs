//! Running a network in ONNX Runtime, and what its outputs mean for a recording.
//!
//! ```text
//! loader → session → graph → recognizer → answer
//! ```
//!
//! `loader` opens ONNX Runtime once in a process, `session` runs a network as it is, `graph` runs a block of segments
//! through any of the four graphs, `recognizer` pools the blocks of a recording. Only `loader`, `session` and `pinned`,
//! its inputs for a GPU, know `ort`.

mod answer;
mod device;
mod error;
mod exit;
mod graph;
mod loader;
mod options;
mod pinned;
mod recognizer;
pub mod session;

pub use answer::{Answer, Moment, RankedArtist};
pub use device::DeviceTaken;
pub use error::Error;
pub use options::SessionOptions;
pub use recognizer::{Recognizer, SelfTest};
