//! Scores of series on the same splits, with the differences to the first series.

use std::collections::BTreeMap;

use crate::paper::experiment::results_dir::PlannedExperiment;
use crate::paper::report::caption::scale_sentence;
use crate::paper::report::document::Section;
use crate::paper::report::results::{Results, Run, SeriesResults};
use crate::paper::report::spread::Spread;
use crate::paper::report::table::{Cell, Table};

/// One table: accuracy of clips and songs and macro-F1, each the mean of the runs.
pub(in crate::paper::report) fn section(results: &Results, planned: &PlannedExperiment) -> Section {
    let experiment = &planned.experiment;
    let all_series = results.series(planned);
    let mut table = Table::new(
        format!("{}-scores", experiment.name),
        "Mean of the runs; differences are to the first series on the same split and seed, with their standard error",
        &[
            "line",
            "runs",
            "clips right, %",
            "songs right, %",
            "macro-F1 by song, %",
            "clips, points",
            "± points",
            "songs, points",
            "± points (songs)",
        ],
    );
    let first = all_series.first().map(by_split).unwrap_or_default();
    for series in &all_series {
        let mean = |of: fn(&Run) -> f64| {
            let values: Vec<f64> = series.runs.iter().map(|run| 100.0 * of(run)).collect();
            Spread::of(&values).map(|spread| spread.mean)
        };
        let [clips_ahead, songs_ahead] =
            [clips as fn(&Run) -> f64, songs].map(|of| difference(series, &first, of));
        table.rows.push(vec![
            Cell::text(&series.series.label),
            Cell::count(series.runs.len()),
            Cell::maybe(mean(clips), 1),
            Cell::maybe(mean(songs), 1),
            Cell::maybe(mean(|run| run.scores.song_macro_f1.value), 1),
            Cell::maybe(clips_ahead.map(|spread| spread.mean), 1),
            Cell::maybe(clips_ahead.and_then(standard_error), 1),
            Cell::maybe(songs_ahead.map(|spread| spread.mean), 1),
            Cell::maybe(songs_ahead.and_then(standard_error), 1),
        ]);
    }
    Section {
        id: experiment.name.clone(),
        title: experiment.title.clone(),
        text: vec![experiment.question.clone(), scale_sentence(planned, &all_series)],
        figures: Vec::new(),
        tables: vec![table],
    }
}

fn clips(run: &Run) -> f64 {
    run.scores.clip_accuracy.value
}

fn songs(run: &Run) -> f64 {
    run.scores.song_accuracy.value
}

type BySplit<'a> = BTreeMap<(Option<&'a str>, u64), &'a Run>;

/// Runs by their split's digest and their seed.
fn by_split<'a>(series: &SeriesResults<'a>) -> BySplit<'a> {
    series.runs.iter().map(|run| (place(run), *run)).collect()
}

fn place(run: &Run) -> (Option<&str>, u64) {
    (run.record.split.digest.as_deref(), run.config.seed)
}

/// Points ahead of the first series; nothing for that series itself.
fn difference(
    series: &SeriesResults<'_>,
    first: &BySplit<'_>,
    of: fn(&Run) -> f64,
) -> Option<Spread> {
    let pairs = series.runs.iter().filter_map(|run| Some((*run, *first.get(&place(run))?)));
    let pairs = pairs.filter(|(run, base)| run.key != base.key);
    Spread::of(&pairs.map(|(run, base)| 100.0 * (of(run) - of(base))).collect::<Vec<_>>())
}

fn standard_error(spread: Spread) -> Option<f64> {
    spread.deviation.map(|deviation| deviation / (spread.runs as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::report::measure::tests::{run, series};

    #[test]
    fn differences_are_of_the_same_split_and_seed() {
        let on = |key: &str, seed: u64, split: &str, right: usize| {
            let answers: Vec<(String, usize)> =
                (0..4).map(|i| (format!("clip{i}"), usize::from(i >= right))).collect();
            let answers: Vec<(&str, &str, usize, usize)> =
                answers.iter().map(|(clip, answer)| (clip.as_str(), "song", 0, *answer)).collect();
            let mut run = run(key, &answers);
            run.config.seed = seed;
            run.record.split.digest = Some(split.to_owned());
            run
        };
        let series = series();
        let of = |runs: &[Run]| -> Vec<f64> {
            let base = [on("a", 1, "one", 2), on("b", 1, "two", 4)];
            let results = |runs| SeriesResults { series: &series, runs, planned: 2 };
            let base = results(base.iter().collect());
            let found = difference(&results(runs.iter().collect()), &by_split(&base), clips);
            found.map_or(Vec::new(), |of| {
                vec![of.mean, of.low, of.high, standard_error(of).unwrap_or(0.0)]
            })
        };
        // 25 points more on the first split, 75 less on the second: a standard deviation of 100 / √2.
        let found = of(&[on("c", 1, "one", 3), on("d", 1, "two", 1), on("e", 2, "one", 1)]);
        assert!((found[3] - 50.0).abs() < 1e-9 && found[..3] == [-25.0, -75.0, 25.0], "{found:?}");
        assert!(of(&[on("a", 1, "one", 2)]).is_empty(), "a run to itself");
        assert!(of(&[on("c", 1, "three", 2)]).is_empty());
    }
}
