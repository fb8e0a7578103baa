//! What identifies the samples of a clip.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// The first 32 bits of the SHA-256 of a clip's samples, as they are stored; written as eight hexadecimal digits.
///
/// Short, because a data set can have a million of them: other audio keeps one clip's digest once in four billion times,
/// and those of a whole data set never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleDigest(NonZeroU32);

impl SampleDigest {
    /// Of samples as bytes: 16-bit little-endian.
    pub fn of(bytes: &[u8]) -> Self {
        let first = Sha256::digest(bytes).first_chunk().copied().map_or(0, u32::from_be_bytes);
        // Zero is what no digest is kept as.
        SampleDigest(NonZeroU32::new(first).unwrap_or(NonZeroU32::MIN))
    }
}

impl fmt::Display for SampleDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl Serialize for SampleDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SampleDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let invalid = || de::Error::custom(format!("`{digits}` is no digest of samples"));
        let value = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 8);
        value.and_then(NonZeroU32::new).map(SampleDigest).ok_or_else(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_eight_digits_of_the_sha_256() {
        let digest = SampleDigest::of(b"abc");
        assert_eq!(digest.to_string(), "ba7816bf");
        assert_ne!(digest, SampleDigest::of(b"abd"));
    }
}
