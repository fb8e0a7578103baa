//! What a leitmotif network is, as plain data.
//!
//! A [`Network`] is a list of blocks, a pooling over time and a head, read from a few lines of TOML. From that one list
//! everything else follows: its layers and shapes ([`Network::steps`]), the name and shape of every tensor
//! ([`Network::params`]), what it costs ([`Network::costs`]) and how the paper prints it ([`layer_table`]).
//! Two records accompany trained weights, [`RunRecord`] in a checkpoint and [`Card`]
//! in an `.onnx` file; both carry [`Scores`]. [`tensors`] checks weights against a network, [`checkpoint`] names files.
//!
//! This crate does no I/O but text, and looking where a checkpoint lies; it knows no torch, no ONNX and no audio.
//!
//! ```
//! use leitmotif_models::{HeadKind, Network};
//!
//! let network = Network::preset("model1")?.with_head(HeadKind::Lstm);
//! assert_eq!(network.clip_samples(), 7 * 59_049);
//! assert_eq!(network.costs(222).trainable(), 2_271_390);
//! # Ok::<(), leitmotif_models::NetworkError>(())
//! ```

mod block;
mod card;
pub mod checkpoint;
mod cost;
mod description;
mod device;
mod form;
mod golden;
mod layer;
pub mod layer_table;
mod network;
mod params;
mod preset;
mod random;
mod run;
pub mod score;
mod segment;
mod shape;
pub mod tensors;
pub mod text;
mod units;

pub use block::{Block, BlockKind};
pub use card::{CARD_VERSION, Card, CardError, Golden, GraphKind};
pub use cost::{Cost, Costs};
pub use device::{Device, UnknownDevice};
pub use form::{
    BeforeAfter, Calibration, Fixed, Measured, NoSuchForm, Precision, RangeRule, Target,
};
pub use golden::GoldenInput;
pub use layer::{BatchNorm, Conv, Conv2d, Energy, Layer, SqueezeExcite, TimePool};
pub use network::{Head, HeadKind, Network, NetworkError, Step};
pub use params::{Init, Param, ParamKind};
pub use random::Random;
pub use run::{DatasetNote, RUN_VERSION, RunError, RunRecord, SplitNote, UnfinishedEpoch};
pub use score::{
    ArtistScore, Confidence, Estimate, Prediction, Predictions, PredictionsError, ReliabilityBin,
    Scores, UnknownSongs, argmax,
};
pub use segment::{segment_count, segment_starts};
pub use shape::Shape;
pub use units::{CLIP_SAMPLES, ClassId, SampleRate};
