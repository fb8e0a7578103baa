//! The list of files that make up the open game music.

use serde::Deserialize;

use crate::sources::SourceError;

/// The list of the project, as CSV.
pub const LIST: &str = include_str!("../../../data/open-game-music.csv");

/// How much of the music to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum MusicSet {
    /// 9 artists, 4.3 hours, 267 MB of packages.
    Small,
    /// The other 6 artists, 5.4 hours, 411 MB of packages.
    Others,
    /// All 15 artists, 9.7 hours, 678 MB of packages.
    Full,
}

impl MusicSet {
    /// Whether an entry belongs to it.
    pub(super) fn has(self, entry: &ListEntry) -> bool {
        match self {
            MusicSet::Small => entry.set == "small",
            MusicSet::Others => entry.set != "small",
            MusicSet::Full => true,
        }
    }

    /// Its name in a data set.
    pub(super) fn name(self) -> &'static str {
        match self {
            MusicSet::Small => "small",
            MusicSet::Others => "others",
            MusicSet::Full => "full",
        }
    }
}

/// One row of the list.
#[derive(Clone, Debug, Deserialize)]
pub struct ListEntry {
    pub(super) set: String,
    pub(super) package: String,
    pub(super) path_in_package: String,
    pub(super) artist: String,
    pub(super) album: String,
    pub(super) title: String,
    pub(super) song_group: String,
    pub(super) duration_s: f64,
    pub(super) license: String,
    pub(super) sha256: String,
}

impl ListEntry {
    /// The file's name in the data set: package and path in it.
    pub(super) fn id(&self) -> String {
        format!("{}/{}", self.package, self.path_in_package)
    }
}

/// Parses a list.
///
/// # Errors
///
/// [`SourceError::BrokenList`].
pub fn entries(list: &str) -> Result<Vec<ListEntry>, SourceError> {
    csv::Reader::from_reader(list.as_bytes())
        .deserialize()
        .collect::<Result<_, _>>()
        .map_err(|error| SourceError::BrokenList { reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_list_is_as_its_readme_describes() {
        let entries = entries(LIST).unwrap();
        let count = |of: &dyn Fn(&ListEntry) -> String, small: bool| {
            entries
                .iter()
                .filter(|e| !small || e.set == "small")
                .map(of)
                .collect::<BTreeSet<_>>()
                .len()
        };
        assert_eq!((count(&ListEntry::id, false), count(&ListEntry::id, true)), (186, 116));
        assert_eq!(
            (count(&|e| e.song_group.clone(), false), count(&|e| e.song_group.clone(), true)),
            (180, 110)
        );
        assert_eq!(
            (count(&|e| e.artist.clone(), false), count(&|e| e.artist.clone(), true)),
            (15, 9)
        );
        assert_eq!(
            (count(&|e| e.package.clone(), false), count(&|e| e.package.clone(), true)),
            (21, 15)
        );
        let hours = entries.iter().map(|entry| entry.duration_s).sum::<f64>() / 3600.0;
        assert!((hours - 9.7).abs() < 0.1, "{hours}");
        // Paths are joined to the cache folder and must stay inside it.
        assert!(
            entries
                .iter()
                .all(|e| !e.path_in_package.starts_with('/') && !e.path_in_package.contains(".."))
        );
    }
}
