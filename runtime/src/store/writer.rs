//! Makes a data set folder, song by song.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::{self, File, OpenOptions, TryLockError},
    io::{Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

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
///
/// The journal holds the rows, the writer 16 bytes a name: a million clips and their songs are some 60 MB.
#[derive(Debug)]
pub struct DatasetWriter {
    folder: PathBuf,
    info: DatasetInfo,
    journal: Journal,
    /// Each with what its clips' names come to.
    songs: HashMap<Print, u64>,
    names: HashSet<Print>,
    /// How often songs were stored before they were stored anew.
    gone: HashMap<Print, usize>,
    shard_samples: u64,
    /// What is in the journal.
    layout: Layout,
    /// The shard under way and its length in samples, those of a song that is not in the journal yet among them.
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
        let mut known = None;
        if info_path.is_file() && !journal_path.is_file() {
            let text = fs::read_to_string(&info_path)
                .map_err(|source| files::unreadable(&info_path, source))?;
            rows::parse_info(&info_path, &text)?.0.check_same(&info, folder)?;
            known = Some(rows::read_clips(&folder.join(files::CLIPS), &info)?);
        }
        let (mut songs, mut names) = (HashMap::new(), HashSet::new());
        let mut layout = Layout::default();
        let mut gone = HashMap::new();
        let mut heed = |before: &[String], song: &[ClipRow]| {
            let wrong = |reason| {
                let path = journal_path.clone();
                StoreError::Malformed { path, line: None, reason }
            };
            if let (Some(row), false) = (song.first(), before.is_empty()) {
                *gone.entry(print(&row.song)).or_insert(0) += 1;
                songs.remove(&print(&row.song));
                for clip in before {
                    names.remove(&print(clip));
                }
            }
            for row in song {
                layout.follow(&row.view()).map_err(wrong)?;
                if !names.insert(print(&row.clip)) {
                    return Err(wrong(format!("clip `{}` appears twice", row.clip)));
                }
            }
            match song.first() {
                Some(row) if songs.insert(print(&row.song), of_clips(song)).is_some() => {
                    Err(wrong(format!("song `{}` appears in two places", row.song)))
                }
                _ => Ok(()),
            }
        };
        let journal = Journal::open(folder, &info, known, &mut heed)?;
        layout.check_shards(folder)?;
        let (shard, length) = layout.end();
        Ok(Self {
            folder: folder.to_path_buf(),
            info,
            journal,
            songs,
            names,
            gone,
            shard_samples,
            layout,
            shard,
            length,
            file: None,
            _lock: lock,
        })
    }

    /// Whether a song is stored already.
    pub fn has(&self, song: &str) -> bool {
        self.songs.contains_key(&print(song))
    }

    /// Whether a clip is stored already.
    pub fn has_clip(&self, clip: &str) -> bool {
        self.names.contains(&print(clip))
    }

    /// How many songs are stored so far.
    pub fn songs(&self) -> usize {
        self.songs.len()
    }

    /// How many clips are stored so far.
    pub fn clips(&self) -> usize {
        self.names.len()
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
        self.put_song(&[], rows, audio)
    }

    /// Stores a song anew, at the end, with more clips than before or other ones; `gone` names those that it has now.
    ///
    /// The old samples stay where they are, since readers of a finished data set see them until [`finish`](Self::finish); nothing is of them then.
    ///
    /// # Errors
    ///
    /// As [`append_song`](Self::append_song), and [`StoreError::BadSong`] for a song that is not stored with exactly the clips of `gone`.
    pub fn replace_song(
        &mut self,
        gone: &[&str],
        rows: &[ClipRow],
        audio: &[f32],
    ) -> Result<(), StoreError> {
        let song = rows.first().map(|row| row.song.clone()).unwrap_or_default();
        let distinct: HashSet<Print> = gone.iter().map(|clip| print(clip)).collect();
        let stored = self.songs.get(&print(&song));
        if stored.is_none_or(|clips| *clips != joined(distinct.iter().copied())) {
            let reason = format!("it is not stored with exactly {}", gone.join(", "));
            return Err(StoreError::BadSong { song, reason });
        }
        self.put_song(gone, rows, audio)
    }

    fn put_song(
        &mut self,
        gone: &[&str],
        rows: &[ClipRow],
        audio: &[f32],
    ) -> Result<(), StoreError> {
        self.check_song(gone, rows, audio)?;
        let before = (self.shard, self.length);
        let stored = self.store(gone, rows, audio);
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
        let mut counts = Counts::default();
        let mut artists: HashSet<String> = HashSet::new();
        files::replace_with(&clips, |out| {
            let mut file = rows::ClipsFile::new(&clips, out);
            // Of a song that was stored anew only the last time counts.
            let mut gone = self.gone.clone();
            self.journal.songs(&mut |_, song| {
                let again = song.first().and_then(|row| gone.get_mut(&print(&row.song)));
                if let Some(times) = again.filter(|times| **times > 0) {
                    *times -= 1;
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
                let reason =
                    "it was changed while the data set was being written; prepare it again";
                let path = self.folder.join(files::JOURNAL);
                return Err(StoreError::Malformed { path, line: None, reason: reason.to_owned() });
            }
            file.end()
        })?;
        counts.artists = artists.len();
        let text = rows::render_info(&self.info, counts);
        // Last, because its presence says that all else is there.
        files::replace(&self.folder.join(files::INFO), text.as_bytes())?;
        self.journal.remove()
    }

    fn check_song(&self, gone: &[&str], rows: &[ClipRow], audio: &[f32]) -> Result<(), StoreError> {
        let song = rows.first().map(|row| row.song.clone()).unwrap_or_default();
        let bad = |reason: String| Err(StoreError::BadSong { song: song.clone(), reason });
        if rows.is_empty() {
            return bad("it has no clips".to_owned());
        }
        if gone.is_empty() && self.has(&song) {
            return bad("it is stored already".to_owned());
        }
        let mut names = HashSet::new();
        let mut samples = 0u64;
        for row in rows {
            if let Err(reason) =
                rows::check_row(&ClipRow { shard: 0, offset: 0, ..row.view() }, &self.info)
            {
                return bad(format!("clip `{}`: {reason}", row.clip));
            }
            if row.song != song {
                return bad(format!("clip `{}` is of song `{}`", row.clip, row.song));
            }
            let is_taken =
                self.names.contains(&print(&row.clip)) && !gone.contains(&row.clip.as_str());
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

    fn store(&mut self, gone: &[&str], rows: &[ClipRow], audio: &[f32]) -> Result<(), StoreError> {
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
        self.journal.note(gone, &stored)?;
        if let (Some(row), false) = (stored.first(), gone.is_empty()) {
            *self.gone.entry(print(&row.song)).or_insert(0) += 1;
            for clip in gone {
                self.names.remove(&print(clip));
            }
        }
        self.songs.extend(stored.first().map(|row| (print(&row.song), of_clips(&stored))));
        self.names.extend(stored.iter().map(|row| print(&row.clip)));
        for row in &stored {
            self.layout.take(row.shard, row.offset + row.samples);
        }
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

/// By what a name is known: half of its SHA-256 tells any two apart.
type Print = [u8; 16];

fn print(name: &str) -> Print {
    let digest = Sha256::digest(name);
    digest.first_chunk().copied().unwrap_or_default()
}

/// What a song's clips come to, in any order.
fn of_clips(rows: &[ClipRow]) -> u64 {
    joined(rows.iter().map(|row| print(&row.clip)))
}

/// Prints of distinct names as one: of other names it would be another.
fn joined(prints: impl Iterator<Item = Print>) -> u64 {
    let half = |print: Print| print.first_chunk().copied().map_or(0, u64::from_le_bytes);
    prints.fold(0, |sum, print| sum ^ half(print))
}

/// Shards that a data set may have: as many as have names of five digits, 50 TB.
const MOST_SHARDS: u32 = 100_000;

/// How many samples are recorded in each shard.
#[derive(Debug, Default)]
pub(super) struct Layout {
    lengths: BTreeMap<u32, u64>,
}

impl Layout {
    /// Takes in the next row. Clips must follow each other through the shards as they were written: then none overlap. Between them may lie
    /// what was stored anew elsewhere.
    pub(super) fn follow(&mut self, row: &ClipRow<&str>) -> Result<(), String> {
        if (row.shard, row.offset) < self.end() {
            return Err(format!(
                "clip `{}` does not lie after the end of the clip before it",
                row.clip
            ));
        }
        if row.shard >= MOST_SHARDS {
            return Err(format!(
                "clip `{}` lies in a shard {} that cannot be",
                row.clip, row.shard
            ));
        }
        self.take(row.shard, row.offset.saturating_add(row.samples));
        Ok(())
    }

    /// A clip of the last shard or of a later one ends here.
    fn take(&mut self, shard: u32, end: u64) {
        self.lengths.insert(shard, end);
    }

    /// The last shard and its length.
    fn end(&self) -> (u32, u64) {
        self.lengths.last_key_value().map_or((0, 0), |(shard, length)| (*shard, *length))
    }

    fn shards(&self) -> impl Iterator<Item = (u32, u64)> {
        self.lengths.iter().map(|(shard, length)| (*shard, *length))
    }

    /// Makes sure that the samples are there.
    pub(super) fn check_shards(&self, folder: &Path) -> Result<(), StoreError> {
        for (shard, needed) in self.shards() {
            let path = files::shard(folder, shard);
            let metadata =
                fs::metadata(&path).map_err(|source| files::unreadable(&path, source))?;
            let found = metadata.len() / files::SAMPLE;
            if found < needed {
                return Err(StoreError::ShortShard { path, found, needed });
            }
        }
        Ok(())
    }
}
