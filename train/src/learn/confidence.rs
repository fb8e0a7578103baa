//! Fits how far a network's percentages can be believed, on songs that it was not trained on.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use leitmotif_models::{Confidence, Predictions};

use crate::error::TrainError;
use crate::learn::evaluate::evaluate_together;
use crate::learn::task::Task;
use crate::model::network::Model;
use crate::ranks::group::Ranks;

/// Where songs of artists who are no class are: a data set, and the split and part of it if not all.
pub type Unknown<'a> = (&'a Path, Option<(&'a str, &'a str)>);

/// Temperature and threshold by the predictions for songs of known artists, with the number of unknown ones' that
/// pass, if there are any; several ranks share the unknown artists' songs. `None` with too few songs.
///
/// # Errors
///
/// What cannot be read or computed, `Interrupted` once `stop` is set.
pub fn calibrate(
    model: &Model,
    known: &Predictions,
    source: String,
    keep: f64,
    unknown: Unknown<'_>,
    stop: &AtomicBool,
    ranks: Option<&Ranks>,
) -> Result<Option<Confidence>, TrainError> {
    let Some(confidence) = Confidence::fit(known, source, keep) else { return Ok(None) };
    let (folder, split) = unknown;
    let task = Task::open_unknown(folder, split, known.classes())?;
    if task.test.is_empty() {
        return Ok(Some(confidence));
    }
    let evaluation = evaluate_together(model, &task, &task.test, stop, |_| {}, ranks)?;
    let name = &task.dataset.info().name;
    let source = match split {
        Some((split, part)) => format!("{name}, {split}, {part}"),
        None => name.clone(),
    };
    Ok(Some(confidence.with_unknown(source, &evaluation.predictions)))
}

/// A part as a record names it: data set, split, part.
pub fn source(task: &Task, part: &str) -> String {
    format!("{}, {}, {part}", task.dataset.info().name, task.split_name)
}
