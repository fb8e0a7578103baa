//! Blocks: what a network is described in.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::network::Steps;
use crate::{BatchNorm, Conv, Conv2d, Energy, Layer, NetworkError, Shape, SqueezeExcite};

/// A few layers with one line in the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Which layers.
    pub kind: BlockKind,
    /// Filters of the convolutions, hence channels of the output; of an energy block pairs of filters.
    pub filters: usize,
    /// Filter length in positions.
    pub kernel: usize,
    /// Stride of the convolution.
    pub stride: usize,
    /// Zeros at each side of the convolution's input.
    pub padding: usize,
    /// Window and stride of the pooling; 1 means none. Of an energy block it is the mean of the energies, else a maximum.
    pub pool: usize,
    /// Of a residual block: channels for each unit of its squeeze-and-excitation; `None` does without.
    pub squeeze: Option<usize>,
    /// Of an energy block: whether its filters are trained, or stay as they begin.
    pub trainable: bool,
}

/// The layers of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlockKind {
    /// Convolution (no bias), batch norm, ReLU, maximum pooling.
    #[default]
    Conv,
    /// Pairs of filters over the waveform: mean energy of each pair over the pool, logarithm, batch norm; of all bands
    /// together where 2-D convolutions follow.
    Energy,
    /// Convolution, batch norm, ReLU, convolution, batch norm, squeeze-and-excitation; the block's input is added;
    /// ReLU, maximum pooling (He et al. 2016, Hu et al. 2018).
    Residual,
    /// 2-D convolution over the bands of an energy block and time, batch norm, ReLU, maximum pooling of both.
    Conv2d,
}

impl BlockKind {
    /// Whether it is a convolution, which descriptions do not name.
    pub(crate) fn is_conv(&self) -> bool {
        *self == BlockKind::Conv
    }
}

impl fmt::Display for BlockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BlockKind::Conv => "conv",
            BlockKind::Energy => "energy",
            BlockKind::Residual => "residual",
            BlockKind::Conv2d => "conv2d",
        })
    }
}

impl Block {
    fn conv(&self, in_channels: usize, filters: usize) -> Conv {
        let Block { kernel, stride, padding, .. } = *self;
        Conv { in_channels, filters, kernel, stride, padding }
    }

    /// Adds the layers of the block called `name`; `next` is the block behind it.
    pub(crate) fn add_to(&self, steps: &mut Steps, name: &str, next: Option<&Block>) {
        if self.kind == BlockKind::Conv2d {
            return self.add_image_to(steps, name);
        }
        let (in_channels, channels) = (steps.shape().channels(), self.filters);
        let length = self.positions(steps.shape().length()).unwrap_or(0);
        let map = Shape::Map { length, channels };
        let norm = Layer::BatchNorm(BatchNorm::new(channels));
        match self.kind {
            BlockKind::Conv => {
                steps.add(name, Layer::Conv(self.conv(in_channels, channels)), map);
                steps.keep(name, norm);
                steps.keep(name, Layer::Relu);
            }
            BlockKind::Energy => {
                let conv = self.conv(in_channels, channels.saturating_mul(2));
                let energy = Energy::new(conv, self.pool, self.trainable);
                let length = length / self.pool.max(1);
                steps.add(name, Layer::Energy(energy), Shape::Map { length, channels });
                // An image is normalised as a whole: bands would lose how strong they are to each other.
                if next.is_none_or(|next| next.kind != BlockKind::Conv2d) {
                    steps.keep(name, norm);
                }
            }
            BlockKind::Conv2d => {}
            BlockKind::Residual => {
                let [first, second] = residual_names(name);
                steps.keep(name, Layer::Fork);
                steps.add(&first, Layer::Conv(self.conv(in_channels, channels)), map);
                steps.keep(&first, norm);
                steps.keep(&first, Layer::Relu);
                steps.keep(&second, Layer::Conv(self.conv(channels, channels)));
                steps.keep(&second, norm);
                if let Some(squeeze) = self.squeeze {
                    let squeezed = (channels / squeeze.max(1)).max(1);
                    steps.keep(name, Layer::SqueezeExcite(SqueezeExcite { channels, squeezed }));
                }
                steps.keep(name, Layer::Add { kept: in_channels, channels });
                steps.keep(name, Layer::Relu);
            }
        }
        if self.pool > 1 && self.kind != BlockKind::Energy {
            let length = length / self.pool;
            steps.add(name, Layer::MaxPool { size: self.pool }, Shape::Map { length, channels });
        }
    }

