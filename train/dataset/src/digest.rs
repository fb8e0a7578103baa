//! Short digests that replace names in memory, since a data set can have a million of them.

use sha2::{Digest, Sha256};

/// Half of a name's SHA-256; a collision within a data set is practically impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NameDigest([u8; 16]);

impl NameDigest {
    pub(crate) fn of(name: &str) -> Self {
        NameDigest(Sha256::digest(name).first_chunk().copied().unwrap_or_default())
    }

    /// The first eight bytes as a number.
    pub(crate) fn low(self) -> u64 {
        self.0.first_chunk().copied().map_or(0, u64::from_le_bytes)
    }
}
