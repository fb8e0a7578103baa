//! What is known of a data set as a whole: `dataset.toml`.

use std::collections::HashSet;
use std::path::Path;

use leitmotif_models::{CLIP_SAMPLES, SampleRate};
use serde::{Deserialize, Serialize};

use super::clips::Clips;
use super::error::StoreError;
use super::row::ClipRow;

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
    /// An unnamed set of clips of MagnaTagATune's length ([`CLIP_SAMPLES`]) at 16 kHz.
    fn default() -> Self {
        Self {
            name: String::new(),
            licence: String::new(),
            notes: String::new(),
            sample_rate: SampleRate::NETWORK.0,
            clip_samples: CLIP_SAMPLES,
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
    pub(super) fn of(clips: &Clips) -> Self {
        let distinct = |key: for<'a> fn(ClipRow<&'a str>) -> &'a str| {
            clips.iter().map(key).collect::<HashSet<_>>().len()
        };
        Self {
            clips: clips.len(),
            songs: distinct(|row| row.song),
            artists: distinct(|row| row.artist),
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
