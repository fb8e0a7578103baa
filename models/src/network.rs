//! The description of a network: a list of blocks, a head, a segment length and a hop.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{BatchNorm, Conv, Layer, Shape, segment_count};

/// A sample-level network (Lee et al. 2017; Nibbeling 2018, section 3.1), checked: its arithmetic closes.
///
/// Each [`Block`] is convolution, batch norm, ReLU and maximum pooling; together the blocks reduce one segment of
/// [`segment`](Network::segment) samples to a single position, whose channels the [`Head`] reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Description", into = "Description")]
pub struct Network {
    /// Short name, e.g. `model1`.
    pub name: String,
    /// One line: what it is and its origin.
    pub description: String,
    /// Samples of one segment, at 16 kHz.
    pub segment: usize,
    /// Samples from the start of one segment to the start of the next.
    pub hop: usize,
    /// Segments of one clip: the sequence of an LSTM, and the segments over which a dense head is averaged.
    pub window: usize,
    /// Number of classes it was described with, for printing; the data set's own number decides in training.
    pub classes: Option<usize>,
    /// Blocks from the waveform on.
    pub blocks: Vec<Block>,
    /// What turns a segment's features into classes.
    pub head: Head,
}

/// Convolution (no bias), batch norm, ReLU, maximum pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Filters of the convolution, hence channels of the output.
    pub filters: usize,
    /// Filter length in positions.
    pub kernel: usize,
    /// Stride of the convolution.
    pub stride: usize,
    /// Zeros at each side of the convolution's input.
    pub padding: usize,
    /// Window and stride of the pooling; 1 means none.
    pub pool: usize,
}

/// What follows the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Dense layer per segment, or LSTM over segments.
    pub kind: HeadKind,
    /// Units of that layer.
    pub units: usize,
}

/// The paper's two heads (section 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadKind {
    /// Dense layer with tanh on every segment; a clip's answer is the mean of its segments'.
    Dense,
    /// LSTM over the segments of a clip; the last output decides.
    Lstm,
}

/// One layer of a network with the shapes of its input and output.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Prefix of its parameters' names: `block1`…, `dense`, `lstm`, `output`.
    pub name: String,
    /// The layer.
    pub layer: Layer,
    /// Shape of one example before it.
    pub input: Shape,
    /// Shape of one example after it.
    pub output: Shape,
}

/// Why a description is not a network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NetworkError {
    /// Not TOML, or keys and types that no network has.
    #[error("the network description cannot be read: {0}")]
    Syntax(String),
    /// No preset of this name.
    #[error("there is no preset `{name}`; there are {}", known.join(", "))]
    UnknownPreset {
        /// The name asked for.
        name: String,
        /// All names.
        known: Vec<&'static str>,
    },
    /// A number that must be in a range is not.
    #[error("{place}: `{key}` is {found}, but it must be from {least} to {most}")]
    OutOfRange {
        /// `block 3`, `head` or `network`.
        place: String,
        /// Key in the description.
        key: &'static str,
        /// Value in the description.
        found: usize,
        /// Smallest value allowed.
        least: usize,
        /// Largest value allowed.
        most: usize,
    },
    /// No blocks at all.
    #[error("the network has no blocks; give at least one `{{ filters = … }}` under `blocks`")]
    NoBlocks,
    /// The lengths do not divide down to one position.
    #[error(
        "a segment of {segment} samples does not close: block {block} {problem}; \
         these blocks need a segment of exactly {needed} samples"
    )]
    DoesNotClose {
        /// Samples of the segment as described.
        segment: usize,
        /// Number of the block where it goes wrong, from 1.
        block: usize,
        /// What goes wrong there.
        problem: String,
        /// The only segment length that these blocks reduce to one position.
        needed: usize,
    },
    /// The only segment length that would close is beyond what a description may hold.
    #[error(
        "these blocks close only over a segment of more than {most} samples; use fewer blocks, or smaller strides and pools"
    )]
    TooDeep {
        /// Longest segment allowed, in samples.
        most: usize,
    },
    /// A clip too long for memory.
    #[error(
        "a clip of {window} segments, one every {hop} samples, has {samples} samples, but at most {most} are allowed; make `window` or `hop` smaller"
    )]
    ClipTooLong {
        /// Segments of the clip.
        window: usize,
        /// Samples from one segment to the next.
        hop: usize,
        /// Samples of the clip.
        samples: usize,
        /// Most samples allowed.
        most: usize,
    },
    /// These blocks reduce no segment length to one position.
    #[error(
        "block {block}: a kernel of {kernel} with {padding} zeros at each side never leaves a single position"
    )]
    NeverCloses {
        /// Number of the block, from 1.
        block: usize,
        /// Its filter length.
        kernel: usize,
        /// Its padding.
        padding: usize,
    },
}

