//! The closed set of layers that a network is made of.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One layer; the set is closed, so every consumer matches it exhaustively.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layer {
    /// 1-D convolution without bias: a batch norm follows.
    Conv(Conv),
    /// Log energies of pairs of filters.
    Energy(Energy),
    /// Batch normalisation over batch, time and, in an image, bands, per channel.
    BatchNorm(BatchNorm),
    /// `max(x, 0)`.
    Relu,
    /// Largest of `size` neighbouring positions, stride `size`, no padding.
    MaxPool {
        /// Window and stride in positions.
        size: usize,
    },
    /// The channels of a map become frequency bands of an image of one channel.
    Bands,
    /// 2-D convolution over bands and time, without bias: a batch norm follows.
    Conv2d(Conv2d),
    /// Largest of `size` × `size` neighbouring bands and positions, stride `size`, no padding.
    MaxPool2d {
        /// Window and stride, in bands and in positions.
        size: usize,
    },
    /// Bands and positions of an image become the positions of a map, band after band.
    Positions,
    /// Keeps its input for the `Add` that ends the residual block, and passes it on.
    Fork,
    /// Scales each channel by a factor that follows from the means of all channels over time.
    SqueezeExcite(SqueezeExcite),
    /// Adds what the `Fork` kept: as it is, or through filters of one position where the numbers of channels differ.
    Add {
        /// Channels of what was kept.
        kept: usize,
        /// Channels of what it is added to.
        channels: usize,
    },
    /// Drops the time axis of length one.
    Flatten,
    /// Summarises each channel over time.
    TimePool {
        /// How.
        pool: TimePool,
        /// Channels of the input.
        channels: usize,
    },
    /// In training, sets a random share of its input to zero and scales the rest up; otherwise nothing.
    Dropout {
        /// Share, below one.
        share: f32,
    },
    /// Linear map without bias: a batch norm follows.
    Dense {
        /// Inputs.
        inputs: usize,
        /// Outputs.
        units: usize,
    },
    /// Hyperbolic tangent.
    Tanh,
    /// One LSTM layer over the segments of a clip: sigmoid gates, tanh, zero initial state.
    Lstm {
        /// Inputs per segment.
        inputs: usize,
        /// Size of the hidden and of the cell state.
        units: usize,
    },
    /// Linear map with bias onto the classes.
    Output {
        /// Inputs.
        inputs: usize,
        /// Classes.
        classes: usize,
    },
    /// Probabilities over the classes.
    Softmax,
}

/// Configuration of an energy layer: `log(mean(a² + b²) + ε)` of each pair of filters, `[1, length]` → `[pairs, …]`; the
/// mean is over `pool` neighbouring positions, and what is left over at the end is dropped.
///
/// A pair that begins as a cosine and a sine measures the strength of a band whatever its phase. Filter `i` of the
/// convolution is the first of pair `i`, filter `pairs + i` the second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Energy {
    /// The filters of all pairs: twice as many as pairs.
    pub conv: Conv,
    /// Positions of which the mean is taken; 1 for none.
    pub pool: usize,
    /// ε: the energy below which all is silence.
    pub epsilon: f32,
    /// Whether the filters are trained, or stay as they begin.
    pub trainable: bool,
}

impl Energy {
    /// With the ε of its pool.
    pub fn new(conv: Conv, pool: usize, trainable: bool) -> Self {
        let epsilon = if pool > 1 { Self::EPSILON_OF_MEANS } else { Self::EPSILON };
        Energy { conv, pool, epsilon, trainable }
    }

    /// Whether energies are averaged over time.
    pub fn averages(&self) -> bool {
        self.pool > 1
    }

    /// For samples in ±1 and filters of Euclidean norm 1: 50 dB below a full-scale white noise. f32 holds sums with it
    /// to a millionth of it; in 16-bit floats it would be no normal number, so energies are taken in f32 everywhere.
    pub const EPSILON: f32 = 1e-5;

    /// As [`EPSILON`](Self::EPSILON), where energies are averaged over time, so that one close to zero is rare: 80 dB
    /// below a full-scale white noise, and 18 dB above what 16-bit samples round away.
    pub const EPSILON_OF_MEANS: f32 = 1e-8;

    /// Pairs of filters, hence channels of the output.
    pub fn pairs(&self) -> usize {
        self.conv.filters / 2
    }
}

/// Configuration of squeeze and excitation (Hu et al. 2018), within each segment: the means of the channels over time,
/// a dense layer with ReLU, a dense layer with sigmoid, whose outputs scale the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqueezeExcite {
    /// Channels of the input and output.
    pub channels: usize,
    /// Units of the first dense layer.
    pub squeezed: usize,
}

/// How the positions of a segment become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimePool {
    /// The mean of each channel.
    Mean,
    /// The means of all channels, then their standard deviations.
    Statistics,
    /// As `Statistics`, of positions weighted by a softmax over time (Okabe et al. 2018). A position's score is a
    /// linear map of the tanh of a dense layer of its channels.
    Attention,
}

impl TimePool {
    /// ε, added to the variance below the root.
    pub const EPSILON: f32 = 1e-5;

    /// Values of the vector.
    pub fn features(self, channels: usize) -> usize {
        match self {
            TimePool::Mean => channels,
            TimePool::Statistics | TimePool::Attention => channels.saturating_mul(2),
        }
    }

    /// Units of the dense layer of `Attention`: a fourth of the channels.
    pub fn attention_units(channels: usize) -> usize {
        (channels / 4).max(1)
    }
}

impl fmt::Display for TimePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TimePool::Mean => "mean",
            TimePool::Statistics => "statistics",
            TimePool::Attention => "attention",
        })
    }
}

/// Configuration of a 1-D convolution: `[in_channels, length]` → `[filters, (length + 2·padding − kernel) / stride + 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub filters: usize,
    /// Filter length in positions.
    pub kernel: usize,
    /// Step in positions.
    pub stride: usize,
    /// Zeros added at each side.
    pub padding: usize,
}

/// Configuration of a 2-D convolution with a square kernel, which keeps bands and positions: `[in_channels, bands,
/// length]` → `[filters, bands, length]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub filters: usize,
    /// Filter length in bands and in positions, odd.
    pub kernel: usize,
}

impl Conv2d {
    /// Zeros added at each of the four sides.
    pub fn padding(&self) -> usize {
        self.kernel / 2
    }
}

/// Configuration of a batch normalisation: `scale · (x − mean) / √(variance + ε) + shift`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// Channels.
    pub channels: usize,
    /// ε, added to the variance.
    pub epsilon: f32,
    /// Share of the old running value that is kept at each step; torch's momentum is one minus this.
    pub momentum: f32,
}

impl BatchNorm {
    /// ε of Keras 2.1, the framework that the paper is assumed to have used.
    pub const EPSILON: f32 = 1e-3;
    /// Momentum of Keras 2.1.
    pub const MOMENTUM: f32 = 0.99;

    /// Batch norm over `channels` with the defaults above.
    pub fn new(channels: usize) -> Self {
        BatchNorm { channels, epsilon: Self::EPSILON, momentum: Self::MOMENTUM }
    }
}
