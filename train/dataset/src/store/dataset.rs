//! Reads a data set folder.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use super::clips::Clips;
use super::error::StoreError;
use super::info::{self, Counts, DatasetInfo};
use super::layout::Layout;
use super::shards::Shards;
use super::split::{self, Part};
use super::{clips_file, files};

/// A finished data set, checked once when it is opened. Any number of threads may read from it at once.
#[derive(Debug)]
pub struct Dataset {
    folder: PathBuf,
    info: DatasetInfo,
    clips: Clips,
    artists: Vec<String>,
    shards: Shards,
}

impl Dataset {
    /// Opens the data set in `folder` and checks it: its version, every row, that names are unique, that nothing is missing
    /// from `clips.csv`, that clips do not overlap, and that the shards hold what the rows say.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotADataset`] or [`StoreError::Unfinished`] without a `dataset.toml`; [`StoreError::Version`],
    /// [`StoreError::Malformed`] and [`StoreError::ShortShard`] with the file that is wrong.
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
        let (info, promised) = info::parse_info(&info_path, &text)?;
        let clips_path = folder.join(files::CLIPS);
        let clips = clips_file::read_clips(&clips_path, &info)?;
        let wrong = |reason| StoreError::Malformed { path: clips_path.clone(), line: None, reason };
        let found = Counts::of(&clips);
        if found != promised {
            // Killed between the two files while it was being added to: the journal has everything.
            if folder.join(files::JOURNAL).is_file() {
                return Err(StoreError::Unfinished { path: folder.to_path_buf() });
            }
            return Err(wrong(format!(
                "{} clips, {} songs, {} artists; {} says {}, {}, {}",
                found.clips,
                found.songs,
                found.artists,
                files::INFO,
                promised.clips,
                promised.songs,
                promised.artists
            )));
        }
        let mut layout = Layout::default();
        for row in clips.iter() {
            layout.follow(&row).map_err(wrong)?;
        }
        layout.check_shards(folder)?;
        let artists: BTreeSet<&str> = clips.iter().map(|row| row.artist).collect();
        let artists = artists.into_iter().map(str::to_owned).collect();
        let shards = Shards::of(folder);
        Ok(Self { folder: folder.to_path_buf(), info, clips, artists, shards })
    }

    /// What the data set is.
    pub fn info(&self) -> &DatasetInfo {
        &self.info
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All clips, in the order of `clips.csv`; a song's clips adjoin.
    pub fn clips(&self) -> &Clips {
        &self.clips
    }

    /// All artists, sorted by their bytes, each once. A class is an index into this list.
    pub fn artists(&self) -> &[String] {
        &self.artists
    }

    /// Fills `out` with samples of a clip, from its sample `start` on; full scale is 1.
    ///
    /// # Errors
    ///
    /// [`StoreError::OutOfClip`] where the clip has not that many; [`StoreError::Unreadable`] where the system fails.
    pub fn read(&self, clip: usize, start: u64, out: &mut [f32]) -> Result<(), StoreError> {
        let row = self.clips.get(clip);
        let samples = row.map_or(0, |row| row.samples);
        let within = start.checked_add(out.len() as u64).is_some_and(|end| end <= samples);
        let (Some(row), true) = (row, within) else {
            let (path, length) = (self.folder.clone(), out.len());
            return Err(StoreError::OutOfClip { path, clip, start, length, samples });
        };
        let mut bytes = vec![0; out.len() * files::SAMPLE as usize];
        let position = (row.offset + start) * files::SAMPLE;
        self.shards.read(row.shard, position, &mut bytes)?;
        let (pairs, _) = bytes.as_chunks::<2>();
        for (sample, pair) in out.iter_mut().zip(pairs) {
            *sample = f32::from(i16::from_le_bytes(*pair)) / 32_768.0;
        }
        Ok(())
    }

    /// The part of each clip in a split, in the order of [`clips`](Self::clips); `None` for clips that take no part.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSplit`] with the splits there are; [`StoreError::Malformed`] with the line that names an unknown
    /// clip, an unknown part or a clip for the second time.
    pub fn read_split(&self, name: &str) -> Result<Vec<Option<Part>>, StoreError> {
        split::read_split(&self.folder, name, &self.clips)
    }

    /// The names of the splits there are, sorted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unreadable`] where the system fails.
    pub fn splits(&self) -> Result<Vec<String>, StoreError> {
        split::names(&self.folder)
    }
}
