//! Joins the parts of a data set.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use super::error::PartError;
use super::journal::Header;
use super::make::LOCK;
use super::music_list::{self, MUSIC};
use super::open::{OpenPart, Parts};
use super::samples::SAMPLE;
use crate::fs::Lock;
use crate::prepare::plan::{Plan, check_room_for};
use crate::prepare::report::Report;
use crate::prepare::run::{Progress, store_songs};

/// All parts of a data set, checked.
#[derive(Debug)]
pub struct Merge {
    parts: Parts,
    plan: Plan,
    bytes: u64,
}

impl Merge {
    /// Opens the parts in `folders`, each of which is a part or holds parts. Only their lists are read.
    ///
    /// # Errors
    ///
    /// [`PartError`] with the first part that is missing, there twice, not finished, or of other music or settings than
    /// most of the others; it names the command to run.
    pub fn open(folders: &[PathBuf]) -> Result<Self, PartError> {
        let mut parts = find(folders)?;
        let Some(most) = most_common(&parts) else {
            let path = folders.first().cloned().unwrap_or_default();
            return Err(PartError::NoParts { path });
        };
        check_same(&parts, most)?;
        let header = most.header.clone();
        parts.sort_by_key(|part| part.header.part.part());
        check_complete(&parts, &header)?;
        check_finished(&parts)?;
        let Some(first) = parts.first() else {
            return Err(PartError::NoParts { path: PathBuf::new() });
        };
        let plan = music_list::read(&first.folder, &first.header.music, first.header.other_files)?
            .filter(|plan| plan.tracks.len() == first.header.songs)
            .ok_or_else(|| {
                first.damaged(first.folder.join(MUSIC), "it is not the list that was written")
            })?;
        let clip_samples = plan.options.clip_samples;
        let parts = Parts { parts, clip_samples };
        let bytes = SAMPLE.saturating_mul(most_samples(&parts, &plan));
        Ok(Merge { parts, plan, bytes })
    }

    /// The songs of all parts.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The number of parts.
    pub fn parts(&self) -> usize {
        self.parts.parts.len()
    }

    /// Bytes of samples of the data set, at most.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Stores the data set in `out`, with the bytes that [`prepare`](crate::prepare::prepare) of the same music would
    /// write; resumes where an earlier run stopped. The parts are left as they are.
    ///
    /// `progress` is called after each song. Once `stopped` returns true, finished songs are kept and the report is not
    /// `finished`.
    ///
    /// # Errors
    ///
    /// [`PartError::Damaged`] or [`PartError::Unreadable`] for the file of a part, and in [`PartError::Prepare`] all
    /// errors of [`prepare`](crate::prepare::prepare), and a disk that is too small.
    pub fn store(
        &self,
        out: &Path,
        progress: &mut dyn FnMut(Progress),
        stopped: &(dyn Fn() -> bool + Sync),
    ) -> Result<Report, PartError> {
        check_room_for(self.bytes, out)?;
        store_songs(&self.plan, out, &self.parts, progress, stopped)
    }
}

/// Samples of the clips of all songs, of which copies and what artists have above their maximum are left out.
fn most_samples(parts: &Parts, plan: &Plan) -> u64 {
    let cap = plan.options.cap().unwrap_or(usize::MAX);
    let mut seen = HashSet::new();
    let (mut all, mut of_artist) = (0, 0usize);
    let mut artist = "";
    for (number, track) in plan.tracks.iter().enumerate() {
        // The songs of an artist follow one another.
        if artist != track.artist {
            all = std::mem::take(&mut of_artist).min(cap).saturating_add(all);
            artist = &track.artist;
        }
        if let Some((_, song)) = parts.find(number)
            && song.clips > 0
            && (!track.clips.is_empty() || seen.insert(song.hash))
        {
            of_artist = of_artist.saturating_add(song.clips as usize);
        }
    }
    let clips = of_artist.min(cap).saturating_add(all);
    (clips as u64).saturating_mul(plan.options.clip_samples as u64)
}

