//! Tables 5 and 6: wrong answers by genre, and those that at least meet one.

use std::collections::BTreeMap;

use super::curves::about;
use crate::paper::experiment::plan::Asked;
use crate::paper::experiment::spec::Measure;
use crate::paper::report::document::Section;
use crate::paper::report::measure::{What, of_line};
use crate::paper::report::results::{Line, Results};
use crate::paper::report::table::{Cell, Table};

pub(in crate::paper::report) fn section(results: &Results, asked: &Asked) -> Section {
    let experiment = &asked.experiment;
    let lines = results.lines(asked);
    let mut text = vec![experiment.question.clone(), about(asked)];
    if results.note.genres.is_empty() {
        text.push(
            "This data set names no genres, so there is nothing to measure here; the paper’s numbers stand alone.".to_owned(),
        );
    }
    Section {
        id: experiment.name.clone(),
        title: experiment.title.clone(),
        text,
        figures: Vec::new(),
        tables: vec![wrong(results, asked, &lines), shared(results, asked, &lines)],
    }
}

/// Table 5: the paper's genres first, then the others that occur.
fn wrong(results: &Results, asked: &Asked, lines: &[Line<'_>]) -> Table {
    let values = &asked.experiment.values;
    let mut genres: Vec<&str> = Vec::new();
    let papers = values.iter().filter_map(|value| value.genre.as_deref());
    for genre in papers.chain(results.note.genres.iter().map(String::as_str)) {
        if !genres.contains(&genre) {
            genres.push(genre);
        }
    }
    let mut table = Table::new(
        format!("{}-wrong", asked.experiment.name),
        "Wrong answers by genre (table 5 of the paper); a clip counts in each of its album’s genres",
        &["genre", "test clips"],
    );
    for line in lines {
        let label = &line.line.label;
        table.columns.extend(
            ["wrong, %", "lowest", "highest", "paper, %"].map(|what| format!("{label}: {what}")),
        );
    }
    let clips = clips(results, lines);
    for genre in genres {
        let mut row = vec![Cell::text(genre), Cell::count(clips.get(genre).copied().unwrap_or(0))];
        for line in lines {
            let what = What { measure: Measure::GenreWrong, k: None, genre: Some(genre) };
            let spread = of_line(line, what, &results.genres);
            let paper = values
                .iter()
                .find(|v| v.line == line.line.label && v.genre.as_deref() == Some(genre));
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

/// Clips of each genre in the test part of one run, the first: runs of other splits have about as many.
fn clips<'a>(results: &'a Results, lines: &[Line<'a>]) -> BTreeMap<&'a str, usize> {
    let mut clips = BTreeMap::new();
    let first = lines.iter().find_map(|line| line.runs.first());
    for clip in first.iter().flat_map(|run| run.predictions.clips()) {
        for genre in results.genres.of_clip(&clip.clip) {
            *clips.entry(genre.as_str()).or_default() += 1;
        }
    }
    clips
}

/// Table 6.
fn shared(results: &Results, asked: &Asked, lines: &[Line<'_>]) -> Table {
    let mut table = Table::new(
        format!("{}-shared", asked.experiment.name),
        "Wrong answers whose artist shares a genre with the clip (table 6 of the paper)",
        &["line", "runs", "mean, %", "lowest", "highest", "paper, %"],
    );
    for line in lines {
        let what = What { measure: Measure::SharedGenre, k: None, genre: None };
        let spread = of_line(line, what, &results.genres);
        let paper = asked
            .experiment
            .values
            .iter()
            .find(|v| v.measure == Measure::SharedGenre && v.line == line.line.label);
        table.rows.push(vec![
            Cell::text(&line.line.label),
            Cell::count(line.runs.len()),
            Cell::maybe(spread.map(|s| s.mean), 2),
            Cell::maybe(spread.map(|s| s.low), 2),
            Cell::maybe(spread.map(|s| s.high), 2),
            Cell::paper(paper.map(|v| v.value), 2),
        ]);
    }
    table
}
