//! Figures 1 to 4: training and test accuracy by epoch.

use crate::paper::experiment::error::ExperimentError;
use crate::paper::experiment::plan::Asked;
use crate::paper::experiment::spec::{Measure, PaperValue};
use crate::paper::report::document::{Figure, Key, Section, Stroke};
use crate::paper::report::measure::{What, of_line, tested};
use crate::paper::report::results::{Line, Results, Run};
use crate::paper::report::spread::Spread;
use crate::paper::report::table::{Cell, Shown, Table};
use crate::plot::charts::{Axis, Chart, ChartLine, svg};

/// The epochs of a line. A mean over the runs that early stopping has left would be of other runs than the one before it, so
/// what is drawn and compared ends where the first of the runs ends.
struct Curve {
    /// Every epoch that any run reached.
    all: Vec<Epoch>,
    /// How many of them every run reached.
    common: usize,
}

/// An epoch over the runs that came so far, in percent.
struct Epoch {
    epoch: usize,
    train: Option<Spread>,
    test: Option<Spread>,
}

impl Curve {
    /// Of the finished runs of a line.
    fn of(line: &Line<'_>) -> Self {
        let lengths = || line.runs.iter().map(|run| run.history.rows().len());
        let percent = |values: Vec<f64>| {
            Spread::of(&values.into_iter().map(|v| 100.0 * v).collect::<Vec<_>>())
        };
        let epoch = |i: usize| {
            let rows = || line.runs.iter().filter_map(move |run| run.history.rows().get(i));
            Epoch {
                epoch: i + 1,
                train: percent(rows().map(|row| row.accuracy).collect()),
                test: percent(rows().filter_map(|row| tested(row, line.line.judged)).collect()),
            }
        };
        Curve {
            all: (0..lengths().max().unwrap_or(0)).map(epoch).collect(),
            common: lengths().min().unwrap_or(0),
        }
    }

    /// The epochs that every run reached.
    fn whole(&self) -> impl Iterator<Item = &Epoch> {
        self.all.iter().take(self.common)
    }

    /// The highest mean on the test part, and the first epoch that has it.
    fn peak(&self) -> Option<(usize, f64)> {
        let means = self.whole().filter_map(|e| Some((e.epoch, e.test?.mean)));
        means.fold(None, |best: Option<(usize, f64)>, now| match best {
            Some((_, most)) if most >= now.1 => best,
            _ => Some(now),
        })
    }
}

pub(in crate::paper::report) fn section(
    results: &Results,
    asked: &Asked,
) -> Result<Section, ExperimentError> {
    let experiment = &asked.experiment;
    let lines = results.lines(asked);
    let curves: Vec<Curve> = lines.iter().map(Curve::of).collect();
    let source = match experiment.source.as_str() {
        "" => String::new(),
        source => format!(" ({source} of the paper)"),
    };
    let mut figures = Vec::new();
    if curves.iter().any(|curve| curve.common > 0) {
        let caption = format!(
            "Accuracy by epoch{source}: mean of the runs, within the band of the lowest and the highest; broken: while learning"
        );
        let chart = chart(&curves, &experiment.values, asked);
        let drawing = svg(&chart, &format!("{}: accuracy by epoch", experiment.title))?;
        figures.push(Figure { caption, drawing, legend: legend(asked, !chart.marks.is_empty()) });
    }
    let mut text = vec![experiment.question.clone(), about(asked)];
    if curves.iter().any(|curve| curve.common < curve.all.len()) {
        text.push(
            "Some runs stopped earlier than others of their line. The curves and the highest means are of the epochs that every run of \
             the line reached; the table of all epochs says how many runs each of them had."
                .to_owned(),
        );
    }
    Ok(Section {
        id: experiment.name.clone(),
        title: experiment.title.clone(),
        text,
        figures,
        tables: vec![finals(asked, &lines, &curves, results), by_epoch(asked, &curves)],
    })
}

/// What was run, in a sentence or two.
pub(super) fn about(asked: &Asked) -> String {
    let scale = &asked.scale;
    let read_off = match asked.experiment.values.iter().any(|value| value.about) {
        true => " The paper’s percentages here are read off its figure.",
        false => "",
    };
    format!("Scale “{}”: {}.{read_off}", scale.name, scale.about)
}

/// Which colour is which line, and whether the paper's marks occur.
pub(super) fn legend(asked: &Asked, marks: bool) -> Vec<Key> {
    let lines = asked.experiment.lines.iter().enumerate();
    let mut keys: Vec<Key> = lines
        .map(|(colour, line)| Key { colour, stroke: Stroke::Solid, label: line.label.clone() })
        .collect();
    if marks {
        keys.push(Key { colour: 0, stroke: Stroke::Mark, label: "the paper’s".to_owned() });
    }
    keys
}

