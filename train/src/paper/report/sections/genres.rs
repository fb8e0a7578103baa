//! Tables 5 and 6: errors by genre, and how many of them share a genre with the clip.

use std::collections::BTreeMap;

use crate::paper::experiment::results_dir::PlannedExperiment;
use crate::paper::experiment::spec::Measure;
use crate::paper::report::caption::scale_sentence;
use crate::paper::report::document::Section;
use crate::paper::report::measure::{Metric, measure_series};
use crate::paper::report::results::{Results, SeriesResults};
use crate::paper::report::table::{Cell, Layout, Table};

/// Both tables.
pub(in crate::paper::report) fn section(results: &Results, planned: &PlannedExperiment) -> Section {
    let experiment = &planned.experiment;
    let all_series = results.series(planned);
    let mut text = vec![experiment.question.clone(), scale_sentence(planned, &all_series)];
    if results.note.genres.is_empty() {
        text.push(
            "This data set has no genres, so there is nothing to measure; the paper’s numbers are in the CSV files.".to_owned(),
        );
    }
    Section {
        id: experiment.name.clone(),
        title: experiment.title.clone(),
        text,
        figures: Vec::new(),
        tables: vec![errors(results, planned, &all_series), shared(results, planned, &all_series)],
    }
}

/// Table 5: the paper's genres first, then all others.
fn errors(
    results: &Results,
    planned: &PlannedExperiment,
    all_series: &[SeriesResults<'_>],
) -> Table {
    let values = &planned.experiment.values;
    let mut genres: Vec<&str> = Vec::new();
    let papers = values.iter().filter_map(|value| value.genre.as_deref());
    for genre in papers.chain(results.note.genres.iter().map(String::as_str)) {
        if !genres.contains(&genre) {
            genres.push(genre);
        }
    }
    let mut table = Table::new(
        format!("{}-wrong", planned.experiment.name),
        "Errors by genre (table 5 of the paper); a clip counts in each genre of its album",
        &["genre", "test clips"],
    )
    .with_layout(Layout::Measured);
    for series in all_series {
        let label = &series.series.label;
        table.columns.extend(
            ["wrong, %", "lowest", "highest", "paper, %"].map(|what| format!("{label}: {what}")),
        );
    }
    let clips = clips(results, all_series);
    for genre in genres {
        let mut row = vec![Cell::text(genre), Cell::count(clips.get(genre).copied().unwrap_or(0))];
        for series in all_series {
            let metric = Metric { measure: Measure::GenreWrong, k: None, genre: Some(genre) };
            let spread = measure_series(series, metric, &results.genres);
            let paper = values
                .iter()
                .find(|v| v.series == series.series.label && v.genre.as_deref() == Some(genre));
            row.extend([
                Cell::maybe(spread.map(|s| s.mean), 2),
                Cell::maybe(spread.map(|s| s.low), 2),
                Cell::maybe(spread.map(|s| s.high), 2),
                Cell::paper(paper.map(|v| v.value), 2),
            ]);
        }
        table.rows.push(row);
    }
    table
}

/// Clips of each genre in the test part of the first run; runs on other splits have about as many.
fn clips<'a>(results: &'a Results, all_series: &[SeriesResults<'a>]) -> BTreeMap<&'a str, usize> {
    let mut clips = BTreeMap::new();
    let first = all_series.iter().find_map(|series| series.runs.first());
    for clip in first.iter().flat_map(|run| run.predictions.clips()) {
        for genre in results.genres.of_clip(&clip.clip) {
            *clips.entry(genre.as_str()).or_default() += 1;
        }
    }
    clips
}

/// Table 6.
fn shared(
    results: &Results,
    planned: &PlannedExperiment,
    all_series: &[SeriesResults<'_>],
) -> Table {
    let mut table = Table::new(
        format!("{}-shared", planned.experiment.name),
        "Errors whose predicted artist shares a genre with the clip (table 6 of the paper)",
        &["line", "runs", "mean, %", "lowest", "highest", "paper, %"],
    );
    for series in all_series {
        let metric = Metric { measure: Measure::SharedGenre, k: None, genre: None };
        let spread = measure_series(series, metric, &results.genres);
        let paper = planned
            .experiment
            .values
            .iter()
            .find(|v| v.measure == Measure::SharedGenre && v.series == series.series.label);
        table.rows.push(vec![
            Cell::text(&series.series.label),
            Cell::count(series.runs.len()),
            Cell::maybe(spread.map(|s| s.mean), 2),
            Cell::maybe(spread.map(|s| s.low), 2),
            Cell::maybe(spread.map(|s| s.high), 2),
            Cell::paper(paper.map(|v| v.value), 2),
        ]);
    }
    table
}