impl Network {
    /// Most samples of a clip, over an hour at 16 kHz: programs hold a clip in memory whole.
    pub const MOST_CLIP_SAMPLES: usize = 1 << 26;
    /// Most classes of a network.
    pub const MOST_CLASSES: usize = 1 << 24;
    /// Longest segment and hop in a description: far above any network, far below an overflow.
    const MOST: usize = 1 << 24;
    const MOST_BLOCKS: usize = 256;

    /// Reads a description.
    ///
    /// # Errors
    /// What cannot be read, is out of range or does not close, each with the place.
    pub fn from_toml(text: &str) -> Result<Self, NetworkError> {
        let raw: Description = toml::from_str(text)
            .map_err(|e| NetworkError::Syntax(e.to_string().trim().to_owned()))?;
        Network::try_from(raw)
    }

    /// The description as TOML that [`from_toml`](Network::from_toml) reads back.
    ///
    /// # Errors
    /// `Syntax`, if a name cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String, NetworkError> {
        toml::to_string(self).map_err(|e| NetworkError::Syntax(e.to_string()))
    }

    /// The same blocks under another head of as many units.
    pub fn with_head(mut self, kind: HeadKind) -> Self {
        self.head.kind = kind;
        self
    }

    /// Samples of a clip of [`window`](Network::window) segments.
    pub fn clip_samples(&self) -> usize {
        self.samples_of(self.window)
    }

    /// Samples of so many segments, of one at least.
    pub fn samples_of(&self, segments: usize) -> usize {
        segments.saturating_sub(1).saturating_mul(self.hop).saturating_add(self.segment)
    }

    /// Segments in so many samples.
    pub fn segments_in(&self, samples: usize) -> usize {
        segment_count(samples, self.segment, self.hop)
    }

    /// Channels of the single position to which the blocks reduce a segment.
    pub fn features(&self) -> usize {
        self.blocks.last().map_or(0, |b| b.filters)
    }

    /// The prefixes of the blocks' parameters: `block1`, `block2`…
    pub fn block_names(&self) -> impl Iterator<Item = String> + use<> {
        (1..=self.blocks.len()).map(|number| format!("block{number}"))
    }

    /// Every layer in order, with shapes, for `classes` classes.
    pub fn steps(&self, classes: usize) -> Vec<Step> {
        let mut steps = Steps { list: Vec::new(), shape: Shape::Samples(self.segment) };
        let mut channels = 1;
        for (name, block) in self.block_names().zip(&self.blocks) {
            let conv = block.conv(channels);
            channels = block.filters;
            let length = block.conv_length(steps.shape.length()).unwrap_or(0);
            steps.add(&name, Layer::Conv(conv), Shape::Map { length, channels });
            steps.keep(&name, Layer::BatchNorm(BatchNorm::new(channels)));
            steps.keep(&name, Layer::Relu);
            if block.pool > 1 {
                let length = length / block.pool;
                steps.add(
                    &name,
                    Layer::MaxPool { size: block.pool },
                    Shape::Map { length, channels },
                );
            }
        }
        steps.add("flatten", Layer::Flatten, Shape::Vector(channels));
        let units = self.head.units;
        match self.head.kind {
            HeadKind::Dense => {
                let dense = Layer::Dense { inputs: channels, units };
                steps.add("dense", dense, Shape::Vector(units));
                steps.keep("dense", Layer::BatchNorm(BatchNorm::new(units)));
                steps.keep("dense", Layer::Tanh);
            }
            HeadKind::Lstm => {
                steps.add("lstm", Layer::Lstm { inputs: channels, units }, Shape::Vector(units));
            }
        }
        let output = Layer::Output { inputs: units, classes };
        steps.add("output", output, Shape::Vector(classes));
        steps.keep("output", Layer::Softmax);
        steps.list
    }

    fn check(self) -> Result<Self, NetworkError> {
        if self.blocks.is_empty() {
            return Err(NetworkError::NoBlocks);
        }
        let range = |place: &str, key, found, least, most| {
            if (least..=most).contains(&found) {
                Ok(())
            } else {
                Err(NetworkError::OutOfRange { place: place.to_owned(), key, found, least, most })
            }
        };
        range("network", "number of blocks", self.blocks.len(), 1, Self::MOST_BLOCKS)?;
        range("network", "segment", self.segment, 1, Self::MOST)?;
        range("network", "hop", self.hop, 1, Self::MOST)?;
        range("network", "window", self.window, 1, 1 << 16)?;
        if let Some(classes) = self.classes {
            range("network", "classes", classes, 2, Self::MOST_CLASSES)?;
        }
        range("head", "units", self.head.units, 1, 1 << 16)?;
        for (i, block) in self.blocks.iter().enumerate() {
            let place = format!("block {}", i + 1);
            range(&place, "filters", block.filters, 1, 1 << 16)?;
            range(&place, "kernel", block.kernel, 1, 1 << 16)?;
            range(&place, "stride", block.stride, 1, 1 << 16)?;
            range(&place, "padding", block.padding, 0, block.kernel.saturating_sub(1))?;
            range(&place, "pool", block.pool, 1, 1 << 16)?;
        }
        self.check_lengths()?;
        let (samples, most) = (self.clip_samples(), Self::MOST_CLIP_SAMPLES);
        if samples > most {
            let Network { window, hop, .. } = self;
            return Err(NetworkError::ClipTooLong { window, hop, samples, most });
        }
        Ok(self)
    }

    /// Follows the length through the blocks; it must divide at each and end at one.
    fn check_lengths(&self) -> Result<(), NetworkError> {
        let mut length = self.segment;
        let fail = |block: usize, problem: String| {
            Err(match self.closing_segment() {
                Ok(needed) if needed <= Self::MOST => {
                    NetworkError::DoesNotClose { segment: self.segment, block, problem, needed }
                }
                Ok(_) => NetworkError::TooDeep { most: Self::MOST },
                Err(never) => never,
            })
        };
        for (i, block) in self.blocks.iter().enumerate() {
            let Some(after) = block.conv_length(length) else {
                let Block { kernel, stride, padding, .. } = *block;
                return fail(
                    i + 1,
                    format!(
                        "gets {length} positions, over which a kernel of {kernel} with stride {stride} and padding {padding} does not come out even"
                    ),
                );
            };
            if after % block.pool != 0 {
                let pool = block.pool;
                return fail(
                    i + 1,
                    format!("has {after} positions, which its pool of {pool} does not divide"),
                );
            }
            length = after / block.pool;
        }
        if length == 1 {
            return Ok(());
        }
        fail(self.blocks.len(), format!("leaves {length} positions where the head needs one"))
    }

    /// The one segment length that the blocks reduce to a single position, counted from the last block back; saturates.
    fn closing_segment(&self) -> Result<usize, NetworkError> {
        let mut length = 1usize;
        for (i, block) in self.blocks.iter().enumerate().rev() {
            length = length
                .saturating_mul(block.pool)
                .saturating_sub(1)
                .saturating_mul(block.stride)
                .saturating_add(block.kernel)
                .checked_sub(2 * block.padding)
                .filter(|n| *n > 0)
                .ok_or(NetworkError::NeverCloses {
                    block: i + 1,
                    kernel: block.kernel,
                    padding: block.padding,
                })?;
        }
        Ok(length)
    }
}

