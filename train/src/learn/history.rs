//! `history.csv` of a run: one line for each epoch, which decides the best epoch.

use std::path::Path;

use leitmotif_models::Scores;
use serde::{Deserialize, Serialize};

use crate::error::{RunFolderError, TrainError};
use crate::learn::checkpoint::write_text;

/// Name of the file in a run's folder.
pub const HISTORY: &str = "history.csv";

/// One epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochRow {
    /// Epochs done, from 1.
    pub epoch: usize,
    /// Optimizer steps done.
    pub step: u64,
    /// Learning rate of the epoch's last step.
    #[serde(rename = "rate")]
    pub learning_rate: f64,
    /// Mean training loss in nats, augmentation and label smoothing included.
    pub loss: f64,
    /// Accuracy on the training batches, before each step.
    pub accuracy: f64,
    /// Accuracy by segment, clip and song on the validation part, where there is one.
    pub validation_segments: Option<f64>,
    /// See above.
    pub validation_clips: Option<f64>,
    /// See above.
    pub validation_songs: Option<f64>,
    /// Accuracy by segment, clip and song on the test part, where `--watch-test` asks for it; nothing is chosen by it.
    #[serde(default)]
    pub test_segments: Option<f64>,
    /// See above.
    #[serde(default)]
    pub test_clips: Option<f64>,
    /// See above.
    #[serde(default)]
    pub test_songs: Option<f64>,
    /// Seconds of training, without evaluation.
    pub seconds: f64,
    /// Training clips per second.
    pub clips_per_second: f64,
    /// Mean cross-entropy in nats on the validation part, of the same outputs as the training loss.
    #[serde(default)]
    pub validation_loss: Option<f64>,
    /// Euclidean norm of all gradients together before they are clipped, mean over the epoch's steps.
    #[serde(default)]
    pub gradient_norm: Option<f64>,
}

impl EpochRow {
    /// Adds loss and scores of the validation part.
    pub fn with_validation(mut self, found: Option<(f64, &Scores)>) -> Self {
        let scores = found.map(|(_, scores)| scores);
        self.validation_loss = found.map(|(loss, _)| loss);
        self.validation_segments = scores.map(|s| s.segment_accuracy.value);
        self.validation_clips = scores.map(|s| s.clip_accuracy.value);
        self.validation_songs = scores.map(|s| s.song_accuracy.value);
        self
    }

    /// Adds scores of the test part.
    pub fn with_test(mut self, scores: Option<&Scores>) -> Self {
        self.test_segments = scores.map(|s| s.segment_accuracy.value);
        self.test_clips = scores.map(|s| s.clip_accuracy.value);
        self.test_songs = scores.map(|s| s.song_accuracy.value);
        self
    }

    /// What the best epoch maximises: accuracy by song, then by clip among equals, since songs are few.
    fn validation_accuracy(&self) -> Option<(f64, f64)> {
        Some((self.validation_songs?, self.validation_clips?))
    }
}

/// All epochs so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    rows: Vec<EpochRow>,
}

impl History {
    /// Reads the history in the folder `run` up to and including `epochs`; of none there may be no file yet.
    ///
    /// # Errors
    ///
    /// A file that is missing or is not such a table; it is named.
    pub fn read(run: &Path, epochs: usize) -> Result<Self, TrainError> {
        if epochs == 0 {
            return Ok(History::default());
        }
        let path = run.join(HISTORY);
        let invalid = |e: csv::Error| invalid(&path, e);
        let mut reader = csv::Reader::from_path(&path).map_err(invalid)?;
        let rows = reader.deserialize().collect::<Result<Vec<EpochRow>, _>>().map_err(invalid)?;
        Ok(History { rows: rows.into_iter().filter(|row| row.epoch <= epochs).collect() })
    }

    /// A history of these epochs, in order.
    pub fn of(rows: Vec<EpochRow>) -> Self {
        History { rows }
    }

    /// Replaces the whole file atomically.
    ///
    /// # Errors
    ///
    /// Whatever the system refuses.
    pub fn write(&self, run: &Path) -> Result<(), TrainError> {
        let path = run.join(HISTORY);
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in &self.rows {
            writer.serialize(row).map_err(|e| invalid(&path, e))?;
        }
        let bytes = writer.into_inner().map_err(|e| invalid(&path, e))?;
        write_text(&path, &String::from_utf8_lossy(&bytes))
    }

    /// Every epoch, in order.
    pub fn rows(&self) -> &[EpochRow] {
        &self.rows
    }

    /// The newest epoch.
    pub fn newest(&self) -> Option<&EpochRow> {
        self.rows.last()
    }

