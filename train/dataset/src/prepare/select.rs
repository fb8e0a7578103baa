//! The rules that depend on earlier songs: duplicates, the maximum per artist, and the minimum of songs per artist.
//!
//! Songs are selected artist by artist. The first songs of an artist are held back until there are enough, so that the
//! store never contains an artist that must be removed.

use std::collections::{HashMap, HashSet};

use leitmotif_models::SampleRate;

use super::decode::{AudioDigest, Song};
use super::error::PrepareError;
use super::journal::{Decision, Journal, Kept, Remarks};
use super::plan::Options;
use crate::sources::{ClipFile, LeftOut, Reason, Track};
use crate::store::{ClipRow, DatasetWriter};

/// Decides which songs are kept, and stores them.
pub(super) struct Selector<'a> {
    options: &'a Options,
    writer: DatasetWriter,
    journal: Journal,
    /// The kept songs by the digest of their audio; includes those of earlier runs from the start, so that a song which
    /// is readable again does not replace its kept duplicate.
    by_digest: HashMap<AudioDigest, &'a str>,
    /// The number of clips of each artist that earlier runs kept.
    kept_before: HashMap<&'a str, usize>,
    artist: CurrentArtist<'a>,
    kept: Vec<(&'a Track, KeptSong)>,
    left_out: Vec<LeftOut>,
    clips: usize,
}

/// The artist whose songs are being selected.
#[derive(Default)]
struct CurrentArtist<'a> {
    name: &'a str,
    groups: HashSet<&'a str>,
    clips: usize,
    held_back: Vec<(&'a Track, Song)>,
}

/// What earlier runs have decided about a track.
pub(super) enum ResumeState {
    /// Nothing: it must be decoded.
    Undecided,
    /// It was kept without these clip files, which may be readable now: a drive reconnected, an archive unpacked.
    Incomplete(Vec<String>),
    /// Everything: it need not be decoded.
    Decided,
}

/// What the summary tells of a song in the store: less than its [`Kept`], since there may be a million.
pub(super) struct KeptSong {
    /// Number of clips.
    pub(super) clips: usize,
    /// Samples dropped after the last whole clip.
    pub(super) dropped: usize,
    /// What is remarkable about its files.
    pub(super) remarks: Option<Box<Remarks>>,
}

impl From<&Kept> for KeptSong {
    fn from(kept: &Kept) -> Self {
        KeptSong { clips: kept.clips, dropped: kept.dropped, remarks: kept.remarks.clone() }
    }
}