/// The parts in some folders, each once.
fn find(folders: &[PathBuf]) -> Result<Vec<OpenPart>, PartError> {
    let mut parts = Vec::new();
    let mut seen = HashSet::new();
    let mut open = |folder: &Path| -> Result<bool, PartError> {
        let Some(part) = OpenPart::open(folder)? else { return Ok(false) };
        // A part that is given beside the folder that holds it is no second one.
        if seen.insert(folder.canonicalize().unwrap_or_else(|_| folder.to_owned())) {
            parts.push(part);
        }
        Ok(true)
    };
    for folder in folders {
        if open(folder)? {
            continue;
        }
        let unreadable = |source| PartError::unreadable(folder, source);
        let entries = std::fs::read_dir(folder).map_err(unreadable)?;
        let mut below: Vec<PathBuf> = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()
            .map_err(unreadable)?;
        below.retain(|path| path.is_dir());
        below.sort();
        let mut found = false;
        for path in &below {
            found |= open(path)?;
        }
        if !found {
            return Err(PartError::NoParts { path: folder.clone() });
        }
    }
    Ok(parts)
}

/// What all parts of a data set share.
fn key(header: &Header) -> (u32, &str, &str) {
    (header.part.of(), &header.program, &header.music)
}

/// A part of those of which there are most; of the first ones where there are as many.
fn most_common(parts: &[OpenPart]) -> Option<&OpenPart> {
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for part in parts {
        *counts.entry(key(&part.header)).or_default() += 1;
    }
    let most = counts.values().max().copied()?;
    parts.iter().find(|part| counts.get(&key(&part.header)) == Some(&most))
}

/// Checks that all parts are of one data set.
fn check_same(parts: &[OpenPart], most: &OpenPart) -> Result<(), PartError> {
    let (of, program, music) = key(&most.header);
    let Some(stale) = parts.iter().find(|part| key(&part.header) != (of, program, music)) else {
        return Ok(());
    };
    let difference = if stale.header.part.of() != of {
        format!("it is part {}, not one of {of}", stale.header.part)
    } else if stale.header.program != program {
        format!("it was made by version {}, not {program}", stale.header.program)
    } else {
        let expected = music_list::lines_in(&most.folder)?;
        music_list::difference(music_list::lines_in(&stale.folder)?, expected)
    };
    let number = stale.header.part.part();
    let is_there = parts
        .iter()
        .any(|part| key(&part.header) == (of, program, music) && part.header.part.part() == number);
    let again = (!is_there && number <= of)
        .then(|| most.header.command_of(most.header.part.with_part(number)));
    let (path, other) = (stale.folder.clone(), most.folder.clone());
    Err(PartError::Stale { path, other, difference, again })
}

/// Checks that each part is there once; `parts` are sorted.
fn check_complete(parts: &[OpenPart], header: &Header) -> Result<(), PartError> {
    let mut there: BTreeMap<u32, &OpenPart> = BTreeMap::new();
    for part in parts {
        if let Some(first) = there.insert(part.header.part.part(), part) {
            return Err(PartError::Doubled {
                part: part.header.part,
                first: first.folder.clone(),
                second: part.folder.clone(),
            });
        }
    }
    let of = header.part.of();
    let missing: Vec<u32> = (1..=of).filter(|part| !there.contains_key(part)).collect();
    match missing.first() {
        None => Ok(()),
        Some(first) => {
            let again = header.command_of(header.part.with_part(*first));
            Err(PartError::Missing { missing, of, again })
        }
    }
}

/// Checks that every part has all of its songs.
fn check_finished(parts: &[OpenPart]) -> Result<(), PartError> {
    let is_unfinished = |part: &&OpenPart| {
        let (done, songs) = part.done();
        done < songs
    };
    let mut unfinished = parts.iter().filter(is_unfinished);
    let Some(part) = unfinished.next() else { return Ok(()) };
    // Where the lock cannot be taken, on a disk that is read only, nobody prepares the part.
    if let Ok(None) = Lock::take(&part.folder.join(LOCK)) {
        return Err(PartError::BeingPrepared { path: part.folder.clone() });
    }
    let (done, songs) = part.done();
    let (path, again, more) = (part.folder.clone(), part.again(), unfinished.count());
    Err(PartError::Unfinished { path, done, songs, more, again })
}
