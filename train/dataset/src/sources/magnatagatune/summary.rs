//! Counts of what a list of clips contains.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::clip::{Clip, ClipNames};
use crate::sources::track::Track;

/// The numbers of clips and of their distinct artists, albums and tracks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListCounts {
    /// Clips.
    pub clips: usize,
    /// Artists, by name.
    pub artists: usize,
    /// Albums, by artist and name.
    pub albums: usize,
    /// Tracks, by artist, album, number and title.
    pub tracks: usize,
}

impl ListCounts {
    /// Counts clips, which are sorted by their names.
    pub(super) fn of<'a>(clips: impl Iterator<Item = &'a Clip>) -> Self {
        let mut counts = ListCounts::default();
        let mut previous: Option<ClipNames<'_>> = None;
        for names in clips.map(Clip::names) {
            let is_new =
                |key: fn(ClipNames<'a>) -> ClipNames<'a>| previous.map(key) != Some(key(names));
            counts.clips += 1;
            counts.artists += usize::from(is_new(|ClipNames { artist, .. }| ClipNames {
                artist,
                ..ClipNames::default()
            }));
            counts.albums +=
                usize::from(is_new(|names| ClipNames { number: "", title: "", ..names }));
            counts.tracks += usize::from(is_new(|names| names));
            previous = Some(names);
        }
        counts
    }
}

/// What a list of clips contains, before and after each rule.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The whole list.
    pub listed: ListCounts,
    /// Without the files that are empty in every copy of the data set.
    pub with_sound: ListCounts,
    /// Also without pseudo-artists: the clips to prepare.
    pub kept: ListCounts,
    /// The numbers of artists with and without aliases.
    pub artists: ArtistCounts,
    /// Rows of clips without audio in the data set.
    pub without_audio: usize,
    /// Titles that occur in several tracks of one artist.
    pub recurring_titles: usize,
    /// Share (0 to 1) of clips that adjoin another clip of their track.
    pub neighbours: f64,
    /// Differences between the list of genres and the clips, where a list was given.
    pub genres: Option<GenreGaps>,
}

/// The number of artists under three choices of aliases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ArtistCounts {
    /// Each name is an artist.
    pub by_name: usize,
    /// With [`Aliases::Likely`](super::Aliases::Likely).
    pub with_likely_aliases: usize,
    /// With the requested aliases.
    pub used: usize,
}

/// Differences between the list of genres and the clips.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GenreGaps {
    /// Albums in the list of genres that have no clips.
    pub unknown_albums: Vec<String>,
    /// Clips whose albums are not in the list.
    pub clips_without: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>7} {:>7} {:>7} {:>7}", "clips", "artists", "albums", "tracks")?;
        let lines = [
            (self.listed, "listed"),
            (self.with_sound, "without the files that are empty in every copy"),
            (self.kept, "without compilations and the label itself"),
        ];
        for (ListCounts { clips, artists, albums, tracks }, what) in lines {
            writeln!(f, "{clips:>7} {artists:>7} {albums:>7} {tracks:>7}  {what}")?;
        }
        let ArtistCounts { by_name, with_likely_aliases, used } = self.artists;
        writeln!(
            f,
            "{used} artists; {by_name} without aliases, {with_likely_aliases} with the likely aliases \
             (Nibbeling 2018: 222)"
        )?;
        writeln!(
            f,
            "{} titles occur in several tracks of their artist; {:.1} % of the clips adjoin another clip \
             of their track",
            self.recurring_titles,
            100.0 * self.neighbours
        )?;
        if self.without_audio > 0 {
            writeln!(f, "{} more clips are listed without audio", self.without_audio)?;
        }
        if let Some(GenreGaps { unknown_albums, clips_without }) = &self.genres {
            writeln!(f, "{clips_without} clips have no genres")?;
            if let Some(first) = unknown_albums.first() {
                writeln!(
                    f,
                    "{} albums in the list of genres have no clips, for example {first}",
                    unknown_albums.len()
                )?;
            }
        }
        Ok(())
    }
}

/// The number of titles that occur in several tracks of one artist; clips are sorted by their names.
pub(super) fn recurring_titles(clips: &[Clip]) -> usize {
    let recurring = |clips: &[Clip]| {
        let mut titles: BTreeMap<&str, usize> = BTreeMap::new();
        for track in clips.chunk_by(|a, b| a.names() == b.names()) {
            let title = track.first().map(|clip| clip.names().title);
            *titles.entry(title.unwrap_or_default()).or_default() += 1;
        }
        titles.values().filter(|tracks| **tracks > 1).count()
    };
    clips.chunk_by(|a, b| a.names().artist == b.names().artist).map(recurring).sum()
}

/// The share (0 to 1) of clips that adjoin another clip of their track, to a second.
pub(super) fn neighbour_share(tracks: &[Track]) -> f64 {
    const SECONDS: f64 = 29.0;
    let (mut clips, mut adjoined) = (0, 0);
    for track in tracks {
        clips += track.clips.len();
        let starts: Vec<f64> = track.clips.iter().map(|clip| clip.start_seconds).collect();
        let gaps: Vec<bool> = starts
            .windows(2)
            .map(|pair| matches!(pair, [a, b] if (b - a - SECONDS).abs() <= 1.0))
            .collect();
        let has_neighbour = |index: usize| {
            gaps.get(index).copied().unwrap_or(false)
                || index
                    .checked_sub(1)
                    .and_then(|previous| gaps.get(previous))
                    .copied()
                    .unwrap_or(false)
        };
        adjoined += (0..starts.len()).filter(|index| has_neighbour(*index)).count();
    }
    if clips == 0 { 0.0 } else { adjoined as f64 / clips as f64 }
}
