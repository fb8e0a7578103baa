//! What lies on both sides of a split.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use crate::store::{ClipRow, Clips, Part};
use serde::{Deserialize, Serialize};

use crate::sources::{normalised, song_group};

/// What testing and validation share with training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LeakReport {
    /// Between test and training.
    pub test: SideLeaks,
    /// Between validation and training.
    pub validation: SideLeaks,
}

/// What one side shares with training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SideLeaks {
    /// Clips of the side.
    pub clips: usize,
    /// Its recordings, and how many of them training has too.
    pub recordings: (usize, usize),
    /// Its song groups, and how many of them training has too.
    pub song_groups: (usize, usize),
    /// Its titles (with their artist, variants alike), and how many of them training has too.
    pub titles: (usize, usize),
    /// Its albums that have a name (with their artist), and how many of them training has too.
    pub albums: (usize, usize),
    /// Share of its clips whose neighbour in time, just before or after in the same recording, is in training.
    pub neighbours: f64,
}

impl LeakReport {
    /// Compares the parts of `clips`, which `parts` holds in the same order.
    pub fn new(clips: &Clips, parts: &[Option<Part>]) -> Self {
        let side = |part| SideLeaks::new(clips, parts, part);
        LeakReport { test: side(Part::Test), validation: side(Part::Validation) }
    }
}

impl SideLeaks {
    fn new(clips: &Clips, parts: &[Option<Part>], side: Part) -> Self {
        let of = |part: Part| {
            clips.iter().zip(parts).filter(move |(_, of)| **of == Some(part)).map(|(clip, _)| clip)
        };
        let count = of(side).count();
        if count == 0 {
            return SideLeaks::default();
        }
        let shared = |raw: Raw, known: Known| {
            // Each name is made comparable once, and not once a clip.
            let names = |part| -> HashSet<Cow<'_, str>> {
                let raw: HashSet<_> = of(part).filter_map(raw).collect();
                raw.into_iter().map(|(artist, name)| known(artist, name)).collect()
            };
            let (here, training) = (names(side), names(Part::Train));
            (here.len(), here.intersection(&training).count())
        };
        // A neighbour begins where the other ends, within an eighth of a clip: those of MagnaTagATune overlap a little. Of each recording,
        // where training's clips begin and end.
        let mut edges: HashMap<&str, BTreeSet<u64>> = HashMap::new();
        for clip in of(Part::Train) {
            edges
                .entry(clip.song)
                .or_default()
                .extend([clip.start, clip.start.saturating_add(clip.samples)]);
        }
        let has_neighbour = |clip: &ClipRow<&str>| {
            let ends = [clip.start, clip.start.saturating_add(clip.samples)];
            let slack = clip.samples / 8;
            let around = |end: u64| end.saturating_sub(slack)..=end.saturating_add(slack);
            edges.get(clip.song).is_some_and(|edges| {
                ends.iter().any(|end| edges.range(around(*end)).next().is_some())
            })
        };
        SideLeaks {
            clips: count,
            recordings: shared(|clip| Some(("", clip.song)), |_, song| song.into()),
            song_groups: shared(|clip| Some(("", clip.song_group)), |_, group| group.into()),
            titles: shared(
                |clip| (!clip.title.is_empty()).then_some((clip.artist, clip.title)),
                |artist, title| song_group(artist, title).into(),
            ),
            albums: shared(
                |clip| (!clip.album.is_empty()).then_some((clip.artist, clip.album)),
                |artist, album| format!("{artist}\n{}", normalised(album)).into(),
            ),
            neighbours: of(side).filter(has_neighbour).count() as f64 / count as f64,
        }
    }
}

/// What of a clip, artist and name, may lie on two sides.
type Raw = for<'a> fn(ClipRow<&'a str>) -> Option<(&'a str, &'a str)>;

/// By what two of them are the same.
type Known = for<'a> fn(&'a str, &'a str) -> Cow<'a, str>;

impl fmt::Display for LeakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, side) in [("test", &self.test), ("validation", &self.validation)] {
            if side.clips > 0 {
                writeln!(
                    f,
                    "{name} shares with training: {} of {} recordings, {} of {} song groups, {} of {} titles, {} of {} albums; {:.1} % of its clips have a neighbour in time there",
                    side.recordings.1,
                    side.recordings.0,
                    side.song_groups.1,
                    side.song_groups.0,
                    side.titles.1,
                    side.titles.0,
                    side.albums.1,
                    side.albums.0,
                    100.0 * side.neighbours
                )?;
            }
        }
        Ok(())
    }
}
