//! Scores with their intervals, accuracy by artist, and confusion matrices.

use std::collections::BTreeMap;

use leitmotif_models::{Estimate, argmax};

use crate::paper::report::document::Section;
use crate::paper::report::groups;
use crate::paper::report::results::{Results, Run};
use crate::paper::report::table::{Cell, Table, Visibility};

/// Pairs of artists listed for each network.
const CONFUSED: usize = 15;
/// Artists in a network's confusion matrix.
const MATRIX: usize = 12;

/// Clips by true and predicted artist.
type Pairs<'a> = BTreeMap<(&'a str, &'a str), usize>;

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
    );
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
        let (pairs, all) = pairs(runs);
        matrices.push(matrix(&format!("confusion-{}", i + 1), name, &pairs, &all));
        let mut most: Vec<_> =
            pairs.iter().filter(|((truth, predicted), _)| truth != predicted).collect();
        // Names break ties, so that the same predictions give the same table.
        most.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        for ((truth, predicted), clips) in most.into_iter().take(CONFUSED) {
            let of = all.get(truth).copied().unwrap_or(0);
            confused.rows.push(vec![
                Cell::text(name),
                Cell::text(*truth),
                Cell::text(*predicted),
                Cell::count(*clips),
                Cell::count(of),
                Cell::percent(*clips as f64 / of.max(1) as f64),
            ]);
        }
        for (artist, clips) in all {
            let right = pairs.get(&(artist, artist)).copied().unwrap_or(0);
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
    .with_visibility(Visibility::Folded);
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
        text: Vec::new(),
        figures: Vec::new(),
        tables: [confused, table].into_iter().chain(matrices).collect(),
    }
}

/// The confusion matrix of the artists with the most errors.
fn matrix(id: &str, name: &str, pairs: &Pairs<'_>, all: &BTreeMap<&str, usize>) -> Table {
    let count = |truth: &str, predicted: &str| pairs.get(&(truth, predicted)).copied().unwrap_or(0);
    let mut wrong: Vec<(usize, &str)> =
        all.iter().map(|(artist, clips)| (clips - count(artist, artist), *artist)).collect();
    wrong.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    wrong.truncate(MATRIX);
    let caption = format!(
        "Confusion matrix, {name}: clips of all runs by true artist (row) and predicted artist (column), for the {} artists with the \
         most errors",
        wrong.len()
    );
    let mut table = Table::new(id, caption, &["true artist"]).with_visibility(Visibility::Folded);
    table.columns.extend(wrong.iter().map(|(_, artist)| (*artist).to_owned()));
    table.columns.push("anyone else".to_owned());
    for (_, truth) in &wrong {
        let cells: Vec<usize> =
            wrong.iter().map(|(_, predicted)| count(truth, predicted)).collect();
        let others = all.get(truth).copied().unwrap_or(0) - cells.iter().sum::<usize>();
        let counts = cells.into_iter().chain([others]).map(Cell::count);
        table.rows.push([Cell::text(*truth)].into_iter().chain(counts).collect());
    }
    table
}

/// Clips by (true artist, predicted artist), and by true artist.
fn pairs<'a>(runs: &[&'a Run]) -> (Pairs<'a>, BTreeMap<&'a str, usize>) {
    let (mut pairs, mut all) = (BTreeMap::new(), BTreeMap::new());
    for run in runs {
        let classes = run.predictions.classes();
        for clip in run.predictions.clips() {
            let predicted = argmax(&clip.probabilities);
            if let (Some(truth), Some(predicted)) =
                (classes.get(clip.truth.0), classes.get(predicted))
            {
                *pairs.entry((truth.as_str(), predicted.as_str())).or_default() += 1;
                *all.entry(truth.as_str()).or_default() += 1;
            }
        }
    }
    (pairs, all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::report::measure::tests::run;

    #[test]
    fn a_confusion_matrix_begins_with_the_artist_of_most_errors_and_loses_no_clip() {
        let predictions = [
            ("1", "x", 0, 0),
            ("2", "x", 0, 1),
            ("3", "y", 1, 0),
            ("4", "y", 1, 2),
            ("5", "z", 3, 3),
        ];
        let run = run("r", &predictions);
        let (pairs, all) = pairs(&[&run, &run]);
        assert_eq!((pairs[&("B", "C")], all["B"]), (2, 4));
        let table = matrix("m", "n", &pairs, &all);
        assert_eq!(table.columns, ["true artist", "B", "A", "D", "anyone else"]);
        let row = |cells: [usize; 4]| cells.map(Cell::count);
        assert_eq!(table.rows[0][1..], row([0, 2, 0, 2]));
        assert_eq!(table.rows[1][1..], row([2, 2, 0, 0]));
        assert_eq!(table.rows[2][1..], row([0, 0, 2, 0]));
    }
}
