//! How often which percentage was right.

use leitmotif_models::{Confidence, Predictions, argmax};

use super::read::TrainedRun;
use crate::paper::experiment::error::ReportError;
use crate::paper::report::document::{Figure, Key, Section, Stroke};
use crate::paper::report::table::{Cell, Table};
use crate::plot::charts::{Axis, Chart, ChartLine, responsive};

/// Ranges of probability.
const RANGES: usize = 5;

/// What has a largest probability in one range.
#[derive(Clone, Debug, Default, PartialEq)]
struct Range {
    from: f64,
    to: f64,
    count: usize,
    right: usize,
    /// Mean of the largest probabilities.
    mean: f64,
}

/// Of the songs that the run was calibrated on, or else of the test clips as the network answers; nothing without either.
pub(super) fn section(run: &TrainedRun) -> Result<Option<Section>, ReportError> {
    let (unit, ranges, text) = match (&run.shown().confidence, &run.predictions) {
        (Some(confidence), _) => ("songs", calibrated(confidence), about(confidence)),
        (None, Some(predictions)) => {
            let text = vec![
                "Probabilities of single test clips, as the network gives them: this run is not calibrated. `leitmotif-train calibrate` \
                 fits a temperature and a threshold for whole songs."
                    .to_owned(),
            ];
            ("clips", of_clips(predictions), text)
        }
        (None, None) => return Ok(None),
    };
    let mut table = Table::new(
        "reliability",
        format!("How often which percentage was right, of {unit}"),
        &["from, %", "to, %", unit, "right", "mean probability, %", "right, %"],
    );
    let mut points = Vec::new();
    for range in &ranges {
        let right = range.right as f64 / range.count.max(1) as f64;
        points.push((100.0 * range.mean, 100.0 * right));
        table.rows.push(vec![
            Cell::number(100.0 * range.from, 0),
            Cell::number(100.0 * range.to, 0),
            Cell::count(range.count),
            Cell::count(range.right),
            Cell::percent(range.mean),
            Cell::percent(right),
        ]);
    }
    let axis = |label| Axis { label, from: 0.0, to: 100.0, ..Axis::default() };
    let honest = vec![(0.0, 0.0), (100.0, 100.0)];
    let chart = Chart {
        x: axis("mean probability, %"),
        y: axis("right, %"),
        lines: vec![
            ChartLine { colour: 7, dashed: true, points: honest, band: Vec::new() },
            ChartLine { colour: 0, dashed: false, points: points.clone(), band: Vec::new() },
        ],
        dots: points.into_iter().map(|(x, y)| (x, y, 0)).collect(),
        ..Chart::default()
    };
    let caption = format!(
        "Share of {unit} that are right by their largest probability; above the broken line the network is right more often than it says"
    );
    let key = |colour, stroke, label: &str| Key { colour, stroke, label: label.to_owned() };
    let legend = vec![key(0, Stroke::Solid, unit), key(7, Stroke::Dashed, "as often as it says")];
    Ok(Some(Section {
        id: "reliability".to_owned(),
        title: "How far percentages can be believed".to_owned(),
        text,
        figures: vec![Figure { drawing: responsive(&chart, &caption)?, caption, legend }],
        tables: vec![table],
    }))
}

fn calibrated(confidence: &Confidence) -> Vec<Range> {
    let of = confidence.reliability.iter().map(|bin| Range {
        from: bin.from,
        to: bin.to,
        count: bin.songs,
        right: bin.right,
        mean: bin.mean,
    });
    of.collect()
}

fn about(confidence: &Confidence) -> Vec<String> {
    let Confidence { temperature, songs, kept, kept_right, source, .. } = confidence;
    let mut text = vec![format!(
        "Calibrated on {songs} songs ({source}): temperature {temperature:.3}. Below a certainty of {:.2} % the answer is none of these \
         artists, which keeps {kept} of the {songs} songs, {kept_right} of them right.",
        100.0 * confidence.threshold
    )];
    if let Some(unknown) = &confidence.unknown {
        text.push(format!(
            "Of {} songs by other artists ({}) {} are still taken for one of them.",
            unknown.songs, unknown.source, unknown.accepted
        ));
    }
    text
}

fn of_clips(predictions: &Predictions) -> Vec<Range> {
    let mut ranges: Vec<Range> = (0..RANGES)
        .map(|i| Range {
            from: i as f64 / RANGES as f64,
            to: (i + 1) as f64 / RANGES as f64,
            ..Range::default()
        })
        .collect();
    for clip in predictions.clips() {
        let answer = argmax(&clip.probabilities);
        let largest = clip.probabilities.get(answer).copied().map_or(0.0, f64::from);
        let place = ((largest * RANGES as f64) as usize).min(RANGES - 1);
        if let Some(range) = ranges.get_mut(place) {
            range.count += 1;
            range.right += usize::from(answer == clip.truth.0);
            range.mean += largest;
        }
    }
    ranges.retain(|range| range.count > 0);
    ranges.iter_mut().for_each(|range| range.mean /= range.count as f64);
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::report::measure::tests::run;

    #[test]
    fn clips_are_counted_by_their_largest_probability() {
        let run = run("r", &[("1", "x", 0, 0), ("2", "x", 0, 1), ("3", "y", 1, 1)]);
        // All are of 70 %, two are right.
        let ranges = of_clips(&run.predictions);
        assert_eq!(ranges.len(), 1);
        let Range { from, to, count, right, mean } = ranges[0];
        assert_eq!((from, to, count, right), (0.6, 0.8, 3, 2));
        assert!((mean - 0.7).abs() < 1e-6);
    }
}
