//! The user's list of genres.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::rules::{read_text, tabbed};
use super::summary::GenreGaps;
use crate::sources::{Problem, SourceError};

/// The genres of albums.
pub(super) struct Genres {
    albums: BTreeMap<(String, String), Vec<String>>,
    used: BTreeSet<(String, String)>,
    clips_without: usize,
}

impl Genres {
    /// Reads a file of lines `artist TAB album TAB genre[;genre…]`.
    pub(super) fn read(path: &Path) -> Result<Self, SourceError> {
        let text = read_text(path)?;
        let (mut albums, mut problems) = (BTreeMap::new(), Vec::new());
        for (line, fields) in tabbed(&text) {
            let [artist, album, genres] = fields.as_slice() else {
                problems.push(Problem::of_line(
                    line,
                    "not `artist TAB album TAB genre[;genre…]`".to_owned(),
                ));
                continue;
            };
            let genres: Vec<String> = genres
                .split(';')
                .map(str::trim)
                .filter(|genre| !genre.is_empty())
                .map(str::to_owned)
                .collect();
            if genres.is_empty() {
                problems.push(Problem::of_line(line, "has no genre".to_owned()));
            }
            let key = ((*artist).to_owned(), (*album).to_owned());
            if albums.insert(key, genres).is_some() {
                problems.push(Problem::of_line(
                    line,
                    format!("the album `{album}` of `{artist}` appears twice"),
                ));
            }
        }
        if !problems.is_empty() {
            return Err(SourceError::Manifest { path: path.to_owned(), problems });
        }
        Ok(Genres { albums, used: BTreeSet::new(), clips_without: 0 })
    }

    /// The genres of an album with so many clips.
    pub(super) fn of(&mut self, artist: &str, album: &str, clips: usize) -> Vec<String> {
        let key = (artist.to_owned(), album.to_owned());
        let Some(genres) = self.albums.get(&key) else {
            self.clips_without += clips;
            return Vec::new();
        };
        self.used.insert(key);
        genres.clone()
    }

    pub(super) fn gaps(self) -> GenreGaps {
        let unknown = self.albums.keys().filter(|album| !self.used.contains(*album));
        GenreGaps {
            unknown_albums: unknown.map(|(artist, album)| format!("{artist}/{album}")).collect(),
            clips_without: self.clips_without,
        }
    }
}
