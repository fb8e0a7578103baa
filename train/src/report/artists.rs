//! Scores with their intervals, accuracy by artist, and who is taken for whom.

use std::collections::BTreeMap;

use leitmotif_models::{Estimate, argmax};

use super::Section;
use super::results::{Results, Run};
use super::table::{Cell, Shown, Table};

/// Pairs of artists named per network.
const CONFUSED: usize = 15;

/// One row a run.
pub(super) fn scores(results: &Results) -> Section {
    let mut table = Table::new(
        "scores",
        "Scores of every run on its test part, in percent, with 95 % bootstrap intervals over songs",
        &[
            "network, head and split",
            "split’s seed",
            "run’s seed",
            "clips",
            "clips right, %",
            "from",
            "to",
            "songs",
            "songs right, %",
            "from ",
            "to ",
            "macro-F1 by song, %",
            "from  ",
            "to  ",
            "largest artist’s clips, %",
        ],
    );
    for (name, runs) in results.subjects() {
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
        text: vec!["A song’s answer is the mean of its clips’. The last column is what always naming the artist with most clips would score.".to_owned()],
        figures: Vec::new(),
        tables: vec![table],
    }
}

/// Every artist, and the pairs that are confused most.
pub(super) fn section(results: &Results) -> Section {
    let subjects = results.subjects();
    let mut confused = Table::new(
        "confused",
        format!(
            "The {CONFUSED} pairs of each network that are confused most, by clips of all its runs"
        ),
        &["network, head and split", "true artist", "answer", "clips", "of", "%"],
    )
    .shown(Shown::Folded);
    let mut artists: BTreeMap<&str, Vec<Option<(usize, usize)>>> = BTreeMap::new();
    for (i, (name, runs)) in subjects.iter().enumerate() {
        let (pairs, all) = pairs(runs);
        let mut most: Vec<_> =
            pairs.iter().filter(|((truth, answer), _)| truth != answer).collect();
        // Of equally many the names decide, so that the same answers give the same table.
        most.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        for ((truth, answer), clips) in most.into_iter().take(CONFUSED) {
            let of = all.get(truth).copied().unwrap_or(0);
            confused.rows.push(vec![
                Cell::text(name),
                Cell::text(*truth),
                Cell::text(*answer),
                Cell::count(*clips),
                Cell::count(of),
                Cell::percent(*clips as f64 / of.max(1) as f64),
            ]);
        }
        for (artist, clips) in all {
            let right = pairs.get(&(artist, artist)).copied().unwrap_or(0);
            let cells = artists.entry(artist).or_insert_with(|| vec![None; subjects.len()]);
            if let Some(cell) = cells.get_mut(i) {
                *cell = Some((right, clips));
            }
        }
    }
    let mut table = Table::new(
        "artists",
        "Clips of each artist that are recognised, in percent, all runs together; and how many clips that is of",
        &["artist"],
    )
    .shown(Shown::Folded);
    for (name, _) in &subjects {
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
        tables: vec![confused, table],
    }
}

/// Clips by (true artist, answer), and by true artist.
fn pairs<'a>(runs: &[&'a Run]) -> (BTreeMap<(&'a str, &'a str), usize>, BTreeMap<&'a str, usize>) {
    let (mut pairs, mut all) = (BTreeMap::new(), BTreeMap::new());
    for run in runs {
        let classes = run.predictions.classes();
        for clip in run.predictions.clips() {
            let answer = argmax(&clip.probabilities);
            if let (Some(truth), Some(answer)) = (classes.get(clip.truth.0), classes.get(answer)) {
                *pairs.entry((truth.as_str(), answer.as_str())).or_default() += 1;
                *all.entry(truth.as_str()).or_default() += 1;
            }
        }
    }
    (pairs, all)
}
