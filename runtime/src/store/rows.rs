//! What is known of a data set and of each clip, as the files say it.

use std::{collections::HashSet, fs, path::Path};

use leitmotif_models::SampleRate;
use serde::{Deserialize, Serialize};

use super::{StoreError, files};

/// The version of the folder's layout that is written and read here.
pub const DATASET_VERSION: u32 = 1;

/// What a data set is: `dataset.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetInfo {
    /// Its name, for people.
    pub name: String,
    /// The terms of the recordings, for people.
    pub licence: String,
    /// Anything one should know of it.
    pub notes: String,
    /// Samples per second.
    pub sample_rate: u32,
    /// Samples of a whole clip. Clips may be shorter, never longer.
    pub clip_samples: usize,
    /// Where the recordings came from.
    pub source: String,
}

impl Default for DatasetInfo {
    /// An unnamed set of clips of MagnaTagATune's length (465,984 samples) at 16 kHz.
    fn default() -> Self {
        Self {
            name: String::new(),
            licence: String::new(),
            notes: String::new(),
            sample_rate: SampleRate::NETWORK.0,
            clip_samples: 465_984,
            source: String::new(),
        }
    }
}

impl DatasetInfo {
    /// Whether data begun as `self` may go on as `other`: all that shapes the samples is equal.
    pub(super) fn check_same(&self, other: &Self, folder: &Path) -> Result<(), StoreError> {
        let differs = |field, found: &dyn ToString, wanted: &dyn ToString| {
            Err(StoreError::OtherSettings {
                path: folder.to_path_buf(),
                field,
                found: found.to_string(),
                wanted: wanted.to_string(),
            })
        };
        if self.sample_rate != other.sample_rate {
            return differs("sample_rate", &self.sample_rate, &other.sample_rate);
        }
        if self.clip_samples != other.clip_samples {
            return differs("clip_samples", &self.clip_samples, &other.clip_samples);
        }
        if self.name != other.name {
            return differs("name", &self.name, &other.name);
        }
        if self.source != other.source {
            return differs("source", &self.source, &other.source);
        }
        Ok(())
    }
}

/// One clip: a line of `clips.csv`. Strings are free text; genres are separated by `;`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipRow {
    /// The clip's own name, unique in the data set.
    pub clip: String,
    /// The recording it was cut from, unique in the data set; its clips are adjoining rows.
    pub song: String,
    /// Who plays: the class.
    pub artist: String,
    /// Album, may be empty.
    pub album: String,
    /// Title, may be empty.
    pub title: String,
    /// Versions of one piece share it: splits by song keep them together.
    pub song_group: String,
    /// Genres, separated by `;`; may be empty.
    pub genre: String,
    /// Where the clip begins in the song, in samples at the data set's rate.
    pub start: u64,
    /// The clip's length in samples.
    pub samples: u64,
    /// The shard that holds its samples.
    pub shard: u32,
    /// Where they begin in the shard, in samples.
    pub offset: u64,
    /// The file it was decoded from, as the preparation knew it.
    pub source: String,
}

/// The nearest 16-bit sample, full scale 1 being 32,768: halves away from zero, what lies beyond is clamped, NaN is 0.
pub fn quantize(sample: f32) -> i16 {
    // A float-to-integer `as` clamps.
    (sample * 32_768.0).round() as i16
}

/// `dataset.toml` as it stands in the file; [`parse_info`] makes a [`DatasetInfo`] of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InfoFile {
    version: u32,
    name: String,
    licence: String,
    notes: String,
    source: String,
    sample_rate: u32,
    clip_samples: usize,
    /// Counts, so that a `clips.csv` cut short is noticed.
    clips: usize,
    songs: usize,
    artists: usize,
}

/// How many of each a data set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) clips: usize,
    pub(super) songs: usize,
    pub(super) artists: usize,
}

impl Counts {
    pub(super) fn of(clips: &[ClipRow]) -> Self {
        let distinct =
            |key: fn(&ClipRow) -> &str| clips.iter().map(key).collect::<HashSet<_>>().len();
        Self {
            clips: clips.len(),
            songs: distinct(|row| &row.song),
            artists: distinct(|row| &row.artist),
        }
    }
}

pub(super) fn render_info(info: &DatasetInfo, counts: Counts) -> String {
    let file = InfoFile {
        version: DATASET_VERSION,
        name: info.name.clone(),
        licence: info.licence.clone(),
        notes: info.notes.clone(),
        source: info.source.clone(),
        sample_rate: info.sample_rate,
        clip_samples: info.clip_samples,
        clips: counts.clips,
        songs: counts.songs,
        artists: counts.artists,
    };
    // Strings and numbers alone cannot fail to become TOML.
    toml::to_string(&file).unwrap_or_default()
}