impl Block {
    fn conv(&self, in_channels: usize) -> Conv {
        let Block { filters, kernel, stride, padding, .. } = *self;
        Conv { in_channels, filters, kernel, stride, padding }
    }

    /// Positions after the convolution, or `None` where positions at the end would be dropped that are more than what was
    /// padded. Up to that, PyTorch and ONNX both drop them: a first convolution of 3 samples, one every 3, with a zero at each
    /// side is common, and leaves two of them over.
    fn conv_length(&self, length: usize) -> Option<usize> {
        let room = (length + 2 * self.padding).checked_sub(self.kernel)?;
        (room % self.stride <= 2 * self.padding).then_some(room / self.stride + 1)
    }
}

/// The layers so far and the shape that the next one gets.
struct Steps {
    list: Vec<Step>,
    shape: Shape,
}

impl Steps {
    fn add(&mut self, name: &str, layer: Layer, output: Shape) {
        let input = std::mem::replace(&mut self.shape, output);
        self.list.push(Step { name: name.to_owned(), layer, input, output });
    }

    /// Adds a layer that keeps the shape.
    fn keep(&mut self, name: &str, layer: Layer) {
        self.add(name, layer, self.shape);
    }
}

impl fmt::Display for HeadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeadKind::Dense => "dense",
            HeadKind::Lstm => "lstm",
        })
    }
}

