//! One run by its folder: what was trained, how far, and how well.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use leitmotif_models::checkpoint::{BEST, LAST};
use leitmotif_models::{Estimate, RunRecord, Scores};
use serde::Serialize;

use crate::error::{RunFolderError, TrainError};
use crate::learn::checkpoint::{is_checkpoint, read_record};
use crate::learn::config::FitConfig;
use crate::learn::history::{EpochRow, HISTORY, History};
use crate::learn::start::{LOCK, newest_record, recorded_config};

/// A run's folder, read.
#[derive(Clone, Debug)]
pub struct Run {
    /// The folder.
    pub folder: PathBuf,
    /// `run.json` of the last checkpoint.
    pub record: RunRecord,
    /// Its settings.
    pub config: FitConfig,
    /// The epochs so far.
    pub history: History,
    /// Scores of the best checkpoint on the test part, once the run is done.
    pub scores: Option<Scores>,
}

/// Whether a run was begun in `folder`.
pub fn is_run(folder: &Path) -> bool {
    folder.join(HISTORY).exists() || leitmotif_models::checkpoint::is_run(folder)
}

impl Run {
    /// Reads the folder of a run.
    ///
    /// # Errors
    ///
    /// A folder that is none, has no finished epoch, or whose files cannot be read or do not belong together; the file
    /// is named.
    pub fn read(folder: &Path) -> Result<Self, TrainError> {
        if !is_run(folder) {
            return Err(RunFolderError::NotARun { path: folder.to_owned() }.into());
        }
        let record = newest_record(folder)?;
        let config = recorded_config(&folder.join(LAST), &record)?;
        let history = History::read(folder, record.epoch)?;
        let rows = history.newest().map_or(0, |row| row.epoch);
        if rows != record.epoch {
            let (path, done) = (folder.join(HISTORY), record.epoch);
            let reason = format!("it ends with epoch {rows}, but {done} are done");
            return Err(RunFolderError::History { path, reason }.into());
        }
        let best = folder.join(BEST);
        let scores = if is_checkpoint(&best) { read_record(&best)?.scores } else { None };
        Ok(Run { folder: folder.to_owned(), record, config, history, scores })
    }

    /// The best epoch's line of the history.
    pub fn best(&self) -> Option<&EpochRow> {
        let best = self.history.best_epoch();
        self.history.rows().iter().find(|row| row.epoch == best)
    }

    /// What a list shows of it.
    pub fn summary(&self) -> Summary {
        let (record, config, best) = (&self.record, &self.config, self.best());
        let rows = self.history.rows();
        let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
        Summary {
            network: record.network.name.clone(),
            head: record.network.head.kind.to_string(),
            recipe: config.recipe.clone(),
            dataset: record.dataset.name.clone(),
            split: format!("{}-seed{}", record.split.protocol, record.split.seed),
            split_digest: record.split.digest.clone(),
            seed: record.seed,
            device: config.device.clone(),
            epochs_done: record.epoch,
            epochs: config.epochs,
            finished: record.epoch >= config.epochs || self.history.is_exhausted(config.patience),
            best_epoch: self.history.best_epoch(),
            loss: self.history.newest().map(|row| row.loss),
            validation_loss: best.and_then(|row| row.validation_loss),
            validation_clips: best.and_then(|row| row.validation_clips),
            validation_songs: best.and_then(|row| row.validation_songs),
            test_clips: self.scores.as_ref().map(|scores| scores.clip_accuracy),
            test_songs: self.scores.as_ref().map(|scores| scores.song_accuracy),
            test_macro_f1: self.scores.as_ref().map(|scores| scores.song_macro_f1),
            seconds_per_epoch: (!rows.is_empty()).then(|| seconds / rows.len() as f64),
            // The lock is made when a run begins and stays as it is.
            started: modified(&self.folder.join(LOCK)),
            modified: modified(&self.folder.join(HISTORY)),
        }
    }
}

/// A run in a few numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Name of the network.
    pub network: String,
    /// `dense` or `lstm`.
    pub head: String,
    /// The recipe, if there is one.
    pub recipe: Option<String>,
    /// Name of the data set.
    pub dataset: String,
    /// How the split was made, e.g. `song-seed1`.
    pub split: String,
    /// Its digest: scores of unlike splits say nothing of each other.
    pub split_digest: Option<String>,
    /// Seed of the run.
    pub seed: u64,
    /// `cpu` or `cuda`.
    pub device: String,
    /// Epochs done.
    pub epochs_done: usize,
    /// Epochs in all.
    pub epochs: usize,
    /// Whether nothing is left to train.
    pub finished: bool,
    /// The best epoch.
    pub best_epoch: usize,
    /// Training loss of the last epoch, in nats.
    pub loss: Option<f64>,
    /// Validation loss after the best epoch.
    pub validation_loss: Option<f64>,
    /// Share of validation clips that are right after it.
    pub validation_clips: Option<f64>,
    /// Share of validation songs that are right after it.
    pub validation_songs: Option<f64>,
    /// Of the test part, by clip, once the run is done.
    pub test_clips: Option<Estimate>,
    /// The same by song.
    pub test_songs: Option<Estimate>,
    /// Macro-F1 by song.
    pub test_macro_f1: Option<Estimate>,
    /// Seconds of training, mean over the epochs.
    pub seconds_per_epoch: Option<f64>,
    /// When it began, in seconds since 1970.
    pub started: Option<u64>,
    /// When its newest epoch ended.
    pub modified: Option<u64>,
}

fn modified(file: &Path) -> Option<u64> {
    let time: SystemTime = fs::metadata(file).ok()?.modified().ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// Names for some folders of runs: as many of their last components as make them differ.
///
/// # Errors
///
/// A folder that is named twice.
pub fn names(folders: &[PathBuf]) -> Result<Vec<String>, RunFolderError> {
    let whole = |folder: &PathBuf| fs::canonicalize(folder).unwrap_or_else(|_| folder.clone());
    let whole: Vec<PathBuf> = folders.iter().map(whole).collect();
    for (i, folder) in whole.iter().enumerate() {
        if whole.iter().take(i).any(|before| before == folder) {
            return Err(RunFolderError::Twice { path: folder.clone() });
        }
    }
    let last = |folder: &PathBuf, count: usize| {
        let parts: Vec<_> = folder.components().collect();
        let last = parts.iter().skip(parts.len().saturating_sub(count));
        last.collect::<PathBuf>().display().to_string()
    };
    let longest = whole.iter().map(|folder| folder.components().count()).max().unwrap_or(1);
    let named = |count| whole.iter().map(|folder| last(folder, count)).collect::<Vec<_>>();
    let differ = |names: &Vec<String>| {
        let mut sorted = names.clone();
        sorted.sort();
        sorted.dedup();
        sorted.len() == names.len()
    };
    Ok((1..longest).map(named).find(differ).unwrap_or_else(|| named(longest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_the_same_name_are_told_apart_by_their_folders() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a/run", "b/run"].map(|name| folder.path().join(name));
        for run in [&a, &b] {
            fs::create_dir_all(run).unwrap();
        }
        assert_eq!(names(std::slice::from_ref(&a)).unwrap(), ["run"]);
        let [first, second] =
            ["a", "b"].map(|name| Path::new(name).join("run").display().to_string());
        assert_eq!(names(&[a.clone(), b]).unwrap(), [first, second]);
        let again = a.join("..").join("run");
        assert!(names(&[a, again]).unwrap_err().to_string().contains("twice"));
    }
}
