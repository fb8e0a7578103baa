//! The rules that need what came before: duplicates, full artists, artists with too few songs.
//!
//! Songs arrive artist by artist. The first songs of an artist are held back until there are enough of them, so that the store never holds an
//! artist that must leave it again.

use std::collections::{HashMap, HashSet};

use leitmotif_models::SampleRate;

use super::decode::{AudioDigest, Song};
use super::error::PrepareError;
use super::journal::{Decision, Journal, Kept};
use super::plan::Options;
use crate::sources::{ClipFile, LeftOut, Reason, Track};
use crate::store::{ClipRow, DatasetWriter};

/// Decides about songs and stores those that stay.
pub(super) struct Selector<'a> {
    options: &'a Options,
    writer: DatasetWriter,
    journal: Journal,
    /// Songs that stay, by the digest of their audio: those of earlier runs from the start on, whatever is decoded before their turn.
    by_digest: HashMap<AudioDigest, &'a str>,
    /// Clips of each artist that earlier runs kept.
    kept_before: HashMap<&'a str, usize>,
    artist: Artist<'a>,
    kept: Vec<(&'a Track, Box<Kept>)>,
    left_out: Vec<LeftOut>,
    clips: usize,
}

/// The artist whose songs arrive.
#[derive(Default)]
struct Artist<'a> {
    name: &'a str,
    groups: HashSet<&'a str>,
    clips: usize,
    held_back: Vec<(&'a Track, Song)>,
}

/// What is left to do about a track when a preparation is resumed.
pub(super) enum ResumeState {
    /// Everything.
    Undecided,
    /// To try whether these of its clip files can be decoded now: a drive may be back, an archive unpacked.
    Lacking(Vec<String>),
    /// Nothing.
    Decided,
}

/// The outcome of the rules.
pub(super) struct Selection<'a> {
    /// Songs in the store, with their facts.
    pub(super) kept: Vec<(&'a Track, Box<Kept>)>,
    /// Songs that are not.
    pub(super) left_out: Vec<LeftOut>,
    /// The store, not yet finished.
    pub(super) writer: DatasetWriter,
}

impl<'a> Selector<'a> {
    /// A selector for `tracks`, which will be [selected](Self::select) in this order.
    pub(super) fn new(
        options: &'a Options,
        writer: DatasetWriter,
        journal: Journal,
        tracks: &'a [Track],
    ) -> Self {
        let (mut by_digest, mut kept_before) = (HashMap::new(), HashMap::new());
        for track in tracks {
            if let Some(Decision::Kept(kept)) = journal.decided(&track.id)
                && writer.has(&track.id)
            {
                if track.clips.is_empty() {
                    by_digest.insert(kept.digest, track.id.as_str());
                }
                *kept_before.entry(track.artist.as_str()).or_default() += kept.clips;
            }
        }
        Selector {
            options,
            writer,
            journal,
            by_digest,
            kept_before,
            artist: Artist::default(),
            kept: Vec::with_capacity(tracks.len()),
            left_out: Vec::new(),
            clips: 0,
        }
    }

    /// Clips that stay so far.
    pub(super) fn clips(&self) -> usize {
        self.clips
    }

    /// What an earlier run left to do about `track`: what it kept must lie in the store too.
    pub(super) fn resume_state(&self, track: &Track) -> ResumeState {
        match self.journal.decided(&track.id) {
            Some(Decision::Kept(_)) if !self.writer.has(&track.id) => ResumeState::Undecided,
            Some(Decision::Kept(kept)) if !kept.without.is_empty() => {
                ResumeState::Lacking(kept.without.iter().map(|(file, _)| file.clone()).collect())
            }
            None => ResumeState::Undecided,
            Some(_) => ResumeState::Decided,
        }
    }

    /// Decides about the next track: by its audio, by the reason why it cannot be decoded, or (`None`) as an earlier run did.
    pub(super) fn select(
        &mut self,
        track: &'a Track,
        decoded: Option<Result<Song, Reason>>,
    ) -> Result<(), PrepareError> {
        match decoded {
            None => self.recall(track),
            Some(Ok(song)) => self.song(track, song),
            Some(Err(reason)) => self.leave_out(track, reason),
        }
    }