/// The result of selecting all songs.
pub(super) struct Selection<'a> {
    /// Songs in the store.
    pub(super) kept: Vec<(&'a Track, KeptSong)>,
    /// Songs and clip files that are left out.
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
            artist: CurrentArtist::default(),
            kept: Vec::with_capacity(tracks.len()),
            left_out: Vec::new(),
            clips: 0,
        }
    }

    /// The number of clips kept so far.
    pub(super) fn clips(&self) -> usize {
        self.clips
    }

    /// What earlier runs have decided about `track`. A kept track counts as undecided if the store lacks it.
    pub(super) fn resume_state(&self, track: &Track) -> ResumeState {
        match self.journal.decided(&track.id) {
            Some(Decision::Kept(_)) if !self.writer.has(&track.id) => ResumeState::Undecided,
            Some(Decision::Kept(kept)) if !kept.unusable_files.is_empty() => {
                let files = kept.unusable_files.iter().map(|(file, _)| file.clone());
                ResumeState::Incomplete(files.collect())
            }
            None => ResumeState::Undecided,
            Some(_) => ResumeState::Decided,
        }
    }

    /// Decides about the next track, by its audio or by the reason why it cannot be decoded; `None` repeats the
    /// decision of an earlier run.
    pub(super) fn select(
        &mut self,
        track: &'a Track,
        decoded: Option<Result<Song, Reason>>,
    ) -> Result<(), PrepareError> {
        match decoded {
            None => self.repeat_decision(track),
            Some(Ok(song)) => self.select_song(track, song),
            Some(Err(reason)) => self.leave_out(track, reason),
        }
    }

    /// Repeats the decision of an earlier run about `track`.
    fn repeat_decision(&mut self, track: &'a Track) -> Result<(), PrepareError> {
        self.set_artist(track);
        match self.journal.take(&track.id) {
            Some(Decision::Kept(kept)) => {
                self.artist.groups.insert(&track.song_group);
                self.clips += kept.clips;
                self.left_out.extend(unusable_files(&kept));
                self.kept.push((track, KeptSong::from(&*kept)));
                self.store_if_enough()
            }
            Some(Decision::LeftOut(reason)) => {
                self.left_out.push(LeftOut { path: track.id.clone(), reason: *reason });
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Leaves `track` out. Unreadable files are not recorded, so that the next run tries them again: a drive may be
    /// reconnected, a file repaired.
    fn leave_out(&mut self, track: &'a Track, reason: Reason) -> Result<(), PrepareError> {
        self.set_artist(track);
        if !matches!(reason, Reason::Unreadable { .. }) {
            self.record(track, Decision::LeftOut(Box::new(reason.clone())))?;
        }
        self.left_out.push(LeftOut { path: track.id.clone(), reason });
        Ok(())
    }

    /// Decides about a decoded song.
    fn select_song(&mut self, track: &'a Track, song: Song) -> Result<(), PrepareError> {
        self.set_artist(track);
        let clips = song.clips.len() / self.options.clip_samples;
        if let Some(Decision::Kept(kept)) = self.journal.decided(&track.id)
            && self.writer.has(&track.id)
        {
            // Decoded again for clip files that were unusable. If other files are missing now, their clips exist in the
            // store only, and the stored song is kept.
            let found = rows(track, &song, self.options.clip_samples);
            let is_found = |clip: &String| found.iter().any(|row| row.clip == *clip);
            if clips <= kept.clips || !self.stored_clips(track, &song).iter().all(is_found) {
                return self.repeat_decision(track);
            }
            self.artist.clips -= kept.clips;
        }
        if song.clips.is_empty() {
            // No clip file is usable. Not recorded, as for unreadable files.
            self.left_out.extend(song.unusable_files);
            return Ok(());
        }
        // Published sets of clip files are kept complete, with duplicates, so that results stay comparable.
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

    /// Stores the songs held back, once the artist has enough.
    fn store_if_enough(&mut self) -> Result<(), PrepareError> {
        if self.artist.groups.len() >= self.options.min_songs {
            for (track, song) in std::mem::take(&mut self.artist.held_back) {
                self.store(track, song)?;
            }
        }
        Ok(())
    }

    /// Returns the result; `finished` if all songs were selected.
    pub(super) fn end(mut self, finished: bool) -> Selection<'a> {
        if finished {
            self.end_artist();
        }
        Selection { kept: self.kept, left_out: self.left_out, writer: self.writer }
    }

    /// Makes `track`'s artist the current one.
    fn set_artist(&mut self, track: &'a Track) {
        if self.artist.name != track.artist {
            self.end_artist();
            let clips = self.kept_before.get(track.artist.as_str()).copied().unwrap_or(0);
            self.artist = CurrentArtist { name: &track.artist, clips, ..CurrentArtist::default() };
        }
    }

    /// Leaves out the songs that are still held back: their artist has too few. Not recorded in the journal, since it
    /// follows from the other decisions.
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
        let rows = rows(track, &song, length);
        // An earlier run may have stored it, completely (and was killed before recording it) or without some clips.
        let stored = self.stored_clips(track, &song);
        if !stored.iter().eq(rows.iter().map(|row| &row.clip)) {
            // The store quantises again, to the same values.
            let audio: Vec<f32> = song.clips.iter().map(|x| f32::from(*x) / 32_768.0).collect();
            if stored.is_empty() {
                self.writer.append_song(&rows, &audio)?;
            } else {
                let stored: Vec<&str> = stored.iter().map(String::as_str).collect();
                self.writer.replace_song(&stored, &rows, &audio)?;
            }
        }
        let in_clips = song.clips.len() + song.silent.len() * length;
        let silent = song.silent.into_iter();
        let is_plain = song.damage.is_none() && song.notes.is_empty();
        let remarks =
            (!is_plain).then(|| Box::new(Remarks { damage: song.damage, notes: song.notes }));
        let kept = Box::new(Kept {
            digest: song.digest,
            clips,
            dropped: song.samples.saturating_sub(in_clips),
            remarks,
            unusable_files: song
                .unusable_files
                .into_iter()
                .map(|file| (file.path, file.reason))
                .chain(silent.map(|clip| (clip_name(track, clip), Reason::SilentClip)))
                .collect(),
        });
        self.left_out.extend(unusable_files(&kept));
        let summary = KeptSong::from(&*kept);
        self.record(track, Decision::Kept(kept))?;
        self.kept.push((track, summary));
        Ok(())
    }

    /// The clips of `track` in the store.
    fn stored_clips(&self, track: &Track, song: &Song) -> Vec<String> {
        let is_stored = |clip: &String| self.writer.has_clip(clip);
        // The stored ones are not always those of `song`, whose file may have been another before.
        let clips = song.clips.len() / self.options.clip_samples + song.silent.len();
        if !self.writer.has(&track.id) {
            Vec::new()
        } else if track.clips.is_empty() {
            (0..)
                .map(|clip| (clip, clip_name(track, clip)))
                .take_while(|(clip, name)| *clip < clips || is_stored(name))
                .map(|(_, name)| name)
                .filter(is_stored)
                .collect()
        } else {
            track.clips.iter().map(|file| file.id.clone()).filter(is_stored).collect()
        }
    }

    fn record(&mut self, track: &Track, decision: Decision) -> Result<(), PrepareError> {
        Ok(self.journal.append(&track.id, decision)?)
    }
}

/// The silent clips and unusable clip files of a kept song.
fn unusable_files(kept: &Kept) -> impl Iterator<Item = LeftOut> {
    let left_out =
        |(path, reason): &(String, Reason)| LeftOut { path: path.clone(), reason: reason.clone() };
    kept.unusable_files.iter().map(left_out)
}

/// The name of a clip of a song that is one file.
fn clip_name(track: &Track, clip: usize) -> String {
    format!("{}#{clip}", track.id)
}

/// The rows of a song's clips; the store sets their positions.
fn rows(track: &Track, song: &Song, length: usize) -> Vec<ClipRow> {
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
        audio: None,
    };
    if track.clips.is_empty() {
        let clips = song.clips.len() / length + song.silent.len();
        return (0..clips)
            .filter(|clip| !song.silent.contains(clip))
            .map(|clip| row(clip_name(track, clip), &track.id, (clip * length) as u64))
            .collect();
    }
    let is_kept = |file: &&ClipFile| !song.unusable_files.iter().any(|other| other.path == file.id);
    let start =
        |file: &ClipFile| (file.start_seconds * f64::from(SampleRate::NETWORK.0)).round() as u64;
    track
        .clips
        .iter()
        .filter(is_kept)
        .map(|file| row(file.id.clone(), &file.id, start(file)))
        .collect()
}
