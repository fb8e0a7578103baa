//! What a results folder says of the music and its splits, so that a report needs neither.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use leitmotif_dataset::store::{ClipRow, Clips, Dataset, Part, split_digest};
use leitmotif_models::DatasetNote;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::ExperimentError;
use crate::learn::checkpoint::write_text;
use crate::learn::task::dataset_note;
use leitmotif_dataset::split::{LeakReport, SplitRequest};

const VERSION: u32 = 1;
const NOTE: &str = "results.json";
const CLIPS: &str = "clips.csv";

/// `results.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultsNote {
    /// Version of the folder.
    pub version: u32,
    /// The music.
    pub dataset: DatasetNote,
    /// Its artists.
    pub artists: usize,
    /// Its named albums.
    pub albums: usize,
    /// Its genres, by name.
    pub genres: Vec<String>,
    /// First 16 hexadecimal digits of the SHA-256 over what training hears and is told.
    pub digest: String,
}

/// A line of `clips.csv`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipNote {
    /// Identifier.
    pub clip: String,
    /// Its song.
    pub song: String,
    /// Who made it.
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
    /// What was asked for.
    pub request: SplitRequest,
    /// Of its clips and parts, as runs record it.
    pub digest: Option<String>,
    /// Clips to learn from.
    pub train: usize,
    /// Clips to validate on.
    pub validation: usize,
    /// Clips to test on.
    pub test: usize,
    /// Artists that take no part, and why.
    pub without: Vec<String>,
    /// What its sides share.
    pub leaks: LeakReport,
}

/// A split that is there or can be made.
#[derive(Clone, Debug)]
pub struct PlannedSplit {
    /// Name of its file.
    pub name: String,
    /// What it follows from.
    pub request: SplitRequest,
    /// The part of each clip.
    pub parts: Vec<Option<Part>>,
    /// Artists that take no part, and why.
    pub without: Vec<String>,
    /// Whether it is in the data set already.
    pub there: bool,
}

/// The folder of a run.
pub fn run(results: &Path, key: &str) -> PathBuf {
    results.join("runs").join(key)
}

/// The genres in a clip's column.
pub fn genres(column: &str) -> impl Iterator<Item = &str> {
    column.split(';').map(str::trim).filter(|genre| !genre.is_empty())
}

/// Digest of what training hears and is told of a data set. Genres and titles change nothing of a run.
pub fn digest(clips: &Clips) -> String {
    let mut hasher = Sha256::new();
    for row in clips.iter() {
        for text in [row.clip, row.song, row.artist, row.source] {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
        for number in [row.start, row.samples, u64::from(row.shard), row.offset] {
            hasher.update(number.to_le_bytes());
        }
    }
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Refuses a folder with results of other music; a new one is fine.
///
/// # Errors
///
/// `OtherDataset`, or a note that cannot be read.
pub fn check(results: &Path, dataset: &Dataset) -> Result<(), ExperimentError> {
    let Some(then) = note(results)? else { return Ok(()) };
    let now_digest = digest(dataset.clips());
    if then.digest == now_digest {
        return Ok(());
    }
    Err(ExperimentError::OtherDataset {
        path: results.to_owned(),
        then: then.dataset.name,
        then_digest: then.digest,
        now: dataset.info().name.clone(),
        now_digest,
    })
}

/// The note of a results folder; nothing where there is none.
pub fn note(results: &Path) -> Result<Option<ResultsNote>, ExperimentError> {
    let path = results.join(NOTE);
    if !path.exists() {
        return Ok(None);
    }
    let note: ResultsNote = read(&path)?;
    if note.version != VERSION {
        let reason = format!("it is of version {}, this program reads {VERSION}", note.version);
        return Err(ExperimentError::broken(&path, reason));
    }
    Ok(Some(note))
}

/// Notes the music, its clips and the splits.
pub fn describe(
    results: &Path,
    dataset: &Dataset,
    splits: &[PlannedSplit],
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
    let genres: BTreeSet<&str> = clips.iter().flat_map(|row| genres(row.genre)).collect();
    let note = ResultsNote {
        version: VERSION,
        dataset: dataset_note(dataset),
        artists: dataset.artists().len(),
        albums: albums.len(),
        genres: genres.into_iter().map(str::to_owned).collect(),
        digest: digest(clips),
    };
    for split in splits {
        let parts = &split.parts;
        let count = |part| parts.iter().filter(|of| **of == Some(part)).count();
        let file = SplitFile {
            name: split.name.clone(),
            request: split.request,
            digest: Some(split_digest(clips, parts)),
            train: count(Part::Train),
            validation: count(Part::Validation),
            test: count(Part::Test),
            without: split.without.clone(),
            leaks: LeakReport::new(clips, parts),
        };
        write(&results.join("splits").join(format!("{}.json", split.name)), &file)?;
    }
    let path = results.join(CLIPS);
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in clips.iter() {
        let ClipRow { clip, song, artist, album, genre, .. } = row.owned();
        let note = ClipNote { clip, song, artist, album, genre };
        writer.serialize(note).map_err(|e| ExperimentError::broken(&path, e))?;
    }
    let bytes = writer.into_inner().map_err(|e| ExperimentError::broken(&path, e))?;
    write_text(&path, &String::from_utf8_lossy(&bytes))?;
    // Last: a folder that has it has the rest.
    write(&results.join(NOTE), &note)
}

/// The clips of a results folder.
pub fn clips(results: &Path) -> Result<Vec<ClipNote>, ExperimentError> {
    let path = results.join(CLIPS);
    let mut reader =
        csv::Reader::from_path(&path).map_err(|e| ExperimentError::broken(&path, e))?;
    reader.deserialize().collect::<Result<_, _>>().map_err(|e| ExperimentError::broken(&path, e))
}

/// Every JSON file of a folder of the results, by name; none where there is no folder.
pub fn read_all<T: DeserializeOwned>(folder: &Path) -> Result<Vec<T>, ExperimentError> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).map_err(|e| ExperimentError::file(folder, e))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| ExperimentError::file(folder, e))?.path();
        // A kill may have left the beginning of one under a hidden name.
        let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|ending| ending == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

/// Reads a JSON file.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ExperimentError> {
    let text = fs::read_to_string(path).map_err(|e| ExperimentError::file(path, e))?;
    serde_json::from_str(&text).map_err(|e| ExperimentError::broken(path, e))
}

/// Writes a JSON file whole.
pub fn write(path: &Path, value: &impl Serialize) -> Result<(), ExperimentError> {
    let text = serde_json::to_string_pretty(value).map_err(|e| ExperimentError::broken(path, e))?;
    Ok(write_text(path, &(text + "\n"))?)
}