    /// Takes over what an earlier run decided about `track`.
    fn recall(&mut self, track: &'a Track) -> Result<(), PrepareError> {
        self.turn_to(track);
        match self.journal.take(&track.id) {
            Some(Decision::Kept(kept)) => {
                self.artist.groups.insert(&track.song_group);
                self.clips += kept.clips;
                self.left_out.extend(without(&kept));
                self.kept.push((track, kept));
                self.store_if_enough()
            }
            Some(Decision::LeftOut(reason)) => {
                self.left_out.push(LeftOut { path: track.id.clone(), reason: *reason });
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Leaves `track` out. What could not be read is not noted: a drive may be back, a file mended by the next run.
    fn leave_out(&mut self, track: &'a Track, reason: Reason) -> Result<(), PrepareError> {
        self.turn_to(track);
        if !matches!(reason, Reason::Unreadable { .. }) {
            self.note(track, Decision::LeftOut(Box::new(reason.clone())))?;
        }
        self.left_out.push(LeftOut { path: track.id.clone(), reason });
        Ok(())
    }

    /// Decides about a decoded song.
    fn song(&mut self, track: &'a Track, song: Song) -> Result<(), PrepareError> {
        self.turn_to(track);
        let clips = song.clips.len() / self.options.clip_samples;
        if let Some(Decision::Kept(kept)) = self.journal.decided(&track.id)
            && self.writer.has(&track.id)
        {
            // Decoded once more for clip files that it lacked. Others may be gone meanwhile, and only the store has them.
            let found = rows(track, clips, self.options.clip_samples, &song.without);
            let is_found = |clip: &String| found.iter().any(|row| row.clip == *clip);
            if clips <= kept.clips || !self.stored(track).iter().all(is_found) {
                return self.recall(track);
            }
            self.artist.clips -= kept.clips;
        }
        if song.clips.is_empty() {
            // Every one of its clip files. As what cannot be read, this is not noted.
            self.left_out.extend(song.without);
            return Ok(());
        }
        // Clip files were chosen by who published them: all of them count, as they did for others.
        if track.clips.is_empty()
            && let Some(of) = self.by_digest.get(&song.digest)
        {
            let of = (*of).to_owned();
            return self.leave_out(track, Reason::Duplicate { of });
        }
        if let (Some(cap), Some(minutes)) =
            (self.options.cap(), self.options.max_minutes_per_artist)
            && self.artist.clips + clips > cap
        {
            return self
                .leave_out(track, Reason::ArtistIsFull { artist: track.artist.clone(), minutes });
        }
        self.count(track, song.digest, clips);
        self.artist.held_back.push((track, song));
        self.store_if_enough()
    }

    /// Stores what is held back, once the artist has songs enough.
    fn store_if_enough(&mut self) -> Result<(), PrepareError> {
        if self.artist.groups.len() >= self.options.min_songs {
            for (track, song) in std::mem::take(&mut self.artist.held_back) {
                self.store(track, song)?;
            }
        }
        Ok(())
    }

    /// Ends the last artist if all songs were seen, and gives back what stays.
    pub(super) fn end(mut self, finished: bool) -> Selection<'a> {
        if finished {
            self.end_artist();
        }
        Selection { kept: self.kept, left_out: self.left_out, writer: self.writer }
    }

    /// Makes `track`'s artist the current one.
    fn turn_to(&mut self, track: &'a Track) {
        if self.artist.name != track.artist {
            self.end_artist();
            let clips = self.kept_before.get(track.artist.as_str()).copied().unwrap_or(0);
            self.artist = Artist { name: &track.artist, clips, ..Artist::default() };
        }
    }

    /// Songs still held back belong to an artist with too few. This is not noted in the journal: it follows from the other decisions.
    fn end_artist(&mut self) {
        let songs = self.artist.groups.len();
        for (track, song) in std::mem::take(&mut self.artist.held_back) {
            self.by_digest.remove(&song.digest);
            self.clips -= song.clips.len() / self.options.clip_samples;
            let reason = Reason::FewSongs {
                artist: track.artist.clone(),
                songs,
                needed: self.options.min_songs,
            };
            self.left_out.push(LeftOut { path: track.id.clone(), reason });
        }
    }

    fn count(&mut self, track: &'a Track, digest: AudioDigest, clips: usize) {
        if track.clips.is_empty() {
            self.by_digest.insert(digest, &track.id);
        }
        self.artist.groups.insert(&track.song_group);
        self.artist.clips += clips;
        self.clips += clips;
    }

    fn store(&mut self, track: &'a Track, song: Song) -> Result<(), PrepareError> {
        let length = self.options.clip_samples;
        let clips = song.clips.len() / length;
        let rows = rows(track, clips, length, &song.without);
        // A run that was killed between storing and noting has stored it already; one that lacked some of its clips, without them.
        let stored = self.stored(track);
        if !stored.iter().eq(rows.iter().map(|row| &row.clip)) {
            // The store quantises again, to the same numbers.
            let audio: Vec<f32> = song.clips.iter().map(|x| f32::from(*x) / 32_768.0).collect();
            if stored.is_empty() {
                self.writer.append_song(&rows, &audio)?;
            } else {
                let stored: Vec<&str> = stored.iter().map(String::as_str).collect();
                self.writer.replace_song(&stored, &rows, &audio)?;
            }
        }
        let kept = Box::new(Kept {
            digest: song.digest,
            clips,
            dropped: song.samples.saturating_sub(song.clips.len()),
            damaged: song.damaged,
            without: song.without.into_iter().map(|file| (file.path, file.reason)).collect(),
        });
        self.left_out.extend(without(&kept));
        self.note(track, Decision::Kept(kept.clone()))?;
        self.kept.push((track, kept));
        Ok(())
    }

    /// The clips of `track` that the store has.
    fn stored(&self, track: &Track) -> Vec<String> {
        let is_stored = |clip: &String| self.writer.has_clip(clip);
        if !self.writer.has(&track.id) {
            Vec::new()
        } else if track.clips.is_empty() {
            (0..).map(|clip| clip_name(track, clip)).take_while(is_stored).collect()
        } else {
            track.clips.iter().map(|file| file.id.clone()).filter(is_stored).collect()
        }
    }

    fn note(&mut self, track: &Track, decision: Decision) -> Result<(), PrepareError> {
        Ok(self.journal.note(&track.id, decision)?)
    }
}

/// The clip files that a song is kept without.
fn without(kept: &Kept) -> impl Iterator<Item = LeftOut> {
    let left_out =
        |(path, reason): &(String, Reason)| LeftOut { path: path.clone(), reason: reason.clone() };
    kept.without.iter().map(left_out)
}

/// What the clips of a song are called that lies in one file.
fn clip_name(track: &Track, clip: usize) -> String {
    format!("{}#{clip}", track.id)
}

/// The rows of a song's clips; where they lie in the store is the store's to say.
fn rows(track: &Track, clips: usize, length: usize, without: &[LeftOut]) -> Vec<ClipRow> {
    let row = |clip: String, source: &str, start: u64| ClipRow {
        clip,
        song: track.id.clone(),
        artist: track.artist.clone(),
        album: track.album.clone(),
        title: track.title.clone(),
        song_group: track.song_group.clone(),
        genre: track.genres.join(";"),
        start,
        samples: length as u64,
        shard: 0,
        offset: 0,
        source: source.to_owned(),
    };
    if track.clips.is_empty() {
        return (0..clips)
            .map(|clip| row(clip_name(track, clip), &track.id, (clip * length) as u64))
            .collect();
    }
    let is_kept = |file: &&ClipFile| !without.iter().any(|other| other.path == file.id);
    let start =
        |file: &ClipFile| (file.start_seconds * f64::from(SampleRate::NETWORK.0)).round() as u64;
    track
        .clips
        .iter()
        .filter(is_kept)
        .map(|file| row(file.id.clone(), &file.id, start(file)))
        .collect()
}
