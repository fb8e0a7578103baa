//! Reads a data set folder.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use super::clips::Clips;
use super::error::StoreError;
use super::info::{self, DatasetCounts, DatasetInfo};
use super::layout::Layout;
use super::sample_digest::SampleDigest;
use super::shards::ShardReader;
use super::split::{self, Part};
use super::{clips_file, files};

/// A finished data set, validated when it is opened. Any number of threads may read from it at once.
#[derive(Debug)]
pub struct Dataset {
    folder: PathBuf,
    info: DatasetInfo,
    clips: Clips,
    artists: Vec<String>,
    shards: ShardReader,
}

impl Dataset {
    /// Opens the data set in `folder` and checks its version, every row, that names are unique, that `clips.csv` is
    /// complete, that clips do not overlap, and that the shards are as long as the rows require.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotADataset`] or [`StoreError::Unfinished`] without a `dataset.toml`; [`StoreError::Version`],
    /// [`StoreError::Malformed`], [`StoreError::ShortShard`] or [`StoreError::Unreadable`] with the file concerned.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let info_path = folder.join(files::INFO);
        let text = match fs::read_to_string(&info_path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let path = folder.to_path_buf();
                return Err(match folder.join(files::JOURNAL).is_file() {
                    true => StoreError::Unfinished { path },
                    false => StoreError::NotADataset { path },
                });
            }
            Err(source) => return Err(files::unreadable(&info_path, source)),
        };
        let (info, expected) = info::parse_info(&info_path, &text)?;
        let clips_path = folder.join(files::CLIPS);
        let clips = clips_file::read_clips(&clips_path, &info)?;
        let malformed =
            |reason| StoreError::Malformed { path: clips_path.clone(), line: None, reason };
        let found = DatasetCounts::of(&clips);
        if found != expected {
            // A writer that added songs was killed between the two files; the journal has all rows.
            if folder.join(files::JOURNAL).is_file() {
                return Err(StoreError::Unfinished { path: folder.to_path_buf() });
            }
            return Err(malformed(format!(
                "{} clips, {} songs, {} artists; {} has {}, {}, {}",
                found.clips,
                found.songs,
                found.artists,
                files::INFO,
                expected.clips,
                expected.songs,
                expected.artists
            )));
        }
        let mut layout = Layout::default();
        for row in clips.iter() {
            layout.check_and_add(&row).map_err(malformed)?;
        }
        layout.check_shards(folder)?;
        let artists: BTreeSet<&str> = clips.iter().map(|row| row.artist).collect();
        let artists = artists.into_iter().map(str::to_owned).collect();
        let shards = ShardReader::new(folder);
        Ok(Self { folder: folder.to_path_buf(), info, clips, artists, shards })
    }

    /// The description.
    pub fn info(&self) -> &DatasetInfo {
        &self.info
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All clips, in the order of `clips.csv`; the clips of a song are consecutive.
    pub fn clips(&self) -> &Clips {
        &self.clips
    }

    /// The distinct artists, sorted by their bytes. A class is an index into this list.
    pub fn artists(&self) -> &[String] {
        &self.artists
    }

    /// Fills `out` with samples of a clip (an index into [`clips`](Self::clips)), from its sample `start`; full scale
    /// is ±1.
    ///
    /// # Errors
    ///
    /// [`StoreError::OutOfClip`] where the clip is shorter; [`StoreError::Unreadable`] for I/O errors.
    pub fn read(&self, clip: usize, start: u64, out: &mut [f32]) -> Result<(), StoreError> {
        let bytes = self.bytes(clip, start, out.len())?;
        for (sample, pair) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *sample = f32::from(i16::from_le_bytes(*pair)) / 32_768.0;
        }
        Ok(())
    }

    /// The same as the 16-bit integers that are stored, ±32,768 at full scale.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_pcm(&self, clip: usize, start: u64, out: &mut [i16]) -> Result<(), StoreError> {
        let bytes = self.bytes(clip, start, out.len())?;
        for (sample, pair) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *sample = i16::from_le_bytes(*pair);
        }
        Ok(())
    }

    /// Whether a clip's samples are those that were stored; nothing where it has no digest.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn is_intact(&self, clip: usize) -> Result<Option<bool>, StoreError> {
        let Some(row) = self.clips.get(clip) else { return Ok(None) };
        let Some(stored) = row.audio else { return Ok(None) };
        // As long as `clip_samples` at most, which a reader keeps in memory anyway.
        let bytes = self.bytes(clip, 0, usize::try_from(row.samples).unwrap_or(usize::MAX))?;
        Ok(Some(SampleDigest::of(&bytes) == stored))
    }

    /// The bytes of `length` samples from `start` on.
    fn bytes(&self, clip: usize, start: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        let row = self.clips.get(clip);
        let samples = row.map_or(0, |row| row.samples);
        let within = start.checked_add(length as u64).is_some_and(|end| end <= samples);
        let (Some(row), true) = (row, within) else {
            let path = self.folder.clone();
            return Err(StoreError::OutOfClip { path, clip, start, length, samples });
        };
        let mut bytes = vec![0; length * files::SAMPLE as usize];
        let position = (row.offset + start) * files::SAMPLE;
        self.shards.read(row.shard, position, &mut bytes)?;
        Ok(bytes)
    }

    /// The part of each clip in a split, in the order of [`clips`](Self::clips); `None` for clips not in the split.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSplit`] with the names of the existing splits; [`StoreError::Malformed`] with the line that has
    /// an unknown clip, an unknown part or a clip for the second time.
    pub fn read_split(&self, name: &str) -> Result<Vec<Option<Part>>, StoreError> {
        split::read_split(&self.folder, name, &self.clips)
    }

    /// The names of the splits, sorted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unreadable`] for I/O errors.
    pub fn splits(&self) -> Result<Vec<String>, StoreError> {
        split::names(&self.folder)
    }
}
