//! A checkpoint is a self-describing folder: `run.json`, `weights.safetensors`, `optimizer.safetensors` and
//! `probe.safetensors`.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use leitmotif_dataset::fs::{replace, sync_folder};
use leitmotif_models::checkpoint::{OPTIMIZER, PROBE, RECORD, WEIGHTS, beside, is_run, locate};
use leitmotif_models::{RunError, RunRecord};

use crate::error::{CheckpointError, TrainError};
use crate::model::tensors::{self, Tensors, check};

/// Everything in a checkpoint's folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The network, its classes, settings, data and progress.
    pub record: RunRecord,
    /// Weights and running statistics, by the names of [`leitmotif_models::Network::params`].
    pub weights: Tensors,
    /// The optimizer's moments.
    pub optimizer: Tensors,
    /// Inputs with this network's outputs, against which an export is verified: `waveform` `[rows, samples]`, `logits`
    /// `[rows, segments, classes]`, `embedding` `[rows, segments, units]`.
    pub probe: Tensors,
}

impl Checkpoint {
    /// Reads and checks a folder, without changing anything: a run may be writing it.
    ///
    /// # Errors
    ///
    /// A file that is missing or unreadable, and all missing, surplus, misshapen and non-finite weights at once.
    pub fn read(folder: &Path) -> Result<Self, TrainError> {
        for _ in 0..10 {
            let before = read_record(folder)?;
            let read = Self::read_once(folder);
            // Otherwise a run's next epoch has replaced it meanwhile, and a part of that may have been read.
            if read_record(folder).is_ok_and(|after| after == before) {
                return read;
            }
        }
        Self::read_once(folder)
    }

    fn read_once(folder: &Path) -> Result<Self, TrainError> {
        let record = read_record(folder)?;
        let folder = locate(folder);
        let weights = tensors::read(&folder.join(WEIGHTS))?;
        let params = record.network.params(record.classes.len());
        let shapes = params.into_iter().map(|p| (p.name, p.shape));
        check(shapes, &weights)
            .map_err(|source| CheckpointError::Weights { path: folder.clone(), source })?;
        let optimizer = tensors::read(&folder.join(OPTIMIZER))?;
        let probe = tensors::read(&folder.join(PROBE))?;
        Ok(Checkpoint { record, weights, optimizer, probe })
    }

    /// Writes the folder under another name, then renames it, so that a kill never leaves half a checkpoint.
    ///
    /// # Errors
    ///
    /// Whatever the system refuses, with the file; the checkpoint that was in `folder` stays.
    pub fn write(&self, folder: &Path) -> Result<(), TrainError> {
        let making = beside(folder, "new");
        remove(&making)?;
        self.write_new(&making).inspect_err(|_| {
            // Frees the space on a full disk.
            let _ = remove(&making);
        })?;
        // A folder cannot replace another in one step; `settle` repairs a kill between the two renames.
        let old = beside(folder, "old");
        remove(&old)?;
        if folder.exists() {
            fs::rename(folder, &old).map_err(|e| TrainError::file(folder, e))?;
        }
        fs::rename(&making, folder).map_err(|e| TrainError::file(folder, e))?;
        sync_folder(folder.parent().unwrap_or(Path::new("")));
        remove(&old)
    }

    fn write_new(&self, making: &Path) -> Result<(), TrainError> {
        fs::create_dir_all(making).map_err(|e| TrainError::file(making, e))?;
        write_text(&making.join(RECORD), &record_text(making, &self.record)?)?;
        for (file, tensors) in
            [(WEIGHTS, &self.weights), (OPTIMIZER, &self.optimizer), (PROBE, &self.probe)]
        {
            let path = making.join(file);
            tensors::write(&path, tensors)?;
            let synced = fs::File::open(&path).and_then(|f| f.sync_all());
            synced.map_err(|e| TrainError::file(&path, e))?;
        }
        sync_folder(making);
        Ok(())
    }
}

/// Whether a checkpoint, or a run's folder in its place, lies in `folder`.
pub fn is_checkpoint(folder: &Path) -> bool {
    leitmotif_models::checkpoint::is_checkpoint(folder) || is_run(folder)
}

/// Reads `run.json` alone.
///
/// # Errors
///
/// `RunFolder` for a run's own folder, `Missing` for a folder without a checkpoint, a file that is unreadable, a record
/// that is not valid.
pub fn read_record(folder: &Path) -> Result<RunRecord, TrainError> {
    let path = locate(folder).join(RECORD);
    let text = fs::read_to_string(&path).map_err(|e| match e.kind() {
        ErrorKind::NotFound if is_run(folder) => {
            CheckpointError::RunFolder { path: folder.to_owned() }.into()
        }
        ErrorKind::NotFound => CheckpointError::Missing { path: folder.to_owned() }.into(),
        _ => TrainError::file(&path, e),
    })?;
    Ok(RunRecord::from_json(&text).map_err(|source| CheckpointError::Record { path, source })?)
}

/// Replaces `run.json` alone, e.g. once the scores are known.
///
/// # Errors
///
/// Whatever the system refuses, and a record that could not be read back.
pub fn write_record(folder: &Path, record: &RunRecord) -> Result<(), TrainError> {
    let path = folder.join(RECORD);
    write_text(&path, &record_text(folder, record)?)
}

/// Writes a text file atomically; once this returns, it survives a power cut.
///
/// # Errors
///
/// What the system refuses, with the file.
pub fn write_text(path: &Path, text: &str) -> Result<(), TrainError> {
    replace(path, text.as_bytes()).map_err(|e| TrainError::file(path, e))
}

/// Checks that [`write_text`] will be able to write `path`, before hours are spent on its content.
///
/// # Errors
///
/// A folder of that name, or whatever the system refuses.
pub fn check_writable(path: &Path) -> Result<(), TrainError> {
    if path.is_dir() {
        return Err(TrainError::file(path, ErrorKind::IsADirectory.into()));
    }
    let making = beside(path, "new");
    let tried = fs::File::create(&making).and_then(|_| fs::remove_file(&making));
    tried.map_err(|e| TrainError::file(path, e))
}

/// Undoes what a kill left of [`Checkpoint::write`]: between its two renames the old checkpoint gets its name back,
/// else what is under other names goes.
///
/// Only for the process that holds the run's lock: any other could undo a rename that is under way.
pub(crate) fn settle(folder: &Path) -> Result<(), TrainError> {
    let old = beside(folder, "old");
    if !folder.exists() && old.exists() {
        fs::rename(&old, folder).map_err(|e| TrainError::file(&old, e))?;
    }
    remove(&old)?;
    remove(&beside(folder, "new"))
}

fn record_text(folder: &Path, record: &RunRecord) -> Result<String, TrainError> {
    let failed = |source: RunError| CheckpointError::Record { path: folder.join(RECORD), source };
    Ok(record.to_json().map_err(failed)?)
}

/// Removes a folder that need not be there.
///
/// # Errors
///
/// Whatever the system refuses.
pub(crate) fn remove(folder: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(TrainError::file(folder, e)),
        _ => Ok(()),
    }
}
