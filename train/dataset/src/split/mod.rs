//! Which clips train, validate and test: splits by clip, by recording, by song and by album.
//!
//! A split is stratified: of every artist about the asked share of clips is tested, and at least one group of clips on each side. What is a group
//! is the protocol's to say, and a group never lies on two sides. Validation is cut from what testing leaves, under the same rule. The groups
//! of an artist are shuffled by (seed, protocol, artist) alone, so an artist that comes or goes changes nothing for the others.

mod leaks;
mod subset;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use leitmotif_models::Random;
use serde::{Deserialize, Serialize};

pub use leaks::{LeakReport, SideLeaks};

use crate::sources::normalised;
use crate::store::{ClipRow, Clips, Part};

/// What must not lie on two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// A clip: songs lie on both sides, as in the first of the paper's splits. Its scores flatter.
    Clip,
    /// A recording: its clips stay together, and another of the same song may lie on the other side, as in the second of the paper's splits.
    Recording,
    /// A song with all its variants.
    Song,
    /// An album, together with those that share songs with it. Only artists with two or more take part.
    Album,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Clip => "clip",
            Protocol::Recording => "recording",
            Protocol::Song => "song",
            Protocol::Album => "album",
        })
    }
}

/// A split to make.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitRequest {
    /// What must not lie on two sides.
    pub protocol: Protocol,
    /// Seed of the choice.
    pub seed: u64,
    /// Share of each artist's clips to test on, between 0 and 1.
    pub test: f64,
    /// Share to validate on of the clips that testing leaves, from 0 to below 1.
    pub validation: f64,
}

impl SplitRequest {
    /// Name of the split's file, without its ending.
    pub fn name(&self) -> String {
        format!("{}-seed{}", self.protocol, self.seed)
    }
}

/// A split made.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Part of each clip, in the data set's order; nothing for clips that take no part.
    pub parts: Vec<Option<Part>>,
    /// Artists that take no part, and why.
    pub without: Vec<String>,
    /// Artists that have no validation clips, because they have only two groups.
    pub without_validation: Vec<String>,
}

impl Split {
    /// Clips of a part.
    pub fn count(&self, part: Part) -> usize {
        self.parts.iter().filter(|of| **of == Some(part)).count()
    }
}

/// Why a split cannot be made.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum SplitError {
    /// A share that leaves a part empty or is none.
    #[error("the {part} share {share} must lie {range}")]
    BadShare {
        /// `test` or `validation`.
        part: &'static str,
        /// What was asked for.
        share: f64,
        /// What can be had.
        range: &'static str,
    },
    /// Artists that cannot be on every side.
    #[error(
        "a split by {protocol} needs {needed} {protocol}s of each artist: {}; prepare with --min-songs {needed} or more",
        list(artists)
    )]
    TooFewGroups {
        /// The protocol.
        protocol: Protocol,
        /// Groups needed.
        needed: usize,
        /// Artists with fewer, and how many they have.
        artists: Vec<(String, usize)>,
    },
    /// Fewer than two artists take part.
    #[error("a split by {protocol} leaves fewer than two artists: {}", without.join("; "))]
    TooFewArtists {
        /// The protocol.
        protocol: Protocol,
        /// Artists that take no part, and why.
        without: Vec<String>,
    },
    /// No artist has enough groups for validation.
    #[error(
        "no artist has three {protocol}s, so there is nothing to validate on; split with --validation 0"
    )]
    NoValidation {
        /// The protocol.
        protocol: Protocol,
    },
    /// Groups that several artists share leave an artist nothing on one side.
    #[error(
        "`{artist}` shares so many song groups with other artists that it has none left for {part}; try another seed"
    )]
    SharedGroups {
        /// The artist.
        artist: String,
        /// The side.
        part: &'static str,
    },
}

