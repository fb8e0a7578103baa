//! A checkpoint is a folder that explains itself: `run.json`, `weights.safetensors`, `optimizer.safetensors` and
//! `probe.safetensors`.

use std::fs;
use std::path::{Path, PathBuf};

use leitmotif_models::{RunError, RunRecord};

use crate::error::TrainError;
use crate::tensors::{self, Tensors, check};

const RECORD: &str = "run.json";
const WEIGHTS: &str = "weights.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const PROBE: &str = "probe.safetensors";

/// Everything in a checkpoint's folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// What was trained, on what and how far.
    pub record: RunRecord,
    /// Weights and running statistics, by the names of [`leitmotif_models::Network::params`].
    pub weights: Tensors,
    /// The optimizer's moments.
    pub optimizer: Tensors,
    /// Inputs with this network's own answers, for whoever translates it.
    pub probe: Tensors,
}

impl Checkpoint {
    /// Reads and checks a folder.
    ///
    /// # Errors
    ///
    /// A file that is missing or unreadable, and all missing, surplus, misshapen and non-finite weights at once.
    pub fn read(folder: &Path) -> Result<Self, TrainError> {
        settle(folder)?;
        let record = read_record(folder)?;
        let weights = tensors::read(&folder.join(WEIGHTS))?;
        let params = record.network.params(record.classes.len());
        let shapes = params.into_iter().map(|p| (p.name, p.shape));
        check(shapes, &weights).map_err(|misfits| TrainError::Checkpoint {
            path: folder.to_owned(),
            source: Box::new(TrainError::Weights(misfits)),
        })?;
        let optimizer = tensors::read(&folder.join(OPTIMIZER))?;
        let probe = tensors::read(&folder.join(PROBE))?;
        Ok(Checkpoint { record, weights, optimizer, probe })
    }

    /// Writes the folder whole: under another name first, then renamed, so that a kill never leaves half a checkpoint.
    pub fn write(&self, folder: &Path) -> Result<(), TrainError> {
        let making = sibling(folder, "new");
        remove(&making)?;
        fs::create_dir_all(&making).map_err(|e| TrainError::file(&making, e))?;
        write_text(&making.join(RECORD), &record_text(&making, &self.record)?)?;
        tensors::write(&making.join(WEIGHTS), &self.weights)?;
        tensors::write(&making.join(OPTIMIZER), &self.optimizer)?;
        tensors::write(&making.join(PROBE), &self.probe)?;
        for file in [RECORD, WEIGHTS, OPTIMIZER, PROBE] {
            let path = making.join(file);
            let synced = fs::File::open(&path).and_then(|f| f.sync_all());
            synced.map_err(|e| TrainError::file(&path, e))?;
        }
        // A folder cannot replace a full one in one step; `settle` mends a kill between these two.
        let old = sibling(folder, "old");
        remove(&old)?;
        if folder.exists() {
            fs::rename(folder, &old).map_err(|e| TrainError::file(folder, e))?;
        }
        fs::rename(&making, folder).map_err(|e| TrainError::file(folder, e))?;
        remove(&old)
    }
}

/// Reads `run.json` alone.
pub fn read_record(folder: &Path) -> Result<RunRecord, TrainError> {
    let path = folder.join(RECORD);
    let text = fs::read_to_string(&path).map_err(|e| TrainError::file(&path, e))?;
    RunRecord::from_json(&text).map_err(|source| TrainError::Record { path, source })
}

/// Replaces `run.json` alone, e.g. once the scores are known.
pub fn write_record(folder: &Path, record: &RunRecord) -> Result<(), TrainError> {
    let path = folder.join(RECORD);
    write_text(&path, &record_text(folder, record)?)
}

/// Writes a text file under another name first, then renames it.
pub fn write_text(path: &Path, text: &str) -> Result<(), TrainError> {
    let making = sibling(path, "new");
    fs::write(&making, text).map_err(|e| TrainError::file(&making, e))?;
    fs::rename(&making, path).map_err(|e| TrainError::file(path, e))
}

/// Puts the old checkpoint back where a kill struck between taking it away and putting the new one in its place.
fn settle(folder: &Path) -> Result<(), TrainError> {
    let old = sibling(folder, "old");
    if !folder.exists() && old.exists() {
        fs::rename(&old, folder).map_err(|e| TrainError::file(&old, e))?;
    }
    Ok(())
}

fn record_text(folder: &Path, record: &RunRecord) -> Result<String, TrainError> {
    let failed = |source: RunError| TrainError::Record { path: folder.join(RECORD), source };
    record.to_json().map_err(failed)
}

/// `folder/.NAME.ending`, on the same file system.
fn sibling(path: &Path, ending: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{ending}"))
}

fn remove(folder: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(TrainError::file(folder, e)),
        _ => Ok(()),
    }
}
