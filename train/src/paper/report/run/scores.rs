//! Scores on the test part, each with its interval.

use leitmotif_models::text::{count, escape_html};
use leitmotif_models::{Estimate, Scores};

use super::read::TrainedRun;
use crate::paper::report::document::{Figure, Section};
use crate::paper::report::interval::Interval;
use crate::paper::report::table::{Cell, Table, Visibility};

/// The k of the top-k accuracy beside the first answer.
const TOP: usize = 3;

/// A score: what it is, its value, and how many of how many where it is a share.
struct Score {
    what: String,
    value: f64,
    interval: Option<(f64, f64)>,
    counts: Option<(usize, usize, &'static str)>,
}

/// Tiles of the scores that count, and a table of all.
pub(super) fn section(run: &TrainedRun) -> Section {
    let mut table = Table::new(
        "scores",
        "Scores on the test part, in percent, with 95 % bootstrap intervals over songs",
        &["measure", "checkpoint", "epoch", "score, %", "from", "to", "right", "of"],
    )
    .with_visibility(Visibility::Folded);
    let mut figures = Vec::new();
    for (name, record, scores) in run.scored() {
        let all = measures(scores);
        if figures.is_empty() {
            let drawing =
                format!("<ul class=\"tiles\">\n{}</ul>", all.iter().map(tile).collect::<String>());
            let caption = format!(
                "Test part, epoch {}. Bars are 95 % bootstrap intervals over songs, from 0 to 100 %",
                record.epoch
            );
            figures.push(Figure { caption, drawing, legend: Vec::new() });
        }
        for score in all {
            let end = |of: fn((f64, f64)) -> f64| {
                score.interval.map(of).map_or(Cell::Empty, Cell::percent)
            };
            let (right, of) = score.counts.map_or((None, None), |(n, of, _)| (Some(n), Some(of)));
            let number = |n: Option<usize>| n.map_or(Cell::Empty, Cell::count);
            table.rows.push(vec![
                Cell::text(score.what.clone()),
                Cell::text(name),
                Cell::count(record.epoch),
                Cell::percent(score.value),
                end(|i| i.0),
                end(|i| i.1),
                number(right),
                number(of),
            ]);
        }
    }
    if table.rows.is_empty() {
        return Section::default();
    }
    Section {
        id: "scores".to_owned(),
        title: "Scores".to_owned(),
        text: vec![
            "A song’s prediction is the mean of its clips’ probabilities. Intervals are over songs, because clips of one song are not \
             independent; they say nothing of other splits or seeds."
                .to_owned(),
        ],
        figures,
        tables: vec![table],
    }
}

fn measures(scores: &Scores) -> Vec<Score> {
    let sum = |of: fn(&leitmotif_models::ArtistScore) -> usize| scores.artists.iter().map(of).sum();
    let (clips_right, songs_right) = (sum(|a| a.clips_right), sum(|a| a.songs_right));
    let of = |what: &str, e: Estimate, counts| Score {
        what: what.to_owned(),
        value: e.value,
        interval: Some((e.low, e.high)),
        counts,
    };
    let share = |what: String, value| Score { what, value, interval: None, counts: None };
    let mut measures = vec![
        of("songs right", scores.song_accuracy, Some((songs_right, scores.songs, "song"))),
        of("clips right", scores.clip_accuracy, Some((clips_right, scores.clips, "clip"))),
        of("macro-F1 by song", scores.song_macro_f1, None),
        of("segments right", scores.segment_accuracy, None),
    ];
    if let (Some(top), true) = (scores.clip_top_k.get(TOP - 1), scores.clip_top_k.len() > TOP) {
        measures.push(share(format!("clips with the artist among the first {TOP}"), *top));
    }
    measures.extend([
        share("always naming the most frequent artist: clips".to_owned(), scores.majority_clips),
        share("always naming the most frequent artist: songs".to_owned(), scores.majority_songs),
    ]);
    measures
}

fn tile(score: &Score) -> String {
    let value = Cell::percent(score.value);
    let mut html =
        format!("<li><p>{}</p><p class=\"number\">{value} %</p>", escape_html(&score.what));
    if let Some((low, high)) = score.interval {
        let [from, to] = [low, high].map(Cell::percent);
        let interval =
            Interval { value: 100.0 * score.value, low: 100.0 * low, high: 100.0 * high };
        let label = format!("{value} %, 95 % interval {from} to {to}");
        html += &format!("{}<p>{from} to {to}", interval.svg(0.0, 100.0, 0.0, &label));
        if let Some((right, of, unit)) = score.counts {
            html += &format!("; {right} of {}", count(of, unit));
        }
        html += "</p>";
    }
    html + "</li>\n"
}