/// Reads the text of a `dataset.toml`; `path` is for complaints.
pub(super) fn parse_info(path: &Path, text: &str) -> Result<(DatasetInfo, Counts), StoreError> {
    let malformed =
        |reason: String| StoreError::Malformed { path: path.to_path_buf(), line: None, reason };
    #[derive(Deserialize)]
    struct VersionOnly {
        version: u32,
    }
    // The version first: another version may have other fields.
    let VersionOnly { version } =
        toml::from_str(text).map_err(|error| malformed(error.to_string()))?;
    if version != DATASET_VERSION {
        return Err(StoreError::Version {
            path: path.to_path_buf(),
            found: version,
            supported: DATASET_VERSION,
        });
    }
    let file: InfoFile = toml::from_str(text).map_err(|error| malformed(error.to_string()))?;
    let info = DatasetInfo {
        name: file.name,
        licence: file.licence,
        notes: file.notes,
        sample_rate: file.sample_rate,
        clip_samples: file.clip_samples,
        source: file.source,
    };
    check_info(&info).map_err(malformed)?;
    Ok((info, Counts { clips: file.clips, songs: file.songs, artists: file.artists }))
}

/// What a description must be to be written and read.
pub(super) fn check_info(info: &DatasetInfo) -> Result<(), String> {
    if info.sample_rate == 0 || info.clip_samples == 0 {
        return Err("sample_rate and clip_samples must be above 0".to_owned());
    }
    Ok(())
}

pub(super) fn render_clips(path: &Path, clips: &[ClipRow]) -> Result<Vec<u8>, StoreError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in clips {
        writer.serialize(row).map_err(|error| files::malformed(path, error))?;
    }
    writer.into_inner().map_err(|error| files::unwritable(path, error.into_error()))
}

/// Reads a `clips.csv` and checks everything in it that needs no other file.
pub(super) fn read_clips(path: &Path, info: &DatasetInfo) -> Result<Vec<ClipRow>, StoreError> {
    let file = fs::File::open(path).map_err(|source| files::unreadable(path, source))?;
    let mut reader = csv::Reader::from_reader(file);
    let mut clips = Vec::new();
    let mut names = HashSet::new();
    let mut songs = HashSet::new();
    let mut song = String::new();
    let header = reader.headers().map_err(|error| files::malformed(path, error))?.clone();
    for record in reader.records() {
        let record = record.map_err(|error| files::malformed(path, error))?;
        let line = record.position().map(csv::Position::line);
        let row: ClipRow =
            record.deserialize(Some(&header)).map_err(|error| files::malformed(path, error))?;
        let wrong =
            |reason: String| StoreError::Malformed { path: path.to_path_buf(), line, reason };
        check_row(&row, info).map_err(wrong)?;
        if !names.insert(row.clip.clone()) {
            return Err(wrong(format!("clip `{}` appears twice", row.clip)));
        }
        if row.song != song {
            if !songs.insert(row.song.clone()) {
                return Err(wrong(format!("song `{}` appears in two places", row.song)));
            }
            song.clone_from(&row.song);
        }
        clips.push(row);
    }
    Ok(clips)
}

/// Checks a row by itself; the reason where it cannot be.
pub(super) fn check_row(row: &ClipRow, info: &DatasetInfo) -> Result<(), String> {
    for (name, value) in [("clip", &row.clip), ("song", &row.song), ("artist", &row.artist)] {
        if value.trim().is_empty() {
            return Err(format!("the column {name} is empty"));
        }
    }
    if row.samples == 0 || row.samples > info.clip_samples as u64 {
        return Err(format!("{} samples; a clip has 1 to {}", row.samples, info.clip_samples));
    }
    let end = row.offset.checked_add(row.samples).and_then(|end| end.checked_mul(files::SAMPLE));
    if end.is_none() || row.start.checked_add(row.samples).is_none() {
        return Err("positions too large to be true".to_owned());
    }
    Ok(())
}

/// Clips must follow each other through the shards as they were written: then none overlap, and no shard is skipped.
pub(super) fn check_order(clips: &[ClipRow]) -> Result<(), String> {
    let (mut shard, mut end) = (0, 0);
    for row in clips {
        if row.shard == shard + 1 && end > 0 {
            (shard, end) = (row.shard, 0);
        }
        if (row.shard, row.offset) != (shard, end) {
            return Err(format!("clip `{}` does not lie where the clip before it ends", row.clip));
        }
        end += row.samples;
    }
    Ok(())
}