    /// Adds the layers of a block of 2-D convolution; the first one makes the channels bands.
    fn add_image_to(&self, steps: &mut Steps, name: &str) {
        if let Shape::Map { length, channels: bands } = steps.shape() {
            let energies = steps.last_name();
            steps.add("bands", Layer::Bands, Shape::Image { bands, length, channels: 1 });
            steps.keep(&energies, Layer::BatchNorm(BatchNorm::new(1)));
        }
        let Shape::Image { bands, length, channels: in_channels } = steps.shape() else { return };
        let (channels, size) = (self.filters, self.pool);
        let image = |bands, length| Shape::Image { bands, length, channels };
        let conv = Conv2d { in_channels, filters: channels, kernel: self.kernel };
        steps.add(name, Layer::Conv2d(conv), image(bands, length));
        steps.keep(name, Layer::BatchNorm(BatchNorm::new(channels)));
        steps.keep(name, Layer::Relu);
        if size > 1 {
            steps.add(name, Layer::MaxPool2d { size }, image(bands / size, length / size));
        }
    }

    /// The names of its feature maps that begin at zero or are sums, which int8 holds in eight bits: those of an energy
    /// block and of 2-D convolutions stay floats.
    pub(crate) fn map_names(&self, name: &str) -> Vec<String> {
        match self.kind {
            BlockKind::Conv => vec![name.to_owned()],
            BlockKind::Energy | BlockKind::Conv2d => Vec::new(),
            BlockKind::Residual => {
                let [first, second] = residual_names(name);
                vec![name.to_owned(), first, second]
            }
        }
    }

    /// Positions after the convolutions; what is left over at the end is dropped. `None` where there is none.
    pub(crate) fn positions(&self, length: usize) -> Option<usize> {
        let room = (length + 2 * self.padding).checked_sub(self.kernel)?;
        Some(room / self.stride + 1)
    }

    /// [`positions`](Self::positions), or `None` where more are dropped at the end than what was padded. Up to that,
    /// PyTorch and ONNX both drop them: a first convolution of 3 samples, one every 3, with a zero at each side is
    /// common, and leaves two of them over.
    pub(crate) fn even_positions(&self, length: usize) -> Option<usize> {
        let room = (length + 2 * self.padding).checked_sub(self.kernel)?;
        (room % self.stride <= 2 * self.padding).then_some(room / self.stride + 1)
    }

    /// Whether block `number`, from 1, is one: its numbers in range, and those of its kind.
    pub(crate) fn check(&self, number: usize) -> Result<(), NetworkError> {
        let place = format!("block {number}");
        let range = |key, found, least, most| NetworkError::range(&place, key, found, least, most);
        range("filters", self.filters, 1, 1 << 16)?;
        // One of a single tap would be no 2-D filter.
        let least = if self.kind == BlockKind::Conv2d { 3 } else { 1 };
        range("kernel", self.kernel, least, 1 << 16)?;
        range("stride", self.stride, 1, 1 << 16)?;
        range("padding", self.padding, 0, self.kernel.saturating_sub(1))?;
        range("pool", self.pool, 1, 1 << 16)?;
        if let Some(squeeze) = self.squeeze {
            range("squeeze", squeeze, 1, self.filters)?;
        }
        let wrong = |reason: &'static str| {
            Err(NetworkError::Block { block: number, kind: self.kind, reason })
        };
        if !self.trainable && self.kind != BlockKind::Energy {
            return wrong("is always trained: only an energy block takes `trainable = false`");
        }
        match self.kind {
            BlockKind::Conv | BlockKind::Conv2d if self.squeeze.is_some() => {
                wrong("has no `squeeze`; a residual block has")
            }
            BlockKind::Energy if number > 1 => {
                wrong("measures the waveform, so that it must be the first")
            }
            BlockKind::Energy if self.squeeze.is_some() => {
                wrong("has no `squeeze`; a residual block has")
            }
            BlockKind::Conv2d if number == 1 => {
                wrong("needs the bands of an energy block before it")
            }
            BlockKind::Conv2d if self.kernel.is_multiple_of(2) => {
                wrong("keeps bands and positions, so that its `kernel` must be odd")
            }
            BlockKind::Conv2d if self.stride > 1 || self.padding != self.kernel / 2 => wrong(
                "keeps bands and positions: it takes no `stride` and no `padding`; use `pool`",
            ),
            BlockKind::Residual if self.kernel.is_multiple_of(2) => {
                wrong("adds its input to its output, so that its `kernel` must be odd")
            }
            BlockKind::Residual if self.stride > 1 || self.padding != self.kernel / 2 => wrong(
                "keeps the length: it takes no `stride` and no `padding`; shorten with `pool`",
            ),
            _ => Ok(()),
        }
    }
}

/// The names of the two convolutions of a residual block.
fn residual_names(name: &str) -> [String; 2] {
    ["first", "second"].map(|part| format!("{name}.{part}"))
}
