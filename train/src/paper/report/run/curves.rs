//! Loss and accuracy by epoch.

use super::read::TrainedRun;
use crate::learn::history::EpochRow;
use crate::paper::experiment::error::ReportError;
use crate::paper::report::document::{Figure, Key, Section, Stroke};
use crate::paper::report::table::{Cell, Table, Visibility};
use crate::plot::charts::{Axis, AxisLabels, Chart, ChartLine, responsive};

/// A column of the history: heading, value in the table's unit, digits.
type Column = (&'static str, fn(&EpochRow) -> Option<f64>, usize);

/// A line of a chart: its name, its value, and whether it is broken.
type Line = (&'static str, fn(&EpochRow) -> Option<f64>, bool);

const LOSSES: [Line; 2] =
    [("training", |row| Some(row.loss), true), ("validation", |row| row.validation_loss, false)];

const ACCURACIES: [Line; 5] = [
    ("training", |row| Some(100.0 * row.accuracy), true),
    ("validation, clips", |row| percent(row.validation_clips), false),
    ("validation, songs", |row| percent(row.validation_songs), false),
    ("test, clips", |row| percent(row.test_clips), false),
    ("test, songs", |row| percent(row.test_songs), false),
];

const COLUMNS: [Column; 14] = [
    ("step", |row| Some(row.step as f64), 0),
    ("rate", |row| Some(row.learning_rate), 6),
    ("loss", |row| Some(row.loss), 4),
    ("validation loss", |row| row.validation_loss, 4),
    ("while learning, %", |row| Some(100.0 * row.accuracy), 2),
    ("validation: segments, %", |row| percent(row.validation_segments), 2),
    ("validation: clips, %", |row| percent(row.validation_clips), 2),
    ("validation: songs, %", |row| percent(row.validation_songs), 2),
    ("test: segments, %", |row| percent(row.test_segments), 2),
    ("test: clips, %", |row| percent(row.test_clips), 2),
    ("test: songs, %", |row| percent(row.test_songs), 2),
    ("gradient norm", |row| row.gradient_norm, 3),
    ("seconds", |row| Some(row.seconds), 1),
    ("clips/s", |row| Some(row.clips_per_second), 1),
];

fn percent(share: Option<f64>) -> Option<f64> {
    share.map(|share| 100.0 * share)
}

/// Two charts and the table of all epochs.
pub(super) fn section(run: &TrainedRun) -> Result<Section, ReportError> {
    let rows = run.history.rows();
    let highest = rows.iter().flat_map(|row| [Some(row.loss), row.validation_loss]).flatten();
    let highest = highest.filter(|loss| loss.is_finite()).fold(0.5, f64::max);
    let losses = Axis {
        label: "loss, nats",
        from: 0.0,
        to: (2.0 * highest).ceil() / 2.0,
        labels: AxisLabels::Decimal,
    };
    let accuracies = Axis { label: "accuracy, %", from: 0.0, to: 100.0, ..Axis::default() };
    let record = run.shown();
    let mut figures = Vec::new();
    if !rows.is_empty() {
        figures.push(figure(rows, &LOSSES, losses, "Mean cross-entropy by epoch", &[])?);
        // Without `--watch-test` the test part was evaluated once, which is a point and no line.
        let scores = record.scores.as_ref();
        let points: Vec<(usize, f64)> = scores.map_or_else(Vec::new, |scores| {
            vec![(3, 100.0 * scores.clip_accuracy.value), (4, 100.0 * scores.song_accuracy.value)]
        });
        let points: Vec<_> = points.iter().map(|(i, y)| (record.epoch as f64, *y, *i)).collect();
        let caption = match points.is_empty() {
            true => "Accuracy by epoch".to_owned(),
            false => format!(
                "Accuracy by epoch; points are the test part in the evaluated epoch, {}",
                record.epoch
            ),
        };
        figures.push(figure(rows, &ACCURACIES, accuracies, &caption, &points)?);
    }
    Ok(Section {
        id: "curves".to_owned(),
        title: "Training".to_owned(),
        text: text(run),
        figures,
        tables: vec![table(rows)],
    })
}

fn text(run: &TrainedRun) -> Vec<String> {
    let mut text = vec![
        "Training loss and accuracy are means over the steps of an epoch, measured before each step, with all that augmentation and \
         auxiliary music do to them; nothing is chosen by the test part."
            .to_owned(),
    ];
    let record = run.shown();
    let row = run.history.rows().iter().find(|row| row.epoch == record.epoch);
    if let (Some(row), Some(scores)) = (row, &record.scores) {
        let [training, test] = [row.accuracy, scores.segment_accuracy.value].map(Cell::percent);
        text.push(format!(
            "In epoch {}, {training} % of the training answers were right, and {test} % of the test segments.",
            record.epoch
        ));
    }
    if let (Some(patience), true) =
        (run.config.patience, run.history.is_exhausted(run.config.patience))
    {
        text.push(format!(
            "It stopped after {} epochs: validation had not improved for {patience}.",
            run.last.epoch
        ));
    }
    text
}

fn figure(
    rows: &[EpochRow],
    lines: &[Line],
    y: Axis,
    caption: &str,
    points: &[(f64, f64, usize)],
) -> Result<Figure, ReportError> {
    let last = rows.last().map_or(1.0, |row| row.epoch as f64);
    let mut chart = Chart {
        x: Axis { label: "epoch", from: 1.0_f64.min(last - 1.0), to: last, ..Axis::default() },
        y,
        dots: points.to_vec(),
        ..Chart::default()
    };
    let mut legend = Vec::new();
    // A dashed line differs from others; alone it is solid.
    let has_more =
        lines.iter().skip(1).any(|(_, value, _)| rows.iter().any(|row| value(row).is_some()));
    for (colour, (label, value, dashed)) in lines.iter().enumerate() {
        let found = rows.iter().filter_map(|row| Some((row.epoch as f64, value(row)?)));
        let found: Vec<(f64, f64)> = found.filter(|(_, y)| y.is_finite()).collect();
        let is_point = points.iter().any(|(_, _, of)| *of == colour);
        if found.is_empty() && !is_point {
            continue;
        }
        let dashed = *dashed && has_more;
        let stroke = match (found.is_empty(), dashed) {
            (true, _) => Stroke::Point,
            (false, true) => Stroke::Dashed,
            (false, false) => Stroke::Solid,
        };
        legend.push(Key { colour, stroke, label: (*label).to_owned() });
        chart.lines.push(ChartLine { colour, dashed, points: found, band: Vec::new() });
    }
    Ok(Figure { drawing: responsive(&chart, caption)?, caption: caption.to_owned(), legend })
}

/// Every epoch, without columns that no epoch has.
fn table(rows: &[EpochRow]) -> Table {
    let columns =
        COLUMNS.iter().filter(|(_, value, _)| rows.iter().any(|row| value(row).is_some()));
    let columns: Vec<&Column> = columns.collect();
    let mut table =
        Table::new("epochs", "Every epoch", &["epoch"]).with_visibility(Visibility::Folded);
    table.columns.extend(columns.iter().map(|(name, ..)| (*name).to_owned()));
    for row in rows {
        let cells = columns.iter().map(|(_, value, digits)| Cell::maybe(value(row), *digits));
        table.rows.push([Cell::count(row.epoch)].into_iter().chain(cells).collect());
    }
    table
}
