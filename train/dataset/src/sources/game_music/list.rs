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
    /// The 15 artists of both, 9.7 hours, 678 MB of packages.
    Full,
    /// Music beside these, as `fit --auxiliary` can use it: 23 artists and, of 12 packages, files without an artist's tag;
    /// 10.4 hours, 2.2 GB of packages.
    More,
}

impl MusicSet {
    /// Whether an entry belongs to it.
    pub(super) fn has(self, entry: &ListEntry) -> bool {
        match self {
            MusicSet::Small => entry.set == "small",
            MusicSet::Others => entry.set == "full",
            MusicSet::Full => entry.set != "more",
            MusicSet::More => entry.set == "more",
        }
    }

    /// Its name in a data set.
    pub(super) fn name(self) -> &'static str {
        match self {
            MusicSet::Small => "small",
            MusicSet::Others => "others",
            MusicSet::Full => "full",
            MusicSet::More => "more",
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
        let of = |set: MusicSet| entries.iter().filter(move |entry| set.has(entry));
        let count = |set, of_entry: fn(&ListEntry) -> String| {
            of(set).map(of_entry).collect::<BTreeSet<_>>().len()
        };
        for (set, files, songs, artists, packages, hours) in [
            (MusicSet::Small, 116, 110, 9, 15, 4.3),
            (MusicSet::Others, 70, 70, 6, 6, 5.4),
            (MusicSet::Full, 186, 180, 15, 21, 9.7),
            (MusicSet::More, 220, 220, 35, 13, 10.4),
        ] {
            assert_eq!(count(set, ListEntry::id), files, "{set:?}");
            assert_eq!(count(set, |entry| entry.song_group.clone()), songs, "{set:?}");
            assert_eq!(count(set, |entry| entry.artist.clone()), artists, "{set:?}");
            assert_eq!(count(set, |entry| entry.package.clone()), packages, "{set:?}");
            let found = of(set).map(|entry| entry.duration_s).sum::<f64>() / 3600.0;
            assert!((found - hours).abs() < 0.06, "{set:?}: {found}");
        }
        // Nobody is both recognised and other music.
        let artists = |set| of(set).map(|entry| &entry.artist).collect::<BTreeSet<_>>();
        assert!(artists(MusicSet::More).is_disjoint(&artists(MusicSet::Full)));
        let files: BTreeSet<&str> = entries.iter().map(|entry| entry.sha256.as_str()).collect();
        assert_eq!(files.len(), entries.len());
        // Paths are joined to the cache folder and must stay inside it.
        assert!(
            entries
                .iter()
                .all(|e| !e.path_in_package.starts_with('/') && !e.path_in_package.contains(".."))
        );
    }
}
