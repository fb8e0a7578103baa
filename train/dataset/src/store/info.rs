//! `dataset.toml`: the description of a data set.

use std::collections::HashSet;
use std::path::Path;

use leitmotif_models::{CLIP_SAMPLES, SampleRate};
use serde::{Deserialize, Serialize};

use super::clips::Clips;
use super::error::StoreError;
use super::row::ClipRow;

/// The version of the folder's layout that this crate writes and reads.
pub const DATASET_VERSION: u32 = 1;

/// The description of a data set, without its counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetInfo {
    /// Display name.
    pub name: String,
    /// Licence of the recordings, as free text.
    pub licence: String,
    /// Notes, as free text.
    pub notes: String,
    /// Sample rate, in Hz.
    pub sample_rate: u32,
    /// Maximum length of a clip, in samples.
    pub clip_samples: usize,
    /// Where the recordings come from: the folder, the manifest or the name of a collection.
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
    /// Checks that a data set described by `self` can be resumed as `other`: licence and notes may differ.
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

/// `dataset.toml` as written; [`parse_info`] validates it.
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
    // The counts detect a truncated `clips.csv`.
    clips: usize,
    songs: usize,
    artists: usize,
}

/// The numbers of clips, songs and artists in a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct DatasetCounts {
    pub(super) clips: usize,
    pub(super) songs: usize,
    pub(super) artists: usize,
}

impl DatasetCounts {
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

pub(super) fn render_info(info: &DatasetInfo, counts: DatasetCounts) -> String {
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
    // Strings and numbers always serialise.
    toml::to_string(&file).unwrap_or_default()
}

/// Parses the text of a `dataset.toml`; `path` is only for error messages.
pub(super) fn parse_info(
    path: &Path,
    text: &str,
) -> Result<(DatasetInfo, DatasetCounts), StoreError> {
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
    Ok((info, DatasetCounts { clips: file.clips, songs: file.songs, artists: file.artists }))
}

/// Checks that rate and clip length are positive.
pub(super) fn check_info(info: &DatasetInfo) -> Result<(), String> {
    if info.sample_rate == 0 || info.clip_samples == 0 {
        return Err("sample_rate and clip_samples must be above 0".to_owned());
    }
    Ok(())
}
