//! Reads a data set of `leitmotif-train prepare`: what evaluation needs of its folder.
//!
//! ```text
//! dataset.toml        version, sample rate, numbers of clips
//! clips.csv           one row per clip: artist, song, and where its samples are
//! shards/00000.pcm    the samples, 16-bit little-endian mono
//! splits/NAME.csv     clip,part
//! ```
//!
//! The crate `leitmotif-dataset`, which writes it, depends on this one, so that its reader cannot be used here.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use leitmotif::SampleRate;
use leitmotif_models::text::short_hex;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Part;
use super::error::{DatasetError, csv_error, malformed, unreadable};

/// The version of the folder's layout that is read.
const VERSION: u32 = 1;
/// Bytes of a sample.
const SAMPLE: u64 = 2;

/// The parts of the clips in a split.
pub(super) struct Split {
    parts: BTreeMap<String, Part>,
    /// First 16 hexadecimal digits of the SHA-256 over names and parts, sorted by name: the trainer's.
    pub(super) digest: String,
}

/// The clips of one part.
pub(super) struct Dataset {
    folder: PathBuf,
    pub(super) sample_rate: SampleRate,
    /// In the order of `clips.csv`.
    pub(super) clips: Vec<Clip>,
    /// Artists of the part whom the model does not know, with the number of their clips.
    pub(super) left_out: BTreeMap<String, usize>,
}

/// One clip of an artist whom the model knows.
pub(super) struct Clip {
    pub(super) clip: String,
    pub(super) song: String,
    pub(super) class: usize,
    samples: u64,
    shard: u32,
    offset: u64,
}

/// `dataset.toml` of this version, as far as it is used.
#[derive(Deserialize)]
struct Info {
    sample_rate: u32,
    clip_samples: u64,
    clips: usize,
}

/// A row of `clips.csv`, as far as it is used.
#[derive(Deserialize)]
struct Row {
    clip: String,
    song: String,
    artist: String,
    samples: u64,
    shard: u32,
    offset: u64,
}

impl Split {
    pub(super) fn read(folder: &Path, name: &str) -> Result<Self, DatasetError> {
        // Before the split: a folder that is no data set has none.
        read_info(folder)?;
        let path = folder.join("splits").join(format!("{name}.csv"));
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !is_name || !path.is_file() {
            let (path, name) = (folder.to_owned(), name.to_owned());
            return Err(DatasetError::NoSplit { there: split_names(folder), path, name });
        }
        let mut reader = csv::Reader::from_path(&path).map_err(|error| csv_error(&path, error))?;
        let mut parts = BTreeMap::new();
        for row in reader.deserialize() {
            let (clip, part): (String, String) = row.map_err(|error| csv_error(&path, error))?;
            let part = Part::from_str(&part, false)
                .map_err(|_| malformed(&path, format!("`{part}` is no part")))?;
            if let Some(twice) = parts.insert(clip.clone(), part) {
                let first = twice.name();
                return Err(malformed(
                    &path,
                    format!("clip `{clip}` is there twice, first in {first}"),
                ));
            }
        }
        let mut hasher = Sha256::new();
        for (clip, part) in &parts {
            hasher.update((clip.len() as u64).to_le_bytes());
            hasher.update(clip);
            hasher.update(part.name());
        }
        Ok(Self { parts, digest: short_hex(&hasher.finalize(), 16) })
    }
}

/// The names of the splits that are there, sorted.
fn split_names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("splits")).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|ending| ending == "csv"));
    let mut names: Vec<String> =
        files.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    names
}

fn read_info(folder: &Path) -> Result<Info, DatasetError> {
    let path = folder.join("dataset.toml");
    let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound if folder.join("journal.csv").is_file() => {
            DatasetError::Unfinished(folder.to_owned())
        }
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            DatasetError::NotADataset(folder.to_owned())
        }
        _ => unreadable(&path, error),
    })?;
    #[derive(Deserialize)]
    struct VersionOnly {
        version: u32,
    }
    // The version first: another version may have other fields.
    let VersionOnly { version } = toml::from_str(&text).map_err(|error| malformed(&path, error))?;
    if version != VERSION {
        return Err(DatasetError::Version { path, found: version, supported: VERSION });
    }
    toml::from_str(&text).map_err(|error| malformed(&path, error))
}

impl Dataset {
    /// Reads the rows of `part`, and checks all others as far as the split names them.
    pub(super) fn open(
        folder: &Path,
        split: &Split,
        part: Part,
        classes: &[String],
    ) -> Result<Self, DatasetError> {
        let info = read_info(folder)?;
        let path = folder.join("clips.csv");
        let mut reader = csv::Reader::from_path(&path).map_err(|error| csv_error(&path, error))?;
        let (mut clips, mut left_out) = (Vec::new(), BTreeMap::new());
        let (mut rows, mut of_split) = (0, 0);
        for row in reader.deserialize() {
            let row: Row = row.map_err(|error| csv_error(&path, error))?;
            rows += 1;
            let end = row.offset.checked_add(row.samples).and_then(|end| end.checked_mul(SAMPLE));
            if !(1..=info.clip_samples).contains(&row.samples) || end.is_none() {
                return Err(malformed(
                    &path,
                    format!("clip `{}` cannot have this length", row.clip),
                ));
            }
            let Some(its_part) = split.parts.get(&row.clip) else { continue };
            of_split += 1;
            if *its_part != part {
                continue;
            }
            let Some(class) = classes.iter().position(|class| *class == row.artist) else {
                *left_out.entry(row.artist).or_default() += 1;
                continue;
            };
            let Row { clip, song, samples, shard, offset, .. } = row;
            clips.push(Clip { clip, song, class, samples, shard, offset });
        }
        if rows != info.clips {
            let reason = format!("it has {rows} clips, and dataset.toml says {}", info.clips);
            return Err(malformed(&path, reason));
        }
        if of_split != split.parts.len() {
            let reason = format!("it has {of_split} of the split's {} clips", split.parts.len());
            return Err(malformed(&path, reason));
        }
        if clips.is_empty() {
            return Err(DatasetError::EmptyPart { part: part.name() });
        }
        let sample_rate = SampleRate(info.sample_rate);
        Ok(Self { folder: folder.to_owned(), sample_rate, clips, left_out })
    }

    /// Fills `samples` with those of a clip; full scale is ±1.
    pub(super) fn read(&self, clip: &Clip, samples: &mut Vec<f32>) -> Result<(), DatasetError> {
        let path = self.folder.join("shards").join(format!("{:05}.pcm", clip.shard));
        let read = || {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(clip.offset * SAMPLE))?;
            let mut bytes = Vec::new();
            file.take(clip.samples * SAMPLE).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|error| unreadable(&path, error))?;
        if bytes.len() as u64 != clip.samples * SAMPLE {
            return Err(malformed(&path, format!("it ends before clip `{}` does", clip.clip)));
        }
        samples.clear();
        let pairs = bytes.as_chunks::<2>().0;
        samples.extend(pairs.iter().map(|pair| f32::from(i16::from_le_bytes(*pair)) / 32_768.0));
        Ok(())
    }
}
