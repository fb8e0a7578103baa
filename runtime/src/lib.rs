#![cfg_attr(feature = "onnx", doc = include_str!("../README.md"))]
//!
//! # The modules
//!
//! [`audio`] turns any common file into mono samples at the network's rate and cuts them into
//! segments: training and serving hear through the same ears. [`average`] and [`sequence`] say how segments become a song.
//! `session` (feature `onnx`) runs a network, and knows nothing of music.

// Hearing.
pub mod audio;

// From segments to a song, whatever gave their probabilities.
pub mod average;
pub mod sequence;

/// Types of the card and of units, which this crate's functions take and give.
pub use leitmotif_models::{Card, CardError, SampleRate};

// Recognising.
#[cfg(feature = "onnx")]
mod answer;
#[cfg(feature = "onnx")]
mod device;
#[cfg(feature = "onnx")]
mod error;
#[cfg(feature = "onnx")]
mod graph;
#[cfg(feature = "onnx")]
mod library;
#[cfg(feature = "onnx")]
mod recognizer;
#[cfg(feature = "onnx")]
pub mod session;

#[cfg(feature = "onnx")]
pub use {
    answer::{Answer, ArtistScore, Moment},
    device::{Device, DeviceTaken, UnknownDevice},
    error::Error,
    recognizer::{Recognizer, SelfTest},
    session::SessionOptions,
};
