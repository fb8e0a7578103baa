#![cfg_attr(feature = "onnx", doc = include_str!("../README.md"))]
//!
//! # The modules
//!
//! [`audio`] decodes any common audio format to mono samples at the network's rate and cuts them into segments:
//! training and serving share this front end. [`pooling`] combines the outputs for segments to one for a song.
//! `session` (feature `onnx`) runs a network without knowing anything about music.

/// For programs that recognise for a long time, on many threads, or live.
#[cfg(feature = "onnx")]
#[doc = include_str!("../EMBEDDING.md")]
pub mod embedding {}

// Audio decoding.
pub mod audio;

// From segments to a song, whatever computed their outputs.
pub mod pooling;

// New artists by their embeddings, whatever computed these.
mod gallery;

// Recognition.
#[cfg(feature = "onnx")]
mod onnx;

pub use gallery::{Gallery, GalleryAnswer, GalleryError, SimilarArtist};
/// Types of the card, of units and of devices that this crate's functions take and return.
pub use leitmotif_models::{Card, CardError, Device, SampleRate, UnknownDevice};
#[cfg(feature = "onnx")]
pub use onnx::{
    Answer, Average, Batch, CancelToken, DevicePolicy, DeviceTaken, Engine, Error, Listener,
    Moment, Placement, RankedArtist, RecognizeOptions, Recognizer, SelfTest, SessionOptions,
    Timing, session,
};
