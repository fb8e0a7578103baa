//! What flows between two layers.

use std::fmt;

/// Shape of one example between two layers, without batch and segment axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Raw waveform of so many samples.
    Samples(usize),
    /// Feature map: positions in time times channels, printed as the paper prints it.
    Map {
        /// Positions in time.
        length: usize,
        /// Channels, one per filter.
        channels: usize,
    },
    /// Channels over frequency bands and time, as a spectrogram has one.
    Image {
        /// Frequency bands.
        bands: usize,
        /// Positions in time.
        length: usize,
        /// Channels, one per filter.
        channels: usize,
    },
    /// Features without a time axis.
    Vector(usize),
}

impl Shape {
    /// Number of values.
    pub fn values(self) -> usize {
        match self {
            Shape::Samples(n) | Shape::Vector(n) => n,
            Shape::Map { length, channels } => length.saturating_mul(channels),
            Shape::Image { bands, length, channels } => {
                bands.saturating_mul(length).saturating_mul(channels)
            }
        }
    }

    /// Channels; a waveform has one.
    pub fn channels(self) -> usize {
        match self {
            Shape::Samples(_) => 1,
            Shape::Map { channels, .. }
            | Shape::Image { channels, .. }
            | Shape::Vector(channels) => channels,
        }
    }

    /// Positions in time; a vector has one.
    pub fn length(self) -> usize {
        match self {
            Shape::Samples(n) => n,
            Shape::Map { length, .. } | Shape::Image { length, .. } => length,
            Shape::Vector(_) => 1,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Samples(n) | Shape::Vector(n) => write!(f, "{n}"),
            Shape::Map { length, channels } => write!(f, "{length}×{channels}"),
            Shape::Image { bands, length, channels } => write!(f, "{bands}×{length}×{channels}"),
        }
    }
}
