//! The closed set of layers that a network is made of.

/// One layer; the set is closed, so every consumer matches it exhaustively.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layer {
    /// 1-D convolution without bias: a batch norm follows.
    Conv(Conv),
    /// Batch normalisation over batch and time, per channel.
    BatchNorm(BatchNorm),
    /// `max(x, 0)`.
    Relu,
    /// Largest of `size` neighbouring positions, stride `size`, no padding.
    MaxPool {
        /// Window and stride in positions.
        size: usize,
    },
    /// Drops the time axis of length one.
    Flatten,
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
