//! The files of a results folder, so that a report needs neither the music nor its data set.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use leitmotif_dataset::split::{LeakReport, SplitRequest};
use leitmotif_dataset::store::{ClipRow, Clips, Dataset};
use leitmotif_models::DatasetNote;
use leitmotif_models::checkpoint::{BEST, LAST};
use leitmotif_models::text::short_hex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::{ExperimentError, ResultsError};
use super::scale::Scale;
use super::spec::Experiment;
use crate::learn::checkpoint::{is_checkpoint, read_record, write_text};
use crate::learn::clips::dataset_note;
use crate::learn::config::FitConfig;
use crate::learn::start::recorded_config;

const VERSION: u32 = 1;
const NOTE: &str = "results.json";
const CLIPS: &str = "clips.csv";

/// `results.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultsNote {
    /// Version of the folder.
    pub version: u32,
    /// The data set.
    pub dataset: DatasetNote,
    /// Its artists.
    pub artists: usize,
    /// Its named albums.
    pub albums: usize,
    /// Its genres, by name.
    pub genres: Vec<String>,
    /// [`training_digest`] of its clips.
    pub digest: String,
}

/// A line of `clips.csv`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipNote {
    /// Identifier.
    pub clip: String,
    /// Its song.
    pub song: String,
    /// The artist.
    pub artist: String,
    /// Its album; empty where unknown.
    pub album: String,
    /// Genres of the album, `;` between them.
    pub genre: String,
}

/// A file of `splits/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitFile {
    /// Name of the split.
    pub name: String,
    /// What it was made from.
    pub request: SplitRequest,
    /// Of its clips and parts, as runs record it.
    pub digest: Option<String>,
    /// Training clips.
    pub train: usize,
    /// Validation clips.
    pub validation: usize,
    /// Test clips.
    pub test: usize,
    /// Artists that are left out, and why.
    pub without: Vec<String>,
    /// What its parts share.
    pub leaks: LeakReport,
}

/// A file of `experiments/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedExperiment {
    /// The experiment.
    pub experiment: Experiment,
    /// Its scale.
    pub scale: Scale,
    /// The keys of each series' runs.
    pub runs: Vec<Vec<String>>,
    /// The epochs of each series with a recipe; those of the scale where absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub epochs: BTreeMap<String, usize>,
}

impl PlannedExperiment {
    /// Every run's key with its planned epochs.
    pub fn epochs_by_key(&self) -> impl Iterator<Item = (&String, usize)> {
        let series = self.experiment.series.iter().zip(&self.runs);
        series.flat_map(|(series, keys)| {
            let epochs = self.epochs.get(&series.label).copied().unwrap_or(self.scale.epochs);
            keys.iter().map(move |key| (key, epochs))
        })
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// Trained and evaluated.
    Finished,
    /// Begun or finished, with other epochs than planned.
    OtherEpochs(OtherEpochs),
    /// Begun; so many epochs are done.
    InProgress(usize),
    /// Without a checkpoint.
    NotStarted,
}

/// A run whose epochs were changed by `fit --resume --epochs N`: its scores are not those that the experiment compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherEpochs {
    /// Epochs that the experiment plans.
    pub planned: usize,
    /// Epochs that the run was given since.
    pub given: usize,
}

impl fmt::Display for OtherEpochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its experiment plans {} epochs, and it was given {}", self.planned, self.given)
    }
}

/// The folder of a run.
pub fn run_folder(results: &Path, key: &str) -> PathBuf {
    results.join("runs").join(key)
}

/// How far the run of that key is, of which so many epochs are planned.
///
/// # Errors
///
/// A record that cannot be read.
pub fn run_status(results: &Path, key: &str, planned: usize) -> Result<RunStatus, ExperimentError> {
    let run = run_folder(results, key);
    let last = run.join(LAST);
    if !is_checkpoint(&last) {
        return Ok(RunStatus::NotStarted);
    }
    let record = read_record(&last)?;
    // The key holds every other setting: only the epochs can be changed later.
    let given = recorded_config(&last, &record)?.epochs;
    if given != planned {
        return Ok(RunStatus::OtherEpochs(OtherEpochs { planned, given }));
    }
    // The scores of the best epoch are written last.
    let finished = record.scores.is_some() && read_record(&run.join(BEST))?.scores.is_some();
    Ok(if finished { RunStatus::Finished } else { RunStatus::InProgress(record.epoch) })
}

/// The checkpoint whose scores count: the last, or with early stopping the best by validation.
pub fn evaluated_checkpoint(config: &FitConfig) -> &'static str {
    if config.patience.is_some() { BEST } else { LAST }
}

/// The genres in a clip's column.
pub fn split_genres(column: &str) -> impl Iterator<Item = &str> {
    column.split(';').map(str::trim).filter(|genre| !genre.is_empty())
}

