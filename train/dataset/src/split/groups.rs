//! The groups of clips that a split keeps in one part.

use std::collections::{BTreeMap, HashMap};

use super::request::Protocol;
use crate::sources::normalised;
use crate::store::{ClipRow, Clips};

/// The name of a group: a clip, a recording or a song group (the first half is empty), or an artist's album.
type GroupName<'a> = (&'a str, &'a str);

/// The groups of all clips, by index: names would dominate the memory of a split of a million clips by clip.
pub(super) struct Groups<'a> {
    /// The group of each clip; by album, `None` for a clip without an album.
    pub(super) of_clips: Vec<Option<usize>>,
    /// The name of each group; empty for [`Protocol::Clip`], where group `i` is clip `i`.
    names: Vec<GroupName<'a>>,
    pub(super) count: usize,
}

/// A group and how many clips of one artist are in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArtistGroup {
    pub(super) group: usize,
    pub(super) clips: usize,
}

impl<'a> Groups<'a> {
    pub(super) fn of(clips: &'a Clips, protocol: Protocol) -> Self {
        let name: Box<dyn Fn(ClipRow<&'a str>) -> Option<GroupName<'a>>> = match protocol {
            Protocol::Clip => {
                let of_clips = (0..clips.len()).map(Some).collect();
                return Groups { of_clips, names: Vec::new(), count: clips.len() };
            }
            Protocol::Recording => Box::new(|clip| Some(("", clip.song))),
            Protocol::Song => Box::new(|clip| Some(("", clip.song_group))),
            Protocol::Album => {
                let groups = album_groups(clips);
                Box::new(move |clip| groups.get(&album(clip)?).copied())
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
        let of_clips = clips.iter().map(number).collect();
        let count = names.len();
        Groups { of_clips, names, count }
    }

    /// The groups of each artist, sorted by name, so that the order of the clips does not matter.
    pub(super) fn of_artists(&self, clips: &'a Clips) -> BTreeMap<&'a str, Vec<ArtistGroup>> {
        let mut artists: BTreeMap<&str, Vec<ArtistGroup>> = BTreeMap::new();
        for (clip, group) in clips.iter().zip(&self.of_clips) {
            let groups = artists.entry(clip.artist).or_default();
            groups.extend(group.map(|group| ArtistGroup { group, clips: 1 }));
        }
        let name = |of: &ArtistGroup| match self.names.get(of.group) {
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

/// The album of a clip, with its artist: "Greatest Hits" of two artists are two albums.
fn album(clip: ClipRow<&str>) -> Option<GroupName<'_>> {
    (!clip.album.is_empty()).then_some((clip.artist, clip.album))
}

/// Maps each album to its group: albums that share songs, directly or through other albums, or differ in spelling only.
/// Otherwise a song on a single, an album and a best-of could be in two parts. The first album by name names the group.
fn album_groups(clips: &Clips) -> HashMap<GroupName<'_>, GroupName<'_>> {
    let mut sets = DisjointSets::default();
    let mut albums: HashMap<GroupName<'_>, usize> = HashMap::new();
    let mut names: Vec<GroupName<'_>> = Vec::new();
    let mut spellings: HashMap<(&str, String), usize> = HashMap::new();
    let mut songs: HashMap<&str, usize> = HashMap::new();
    for clip in clips.iter() {
        let Some(name) = album(clip) else { continue };
        let album = *albums.entry(name).or_insert_with(|| {
            names.push(name);
            let album = sets.add();
            let alike = *spellings.entry((name.0, normalised(name.1))).or_insert(album);
            sets.union(album, alike);
            album
        });
        sets.union(album, *songs.entry(clip.song_group).or_insert(album));
    }
    let mut first: HashMap<usize, GroupName<'_>> = HashMap::new();
    for (album, name) in names.iter().enumerate() {
        let of_set = first.entry(sets.find(album)).or_insert(*name);
        *of_set = (*name).min(*of_set);
    }
    let group = |(name, album)| Some((name, *first.get(&sets.find(album))?));
    albums.into_iter().filter_map(group).collect()
}

/// Union-find over the numbers from 0 (Galler and Fischer 1964): each number points towards the root of its set.
#[derive(Default)]
struct DisjointSets(Vec<usize>);

impl DisjointSets {
    /// Adds the next number, in a set of its own.
    fn add(&mut self) -> usize {
        self.0.push(self.0.len());
        self.0.len() - 1
    }

    /// The root of a number's set.
    fn find(&mut self, number: usize) -> usize {
        let mut here = number;
        // Path halving keeps the trees flat.
        while let Some(next) = self.0.get(here).copied().filter(|next| *next != here) {
            let after = self.0.get(next).copied().unwrap_or(next);
            if let Some(slot) = self.0.get_mut(here) {
                *slot = after;
            }
            here = after;
        }
        here
    }

    fn union(&mut self, one: usize, other: usize) {
        let (one, other) = (self.find(one), self.find(other));
        if let Some(slot) = self.0.get_mut(one) {
            *slot = other;
        }
    }
}
