//! Figure 5: whether the true artist is among the first k; and artists taken for their collaborations.

use super::collaborations;
use super::curves::{about, legend};
use crate::paper::experiment::error::ExperimentError;
use crate::paper::experiment::plan::Asked;
use crate::paper::experiment::spec::{Measure, PaperValue};
use crate::paper::report::document::{Figure, Section};
use crate::paper::report::measure::{What, of_line};
use crate::paper::report::results::{Line, Results};
use crate::paper::report::spread::Spread;
use crate::paper::report::table::{Cell, Shown, Table};
use crate::plot::charts::{Axis, Chart, ChartLine, svg};

pub(in crate::paper::report) fn section(
    results: &Results,
    asked: &Asked,
) -> Result<Section, ExperimentError> {
    let experiment = &asked.experiment;
    let lines = results.lines(asked);
    let curves: Vec<Vec<Spread>> = lines.iter().map(by_k).collect();
    let most = curves.iter().map(Vec::len).max().unwrap_or(0);
    let mut figures = Vec::new();
    if most > 0 {
        let chart = chart(asked, &curves, most as f64);
        let caption = "Clips whose artist is among the first k answers (figure 5 of the paper): mean of the runs, within the band of the lowest and the highest";
        let drawing = svg(&chart, &experiment.title)?;
        let legend = legend(asked, !chart.marks.is_empty());
        figures.push(Figure { caption: caption.to_owned(), drawing, legend });
    }
    let mut beside = Table::new(
        format!("{}-paper", experiment.name),
        "Beside the paper",
        &["line", "what", "mean", "lowest", "highest", "paper"],
    );
    for value in &experiment.values {
        let Some(line) = lines.iter().find(|line| line.line.label == value.line) else { continue };
        let what = What::of(value);
        let spread = of_line(line, what, &results.genres);
        let digits = if value.measure == Measure::AllAtK { 0 } else { 2 };
        // A mean of whole numbers need not be one.
        let mean = spread.map(|s| s.mean);
        beside.rows.push(vec![
            Cell::text(&value.line),
            Cell::text(what.words()),
            Cell::maybe(mean, 2),
            Cell::maybe(spread.map(|s| s.low), digits),
            Cell::maybe(spread.map(|s| s.high), digits),
            Cell::paper(Some(value.value), digits),
        ]);
    }
    let mut table = Table::new(
        format!("{}-curve", experiment.name),
        "Every k of the figure, in percent",
        &["line", "k", "mean, %", "lowest", "highest"],
    )
    .shown(Shown::Folded);
    for (line, curve) in lines.iter().zip(&curves) {
        for (i, spread) in curve.iter().enumerate() {
            table.rows.push(vec![
                Cell::text(&line.line.label),
                Cell::count(i + 1),
                Cell::number(spread.mean, 2),
                Cell::number(spread.low, 2),
                Cell::number(spread.high, 2),
            ]);
        }
    }
    let mut tables = vec![beside, table];
    tables.retain(|table| !table.rows.is_empty());
    let mut text = vec![experiment.question.clone(), about(asked)];
    let mixed_up = collaborations::table(&experiment.name, &lines);
    if mixed_up.rows.is_empty() {
        text.push(
            "No two artists here share a name, so none can be taken for their collaborations."
                .to_owned(),
        );
    } else {
        tables.push(mixed_up);
    }
    Ok(Section {
        id: experiment.name.clone(),
        title: experiment.title.clone(),
        text,
        figures,
        tables,
    })
}

/// In percent, from k = 1 on.
fn by_k(line: &Line<'_>) -> Vec<Spread> {
    let most = line.runs.iter().map(|run| run.scores.clip_top_k.len()).max().unwrap_or(0);
    let at = |k: usize| {
        let values = line.runs.iter().filter_map(|run| run.scores.clip_top_k.get(k));
        Spread::of(&values.map(|share| 100.0 * share).collect::<Vec<_>>())
    };
    (0..most).filter_map(at).collect()
}

fn chart(asked: &Asked, curves: &[Vec<Spread>], most: f64) -> Chart {
    let line = |(colour, curve): (usize, &Vec<Spread>)| {
        let points = || curve.iter().enumerate().map(|(i, s)| (i as f64 + 1.0, s));
        ChartLine {
            colour,
            dashed: false,
            points: points().map(|(k, s)| (k, s.mean)).collect(),
            band: points().map(|(k, s)| (k, s.low, s.high)).collect(),
        }
    };
    let papers = asked.experiment.values.iter();
    let papers_classes = papers.filter(|v| v.measure == Measure::AllAtK).map(|v| v.value);
    // Among far fewer artists than the paper's its numbers would have no meaning.
    let comparable = papers_classes.fold(0.0, f64::max) <= 1.1 * most;
    let place = |v: &PaperValue| {
        let (k, percent) = match v.measure {
            Measure::TopK => (v.k? as f64, v.value),
            Measure::AllAtK => (v.value, 100.0),
            _ => return None,
        };
        Some((k.min(most), percent, asked.experiment.line(&v.line)?)).filter(|_| comparable)
    };
    Chart {
        x: Axis { label: "k", from: 1.0_f64.min(most - 1.0), to: most, ..Axis::default() },
        y: Axis { label: "% of clips", from: 0.0, to: 100.0, ..Axis::default() },
        lines: curves.iter().enumerate().map(line).collect(),
        marks: asked.experiment.values.iter().filter_map(place).collect(),
        ..Chart::default()
    }
}
