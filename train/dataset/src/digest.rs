//! Short digests that stand for names: hundreds of thousands of them are kept in memory.

use sha2::{Digest, Sha256};

/// Half of a name's SHA-256: no two names of a data set share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NameDigest([u8; 16]);

impl NameDigest {
    pub(crate) fn of(name: &str) -> Self {
        NameDigest(Sha256::digest(name).first_chunk().copied().unwrap_or_default())
    }

    /// Its first eight bytes as a number.
    pub(crate) fn low(self) -> u64 {
        self.0.first_chunk().copied().map_or(0, u64::from_le_bytes)
    }
}
