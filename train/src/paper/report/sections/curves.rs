//! Figures 1 to 4: training and test accuracy by epoch.

use crate::paper::experiment::error::ExperimentError;
use crate::paper::experiment::results_dir::PlannedExperiment;
use crate::paper::experiment::spec::Measure;
use crate::paper::report::caption::{after_epochs, legend, scale_sentence};
use crate::paper::report::document::{Figure, Section};
use crate::paper::report::measure::{Metric, measure_series, test_accuracy};
use crate::paper::report::results::{Results, Run, SeriesResults};
use crate::paper::report::spread::Spread;
use crate::paper::report::table::{Cell, Table, Visibility};
use crate::plot::charts::{Axis, Chart, ChartLine, responsive};

/// The epochs of a series. With early stopping, later epochs have fewer runs: a mean over those is not comparable with the mean
/// before it, so charts and comparisons end with the shortest run.
struct Curve {
    /// Every epoch of any run.
    all: Vec<Epoch>,
    /// How many of them all runs have.
    common: usize,
}

/// An epoch over the runs that have it, in percent.
struct Epoch {
    epoch: usize,
    train: Option<Spread>,
    test: Option<Spread>,
}

impl Curve {
    /// Of the finished runs of a series.
    fn of(series: &SeriesResults<'_>) -> Self {
        let lengths = || series.runs.iter().map(|run| run.history.rows().len());
        let percent = |values: Vec<f64>| {
            Spread::of(&values.into_iter().map(|v| 100.0 * v).collect::<Vec<_>>())
        };
        let epoch = |i: usize| {
            let rows = || series.runs.iter().filter_map(move |run| run.history.rows().get(i));
            Epoch {
                epoch: i + 1,
                train: percent(rows().map(|row| row.accuracy).collect()),
                test: percent(
                    rows().filter_map(|row| test_accuracy(row, series.series.unit)).collect(),
                ),
            }
        };
        Curve {
            all: (0..lengths().max().unwrap_or(0)).map(epoch).collect(),
            common: lengths().min().unwrap_or(0),
        }
    }

    /// The epochs that all runs have.
    fn common_epochs(&self) -> impl Iterator<Item = &Epoch> {
        self.all.iter().take(self.common)
    }

    /// The highest mean on the test part, and the first epoch that has it.
    fn peak(&self) -> Option<(usize, f64)> {
        let means = self.common_epochs().filter_map(|e| Some((e.epoch, e.test?.mean)));
        means.fold(None, |best: Option<(usize, f64)>, now| match best {
            Some((_, most)) if most >= now.1 => best,
            _ => Some(now),
        })
    }
}

/// Curves, final scores and the scores of every epoch.
pub(in crate::paper::report) fn section(
    results: &Results,
    planned: &PlannedExperiment,
) -> Result<Section, ExperimentError> {
    let experiment = &planned.experiment;
    let all_series = results.series(planned);
    let curves: Vec<Curve> = all_series.iter().map(Curve::of).collect();
    let source = match experiment.source.as_str() {
        "" => String::new(),
        source => format!(" ({source} of the paper)"),
    };
    let mut figures = Vec::new();
    if curves.iter().any(|curve| curve.common > 0) {
        let caption = format!(
            "Accuracy by epoch{}{source}. Solid: test accuracy, mean of the runs within a band from the lowest to the highest; \
             dashed: training accuracy",
            after_epochs(planned, &all_series)
        );
        let chart = chart(&curves, planned);
        let drawing = responsive(&chart, &format!("{}: accuracy by epoch", experiment.title))?;
        let legend = legend(planned, !chart.marks.is_empty());
        figures.push(Figure { caption, drawing, legend });
    }
    let mut text = vec![experiment.question.clone(), scale_sentence(planned, &all_series)];
    if curves.iter().any(|curve| curve.common < curve.all.len()) {
        text.push(
            "Some runs stopped earlier than others of their series. The curves and the highest means cover the epochs that all runs of \
             a series have; the table of all epochs gives the number of runs for each."
                .to_owned(),
        );
    }
    Ok(Section {
        id: experiment.name.clone(),
        title: experiment.title.clone(),
        text,
        figures,
        tables: vec![
            final_scores(planned, &all_series, &curves, results),
            by_epoch(planned, &curves),
        ],
    })
}

fn chart(curves: &[Curve], planned: &PlannedExperiment) -> Chart {
    let last = curves.iter().map(|curve| curve.common).max().unwrap_or(1) as f64;
    let mut lines = Vec::new();
    for (colour, curve) in curves.iter().enumerate() {
        let of = |which: fn(&Epoch) -> Option<Spread>| -> Vec<(f64, Spread)> {
            curve.common_epochs().filter_map(|e| Some((e.epoch as f64, which(e)?))).collect()
        };
        let means = |points: &[(f64, Spread)]| points.iter().map(|(x, s)| (*x, s.mean)).collect();
        let (train, test) = (of(|e| e.train), of(|e| e.test));
        let band = test.iter().map(|(x, s)| (*x, s.low, s.high)).collect();
        lines.push(ChartLine { colour, dashed: true, points: means(&train), band: Vec::new() });
        lines.push(ChartLine { colour, dashed: false, points: means(&test), band });
    }
    // The paper's final accuracies are at the right edge, whatever our last epoch is.
    let experiment = &planned.experiment;
    let marks = experiment.values.iter().filter(|v| v.measure == Measure::Accuracy);
    let marks = marks.filter_map(|v| Some((last, v.value, experiment.series_index(&v.series)?)));
    Chart {
        x: Axis { label: "epoch", from: 1.0_f64.min(last - 1.0), to: last, ..Axis::default() },
        y: Axis { label: "accuracy, %", from: 0.0, to: 100.0, ..Axis::default() },
        lines,
        marks: marks.collect(),
        ..Chart::default()
    }
}