impl FromStr for HeadKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "dense" => Ok(HeadKind::Dense),
            "lstm" => Ok(HeadKind::Lstm),
            _ => Err(format!("`{text}` is not a head; choose dense or lstm")),
        }
    }
}

/// The content of the file; [`Network`] is what the program trusts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    name: String,
    #[serde(default)]
    description: String,
    segment: usize,
    /// As long as the segment where it is absent.
    hop: Option<usize>,
    window: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<usize>,
    head: Head,
    blocks: Vec<BlockDescription>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockDescription {
    filters: usize,
    /// 3, the filter length of every model in the paper.
    kernel: Option<usize>,
    stride: Option<usize>,
    /// `(kernel − 1) / 2` at stride 1, which keeps the length where the kernel is odd and drops one position where it is
    /// even; none at a larger stride.
    padding: Option<usize>,
    pool: Option<usize>,
}

impl TryFrom<Description> for Network {
    type Error = NetworkError;

    fn try_from(raw: Description) -> Result<Self, NetworkError> {
        let block = |b: &BlockDescription| {
            let kernel = b.kernel.unwrap_or(3);
            let stride = b.stride.unwrap_or(1);
            let same = if stride == 1 { kernel.saturating_sub(1) / 2 } else { 0 };
            Block {
                filters: b.filters,
                kernel,
                stride,
                padding: b.padding.unwrap_or(same),
                pool: b.pool.unwrap_or(1),
            }
        };
        Network {
            name: raw.name,
            description: raw.description,
            segment: raw.segment,
            hop: raw.hop.unwrap_or(raw.segment),
            window: raw.window,
            classes: raw.classes,
            blocks: raw.blocks.iter().map(block).collect(),
            head: raw.head,
        }
        .check()
    }
}

impl From<Network> for Description {
    fn from(network: Network) -> Self {
        let block = |b: &Block| BlockDescription {
            filters: b.filters,
            kernel: Some(b.kernel),
            stride: Some(b.stride),
            padding: Some(b.padding),
            pool: Some(b.pool),
        };
        Description {
            name: network.name,
            description: network.description,
            segment: network.segment,
            hop: Some(network.hop),
            window: network.window,
            classes: network.classes,
            head: network.head,
            blocks: network.blocks.iter().map(block).collect(),
        }
    }
}
