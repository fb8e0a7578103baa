//! Which part of how many.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Far more machines than anybody has; a part of a data set should hold at least a few songs.
const MAX_PARTS: u32 = 10_000;

/// A part of a data set, written `3/16`; parts are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartOf {
    part: u32,
    of: u32,
}

/// Text that names no part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no part: {reason}")]
pub struct BadPart {
    text: String,
    reason: &'static str,
}

impl PartOf {
    /// The number of the part, from 1.
    pub fn part(self) -> u32 {
        self.part
    }

    /// The number of parts.
    pub fn of(self) -> u32 {
        self.of
    }

    /// Another part of as many.
    pub(super) fn with_part(self, part: u32) -> Self {
        PartOf { part, of: self.of }
    }

    /// Whether the song at an index of the plan belongs to this part.
    pub(super) fn has(self, song: usize) -> bool {
        song as u64 % u64::from(self.of) + 1 == u64::from(self.part)
    }

    /// How many of `songs` belong to this part.
    pub(super) fn count(self, songs: usize) -> usize {
        (0..songs).skip(self.part as usize - 1).step_by(self.of as usize).len()
    }

    /// The folder of this part in the folder of all parts; the names sort by their numbers.
    pub fn folder(self, parts: &Path) -> PathBuf {
        let width = self.of.to_string().len();
        parts.join(format!("part-{:0width$}-of-{}", self.part, self.of))
    }
}

impl fmt::Display for PartOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

impl FromStr for PartOf {
    type Err = BadPart;

    fn from_str(text: &str) -> Result<Self, BadPart> {
        let bad = |reason| BadPart { text: text.to_owned(), reason };
        let numbers = text
            .split_once('/')
            .and_then(|(part, of)| Some((part.parse::<u32>().ok()?, of.parse::<u32>().ok()?)));
        let (part, of) = numbers.ok_or_else(|| bad("write it like 3/16, the third of sixteen"))?;
        if part == 0 {
            return Err(bad("parts are counted from 1; where yours begin with 0, add 1"));
        }
        if of > MAX_PARTS {
            return Err(bad("there can be 10000 parts at most"));
        }
        if part > of {
            return Err(bad("its number is larger than the number of parts"));
        }
        Ok(PartOf { part, of })
    }
}

impl Serialize for PartOf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PartOf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_song_belongs_to_one_part_and_parts_differ_by_one_song_at_most() {
        for of in [1, 3, 7, 40] {
            let parts: Vec<PartOf> =
                (1..=of).map(|part| format!("{part}/{of}").parse().unwrap()).collect();
            for song in 0..33 {
                assert_eq!(parts.iter().filter(|part| part.has(song)).count(), 1);
            }
            for part in &parts {
                assert_eq!(part.count(33), (0..33).filter(|song| part.has(*song)).count());
                assert!(part.count(33).abs_diff(33 / of as usize) <= 1);
            }
        }
    }

    #[test]
    fn what_is_no_part_is_refused_with_its_reason() {
        for (text, reason) in [
            ("3", "write it like 3/16"),
            ("a/b", "write it like 3/16"),
            ("-1/4", "write it like 3/16"),
            ("0/16", "counted from 1"),
            ("17/16", "larger"),
            ("1/0", "larger"),
            ("1/10001", "10000"),
        ] {
            let error = text.parse::<PartOf>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains(text), "{error}");
        }
        assert_eq!("03/16".parse::<PartOf>().unwrap().to_string(), "3/16");
        let folder = "3/16".parse::<PartOf>().unwrap().folder(Path::new("x"));
        assert_eq!(folder, Path::new("x/part-03-of-16"));
    }
}
