//! A network description as its file holds it.

use serde::{Deserialize, Serialize};

use crate::{Block, BlockKind, Head, Network, NetworkError, TimePool};

/// The content of the file; [`Network`] is what the program trusts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    name: String,
    #[serde(default)]
    description: String,
    segment: usize,
    /// As long as the segment where it is absent.
    hop: Option<usize>,
    window: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<usize>,
    /// Absent, the blocks must leave one position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pool: Option<TimePool>,
    head: Head,
    blocks: Vec<BlockDescription>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockDescription {
    #[serde(default, skip_serializing_if = "BlockKind::is_conv")]
    kind: BlockKind,
    /// Of an energy block pairs of filters.
    filters: usize,
    /// 3, the filter length of every model in the paper.
    kernel: Option<usize>,
    stride: Option<usize>,
    /// `(kernel − 1) / 2` at stride 1, which keeps the length where the kernel is odd and drops one position where it
    /// is even; none at a larger stride.
    padding: Option<usize>,
    pool: Option<usize>,
    /// Without squeeze-and-excitation where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    squeeze: Option<usize>,
    /// Absent, every block is trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trainable: Option<bool>,
}

impl TryFrom<Description> for Network {
    type Error = NetworkError;

    fn try_from(raw: Description) -> Result<Self, NetworkError> {
        let block = |b: &BlockDescription| {
            let kernel = b.kernel.unwrap_or(3);
            let stride = b.stride.unwrap_or(1);
            let same = if stride == 1 { kernel.saturating_sub(1) / 2 } else { 0 };
            Block {
                kind: b.kind,
                filters: b.filters,
                kernel,
                stride,
                padding: b.padding.unwrap_or(same),
                pool: b.pool.unwrap_or(1),
                squeeze: b.squeeze,
                trainable: b.trainable.unwrap_or(true),
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
            pool: raw.pool,
            head: raw.head,
        }
        .check()
    }
}

impl From<Network> for Description {
    fn from(network: Network) -> Self {
        let block = |b: &Block| BlockDescription {
            kind: b.kind,
            filters: b.filters,
            kernel: Some(b.kernel),
            stride: Some(b.stride),
            padding: Some(b.padding),
            pool: Some(b.pool),
            squeeze: b.squeeze,
            trainable: (!b.trainable).then_some(false),
        };
        Description {
            name: network.name,
            description: network.description,
            segment: network.segment,
            hop: Some(network.hop),
            window: network.window,
            classes: network.classes,
            pool: network.pool,
            head: network.head,
            blocks: network.blocks.iter().map(block).collect(),
        }
    }
}