fn list(artists: &[(String, usize)]) -> String {
    artists
        .iter()
        .map(|(artist, groups)| format!("`{artist}` has {groups}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The name of what is kept together: a clip, a recording, a song group or an artist's album.
type Group<'a> = (&'a str, &'a str);

/// Splits `clips`.
pub fn split(clips: &Clips, request: &SplitRequest) -> Result<Split, SplitError> {
    check(request)?;
    let protocol = request.protocol;
    let mut without = Vec::new();
    let mut without_validation = Vec::new();
    let groups = Groups::of(clips, protocol);
    let mut artists = groups.of_artists(clips);
    let needed = if request.validation > 0.0 { 3 } else { 2 };
    if protocol == Protocol::Album {
        artists.retain(|artist, albums| {
            if albums.len() < 2 {
                let known = match albums.is_empty() {
                    true => "no album that is named",
                    false => "one album, or several that share songs",
                };
                without.push(format!("`{artist}` has {known}"));
            } else if albums.len() < needed {
                without_validation.push((*artist).to_owned());
            }
            albums.len() >= 2
        });
    } else {
        let few: Vec<_> = artists
            .iter()
            .filter(|(_, groups)| groups.len() < 2)
            .map(|(artist, groups)| ((*artist).to_owned(), groups.len()))
            .collect();
        if !few.is_empty() {
            return Err(SplitError::TooFewGroups { protocol, needed: 2, artists: few });
        }
        let two = artists.iter().filter(|(_, groups)| groups.len() < needed);
        without_validation.extend(two.map(|(artist, _)| (*artist).to_owned()));
    }
    if artists.len() < 2 {
        return Err(SplitError::TooFewArtists { protocol, without });
    }
    if request.validation > 0.0 && without_validation.len() == artists.len() {
        return Err(SplitError::NoValidation { protocol });
    }
    let assigned = assign(&artists, groups.count, request)?;
    // An artist that takes no part may share a group with one that does.
    let part = |(clip, group): (ClipRow<&str>, &Option<usize>)| {
        let group = group.filter(|_| artists.contains_key(clip.artist))?;
        assigned.get(group).copied()?
    };
    let parts = clips.iter().zip(&groups.of_rows).map(part).collect();
    Ok(Split { parts, without, without_validation })
}

fn check(request: &SplitRequest) -> Result<(), SplitError> {
    if !(request.test > 0.0 && request.test < 1.0) {
        return Err(SplitError::BadShare {
            part: "test",
            share: request.test,
            range: "between 0 and 1",
        });
    }
    if !(request.validation >= 0.0 && request.validation < 1.0) {
        return Err(SplitError::BadShare {
            part: "validation",
            share: request.validation,
            range: "from 0 to below 1",
        });
    }
    Ok(())
}

/// The groups of all clips by numbers: of a million clips by clip, their names would take more than all else.
struct Groups<'a> {
    /// Of each clip; a song without an album is in none.
    of_rows: Vec<Option<usize>>,
    /// Each group's name; by clip a group has its clip's, at the same place, and there are none here.
    names: Vec<Group<'a>>,
    count: usize,
}

/// A group and how many clips of one artist are in it.
#[derive(Clone, Copy, Debug)]
struct Counted {
    group: usize,
    clips: usize,
}

impl<'a> Groups<'a> {
    fn of(clips: &'a Clips, protocol: Protocol) -> Self {
        let name: Box<dyn Fn(ClipRow<&'a str>) -> Option<Group<'a>>> = match protocol {
            Protocol::Clip => {
                let of_rows = (0..clips.len()).map(Some).collect();
                return Groups { of_rows, names: Vec::new(), count: clips.len() };
            }
            Protocol::Recording => Box::new(|clip| Some(("", clip.song))),
            Protocol::Song => Box::new(|clip| Some(("", clip.song_group))),
            Protocol::Album => {
                let united = united_albums(clips);
                Box::new(move |clip| united.get(&album(clip)?).copied())
            }
        };
        let (mut numbers, mut names) = (HashMap::new(), Vec::new());
        let number = |clip| {
            let name = name(clip)?;
            Some(*numbers.entry(name).or_insert_with(|| {
                names.push(name);
                names.len() - 1
            }))
        };
        let of_rows = clips.iter().map(number).collect();
        let count = names.len();
        Groups { of_rows, names, count }
    }

    /// The groups of every artist, by their names: the order in which they came must not matter.
    fn of_artists(&self, clips: &'a Clips) -> BTreeMap<&'a str, Vec<Counted>> {
        let mut artists: BTreeMap<&str, Vec<Counted>> = BTreeMap::new();
        for (clip, group) in clips.iter().zip(&self.of_rows) {
            let groups = artists.entry(clip.artist).or_default();
            groups.extend(group.map(|group| Counted { group, clips: 1 }));
        }
        let name = |of: &Counted| match self.names.get(of.group) {
            Some(name) => *name,
            None => ("", clips.get(of.group).map_or("", |clip| clip.clip)),
        };
        for groups in artists.values_mut() {
            groups.sort_by(|a, b| name(a).cmp(&name(b)));
            groups.dedup_by(|next, first| {
                let same = next.group == first.group;
                first.clips += if same { next.clips } else { 0 };
                same
            });
            groups.shrink_to_fit();
        }
        artists
    }
}

/// An artist and an album of theirs: "Greatest Hits" of two artists are two albums.
fn album(clip: ClipRow<&str>) -> Option<Group<'_>> {
    (!clip.album.is_empty()).then_some((clip.artist, clip.album))
}

/// Each album's group: the first by name of all that share songs with it, directly or through others, its own other spellings among
/// them. The same song on a single, an album and a best-of would otherwise lie on two sides.
fn united_albums(clips: &Clips) -> HashMap<Group<'_>, Group<'_>> {
    // Disjoint sets: albums point to albums united with them, and the first of each set to itself.
    let mut sets = Sets::default();
    let mut albums: HashMap<Group<'_>, usize> = HashMap::new();
    let mut names: Vec<Group<'_>> = Vec::new();
    let mut spelled: HashMap<(&str, String), usize> = HashMap::new();
    let mut songs: HashMap<&str, usize> = HashMap::new();
    for clip in clips.iter() {
        let Some(name) = album(clip) else { continue };
        let album = *albums.entry(name).or_insert_with(|| {
            names.push(name);
            let album = sets.add();
            let alike = *spelled.entry((name.0, normalised(name.1))).or_insert(album);
            sets.unite(album, alike);
            album
        });
        sets.unite(album, *songs.entry(clip.song_group).or_insert(album));
    }
    let mut first: HashMap<usize, Group<'_>> = HashMap::new();
    for (album, name) in names.iter().enumerate() {
        let of_set = first.entry(sets.of(album)).or_insert(*name);
        *of_set = (*name).min(*of_set);
    }
    let group = |(name, album)| Some((name, *first.get(&sets.of(album))?));
    albums.into_iter().filter_map(group).collect()
}

/// Disjoint sets of the numbers from 0 on (Galler and Fischer 1964).
#[derive(Default)]
struct Sets(Vec<usize>);

impl Sets {
    /// The next number, in a set of its own.
    fn add(&mut self) -> usize {
        self.0.push(self.0.len());
        self.0.len() - 1
    }

    /// The number that stands for a number's set.
    fn of(&mut self, number: usize) -> usize {
        let mut here = number;
        // Halving the way keeps ways short.
        while let Some(next) = self.0.get(here).copied().filter(|next| *next != here) {
            let after = self.0.get(next).copied().unwrap_or(next);
            if let Some(slot) = self.0.get_mut(here) {
                *slot = after;
            }
            here = after;
        }
        here
    }

    fn unite(&mut self, one: usize, other: usize) {
        let (one, other) = (self.of(one), self.of(other));
        if let Some(slot) = self.0.get_mut(one) {
            *slot = other;
        }
    }
}

/// Gives every group of these artists its part.
fn assign(
    artists: &BTreeMap<&str, Vec<Counted>>,
    groups: usize,
    request: &SplitRequest,
) -> Result<Vec<Option<Part>>, SplitError> {
    let mut assigned: Vec<Option<Part>> = vec![None; groups];
    // Artists with few groups first: where artists share a group, those with many have room to make up for it.
    let order: BTreeSet<(usize, &str)> =
        artists.iter().map(|(artist, groups)| (groups.len(), *artist)).collect();
    for (_, artist) in order {
        let Some(groups) = artists.get(artist) else { continue };
        let validates = request.validation > 0.0 && groups.len() >= 3;
        let clips: usize = groups.iter().map(|of| of.clips).sum();
        let lies = |of: &Counted, assigned: &[Option<Part>]| assigned.get(of.group).copied()?;
        let fixed = |part: Part, assigned: &[Option<Part>]| -> usize {
            groups.iter().filter(|of| lies(of, assigned) == Some(part)).map(|of| of.clips).sum()
        };
        let mut free: Vec<Counted> =
            groups.iter().filter(|of| lies(of, &assigned).is_none()).copied().collect();
        let purpose = format!("split/{}/{artist}", request.protocol);
        Random::derive(request.seed, &purpose, &[]).shuffle(&mut free);

        let test_target = request.test * clips as f64;
        let test = fixed(Part::Test, &assigned);
        let spare = usize::from(fixed(Part::Train, &assigned) == 0)
            + usize::from(validates && fixed(Part::Validation, &assigned) == 0);
        choose(&mut free, test_target, test, spare, Part::Test, artist, &mut assigned)?;
        if validates {
            let target = request.validation * (clips - fixed(Part::Test, &assigned)) as f64;
            let there = fixed(Part::Validation, &assigned);
            let spare = usize::from(fixed(Part::Train, &assigned) == 0);
            choose(&mut free, target, there, spare, Part::Validation, artist, &mut assigned)?;
        }
        free.iter().for_each(|of| lay(of, Part::Train, &mut assigned));
        if fixed(Part::Train, &assigned) == 0 {
            return Err(SplitError::SharedGroups { artist: artist.to_owned(), part: "training" });
        }
    }
    Ok(assigned)
}

fn lay(of: &Counted, part: Part, assigned: &mut [Option<Part>]) {
    if let Some(slot) = assigned.get_mut(of.group) {
        *slot = Some(part);
    }
}

/// Moves groups from `free` to `part` until their clips, with the `there` that lie in it already, are as near to `target` as can be;
/// leaves at least `spare` groups.
fn choose(
    free: &mut Vec<Counted>,
    target: f64,
    there: usize,
    spare: usize,
    part: Part,
    artist: &str,
    assigned: &mut [Option<Part>],
) -> Result<(), SplitError> {
    let sizes: Vec<usize> = free.iter().map(|of| of.clips).collect();
    let most = sizes.len().saturating_sub(spare);
    let least = usize::from(there == 0);
    let Some(chosen) = subset::nearest(&sizes, target - there as f64, least, most) else {
        let part = if part == Part::Test { "testing" } else { "validation" };
        return Err(SplitError::SharedGroups { artist: artist.to_owned(), part });
    };
    let mut chosen = chosen.into_iter();
    free.retain(|of| {
        let taken = chosen.next().unwrap_or(false);
        if taken {
            lay(of, part, assigned);
        }
        !taken
    });
    Ok(())
}
