//! Reads parts.

use std::path::{Path, PathBuf};

use super::entry::{Entry, Outcome};
use super::error::PartError;
use super::journal::{self, Header, JOURNAL};
use super::samples::{self, SampleError};
use crate::prepare::decode::Song;
use crate::prepare::run::{Decoded, Songs};
use crate::sources::Track;

/// A part, with an index of its journal.
#[derive(Debug)]
pub(super) struct OpenPart {
    pub(super) folder: PathBuf,
    pub(super) header: Header,
    /// Of each song of the part, in their order.
    songs: Vec<SongIndex>,
}

/// Where the line of a song is, and how much it holds: 16 bytes, since there may be a million.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SongIndex {
    /// The first byte of its line; 0 where there is none.
    line: u64,
    pub(super) clips: u32,
    /// A quarter of the digest of its audio: enough to estimate how many songs are copies.
    pub(super) hash: u32,
}

impl OpenPart {
    /// Opens the part in `folder`; `None` where there is none.
    pub(super) fn open(folder: &Path) -> Result<Option<Self>, PartError> {
        // Its number of songs and of parts are known once its header is read, before the first line.
        let mut found: Vec<(usize, SongIndex)> = Vec::new();
        let read = journal::read(folder, |line, Entry { song, result }| {
            let (clips, hash) = match result {
                Outcome::Decoded(song) => (song.clips, song.hash.0.first_chunk().copied()),
                Outcome::LeftOut(_) => (0, None),
            };
            let clips = u32::try_from(clips).unwrap_or(u32::MAX);
            let hash = hash.map_or(0, u32::from_le_bytes);
            found.push((song, SongIndex { line, clips, hash }));
            Ok(())
        })?;
        let Some((header, _)) = read else { return Ok(None) };
        let part = header.part;
        let mut songs = Vec::new();
        for (song, index) in found {
            if song >= header.songs || !part.has(song) {
                return Err(PartError::Damaged {
                    path: folder.join(JOURNAL),
                    reason: format!("it has a song {song}, which is none of part {part}"),
                    again: header.command_of(part),
                });
            }
            // As many as are needed, so that a damaged header takes no memory.
            let place = song / part.of() as usize;
            if place >= songs.len() {
                songs.resize(place + 1, SongIndex::default());
            }
            if let Some(known) = songs.get_mut(place) {
                *known = index;
            }
        }
        Ok(Some(OpenPart { folder: folder.to_owned(), header, songs }))
    }

    /// The songs that are done, and all of the part.
    pub(super) fn done(&self) -> (usize, usize) {
        let done = self.songs.iter().filter(|song| song.line > 0).count();
        (done, self.header.part.count(self.header.songs))
    }

    /// The command that prepares the part.
    pub(super) fn again(&self) -> String {
        self.header.command_of(self.header.part)
    }

    pub(super) fn damaged(&self, path: PathBuf, reason: &str) -> PartError {
        PartError::Damaged { path, reason: reason.to_owned(), again: self.again() }
    }
}

/// All parts of a data set, sorted by their numbers.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) parts: Vec<OpenPart>,
    pub(super) clip_samples: usize,
}

impl Parts {
    /// The part that has a song, and its place there.
    pub(super) fn find(&self, number: usize) -> Option<(&OpenPart, SongIndex)> {
        let parts = self.parts.len();
        let part = self.parts.get(number.checked_rem(parts)?)?;
        Some((part, *part.songs.get(number / parts)?))
    }

    /// The part that has a song, and the result that it records.
    fn outcome(&self, number: usize) -> Result<(&OpenPart, Outcome), PartError> {
        let Some((part, SongIndex { line, .. })) = self.find(number) else {
            // Excluded by the checks of parts before they are read.
            let source = std::io::ErrorKind::NotFound.into();
            return Err(PartError::unreadable(JOURNAL, source));
        };
        match journal::read_line(&part.folder, line)? {
            Some(Entry { song, result }) if song == number => Ok((part, result)),
            _ => Err(part.damaged(part.folder.join(JOURNAL), "it has changed while it was read")),
        }
    }
}

impl Songs for Parts {
    type Error = PartError;

    fn song(
        &self,
        number: usize,
        _track: &Track,
        _stopped: &dyn Fn() -> bool,
    ) -> Result<Decoded, PartError> {
        let (part, decoded) = match self.outcome(number)? {
            (_, Outcome::LeftOut(reason)) => return Ok(Err(*reason)),
            (part, Outcome::Decoded(decoded)) => (part, decoded),
        };
        let song = |samples| -> Result<Decoded, PartError> {
            Ok::<_, PartError>(Ok(Some::<Song>(decoded.clone().with_samples(samples))))
        };
        if decoded.clips == 0 {
            return song(Vec::new());
        }
        let length = decoded.clips.saturating_mul(self.clip_samples);
        match samples::read(&part.folder, decoded.place, length, decoded.pcm) {
            (_, Ok(samples)) => song(samples),
            (path, Err(SampleError::Io(source))) => Err(PartError::unreadable(path, source)),
            (path, Err(SampleError::Other)) => {
                Err(part.damaged(path, "its samples are not those that were stored"))
            }
        }
    }

    fn has_one_of(
        &self,
        files: &[String],
        number: usize,
        track: &Track,
        _stopped: &dyn Fn() -> bool,
    ) -> Result<bool, PartError> {
        if track.clips.is_empty() {
            return Ok(false);
        }
        Ok(match self.outcome(number)?.1 {
            Outcome::LeftOut(_) => false,
            Outcome::Decoded(song) => {
                files.iter().any(|file| !song.without.iter().any(|(other, _)| other == file))
            }
        })
    }
}
