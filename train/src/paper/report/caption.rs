//! Text and legend that the sections of several experiments have in common.

use super::document::{Key, Stroke};
use crate::paper::experiment::results_dir::PlannedExperiment;

/// The scale, in a sentence or two.
pub(super) fn scale_sentence(planned: &PlannedExperiment) -> String {
    let scale = &planned.scale;
    let approximate = match planned.experiment.values.iter().any(|value| value.approximate) {
        true => " The paper’s percentages here are read off its figure.",
        false => "",
    };
    format!("Scale “{}”: {}.{approximate}", scale.name, scale.description)
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