fn chart(curves: &[Curve], values: &[PaperValue], asked: &Asked) -> Chart {
    let last = curves.iter().map(|curve| curve.common).max().unwrap_or(1) as f64;
    let mut lines = Vec::new();
    for (colour, curve) in curves.iter().enumerate() {
        let of = |which: fn(&Epoch) -> Option<Spread>| -> Vec<(f64, Spread)> {
            curve.whole().filter_map(|e| Some((e.epoch as f64, which(e)?))).collect()
        };
        let means = |points: &[(f64, Spread)]| points.iter().map(|(x, s)| (*x, s.mean)).collect();
        let (train, test) = (of(|e| e.train), of(|e| e.test));
        let band = test.iter().map(|(x, s)| (*x, s.low, s.high)).collect();
        lines.push(ChartLine { colour, dashed: true, points: means(&train), band: Vec::new() });
        lines.push(ChartLine { colour, dashed: false, points: means(&test), band });
    }
    // The paper's final accuracies stand at the right edge, whatever epoch ours ends with.
    let marks = values.iter().filter(|v| v.measure == Measure::Accuracy);
    let marks = marks.filter_map(|v| Some((last, v.value, asked.experiment.line(&v.line)?)));
    Chart {
        x: Axis { label: "epoch", from: 1.0_f64.min(last - 1.0), to: last, ..Axis::default() },
        y: Axis { label: "% right", from: 0.0, to: 100.0, ..Axis::default() },
        lines,
        marks: marks.collect(),
        ..Chart::default()
    }
}

/// Where each line ends and peaks, beside what the paper says.
fn finals(asked: &Asked, lines: &[Line<'_>], curves: &[Curve], results: &Results) -> Table {
    let early = asked.scale.patience.is_some();
    let at = if early { "of the best epoch by validation" } else { "after the last epoch" };
    let mut table = Table::new(
        format!("{}-scores", asked.experiment.name),
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
        let of = asked.experiment.values.iter().find(|v| v.line == label && v.measure == measure);
        of.map(|v| v.value)
    };
    for (line, curve) in lines.iter().zip(curves) {
        let what = What { measure: Measure::Accuracy, k: None, genre: None };
        let spread = of_line(line, what, &results.genres);
        let peak = curve.peak();
        // Of the same epochs and runs as the test accuracy beside it.
        let learning = Spread::of(&line.runs.iter().filter_map(learning).collect::<Vec<_>>());
        let label = line.line.label.as_str();
        table.rows.push(vec![
            Cell::text(label),
            Cell::text(format!("{} of {}", line.runs.len(), line.wanted)),
            Cell::maybe(spread.map(|s| s.mean), 2),
            Cell::maybe(spread.map(|s| s.low), 2),
            Cell::maybe(spread.map(|s| s.high), 2),
            Cell::maybe(spread.and_then(|s| s.deviation), 2),
            Cell::paper(paper(label, Measure::Accuracy), 2),
            Cell::maybe(peak.map(|p| p.1), 2),
            Cell::maybe(peak.map(|p| p.0 as f64), 0),
            Cell::paper(paper(label, Measure::PeakEpoch), 0),
            Cell::maybe(learning.map(|s| s.mean), 2),
        ]);
    }
    table
}

/// Accuracy while learning in the epoch that is judged, in percent.
fn learning(run: &&Run) -> Option<f64> {
    let judged = run.history.rows().iter().find(|row| row.epoch == run.record.epoch);
    judged.map(|row| 100.0 * row.accuracy)
}

fn by_epoch(asked: &Asked, curves: &[Curve]) -> Table {
    let mut table = Table::new(
        format!("{}-epochs", asked.experiment.name),
        "Every epoch, over the runs that reached it",
        &["line", "epoch", "runs", "test, %", "lowest", "highest", "while learning, %"],
    )
    .shown(Shown::Folded);
    for (line, curve) in asked.experiment.lines.iter().zip(curves) {
        for Epoch { epoch, train, test } in &curve.all {
            table.rows.push(vec![
                Cell::text(&line.label),
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
    use leitmotif_models::HeadKind;

    use super::*;
    use crate::learn::history::History;
    use crate::paper::experiment::spec::{self, Judged};
    use crate::paper::report::measure::tests::run;
    use leitmotif_dataset::split::Protocol;

    /// A run with these accuracies on the test part, half of them while learning, judged after that epoch.
    fn tested_run(key: &str, judged: usize, test: &[f64]) -> Run {
        let mut run = run(key, &[("1", "x", 0, 0)]);
        let mut history = History::default();
        for (i, accuracy) in test.iter().enumerate() {
            let row = run.history.rows()[0].clone();
            history.push(crate::learn::history::EpochRow {
                epoch: i + 1,
                accuracy: accuracy / 2.0,
                test_clips: Some(*accuracy),
                ..row
            });
        }
        (run.history, run.record.epoch) = (history, judged);
        run
    }

    #[test]
    fn what_is_compared_ends_where_the_first_run_ends() {
        // The second run stops after two epochs; what the first does later is no mean of both.
        let runs = [tested_run("1", 2, &[0.2, 0.4, 0.9, 0.8]), tested_run("2", 1, &[0.4, 0.3])];
        let line = spec::Line {
            label: "l".to_owned(),
            network: "n".to_owned(),
            head: HeadKind::Dense,
            split: Protocol::Song,
            judged: Judged::Clip,
        };
        let curve = Curve::of(&Line { line: &line, runs: runs.iter().collect(), wanted: 2 });
        assert_eq!((curve.common, curve.all.len()), (2, 4));
        assert_eq!(curve.all[3].test.map(|s| s.runs), Some(1));
        let (epoch, mean) = curve.peak().unwrap();
        assert!(epoch == 2 && (mean - 35.0).abs() < 1e-9, "{epoch} {mean}");
        let learnt: Vec<f64> = runs.iter().filter_map(|run| learning(&run)).collect();
        assert_eq!(learnt, [20.0, 20.0]);
        assert_eq!(Curve::of(&Line { line: &line, runs: Vec::new(), wanted: 2 }).peak(), None);
    }
}
