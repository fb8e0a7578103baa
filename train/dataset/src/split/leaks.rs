//! Leakage: what the test and validation parts of a split share with training.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::sources::{normalised, song_group};
use crate::store::{ClipRow, Clips, Part};

/// What the test and validation parts share with training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LeakReport {
    /// Between test and training.
    pub test: PartLeaks,
    /// Between validation and training.
    pub validation: PartLeaks,
}

/// What one part shares with training. Pairs are (names in this part, those of them that training has too).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartLeaks {
    /// Clips in the part.
    pub clips: usize,
    /// Recordings.
    pub recordings: (usize, usize),
    /// Song groups.
    pub song_groups: (usize, usize),
    /// Titles, by artist; variants of a title count as one.
    pub titles: (usize, usize),
    /// Named albums, by artist.
    pub albums: (usize, usize),
    /// Share (0 to 1) of its clips with a training clip directly before or after them in the same recording.
    pub neighbours: f64,
}

impl LeakReport {
    /// Compares the parts of `clips`; `parts` has one entry for each clip, in the same order.
    pub fn new(clips: &Clips, parts: &[Option<Part>]) -> Self {
        let leaks = |part| PartLeaks::new(clips, parts, part);
        LeakReport { test: leaks(Part::Test), validation: leaks(Part::Validation) }
    }
}

impl PartLeaks {
    fn new(clips: &Clips, parts: &[Option<Part>], part: Part) -> Self {
        let of = |part: Part| {
            clips.iter().zip(parts).filter(move |(_, of)| **of == Some(part)).map(|(clip, _)| clip)
        };
        let count = of(part).count();
        if count == 0 {
            return PartLeaks::default();
        }
        let shared = |name: RawName, key: NameKey| {
            // Each distinct name is normalised once, not once per clip.
            let names = |part| -> HashSet<Cow<'_, str>> {
                let raw: HashSet<_> = of(part).filter_map(name).collect();
                raw.into_iter().map(|(artist, name)| key(artist, name)).collect()
            };
            let (here, training) = (names(part), names(Part::Train));
            (here.len(), here.intersection(&training).count())
        };
        // A clip is a neighbour if it starts where another ends, within an eighth of a clip: neighbours in
        // MagnaTagATune overlap slightly. `edges`: starts and ends of the training clips of each recording.
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
        PartLeaks {
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
            neighbours: of(part).filter(has_neighbour).count() as f64 / count as f64,
        }
    }
}

/// The artist and name of a clip's recording, song group, title or album.
type RawName = for<'a> fn(ClipRow<&'a str>) -> Option<(&'a str, &'a str)>;

/// The key by which artist and name are compared.
type NameKey = for<'a> fn(&'a str, &'a str) -> Cow<'a, str>;

impl fmt::Display for LeakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, leaks) in [("test", &self.test), ("validation", &self.validation)] {
            if leaks.clips > 0 {
                writeln!(
                    f,
                    "{name} shares with training: {} of {} recordings, {} of {} song groups, \
                     {} of {} titles, {} of {} albums; {:.1} % of its clips adjoin a training clip",
                    leaks.recordings.1,
                    leaks.recordings.0,
                    leaks.song_groups.1,
                    leaks.song_groups.0,
                    leaks.titles.1,
                    leaks.titles.0,
                    leaks.albums.1,
                    leaks.albums.0,
                    100.0 * leaks.neighbours
                )?;
            }
        }
        Ok(())
    }
}
