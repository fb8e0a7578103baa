//! Figures 1 to 4: training and test accuracy by epoch.

use super::charts::{Axis, Chart, ChartLine, svg};
use super::measure::{What, of_line, tested};
use super::results::{Line, Results};
use super::spread::Spread;
use super::table::{Cell, Shown, Table};
use super::{Figure, Key, Section, Stroke};
use crate::experiment::error::ExperimentError;
use crate::experiment::file::{Measure, PaperValue};
use crate::experiment::plan::Asked;

/// An epoch over the runs that came so far, in percent.
struct Epoch {
    epoch: usize,
    train: Option<Spread>,
    test: Option<Spread>,
}

pub(super) fn section(results: &Results, asked: &Asked) -> Result<Section, ExperimentError> {
    let experiment = &asked.experiment;
    let lines = results.lines(asked);
    let curves: Vec<Vec<Epoch>> = lines.iter().map(epochs).collect();
    let source = match experiment.source.as_str() {
        "" => String::new(),
        source => format!(" ({source} of the paper)"),
    };
    let mut figures = Vec::new();
    if curves.iter().any(|curve| !curve.is_empty()) {
        let caption = format!(
            "Accuracy by epoch{source}: mean of the runs, within the band of the lowest and the highest; broken: while learning"
        );
        let chart = chart(&curves, &experiment.values, asked);
        let drawing = svg(&chart, &format!("{}: accuracy by epoch", experiment.title))?;
        figures.push(Figure { caption, drawing, legend: legend(asked, !chart.marks.is_empty()) });
    }
    Ok(Section {
        id: experiment.name.clone(),
        title: experiment.title.clone(),
        text: vec![experiment.question.clone(), about(asked)],
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

fn epochs(line: &Line<'_>) -> Vec<Epoch> {
    let most = line.runs.iter().map(|run| run.history.rows().len()).max().unwrap_or(0);
    let percent =
        |values: Vec<f64>| Spread::of(&values.into_iter().map(|v| 100.0 * v).collect::<Vec<_>>());
    let epoch = |i: usize| {
        let rows = || line.runs.iter().filter_map(move |run| run.history.rows().get(i));
        Epoch {
            epoch: i + 1,
            train: percent(rows().map(|row| row.accuracy).collect()),
            test: percent(rows().filter_map(|row| tested(row, line.line.judged)).collect()),
        }
    };
    (0..most).map(epoch).collect()
}

fn chart(curves: &[Vec<Epoch>], values: &[PaperValue], asked: &Asked) -> Chart {
    let last = curves.iter().map(Vec::len).max().unwrap_or(1) as f64;
    let mut lines = Vec::new();
    for (colour, curve) in curves.iter().enumerate() {
        let of = |which: fn(&Epoch) -> Option<Spread>| -> Vec<(f64, Spread)> {
            curve.iter().filter_map(|e| Some((e.epoch as f64, which(e)?))).collect()
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
        x: Axis { label: "epoch", from: 1.0_f64.min(last - 1.0), to: last },
        y: Axis { label: "% right", from: 0.0, to: 100.0 },
        lines,
        marks: marks.collect(),
    }
}

/// Where each line ends and peaks, beside what the paper says.
fn finals(asked: &Asked, lines: &[Line<'_>], curves: &[Vec<Epoch>], results: &Results) -> Table {
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
        let peak = curve.iter().filter_map(|e| Some((e.epoch, e.test?.mean)));
        let peak = peak.fold(None, |best: Option<(usize, f64)>, now| match best {
            Some((_, most)) if most >= now.1 => best,
            _ => Some(now),
        });
        let learning = curve.last().and_then(|e| e.train).map(|s| s.mean);
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
            Cell::maybe(learning, 2),
        ]);
    }
    table
}

fn by_epoch(asked: &Asked, curves: &[Vec<Epoch>]) -> Table {
    let mut table = Table::new(
        format!("{}-epochs", asked.experiment.name),
        "Every epoch of the figure",
        &["line", "epoch", "runs", "test, %", "lowest", "highest", "while learning, %"],
    )
    .shown(Shown::Folded);
    for (line, curve) in asked.experiment.lines.iter().zip(curves) {
        for Epoch { epoch, train, test } in curve {
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
