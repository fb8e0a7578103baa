//! The description of a network: a list of blocks, a pooling over time, a head, a segment length and a hop.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::description::Description;
use crate::{BatchNorm, Block, BlockKind, Layer, Shape, TimePool, segment_count};

/// A sample-level network (Lee et al. 2017; Nibbeling 2018, section 3.1), checked: its arithmetic closes.
///
/// The [`Block`]s reduce one segment of [`segment`](Network::segment) samples to a single position, or to several that
/// a [`TimePool`] summarises; the [`Head`] reads the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// What becomes of the positions that the blocks leave; without it they must leave one.
    pub pool: Option<TimePool>,
    /// What turns a segment's features into classes.
    pub head: Head,
}

/// What follows the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Dense layer per segment, or LSTM over segments.
    pub kind: HeadKind,
    /// Units of that layer.
    pub units: usize,
    /// In training, the share of its inputs and of its outputs that are set to zero (Srivastava et al. 2014).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropout: f32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(share: &f32) -> bool {
    *share == 0.0
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
    /// Prefix of its parameters' names: `block1`…, in a residual block `block2.first` and `block2.second` for its
    /// convolutions, `pool`, `dense`, `lstm`, `output`.
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
    /// A block of this kind cannot be so, or cannot be there.
    #[error("block {block}: a block of kind `{kind}` {reason}")]
    Block {
        /// Number of the block, from 1.
        block: usize,
        /// Its kind.
        kind: BlockKind,
        /// Why not.
        reason: &'static str,
    },
    /// No position is left to pool over time.
    #[error(
        "a segment of {segment} samples is too short: block {block} gets {length} positions and leaves none"
    )]
    TooShort {
        /// Samples of the segment.
        segment: usize,
        /// Number of the block, from 1.
        block: usize,
        /// Positions before it.
        length: usize,
    },
    /// A share that would leave nothing, or no number.
    #[error("head: `dropout` is {found}, but it must be from 0 to 0.95")]
    Dropout {
        /// Value in the description.
        found: String,
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

    /// The prefixes of the blocks' parameters: `block1`, `block2`…
    pub fn block_names(&self) -> impl Iterator<Item = String> + use<> {
        (1..=self.blocks.len()).map(|number| format!("block{number}"))
    }

    /// The names of the feature maps that int8 holds in eight bits, each with a range of its own.
    pub fn map_names(&self) -> impl Iterator<Item = String> + use<> {
        let names = self.block_names().zip(&self.blocks);
        names.flat_map(|(name, block)| block.map_names(&name)).collect::<Vec<_>>().into_iter()
    }

    /// Every layer in order, with shapes, for `classes` classes.
    pub fn steps(&self, classes: usize) -> Vec<Step> {
        let mut steps = Steps { list: Vec::new(), shape: Shape::Samples(self.segment) };
        for (i, (name, block)) in self.block_names().zip(&self.blocks).enumerate() {
            block.add_to(&mut steps, &name, self.blocks.get(i + 1));
        }
        if let Shape::Image { bands, length, channels } = steps.shape {
            let length = bands.saturating_mul(length);
            steps.add("positions", Layer::Positions, Shape::Map { length, channels });
        }
        let channels = steps.shape.channels();
        let features = match self.pool {
            None => {
                steps.add("flatten", Layer::Flatten, Shape::Vector(channels));
                channels
            }
            Some(pool) => {
                let features = pool.features(channels);
                steps.add("pool", Layer::TimePool { pool, channels }, Shape::Vector(features));
                features
            }
        };
        let Head { kind, units, dropout: share } = self.head;
        let drop = |steps: &mut Steps| {
            if share > 0.0 {
                steps.keep("dropout", Layer::Dropout { share });
            }
        };
        drop(&mut steps);
        match kind {
            HeadKind::Dense => {
                steps.add("dense", Layer::Dense { inputs: features, units }, Shape::Vector(units));
                steps.keep("dense", Layer::BatchNorm(BatchNorm::new(units)));
                steps.keep("dense", Layer::Tanh);
            }
            HeadKind::Lstm => {
                steps.add("lstm", Layer::Lstm { inputs: features, units }, Shape::Vector(units));
            }
        }
        drop(&mut steps);
        let output = Layer::Output { inputs: units, classes };
        steps.add("output", output, Shape::Vector(classes));
        steps.keep("output", Layer::Softmax);
        steps.list
    }

    /// The network, if it is one.
    pub(crate) fn check(self) -> Result<Self, NetworkError> {
        if self.blocks.is_empty() {
            return Err(NetworkError::NoBlocks);
        }
        let range = NetworkError::range;
        range("network", "number of blocks", self.blocks.len(), 1, Self::MOST_BLOCKS)?;
        range("network", "segment", self.segment, 1, Self::MOST)?;
        range("network", "hop", self.hop, 1, Self::MOST)?;
        range("network", "window", self.window, 1, 1 << 16)?;
        if let Some(classes) = self.classes {
            range("network", "classes", classes, 2, Self::MOST_CLASSES)?;
        }
        range("head", "units", self.head.units, 1, 1 << 16)?;
        let dropout = self.head.dropout;
        if !(0.0..=0.95).contains(&dropout) {
            return Err(NetworkError::Dropout { found: dropout.to_string() });
        }
        for (number, block) in (1..).zip(&self.blocks) {
            block.check(number)?;
        }
        self.check_order()?;
        match self.pool {
            None => self.check_lengths()?,
            Some(_) => self.check_positions()?,
        }
        let (samples, most) = (self.clip_samples(), Self::MOST_CLIP_SAMPLES);
        if samples > most {
            let Network { window, hop, .. } = self;
            return Err(NetworkError::ClipTooLong { window, hop, samples, most });
        }
        Ok(self)
    }

    /// Blocks of 2-D convolution come behind an energy block or another of them, no other block behind them, and a pooling
    /// over time at the end.
    fn check_order(&self) -> Result<(), NetworkError> {
        let is_image = |block: &Block| block.kind == BlockKind::Conv2d;
        for (number, pair) in (2..).zip(self.blocks.windows(2)) {
            let [before, block] = pair else { continue };
            let reason = match (is_image(before), is_image(block)) {
                (false, true) if before.kind != BlockKind::Energy => {
                    "needs the bands of an energy block before it"
                }
                (true, false) => "cannot come behind a block of kind `conv2d`",
                _ => continue,
            };
            return Err(NetworkError::Block { block: number, kind: block.kind, reason });
        }
        match self.blocks.last() {
            Some(last) if is_image(last) && self.pool.is_none() => Err(NetworkError::Block {
                block: self.blocks.len(),
                kind: last.kind,
                reason: "leaves bands and positions: the network needs a `pool`",
            }),
            _ => Ok(()),
        }
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
            let Some(after) = block.even_positions(length) else {
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

    /// Follows the length through the blocks; one position at least must be left.
    fn check_positions(&self) -> Result<(), NetworkError> {
        let mut length = self.segment;
        let mut bands = 0;
        for (block, of) in (1..).zip(&self.blocks) {
            let after = of.positions(length).unwrap_or(0) / of.pool;
            if after == 0 {
                return Err(NetworkError::TooShort { segment: self.segment, block, length });
            }
            length = after;
            bands = match of.kind {
                BlockKind::Conv2d => bands / of.pool,
                _ => of.filters,
            };
            if bands == 0 {
                let reason = "pools more bands than there are";
                return Err(NetworkError::Block { block, kind: of.kind, reason });
            }
        }
        Ok(())
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

impl NetworkError {
    /// Whether a number is in its range.
    pub(crate) fn range(
        place: &str,
        key: &'static str,
        found: usize,
        least: usize,
        most: usize,
    ) -> Result<(), Self> {
        if (least..=most).contains(&found) {
            return Ok(());
        }
        Err(NetworkError::OutOfRange { place: place.to_owned(), key, found, least, most })
    }
}

/// The layers so far and the shape that the next one gets.
pub(crate) struct Steps {
    list: Vec<Step>,
    shape: Shape,
}

impl Steps {
    /// Shape that the next layer gets.
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// Name of the layer before the next one.
    pub(crate) fn last_name(&self) -> String {
        self.list.last().map(|step| step.name.clone()).unwrap_or_default()
    }

    /// Adds a layer.
    pub(crate) fn add(&mut self, name: &str, layer: Layer, output: Shape) {
        let input = std::mem::replace(&mut self.shape, output);
        self.list.push(Step { name: name.to_owned(), layer, input, output });
    }

    /// Adds a layer that keeps the shape.
    pub(crate) fn keep(&mut self, name: &str, layer: Layer) {
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