/// Final and highest accuracy of each series, beside the paper's.
fn final_scores(
    planned: &PlannedExperiment,
    all_series: &[SeriesResults<'_>],
    curves: &[Curve],
    results: &Results,
) -> Table {
    let early = planned.scale.patience.is_some();
    let at = if early { "of the best epoch by validation" } else { "after the last epoch" };
    let mut table = Table::new(
        format!("{}-scores", planned.experiment.name),
        format!("Test accuracy {at}, over the runs"),
        &[
            "line",
            "runs",
            "mean, %",
            "lowest",
            "highest",
            "deviation",
            "paper, %",
            "highest mean, %",
            "in epoch",
            "paper’s epoch",
            "while learning, %",
        ],
    );
    let paper = |label: &str, measure: Measure| {
        let values = &planned.experiment.values;
        let value = values.iter().find(|v| v.series == label && v.measure == measure);
        value.map(|v| v.value)
    };
    for (series, curve) in all_series.iter().zip(curves) {
        let metric = Metric { measure: Measure::Accuracy, k: None, genre: None };
        let spread = measure_series(series, metric, &results.genres);
        let peak = curve.peak();
        // Of the same epochs and runs as the test accuracy beside it.
        let training: Vec<f64> = series.runs.iter().filter_map(training_accuracy).collect();
        let training = Spread::of(&training);
        let label = series.series.label.as_str();
        table.rows.push(vec![
            Cell::text(label),
            Cell::text(format!("{} of {}", series.runs.len(), series.planned)),
            Cell::maybe(spread.map(|s| s.mean), 2),
            Cell::maybe(spread.map(|s| s.low), 2),
            Cell::maybe(spread.map(|s| s.high), 2),
            Cell::maybe(spread.and_then(|s| s.deviation), 2),
            Cell::paper(paper(label, Measure::Accuracy), 2),
            Cell::maybe(peak.map(|p| p.1), 2),
            Cell::maybe(peak.map(|p| p.0 as f64), 0),
            Cell::paper(paper(label, Measure::PeakEpoch), 0),
            Cell::maybe(training.map(|s| s.mean), 2),
        ]);
    }
    table
}

/// Training accuracy in the evaluated epoch, in percent.
fn training_accuracy(run: &&Run) -> Option<f64> {
    let evaluated = run.history.rows().iter().find(|row| row.epoch == run.record.epoch);
    evaluated.map(|row| 100.0 * row.accuracy)
}

fn by_epoch(planned: &PlannedExperiment, curves: &[Curve]) -> Table {
    let mut table = Table::new(
        format!("{}-epochs", planned.experiment.name),
        "Accuracy by epoch, over the runs that have it",
        &["line", "epoch", "runs", "test, %", "lowest", "highest", "while learning, %"],
    )
    .with_visibility(Visibility::Folded);
    for (series, curve) in planned.experiment.series.iter().zip(curves) {
        for Epoch { epoch, train, test } in &curve.all {
            table.rows.push(vec![
                Cell::text(&series.label),
                Cell::count(*epoch),
                Cell::count(train.map_or(0, |s| s.runs)),
                Cell::maybe(test.map(|s| s.mean), 2),
                Cell::maybe(test.map(|s| s.low), 2),
                Cell::maybe(test.map(|s| s.high), 2),
                Cell::maybe(train.map(|s| s.mean), 2),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::history::{EpochRow, History};
    use crate::paper::report::measure::tests::{run, series};

    /// A run with these test accuracies, half of them on the training part, evaluated after that epoch.
    fn tested_run(key: &str, evaluated: usize, test: &[f64]) -> Run {
        let mut run = run(key, &[("1", "x", 0, 0)]);
        let mut history = History::default();
        for (i, accuracy) in test.iter().enumerate() {
            let row = run.history.rows()[0].clone();
            history.push(EpochRow {
                epoch: i + 1,
                accuracy: accuracy / 2.0,
                test_clips: Some(*accuracy),
                ..row
            });
        }
        (run.history, run.record.epoch) = (history, evaluated);
        run
    }

    #[test]
    fn comparisons_end_with_the_shortest_run() {
        // The second run stops after two epochs: later epochs have no mean of both.
        let runs = [tested_run("1", 2, &[0.2, 0.4, 0.9, 0.8]), tested_run("2", 1, &[0.4, 0.3])];
        let series = series();
        let of = |runs| SeriesResults { series: &series, runs, planned: 2 };
        let curve = Curve::of(&of(runs.iter().collect()));
        assert_eq!((curve.common, curve.all.len()), (2, 4));
        assert_eq!(curve.all[3].test.map(|s| s.runs), Some(1));
        let (epoch, mean) = curve.peak().unwrap();
        assert!(epoch == 2 && (mean - 35.0).abs() < 1e-9, "{epoch} {mean}");
        let training: Vec<f64> = runs.iter().filter_map(|run| training_accuracy(&run)).collect();
        assert_eq!(training, [20.0, 20.0]);
        assert_eq!(Curve::of(&of(Vec::new())).peak(), None);
    }
}