/// The first 16 hexadecimal digits of the SHA-256 over everything in a data set that training depends on, so without genres and titles.
pub fn training_digest(clips: &Clips) -> String {
    let mut hasher = Sha256::new();
    for row in clips.iter() {
        for text in [row.clip, row.song, row.artist, row.source] {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
        for number in [row.start, row.samples, u64::from(row.shard), row.offset] {
            hasher.update(number.to_le_bytes());
        }
        if let Some(audio) = row.audio {
            hasher.update(audio.to_string());
        }
    }
    short_hex(&hasher.finalize(), 16)
}

/// Refuses a folder with results of another data set; a new folder is fine.
///
/// # Errors
///
/// `OtherDataset`, or a note that cannot be read.
pub fn check_dataset(results: &Path, dataset: &Dataset) -> Result<(), ExperimentError> {
    let Some(then) = read_note(results)? else { return Ok(()) };
    let now_digest = training_digest(dataset.clips());
    if then.digest == now_digest {
        return Ok(());
    }
    let error = ResultsError::OtherDataset {
        path: results.to_owned(),
        then: then.dataset.name,
        then_digest: then.digest,
        now: dataset.info().name.clone(),
        now_digest,
    };
    Err(error.into())
}

/// The note of a results folder; nothing where there is none.
///
/// # Errors
///
/// A note that cannot be read, or is of another version.
pub fn read_note(results: &Path) -> Result<Option<ResultsNote>, ExperimentError> {
    let path = results.join(NOTE);
    if !path.exists() {
        return Ok(None);
    }
    let note: ResultsNote = read_json(&path)?;
    if note.version != VERSION {
        let reason =
            format!("it has version {}, and this program reads version {VERSION}", note.version);
        return Err(ExperimentError::broken(&path, reason));
    }
    Ok(Some(note))
}

/// Writes the note, the clips and the splits of a data set.
///
/// # Errors
///
/// Whatever cannot be written.
pub fn write_dataset(
    results: &Path,
    dataset: &Dataset,
    splits: &[SplitFile],
) -> Result<(), ExperimentError> {
    for folder in ["splits", "experiments", "runs"] {
        let folder = results.join(folder);
        fs::create_dir_all(&folder).map_err(|e| ExperimentError::file(&folder, e))?;
    }
    let clips = dataset.clips();
    let albums: BTreeSet<(&str, &str)> = clips
        .iter()
        .filter(|row| !row.album.is_empty())
        .map(|row| (row.artist, row.album))
        .collect();
    let genres: BTreeSet<&str> = clips.iter().flat_map(|row| split_genres(row.genre)).collect();
    let note = ResultsNote {
        version: VERSION,
        dataset: dataset_note(dataset),
        artists: dataset.artists().len(),
        albums: albums.len(),
        genres: genres.into_iter().map(str::to_owned).collect(),
        digest: training_digest(clips),
    };
    for split in splits {
        write_json(&results.join("splits").join(format!("{}.json", split.name)), split)?;
    }
    let path = results.join(CLIPS);
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in clips.iter() {
        let ClipRow { clip, song, artist, album, genre, .. } = row.owned();
        let note = ClipNote { clip, song, artist, album, genre };
        writer.serialize(note).map_err(|e| ExperimentError::broken(&path, e))?;
    }
    let bytes = writer.into_inner().map_err(|e| ExperimentError::broken(&path, e.into_error()))?;
    write_text(&path, &String::from_utf8_lossy(&bytes))?;
    // Last: a folder that has it has the rest.
    write_json(&results.join(NOTE), &note)
}

/// The clips of a results folder.
///
/// # Errors
///
/// A file that cannot be read.
pub fn read_clips(results: &Path) -> Result<Vec<ClipNote>, ExperimentError> {
    let path = results.join(CLIPS);
    let mut reader =
        csv::Reader::from_path(&path).map_err(|e| ExperimentError::broken(&path, e))?;
    reader.deserialize().collect::<Result<_, _>>().map_err(|e| ExperimentError::broken(&path, e))
}

/// Every JSON file of a folder of the results, by name; none where there is no folder.
///
/// # Errors
///
/// A file that cannot be read.
pub fn read_folder<T: DeserializeOwned>(folder: &Path) -> Result<Vec<T>, ExperimentError> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).map_err(|e| ExperimentError::file(folder, e))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| ExperimentError::file(folder, e))?.path();
        // A kill may leave an incomplete file under a hidden name.
        let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|ending| ending == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| read_json(path)).collect()
}

/// Reads a JSON file.
///
/// # Errors
///
/// A file that cannot be read.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, ExperimentError> {
    let text = fs::read_to_string(path).map_err(|e| ExperimentError::file(path, e))?;
    serde_json::from_str(&text).map_err(|e| ExperimentError::broken(path, e))
}

/// Writes a JSON file whole or not at all.
///
/// # Errors
///
/// A file that cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ExperimentError> {
    let text = serde_json::to_string_pretty(value).map_err(|e| ExperimentError::broken(path, e))?;
    Ok(write_text(path, &(text + "\n"))?)
}
