//! Figure 5: top-k accuracy; and artists confused with their collaborations.

use crate::paper::experiment::error::ExperimentError;
use crate::paper::experiment::results_dir::PlannedExperiment;
use crate::paper::experiment::spec::{Measure, PaperValue};
use crate::paper::report::caption::{after_epochs, legend, scale_sentence};
use crate::paper::report::collaborations;
use crate::paper::report::document::{Figure, Section};
use crate::paper::report::measure::{Metric, measure_series};
use crate::paper::report::results::{Results, SeriesResults};
use crate::paper::report::spread::Spread;
use crate::paper::report::table::{Cell, Table, Visibility};
use crate::plot::charts::{Axis, Chart, ChartLine, responsive};

/// The curve, the paper's values, and the collaborations.
pub(in crate::paper::report) fn section(
    results: &Results,
    planned: &PlannedExperiment,
) -> Result<Section, ExperimentError> {
    let experiment = &planned.experiment;
    let all_series = results.series(planned);
    let curves: Vec<Vec<Spread>> = all_series.iter().map(by_k).collect();
    let most = curves.iter().map(Vec::len).max().unwrap_or(0);
    let mut figures = Vec::new();
    if most > 0 {
        let chart = chart(planned, &curves, most as f64);
        let caption = format!(
            "Top-k accuracy of clips by k{} (figure 5 of the paper): mean of the runs within a band from the lowest to the highest",
            after_epochs(planned, &all_series)
        );
        let drawing = responsive(&chart, &experiment.title)?;
        let legend = legend(planned, !chart.marks.is_empty());
        figures.push(Figure { caption, drawing, legend });
    }
    let mut beside = Table::new(
        format!("{}-paper", experiment.name),
        "Comparison with the paper",
        &["line", "what", "mean", "lowest", "highest", "paper"],
    );
    for value in &experiment.values {
        let series = all_series.iter().find(|series| series.series.label == value.series);
        let Some(series) = series else { continue };
        let metric = Metric::of_paper(value);
        let spread = measure_series(series, metric, &results.genres);
        let digits = if value.measure == Measure::AllAtK { 0 } else { 2 };
        // The mean of whole numbers need not be whole.
        let mean = spread.map(|s| s.mean);
        beside.rows.push(vec![
            Cell::text(&value.series),
            Cell::text(metric.label()),
            Cell::maybe(mean, 2),
            Cell::maybe(spread.map(|s| s.low), digits),
            Cell::maybe(spread.map(|s| s.high), digits),
            Cell::paper(Some(value.value), digits),
        ]);
    }
    let mut table = Table::new(
        format!("{}-curve", experiment.name),
        "Top-k accuracy by k, in percent",
        &["line", "k", "mean, %", "lowest", "highest"],
    )
    .with_visibility(Visibility::Folded);
    for (series, curve) in all_series.iter().zip(&curves) {
        for (i, spread) in curve.iter().enumerate() {
            table.rows.push(vec![
                Cell::text(&series.series.label),
                Cell::count(i + 1),
                Cell::number(spread.mean, 2),
                Cell::number(spread.low, 2),
                Cell::number(spread.high, 2),
            ]);
        }
    }
    let mut tables = vec![beside, table];
    tables.retain(|table| !table.rows.is_empty());
    let mut text = vec![experiment.question.clone(), scale_sentence(planned, &all_series)];
    let confused = collaborations::table(&experiment.name, &all_series);
    if confused.rows.is_empty() {
        text.push(
            "No two artists of this data set share a name, so there are no collaborations to confuse them with."
                .to_owned(),
        );
    } else {
        tables.push(confused);
    }
    Ok(Section {
        id: experiment.name.clone(),
        title: experiment.title.clone(),
        text,
        figures,
        tables,
    })
}

/// Top-k accuracy in percent, from k = 1 on.
fn by_k(series: &SeriesResults<'_>) -> Vec<Spread> {
    let most = series.runs.iter().map(|run| run.scores.clip_top_k.len()).max().unwrap_or(0);
    let at = |k: usize| {
        let values = series.runs.iter().filter_map(|run| run.scores.clip_top_k.get(k));
        Spread::of(&values.map(|share| 100.0 * share).collect::<Vec<_>>())
    };
    (0..most).filter_map(at).collect()
}

fn chart(planned: &PlannedExperiment, curves: &[Vec<Spread>], most: f64) -> Chart {
    let line = |(colour, curve): (usize, &Vec<Spread>)| {
        let points = || curve.iter().enumerate().map(|(i, s)| (i as f64 + 1.0, s));
        ChartLine {
            colour,
            dashed: false,
            points: points().map(|(k, s)| (k, s.mean)).collect(),
            band: points().map(|(k, s)| (k, s.low, s.high)).collect(),
        }
    };
    let experiment = &planned.experiment;
    let papers_classes =
        experiment.values.iter().filter(|v| v.measure == Measure::AllAtK).map(|v| v.value);
    // With far fewer artists than in the paper, its numbers would have no meaning.
    let comparable = papers_classes.fold(0.0, f64::max) <= 1.1 * most;
    let place = |v: &PaperValue| {
        let (k, percent) = match v.measure {
            Measure::TopK => (v.k? as f64, v.value),
            Measure::AllAtK => (v.value, 100.0),
            _ => return None,
        };
        Some((k.min(most), percent, experiment.series_index(&v.series)?)).filter(|_| comparable)
    };
    Chart {
        x: Axis { label: "k", from: 1.0_f64.min(most - 1.0), to: most, ..Axis::default() },
        y: Axis { label: "top-k accuracy, %", from: 0.0, to: 100.0, ..Axis::default() },
        lines: curves.iter().enumerate().map(line).collect(),
        marks: experiment.values.iter().filter_map(place).collect(),
        ..Chart::default()
    }
}
