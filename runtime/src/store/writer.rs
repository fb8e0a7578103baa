//! Makes a data set folder, song by song.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions, TryLockError},
    io::{Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use super::{
    ClipRow, DatasetInfo, StoreError, files,
    journal::Journal,
    rows::{self, Counts, quantize},
};

/// 512 MiB: files that every file system, copy and upload takes.
const SHARD_SAMPLES: u64 = (512 << 20) / files::SAMPLE;

/// Writes a data set, and goes on where an earlier writer of the same folder was stopped or killed.
///
/// A song counts once [`append_song`](Self::append_song) has returned: its samples are then on disk and its clips in the
/// journal. The data set can be opened once [`finish`](Self::finish) has returned. Songs lie in the order in which they were appended;
/// the same songs in the same order give the same bytes.
#[derive(Debug)]
pub struct DatasetWriter {
    folder: PathBuf,
    info: DatasetInfo,
    journal: Journal,
    clips: Vec<ClipRow>,
    songs: HashSet<String>,
    names: HashSet<String>,
    shard_samples: u64,
    /// The shard under way and its length in samples.
    shard: u32,
    length: u64,
    file: Option<File>,
    /// Held as long as the writer lives.
    _lock: Lock,
}

impl DatasetWriter {
    /// Begins a data set in `folder`, which may not exist yet, or goes on with the one begun there.
    ///
    /// A finished data set of the same settings can be added to; readers see the old one until [`finish`](Self::finish).
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] where another writer is at work, [`StoreError::OtherSettings`] where the folder holds a data set
    /// of another name, source, rate or clip length, [`StoreError::ShortShard`] where recorded samples are gone, and the
    /// system's refusals.
    pub fn create_or_resume(folder: &Path, info: DatasetInfo) -> Result<Self, StoreError> {
        Self::with_shards_of(SHARD_SAMPLES, folder, info)
    }

    pub(super) fn with_shards_of(
        shard_samples: u64,
        folder: &Path,
        info: DatasetInfo,
    ) -> Result<Self, StoreError> {
        let info_path = folder.join(files::INFO);
        rows::check_info(&info).map_err(|reason| {
            let path = info_path.clone();
            StoreError::Malformed { path, line: None, reason }
        })?;
        let shards = folder.join(files::SHARDS);
        fs::create_dir_all(&shards).map_err(|source| files::unwritable(&shards, source))?;
        let lock = Lock::of(folder)?;
        let journal_path = folder.join(files::JOURNAL);
        let mut known = Vec::new();
        if info_path.is_file() && !journal_path.is_file() {
            let text = fs::read_to_string(&info_path)
                .map_err(|source| files::unreadable(&info_path, source))?;
            rows::parse_info(&info_path, &text)?.0.check_same(&info, folder)?;
            known = rows::read_clips(&folder.join(files::CLIPS), &info)?;
        }
        let (journal, clips) = Journal::open(folder, &info, &known)?;
        rows::check_order(&clips).map_err(|reason| StoreError::Malformed {
            path: journal_path,
            line: None,
            reason,
        })?;
        let (shard, length) =
            clips.last().map_or((0, 0), |row| (row.shard, row.offset + row.samples));
        check_shards(folder, &clips)?;
        Ok(Self {
            folder: folder.to_path_buf(),
            info,
            journal,
            songs: clips.iter().map(|row| row.song.clone()).collect(),
            names: clips.iter().map(|row| row.clip.clone()).collect(),
            clips,
            shard_samples,
            shard,
            length,
            file: None,
            _lock: lock,
        })
    }

    /// Whether a song is stored already.
    pub fn has(&self, song: &str) -> bool {
        self.songs.contains(song)
    }

    /// The clips stored so far.
    pub fn clips(&self) -> &[ClipRow] {
        &self.clips
    }

    /// Stores a song: its clips' rows and, end to end in `audio`, their samples (full scale 1).
    ///
    /// `shard` and `offset` of the rows are set here. When this returns, the song survives a power cut.
    ///
    /// # Errors
    ///
    /// [`StoreError::BadSong`] where rows and samples disagree or a name is taken; [`StoreError::Unwritable`] where the system
    /// refuses, in which case the song does not count and may be tried again.
    pub fn append_song(&mut self, rows: &[ClipRow], audio: &[f32]) -> Result<(), StoreError> {
        self.check_song(rows, audio)?;
        let before = (self.shard, self.length);
        let stored = self.store(rows, audio);
        if stored.is_err() {
            // Samples beyond the journal are overwritten by the next song.
            (self.shard, self.length) = before;
            self.file = None;
        }
        stored
    }

    /// Completes the data set; from here on it can be opened. The journal disappears.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unwritable`] where the system refuses; creating the writer again goes on from there.
    pub fn finish(self) -> Result<(), StoreError> {
        self.cut_tail()?;
        let clips = self.folder.join(files::CLIPS);
        files::replace(&clips, &rows::render_clips(&clips, &self.clips)?)?;
        let text = rows::render_info(&self.info, Counts::of(&self.clips));
        // Last, because its presence says that all else is there.
        files::replace(&self.folder.join(files::INFO), text.as_bytes())?;
        self.journal.remove()
    }

    fn check_song(&self, rows: &[ClipRow], audio: &[f32]) -> Result<(), StoreError> {
        let song = rows.first().map(|row| row.song.clone()).unwrap_or_default();
        let bad = |reason: String| Err(StoreError::BadSong { song: song.clone(), reason });
        if rows.is_empty() {
            return bad("it has no clips".to_owned());
        }
        if self.has(&song) {
            return bad("it is stored already".to_owned());
        }
        let mut names = HashSet::new();
        let mut samples = 0u64;
        for row in rows {
            if let Err(reason) =
                rows::check_row(&ClipRow { shard: 0, offset: 0, ..row.clone() }, &self.info)
            {
                return bad(format!("clip `{}`: {reason}", row.clip));
            }
            if row.song != song {
                return bad(format!("clip `{}` is of song `{}`", row.clip, row.song));
            }
            if self.names.contains(&row.clip) || !names.insert(&row.clip) {
                return bad(format!("the clip name `{}` is taken", row.clip));
            }
            samples = samples.saturating_add(row.samples);
        }
        if samples != audio.len() as u64 {
            return bad(format!("its clips have {samples} samples, {} were given", audio.len()));
        }
        Ok(())
    }

    fn store(&mut self, rows: &[ClipRow], audio: &[f32]) -> Result<(), StoreError> {
        let mut stored = Vec::with_capacity(rows.len());
        let mut rest = audio;
        for row in rows {
            // Lengths were checked together with the sum of them.
            let length = usize::try_from(row.samples).unwrap_or(usize::MAX);
            let (samples, tail) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            rest = tail;
            if self.length > 0 && self.length + row.samples > self.shard_samples {
                self.close_shard()?;
                self.shard += 1;
                self.length = 0;
            }
            stored.push(ClipRow { shard: self.shard, offset: self.length, ..row.clone() });
            self.write(samples)?;
            self.length += row.samples;
        }
        let path = files::shard(&self.folder, self.shard);
        if let Some(file) = &self.file {
            file.sync_data().map_err(|source| files::unwritable(&path, source))?;
        }
        self.journal.note(&stored)?;
        self.songs.extend(stored.first().map(|row| row.song.clone()));
        self.names.extend(stored.iter().map(|row| row.clip.clone()));
        self.clips.append(&mut stored);
        Ok(())
    }

    /// Writes samples at the end of the shard under way.
    fn write(&mut self, samples: &[f32]) -> Result<(), StoreError> {
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
                files::settle(&self.folder.join(files::SHARDS));
                empty.insert(file)
            }
        };
        let bytes: Vec<u8> =
            samples.iter().flat_map(|&sample| quantize(sample).to_le_bytes()).collect();
        file.seek(SeekFrom::Start(self.length * files::SAMPLE)).map_err(unwritable)?;
        file.write_all(&bytes).map_err(unwritable)
    }

    /// Leaves a full shard without whatever a killed writer left behind its end.
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

    /// Cuts every shard to the samples recorded in it, and removes shards that hold none.
    fn cut_tail(&self) -> Result<(), StoreError> {
        for (shard, needed) in shard_lengths(&self.clips).into_iter().enumerate() {
            let path = files::shard(&self.folder, u32::try_from(shard).unwrap_or(u32::MAX));
            let cut = || {
                let file = OpenOptions::new().write(true).open(&path)?;
                if file.metadata()?.len() > needed * files::SAMPLE {
                    file.set_len(needed * files::SAMPLE)?;
                }
                file.sync_all()
            };
            cut().map_err(|source| files::unwritable(&path, source))?;
        }
        let mut surplus = if self.clips.is_empty() { 0 } else { self.shard + 1 };
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

/// Keeps other writers out of a folder, in other processes too.
#[derive(Debug)]
struct Lock(File);

impl Lock {
    fn of(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(files::LOCK);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|source| files::unwritable(&path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: folder.to_path_buf() }),
            Err(TryLockError::Error(source)) => Err(files::unwritable(&path, source)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would leave it locked as long as a child process, forked meanwhile, holds the file too.
        let _ = self.0.unlock();
    }
}

/// Samples recorded in each shard, in order.
pub(super) fn shard_lengths(clips: &[ClipRow]) -> Vec<u64> {
    let mut lengths: Vec<u64> = Vec::new();
    for row in clips {
        let shard = row.shard as usize;
        // Shards are numbered as they fill, so one more than there are clips cannot be.
        if shard >= lengths.len() && shard < clips.len() {
            lengths.resize(shard + 1, 0);
        }
        if let Some(length) = lengths.get_mut(shard) {
            *length = (*length).max(row.offset.saturating_add(row.samples));
        }
    }
    lengths
}

/// Makes sure that the samples of `clips` are there.
pub(super) fn check_shards(folder: &Path, clips: &[ClipRow]) -> Result<(), StoreError> {
    for (shard, needed) in shard_lengths(clips).into_iter().enumerate() {
        let path = files::shard(folder, u32::try_from(shard).unwrap_or(u32::MAX));
        let metadata = fs::metadata(&path).map_err(|source| files::unreadable(&path, source))?;
        let found = metadata.len() / files::SAMPLE;
        if found < needed {
            return Err(StoreError::ShortShard { path, found, needed });
        }
    }
    Ok(())
}
