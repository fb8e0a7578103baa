//! A run's folder in memory.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use leitmotif_models::checkpoint::{BEST, LAST, PREDICTIONS, WEIGHTS, is_checkpoint, locate};
use leitmotif_models::{Block, BlockKind, Predictions, RunRecord, Scores, argmax};

use crate::learn::checkpoint::read_record;
use crate::learn::config::FitConfig;
use crate::learn::history::History;
use crate::model::tensors;
use crate::paper::experiment::error::ExperimentError;
use crate::paper::experiment::filters::{FilterAnalysis, LayerAnalysis};
use crate::paper::experiment::machine::Session;
use crate::runs::run::Run;

/// A run, finished or not.
#[derive(Debug)]
pub(super) struct TrainedRun {
    /// Name of its folder.
    pub(super) name: String,
    /// Its settings, as they are now.
    pub(super) config: FitConfig,
    /// Every epoch.
    pub(super) history: History,
    /// The newest checkpoint's record.
    pub(super) last: RunRecord,
    /// That of the best epoch, where it has scores of its own.
    best: Option<RunRecord>,
    /// Predictions on the test part by the checkpoint that is shown.
    pub(super) predictions: Option<Predictions>,
    /// Why there are none, or why they are not those of the scores.
    pub(super) predictions_problem: Option<String>,
    /// The machines that trained it, where that was recorded.
    pub(super) sessions: Vec<Session>,
    /// What its filters respond to; nothing where its first filters are not trained.
    pub(super) filters: Option<FilterAnalysis>,
}

impl TrainedRun {
    /// Reads a run's folder.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub(super) fn read(run: &Path) -> Result<Self, ExperimentError> {
        let Run { record: last, config, history, .. } = Run::read(run)?;
        let best = run.join(BEST);
        let best = is_checkpoint(&best).then(|| read_record(&best)).transpose()?;
        let best = best.filter(|record| record.scores.is_some());
        let checkpoint = locate(&run.join(if best.is_some() { BEST } else { LAST }));
        let shown = best.as_ref().unwrap_or(&last);
        let predictions = predictions(&checkpoint.join(PREDICTIONS))?;
        let predictions_problem = problem(shown, predictions.as_ref());
        let filters = match FilterAnalysis::exists(run) {
            true => Some(FilterAnalysis::read(run)?),
            false => first_layer(&checkpoint.join(WEIGHTS), shown)?,
        };
        let full = fs::canonicalize(run).unwrap_or_else(|_| run.to_owned());
        let name = full.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(TrainedRun {
            name: name.unwrap_or_default(),
            config,
            history,
            best,
            predictions,
            predictions_problem,
            sessions: Session::read(run)?,
            filters,
            last,
        })
    }

    /// The record whose scores count: of the best epoch, or of the newest while there are none.
    pub(super) fn shown(&self) -> &RunRecord {
        self.best.as_ref().unwrap_or(&self.last)
    }

    /// The scored checkpoints by name: the best, and the last where it is of another epoch.
    pub(super) fn scored(&self) -> impl Iterator<Item = (&'static str, &RunRecord, &Scores)> {
        let best = self.best.iter().map(|record| (BEST, record));
        let best_epoch = self.best.as_ref().map(|record| record.epoch);
        let last = Some((LAST, &self.last)).filter(|(_, of)| Some(of.epoch) != best_epoch);
        best.chain(last).filter_map(|(name, record)| Some((name, record, record.scores.as_ref()?)))
    }

    /// Whether a validation part chose the best epoch.
    pub(super) fn has_validation(&self) -> bool {
        self.history.rows().iter().any(|row| row.validation_songs.is_some())
    }

    /// The first block, where its filters stay as they begin.
    pub(super) fn untrained_filters(&self) -> Option<&Block> {
        let first = self.shown().network.blocks.first()?;
        (first.kind == BlockKind::Energy && !first.trainable).then_some(first)
    }
}

/// The predictions in a file; nothing where there is none.
fn predictions(path: &Path) -> Result<Option<Predictions>, ExperimentError> {
    let text = match fs::read_to_string(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|e| ExperimentError::file(path, e))?,
    };
    Predictions::from_lines(&text)
        .map(Some)
        .map_err(|e| ExperimentError::broken_predictions(path, e))
}

/// Whether the predictions are those of the recorded scores.
fn problem(record: &RunRecord, predictions: Option<&Predictions>) -> Option<String> {
    let scores = record.scores.as_ref()?;
    let Some(predictions) = predictions else {
        return Some(format!(
            "{PREDICTIONS} is missing, so nothing can be said of single clips and songs; `fit --resume` writes it."
        ));
    };
    let clips = predictions.clips();
    let right = clips.iter().filter(|clip| argmax(&clip.probabilities) == clip.truth.0).count();
    let recorded: usize = scores.artists.iter().map(|artist| artist.clips_right).sum();
    let same =
        predictions.classes() == record.classes && (clips.len(), right) == (scores.clips, recorded);
    (!same).then(|| {
        format!(
            "{PREDICTIONS} has {right} of {} clips right, the scores in run.json {recorded} of {}: one of them is of another \
             evaluation.",
            clips.len(),
            scores.clips
        )
    })
}

/// What the first layer's filters respond to, by the weights; nothing where they are not trained or the file is missing.
fn first_layer(
    weights: &Path,
    record: &RunRecord,
) -> Result<Option<FilterAnalysis>, ExperimentError> {
    let is_trained = record.network.blocks.first().is_some_and(|block| block.trainable);
    if !is_trained || !weights.exists() {
        return Ok(None);
    }
    let layer = LayerAnalysis::of_first(&tensors::read(weights)?)?;
    Ok(Some(FilterAnalysis { layers: vec![layer] }))
}
