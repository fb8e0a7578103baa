//! Writes a data set folder, song by song.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File, OpenOptions},
    io::{Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use super::clips_file::{self, ClipsFile};
use super::error::StoreError;
use super::files;
use super::info::{self, DatasetCounts, DatasetInfo};
use super::journal::Journal;
use super::layout::Layout;
use super::pcm::quantize;
use super::row::ClipRow;
use super::sample_digest::SampleDigest;
use crate::digest::NameDigest;
use crate::fs::{Lock, replace, sync_folder};

/// 512 MiB, a size that all file systems and most upload services accept.
const SHARD_SAMPLES: u64 = (512 << 20) / files::SAMPLE;

/// Writes a data set, or resumes one whose writer was stopped or killed.
///
/// A song is stored once [`append_song`](Self::append_song) has returned: its samples are on disk and its clips in the
/// journal. The data set can be opened once [`finish`](Self::finish) has returned. Songs keep the order in which they
/// were appended; the same songs in the same order give the same bytes.
///
/// Rows are kept in the journal only; the writer holds 16 bytes per name, some 60 MB for a million clips.
#[derive(Debug)]
pub struct DatasetWriter {
    folder: PathBuf,
    info: DatasetInfo,
    journal: Journal,
    /// Stored songs, each with the combined digest of its clips' names.
    songs: HashMap<NameDigest, u64>,
    /// Names of stored clips.
    names: HashSet<NameDigest>,
    /// How often each song was replaced: so many of its records in the journal are obsolete.
    replaced: HashMap<NameDigest, usize>,
    shard_samples: u64,
    /// The layout of the clips in the journal.
    layout: Layout,
    /// The current shard and its length in samples, including those of a song that is not in the journal yet.
    shard: u32,
    length: u64,
    file: Option<File>,
    /// Held until the writer is dropped.
    _lock: Lock,
}

impl DatasetWriter {
    /// Creates a data set in `folder`, which need not exist, or resumes the one there.
    ///
    /// Songs can be added to a finished data set with the same settings; readers see the old one until
    /// [`finish`](Self::finish).
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] while another process writes the folder, [`StoreError::OtherSettings`] where its data set
    /// has another name, source, rate or clip length, [`StoreError::ShortShard`] where recorded samples are missing,
    /// [`StoreError::Malformed`] where `info` or a file is invalid, and I/O errors.
    pub fn create_or_resume(folder: &Path, info: DatasetInfo) -> Result<Self, StoreError> {
        Self::with_shards_of(SHARD_SAMPLES, folder, info)
    }

    pub(super) fn with_shards_of(
        shard_samples: u64,
        folder: &Path,
        info: DatasetInfo,
    ) -> Result<Self, StoreError> {
        let info_path = folder.join(files::INFO);
        info::check_info(&info).map_err(|reason| {
            let path = info_path.clone();
            StoreError::Malformed { path, line: None, reason }
        })?;
        let shards = folder.join(files::SHARDS);
        fs::create_dir_all(&shards).map_err(|source| files::unwritable(&shards, source))?;
        let lock_path = folder.join(files::LOCK);
        let lock = Lock::take(&lock_path)
            .map_err(|source| files::unwritable(&lock_path, source))?
            .ok_or_else(|| StoreError::Locked { path: folder.to_path_buf() })?;
        let journal_path = folder.join(files::JOURNAL);
        let mut known = None;
        if info_path.is_file() && !journal_path.is_file() {
            let text = fs::read_to_string(&info_path)
                .map_err(|source| files::unreadable(&info_path, source))?;
            info::parse_info(&info_path, &text)?.0.check_same(&info, folder)?;
            known = Some(clips_file::read_clips(&folder.join(files::CLIPS), &info)?);
        }
        let (mut songs, mut names) = (HashMap::new(), HashSet::new());
        let mut layout = Layout::default();
        let mut replaced = HashMap::new();
        let mut check = |old_clips: &[String], song: &[ClipRow]| {
            let malformed = |reason| {
                let path = journal_path.clone();
                StoreError::Malformed { path, line: None, reason }
            };
            if let (Some(row), false) = (song.first(), old_clips.is_empty()) {
                *replaced.entry(NameDigest::of(&row.song)).or_insert(0) += 1;
                songs.remove(&NameDigest::of(&row.song));
                for clip in old_clips {
                    names.remove(&NameDigest::of(clip));
                }
            }
            for row in song {
                layout.check_and_add(&row.view()).map_err(malformed)?;
                if !names.insert(NameDigest::of(&row.clip)) {
                    return Err(malformed(format!("clip `{}` appears twice", row.clip)));
                }
            }
            match song.first() {
                Some(row)
                    if songs.insert(NameDigest::of(&row.song), clips_digest(song)).is_some() =>
                {
                    Err(malformed(format!("song `{}` appears in two places", row.song)))
                }
                _ => Ok(()),
            }
        };
        let journal = Journal::open(folder, &info, known, &mut check)?;
        layout.check_shards(folder)?;
        let (shard, length) = layout.end();
        Ok(Self {
            folder: folder.to_path_buf(),
            info,
            journal,
            songs,
            names,
            replaced,
            shard_samples,
            layout,
            shard,
            length,
            file: None,
            _lock: lock,
        })
    }

    /// Whether a song is stored.
    pub fn has(&self, song: &str) -> bool {
        self.songs.contains_key(&NameDigest::of(song))
    }

    /// Whether a clip is stored.
    pub fn has_clip(&self, clip: &str) -> bool {
        self.names.contains(&NameDigest::of(clip))
    }

    /// The number of stored songs.
    pub fn songs(&self) -> usize {
        self.songs.len()
    }

    /// The number of stored clips.
    pub fn clips(&self) -> usize {
        self.names.len()
    }

    /// Stores a song: the rows of its clips and their samples, concatenated in `audio` (mono, full scale ±1).
    ///
    /// `shard`, `offset` and `audio` of the rows are ignored and set here. Once this returns, the song survives a power cut.
    ///
    /// # Errors
    ///
    /// [`StoreError::BadSong`] where rows and samples are inconsistent or a name is taken; [`StoreError::Unwritable`]
    /// for I/O errors: the song is then not stored and may be appended again.
    pub fn append_song(&mut self, rows: &[ClipRow], audio: &[f32]) -> Result<(), StoreError> {
        self.put_song(&[], rows, audio)
    }

    /// Replaces a stored song, whose clips are `old_clips`, by one with other clips, which is stored at the end.
    ///
    /// The old samples stay in the shards, since readers of a finished data set use them until
    /// [`finish`](Self::finish); after it no row refers to them.
    ///
    /// # Errors
    ///
    /// As [`append_song`](Self::append_song), and [`StoreError::BadSong`] for a song whose stored clips are not exactly
    /// `old_clips`.
    pub fn replace_song(
        &mut self,
        old_clips: &[&str],
        rows: &[ClipRow],
        audio: &[f32],
    ) -> Result<(), StoreError> {
        let song = rows.first().map(|row| row.song.clone()).unwrap_or_default();
        let distinct: HashSet<NameDigest> =
            old_clips.iter().map(|clip| NameDigest::of(clip)).collect();
        let stored = self.songs.get(&NameDigest::of(&song));
        if stored.is_none_or(|clips| *clips != combined(distinct.iter().copied())) {
            let reason = format!("it is not stored with exactly {}", old_clips.join(", "));
            return Err(StoreError::BadSong { song, reason });
        }
        self.put_song(old_clips, rows, audio)
    }

    fn put_song(
        &mut self,
        old_clips: &[&str],
        rows: &[ClipRow],
        audio: &[f32],
    ) -> Result<(), StoreError> {
        self.check_song(old_clips, rows, audio)?;
        let before = (self.shard, self.length);
        let stored = self.store(old_clips, rows, audio);
        if stored.is_err() {
            // The next song overwrites samples that are not in the journal.
            (self.shard, self.length) = before;
            self.file = None;
        }
        stored
    }

    /// Completes the data set, which can be opened from now on, and deletes the journal.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unwritable`] for I/O errors; [`create_or_resume`](Self::create_or_resume) resumes from there.
    pub fn finish(self) -> Result<(), StoreError> {
        self.truncate_shards()?;
        let clips = self.folder.join(files::CLIPS);
        let mut counts = DatasetCounts::default();
        let mut artists: HashSet<String> = HashSet::new();
        files::replace_with(&clips, |out| {
            let mut file = ClipsFile::new(&clips, out);
            // Only the last record of a replaced song is current.
            let mut replaced = self.replaced.clone();
            self.journal.songs(&mut |_, song| {
                let obsolete =
                    song.first().and_then(|row| replaced.get_mut(&NameDigest::of(&row.song)));
                if let Some(records) = obsolete.filter(|records| **records > 0) {
                    *records -= 1;
                    return Ok(());
                }
                counts.songs += 1;
                counts.clips += song.len();
                for row in song {
                    if !artists.contains(&row.artist) {
                        artists.insert(row.artist.clone());
                    }
                    file.row(&row.view())?;
                }
                Ok(())
            })?;
            if (counts.songs, counts.clips) != (self.songs(), self.clips()) {
                let reason = "it changed while the data set was written; prepare it again";
                let path = self.folder.join(files::JOURNAL);
                return Err(StoreError::Malformed { path, line: None, reason: reason.to_owned() });
            }
            file.end()
        })?;
        counts.artists = artists.len();
        let text = info::render_info(&self.info, counts);
        // Last, because its existence marks the data set as finished.
        let info_path = self.folder.join(files::INFO);
        replace(&info_path, text.as_bytes())
            .map_err(|source| files::unwritable(&info_path, source))?;
        self.journal.remove()
    }

    fn check_song(
        &self,
        old_clips: &[&str],
        rows: &[ClipRow],
        audio: &[f32],
    ) -> Result<(), StoreError> {
        let song = rows.first().map(|row| row.song.clone()).unwrap_or_default();
        let bad = |reason: String| Err(StoreError::BadSong { song: song.clone(), reason });
        if rows.is_empty() {
            return bad("it has no clips".to_owned());
        }
        if old_clips.is_empty() && self.has(&song) {
            return bad("it is stored already".to_owned());
        }
        let mut names = HashSet::new();
        let mut samples = 0u64;
        for row in rows {
            if let Err(reason) =
                clips_file::check_row(&ClipRow { shard: 0, offset: 0, ..row.view() }, &self.info)
            {
                return bad(format!("clip `{}`: {reason}", row.clip));
            }
            if row.song != song {
                return bad(format!("clip `{}` is of song `{}`", row.clip, row.song));
            }
            let is_taken = self.names.contains(&NameDigest::of(&row.clip))
                && !old_clips.contains(&row.clip.as_str());
            if is_taken || !names.insert(&row.clip) {
                return bad(format!("the clip name `{}` is taken", row.clip));
            }
            samples = samples.saturating_add(row.samples);
        }
        if samples != audio.len() as u64 {
            return bad(format!("its clips have {samples} samples, {} were given", audio.len()));
        }
        Ok(())
    }

    fn store(
        &mut self,
        old_clips: &[&str],
        rows: &[ClipRow],
        audio: &[f32],
    ) -> Result<(), StoreError> {
        let mut stored = Vec::with_capacity(rows.len());
        let mut rest = audio;
        for row in rows {
            // `check_song` has compared the sum of the lengths with that of `audio`.
            let length = usize::try_from(row.samples).unwrap_or(usize::MAX);
            let (samples, tail) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            rest = tail;
            if self.length > 0 && self.length + row.samples > self.shard_samples {
                self.close_shard()?;
                self.shard += 1;
                self.length = 0;
            }
            let bytes: Vec<u8> =
                samples.iter().flat_map(|&sample| quantize(sample).to_le_bytes()).collect();
            stored.push(ClipRow {
                shard: self.shard,
                offset: self.length,
                audio: Some(SampleDigest::of(&bytes)),
                ..row.clone()
            });
            self.write(&bytes)?;
            self.length += row.samples;
        }
        let path = files::shard(&self.folder, self.shard);
        if let Some(file) = &self.file {
            file.sync_data().map_err(|source| files::unwritable(&path, source))?;
        }
        self.journal.append(old_clips, &stored)?;
        if let (Some(row), false) = (stored.first(), old_clips.is_empty()) {
            *self.replaced.entry(NameDigest::of(&row.song)).or_insert(0) += 1;
            for clip in old_clips {
                self.names.remove(&NameDigest::of(clip));
            }
        }
        self.songs
            .extend(stored.first().map(|row| (NameDigest::of(&row.song), clips_digest(&stored))));
        self.names.extend(stored.iter().map(|row| NameDigest::of(&row.clip)));
        for row in &stored {
            self.layout.add(row.shard, row.offset + row.samples);
        }
        Ok(())
    }

    /// Writes samples at the end of the current shard.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let path = files::shard(&self.folder, self.shard);
        let unwritable = |source| files::unwritable(&path, source);
        let file = match &mut self.file {
            Some(file) => file,
            empty => {
                let file = OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .open(&path)
                    .map_err(unwritable)?;
                sync_folder(&self.folder.join(files::SHARDS));
                empty.insert(file)
            }
        };
        file.seek(SeekFrom::Start(self.length * files::SAMPLE)).map_err(unwritable)?;
        file.write_all(bytes).map_err(unwritable)
    }

    /// Closes a full shard, and truncates what a killed writer has left after its end.
    fn close_shard(&mut self) -> Result<(), StoreError> {
        let path = files::shard(&self.folder, self.shard);
        if let Some(file) = self.file.take() {
            let close = || {
                file.set_len(self.length * files::SAMPLE)?;
                file.sync_all()
            };
            close().map_err(|source| files::unwritable(&path, source))?;
        }
        Ok(())
    }

    /// Truncates each shard to its recorded samples and deletes shards without any.
    fn truncate_shards(&self) -> Result<(), StoreError> {
        for (shard, needed) in self.layout.shards() {
            let path = files::shard(&self.folder, shard);
            let cut = || {
                let file = OpenOptions::new().write(true).open(&path)?;
                if file.metadata()?.len() > needed * files::SAMPLE {
                    file.set_len(needed * files::SAMPLE)?;
                }
                file.sync_all()
            };
            cut().map_err(|source| files::unwritable(&path, source))?;
        }
        let mut surplus = if self.names.is_empty() { 0 } else { self.shard + 1 };
        loop {
            let path = files::shard(&self.folder, surplus);
            if !path.exists() {
                return Ok(());
            }
            fs::remove_file(&path).map_err(|source| files::unwritable(&path, source))?;
            surplus += 1;
        }
    }
}

/// A digest of the names of a song's clips, independent of their order.
fn clips_digest(rows: &[ClipRow]) -> u64 {
    combined(rows.iter().map(|row| NameDigest::of(&row.clip)))
}

/// Combines the digests of distinct names, independent of their order.
fn combined(digests: impl Iterator<Item = NameDigest>) -> u64 {
    digests.fold(0, |sum, digest| sum ^ digest.low())
}
