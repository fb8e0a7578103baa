//! Text and legend that the sections of several experiments have in common.

use super::document::{Key, Stroke};
use super::epochs::Epochs;
use super::results::SeriesResults;
use crate::paper::experiment::results_dir::PlannedExperiment;

/// The scale, what the command line changed of it, and the epochs that were really run.
pub(super) fn scale_sentence(
    planned: &PlannedExperiment,
    all_series: &[SeriesResults<'_>],
) -> String {
    let scale = &planned.scale;
    let mut text = format!("Scale “{}”: {}.", scale.name, scale.description);
    if let Some(changes) = scale.changes() {
        text += &format!(" {changes}");
    }
    if let Some(epochs) = Epochs::of(planned, all_series) {
        text += &format!(" The runs here have {epochs}.");
    }
    if planned.experiment.values.iter().any(|value| value.approximate) {
        text += " The paper’s percentages here are read off its figure.";
    }
    text
}

/// ` after 2 of 8 epochs`, for captions; nothing without a finished run.
pub(super) fn after_epochs(
    planned: &PlannedExperiment,
    all_series: &[SeriesResults<'_>],
) -> String {
    let epochs = Epochs::of(planned, all_series);
    epochs.map_or_else(String::new, |epochs| format!(" after {epochs}"))
}

/// The colour of each series, and the paper's marks where the chart has any.
pub(super) fn legend(planned: &PlannedExperiment, marks: bool) -> Vec<Key> {
    let series = planned.experiment.series.iter().enumerate();
    let mut keys: Vec<Key> = series
        .map(|(colour, series)| Key { colour, stroke: Stroke::Solid, label: series.label.clone() })
        .collect();
    if marks {
        keys.push(Key { colour: 0, stroke: Stroke::Mark, label: "paper".to_owned() });
    }
    keys
}
