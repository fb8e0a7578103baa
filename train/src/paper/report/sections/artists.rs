//! Scores with their intervals, accuracy by artist, and confusion matrices.

use std::collections::BTreeMap;

use leitmotif_models::Estimate;

use crate::paper::report::confusion::Confusion;
use crate::paper::report::document::Section;
use crate::paper::report::groups;
use crate::paper::report::results::Results;
use crate::paper::report::table::{Cell, Layout, Table, Visibility};

/// Pairs of artists listed for each network.
const CONFUSED: usize = 15;
/// Artists in a network's confusion matrix.
const MATRIX: usize = 12;

/// Scores, one row for each run.
pub(in crate::paper::report) fn scores(results: &Results) -> Section {
    let mut table = Table::new(
        "scores",
        "Scores of every run on its test part, in percent, with 95 % bootstrap intervals over songs",
        &[
            "network, head and split",
            "split’s seed",
            "run’s seed",
            "clips",
            "clips right, %",
            "clips from",
            "clips to",
            "songs",
            "songs right, %",
            "songs from",
            "songs to",
            "macro-F1 by song, %",
            "F1 from",
            "F1 to",
            "largest artist’s clips, %",
        ],
    )
    .with_visibility(Visibility::Folded)
    .with_layout(Layout::Shared);
    for (name, runs) in groups::group_runs(results) {
        for run in runs {
            let scores = &run.scores;
            let estimate = |e: Estimate| [e.value, e.low, e.high].map(Cell::percent);
            let mut row = vec![
                Cell::text(&name),
                Cell::count(run.record.split.seed as usize),
                Cell::count(run.record.seed as usize),
                Cell::count(scores.clips),
            ];
            row.extend(estimate(scores.clip_accuracy));
            row.push(Cell::count(scores.songs));
            row.extend(estimate(scores.song_accuracy));
            row.extend(estimate(scores.song_macro_f1));
            row.push(Cell::percent(scores.majority_clips));
            table.rows.push(row);
        }
    }
    Section {
        id: "scores".to_owned(),
        title: "Scores".to_owned(),
        text: vec!["A song’s prediction is the mean of its clips’ probabilities. The last column is the accuracy of always predicting the artist \
             with most clips.".to_owned()],
        figures: Vec::new(),
        tables: vec![table],
    }
}

/// Accuracy by artist, and the artists that are confused most.
pub(in crate::paper::report) fn section(results: &Results) -> Section {
    let groups = groups::group_runs(results);
    let mut confused = Table::new(
        "confused",
        format!("The {CONFUSED} most confused pairs of each network, by clips of all its runs"),
        &["network, head and split", "true artist", "answer", "clips", "of", "%"],
    )
    .with_visibility(Visibility::Folded);
    let mut artists: BTreeMap<&str, Vec<Option<(usize, usize)>>> = BTreeMap::new();
    let mut matrices = Vec::new();
    for (i, (name, runs)) in groups.iter().enumerate() {
        let confusion = Confusion::of_clips(runs.iter().map(|run| &run.predictions));
        let caption = format!(
            "Confusion matrix, {name}: clips of all runs by true artist (row) and predicted artist (column), for the {} artists with \
             the most errors",
            MATRIX.min(confusion.artists().count())
        );
        matrices.push(confusion.matrix(&format!("confusion-{}", i + 1), caption, MATRIX));
        for (truth, predicted, clips, of) in confusion.most_confused(CONFUSED) {
            confused.rows.push(vec![
                Cell::text(name),
                Cell::text(truth),
                Cell::text(predicted),
                Cell::count(clips),
                Cell::count(of),
                Cell::percent(clips as f64 / of.max(1) as f64),
            ]);
        }
        for (artist, clips) in confusion.artists() {
            let right = confusion.count(artist, artist);
            let cells = artists.entry(artist).or_insert_with(|| vec![None; groups.len()]);
            if let Some(cell) = cells.get_mut(i) {
                *cell = Some((right, clips));
            }
        }
    }
    let mut table = Table::new(
        "artists",
        "Accuracy by artist in percent over the clips of all runs, and the number of these clips",
        &["artist"],
    )
    .with_visibility(Visibility::Folded)
    .with_layout(Layout::Bars);
    for (name, _) in &groups {
        table.columns.extend([format!("{name}: right, %"), format!("{name}: clips")]);
    }
    for (artist, cells) in artists {
        let mut row = vec![Cell::text(artist)];
        for cell in cells {
            row.extend(match cell {
                Some((right, clips)) => {
                    [Cell::percent(right as f64 / clips.max(1) as f64), Cell::count(clips)]
                }
                None => [Cell::Empty, Cell::Empty],
            });
        }
        table.rows.push(row);
    }
    Section {
        id: "artists".to_owned(),
        title: "Artists".to_owned(),
        text: vec![
            "In a confusion matrix blue is right and orange wrong, the stronger the larger its share of the row."
                .to_owned(),
        ],
        figures: Vec::new(),
        tables: [confused, table].into_iter().chain(matrices).collect(),
    }
}
