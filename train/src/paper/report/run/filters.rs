//! What the first layer's filters respond to; of a run that was analysed, those of every layer.

use super::read::TrainedRun;
use crate::paper::experiment::error::ReportError;
use crate::paper::report::document::Section;
use crate::paper::report::sections;

/// Figures and tables of the filters, or why there are none.
pub(super) fn section(run: &TrainedRun) -> Result<Section, ReportError> {
    let analysed = run.filters.iter().map(|analysis| (run.name.as_str(), analysis));
    let mut section = sections::filters::of(analysed)?;
    section.title = "Filters".to_owned();
    match (&run.filters, run.untrained_filters()) {
        (None, Some(block)) => section.text.push(format!(
            "The first layer takes the energies of {} bands by pairs of windowed cosines and sines, {} samples long, which are not trained \
             (trainable = false): they are as they began, spaced in mel, so there is nothing learned to show.",
            block.filters, block.kernel
        )),
        (None, None) => section.text.push("Its weights are missing, so its filters cannot be shown.".to_owned()),
        (Some(analysis), _) if analysis.layers.len() == 1 => {
            section.text = vec![
                "The frequency response of each filter of the first layer, out of the weights. Each column is a filter, and filters are sorted \
                 by spectral centroid; frequency rises from 0 to 8 kHz, and brighter is stronger."
                    .to_owned(),
            ];
        }
        (Some(_), _) => {}
    }
    Ok(section)
}
