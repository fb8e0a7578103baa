//! The samples of a part: 16-bit PCM in shards, which are only added to.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::entry::Place;
use super::error::PartError;
use crate::fs::sync_folder;
use crate::prepare::decode::AudioDigest;

/// 512 MiB, as in a data set. Songs are not divided; the longest take about as much.
const SHARD_SAMPLES: u64 = 256 << 20;

/// Bytes per sample.
pub(super) const SAMPLE: u64 = 2;

fn shard(folder: &Path, number: u32) -> PathBuf {
    folder.join("shards").join(format!("{number:05}.pcm"))
}

/// Adds the samples of songs.
pub(super) struct SampleWriter {
    folder: PathBuf,
    end: Place,
    /// The shard at the end, once it is written to.
    file: Option<File>,
}

impl SampleWriter {
    /// Adds to a part whose recorded samples end at `end`; what a killed process has left after them is overwritten.
    pub(super) fn open(folder: &Path, end: Place) -> Result<Self, PartError> {
        let shards = folder.join("shards");
        fs::create_dir_all(&shards).map_err(|source| PartError::unwritable(shards, source))?;
        Ok(SampleWriter { folder: folder.to_owned(), end, file: None })
    }

    /// Stores samples; once this returns, they survive a power cut. Returns their place and digest.
    pub(super) fn append(&mut self, samples: &[i16]) -> Result<(Place, AudioDigest), PartError> {
        let length = samples.len() as u64;
        if self.end.offset > 0 && self.end.offset.saturating_add(length) > SHARD_SAMPLES {
            self.end = Place { shard: self.end.shard.saturating_add(1), offset: 0 };
            self.file = None;
        }
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let place = self.end;
        let path = shard(&self.folder, place.shard);
        self.write(&path, &bytes).map_err(|source| PartError::unwritable(path, source))?;
        self.end.offset = self.end.offset.saturating_add(length);
        Ok((place, digest(&bytes)))
    }

    fn write(&mut self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            empty => {
                let mut options = OpenOptions::new();
                let file = options.write(true).create(true).truncate(false).open(path)?;
                sync_folder(&self.folder.join("shards"));
                empty.insert(file)
            }
        };
        let start = self.end.offset.saturating_mul(SAMPLE);
        file.set_len(start)?;
        file.seek(SeekFrom::Start(start))?;
        file.write_all(bytes)?;
        file.sync_data()
    }
}

/// Why samples cannot be read.
pub(super) enum SampleError {
    Io(std::io::Error),
    /// They are not those that were stored.
    Other,
}

/// Reads `length` samples, and checks them by their digest. The file is not kept open, since there may be thousands of
/// parts.
pub(super) fn read(
    folder: &Path,
    place: Place,
    length: usize,
    expected: AudioDigest,
) -> (PathBuf, Result<Vec<i16>, SampleError>) {
    let path = shard(folder, place.shard);
    let bytes = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(&path)?;
        let start = place.offset.saturating_mul(SAMPLE);
        let wanted = (length as u64).saturating_mul(SAMPLE);
        // Before memory is taken for them.
        if file.metadata()?.len() < start.saturating_add(wanted) {
            return Ok(Vec::new());
        }
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(wanted).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let samples = match bytes() {
        Err(error) => Err(SampleError::Io(error)),
        Ok(bytes) if digest(&bytes) != expected => Err(SampleError::Other),
        Ok(bytes) => {
            Ok(bytes.as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect())
        }
    };
    (path, samples)
}

fn digest(bytes: &[u8]) -> AudioDigest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(bytes);
    AudioDigest::of(&hasher)
}