    /// Adds an epoch; returns whether it is the best so far, which without validation the newest always is.
    pub fn push(&mut self, row: EpochRow) -> bool {
        let epoch = row.epoch;
        self.rows.push(row);
        self.best_epoch() == epoch
    }

    /// The epoch with the best validation, the earliest of equals; without validation the newest; 0 before any.
    pub fn best_epoch(&self) -> usize {
        let mut best: Option<(&EpochRow, (f64, f64))> = None;
        for row in &self.rows {
            match (row.validation_accuracy(), best) {
                (None, _) => return self.newest().map_or(0, |r| r.epoch),
                (Some(accuracy), Some((_, highest))) if accuracy <= highest => {}
                (Some(accuracy), _) => best = Some((row, accuracy)),
            }
        }
        best.map_or(0, |(row, _)| row.epoch)
    }

    /// Whether so many epochs have passed without a better one (early stopping).
    pub fn is_exhausted(&self, patience: Option<usize>) -> bool {
        let newest = self.newest().map_or(0, |row| row.epoch);
        patience.is_some_and(|patience| newest > 0 && newest - self.best_epoch() >= patience.max(1))
    }
}

fn invalid(path: &Path, error: impl ToString) -> RunFolderError {
    RunFolderError::History { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(epoch: usize, validation: Option<(f64, f64)>) -> EpochRow {
        EpochRow {
            epoch,
            step: epoch as u64 * 10,
            learning_rate: 1e-3,
            loss: 1.5,
            accuracy: 0.25,
            validation_segments: validation.map(|_| 0.1),
            validation_clips: validation.map(|v| v.1),
            validation_songs: validation.map(|v| v.0),
            test_segments: None,
            test_clips: Some(0.75),
            test_songs: None,
            seconds: 1.25,
            clips_per_second: 80.0,
            validation_loss: validation.map(|_| 1.75),
            gradient_norm: Some(0.5),
        }
    }

    #[test]
    fn songs_decide_then_clips_then_the_earlier() {
        let mut history = History::default();
        assert!(history.push(row(1, Some((0.5, 0.4)))));
        assert!(history.push(row(2, Some((0.5, 0.6)))));
        assert!(!history.push(row(3, Some((0.5, 0.6)))));
        assert!(!history.push(row(4, Some((0.4, 0.9)))));
        assert_eq!(history.best_epoch(), 2);
        assert!(history.is_exhausted(Some(2)) && !history.is_exhausted(Some(3)));
        assert!(!history.is_exhausted(None));
    }

    #[test]
    fn the_test_part_decides_nothing() {
        let mut history = History::default();
        let tested =
            |epoch, test| EpochRow { test_songs: Some(test), ..row(epoch, Some((0.5, 0.5))) };
        assert!(history.push(tested(1, 0.1)));
        assert!(!history.push(tested(2, 0.9)));
        assert_eq!(history.best_epoch(), 1);
    }

    #[test]
    fn a_history_without_the_newer_columns_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let old = "epoch,step,rate,loss,accuracy,validation_segments,validation_clips,validation_songs,seconds,clips_per_second\n\
                   1,200,0.0025,1.5,0.5,,,,14.5,26.25\n";
        std::fs::write(folder.path().join(HISTORY), old).unwrap();
        let read = History::read(folder.path(), 1).unwrap();
        assert_eq!((read.rows[0].test_clips, read.rows[0].seconds), (None, 14.5));
        assert_eq!((read.rows[0].validation_loss, read.rows[0].gradient_norm), (None, None));
    }

    #[test]
    fn without_validation_the_newest_is_best() {
        let mut history = History::default();
        assert!(history.push(row(1, None)) && history.push(row(2, None)));
        assert!(!history.is_exhausted(Some(1)));
    }

    #[test]
    fn a_history_is_read_back_up_to_an_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let mut history = History::default();
        history.push(row(1, None));
        history.push(row(2, Some((0.5, 0.25))));
        history.write(folder.path()).unwrap();
        let written = std::fs::read_to_string(folder.path().join(HISTORY)).unwrap();
        let header = "epoch,step,rate,loss,accuracy,validation_segments,validation_clips,validation_songs,\
                      test_segments,test_clips,test_songs,seconds,clips_per_second,\
                      validation_loss,gradient_norm";
        assert_eq!(written.lines().next(), Some(header));
        assert_eq!(History::read(folder.path(), 2).unwrap(), history);
        assert_eq!(History::read(folder.path(), 1).unwrap().rows, history.rows[..1]);
        assert!(History::read(&folder.path().join("none"), 0).unwrap().rows.is_empty());
        assert!(History::read(&folder.path().join("none"), 1).is_err());
    }
}
