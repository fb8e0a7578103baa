//! The paper's claims as questions, answered from the runs: is one series better than another *here*?

use std::collections::{BTreeMap, BTreeSet};

use leitmotif_models::Random;
use leitmotif_models::score::bootstrap::{interval, resample};
use leitmotif_models::text::count;

use crate::paper::experiment::spec::Question;
use crate::paper::report::claims::{Claim, Verdict, list};
use crate::paper::report::document::{Figure, Section};
use crate::paper::report::epochs::Epochs;
use crate::paper::report::measure::{Metric, counts_by_song, measure_series};
use crate::paper::report::results::{Genres, Results, SeriesResults};
use crate::paper::report::spread::Spread;
use crate::paper::report::table::{Cell, Table, Visibility};

const RESAMPLES: usize = 1_000;

/// Fewest songs for a yes or no. The percentile interval of a mean over n songs extends about 1.96·√((n−1)/n) standard errors to each
/// side, where Student's t needs more: a nominal 95 % interval covers the truth 90 times in 100 with ten songs, 93 times with twenty, and
/// not much more often with thirty.
const FEWEST_SONGS: usize = 20;

/// Fewest songs on which the series differ for a yes or no. Resampling takes four songs that all favour one series for certain; of songs
/// that favour either with equal probability, five agree once in sixteen times and six once in thirty-two, the first below 5 %.
const FEWEST_DIFFERENT: usize = 6;

/// Two series compared on the same songs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Comparison {
    verdict: Verdict,
    /// In percent.
    better: f64,
    worse: f64,
    ahead: f64,
    /// 95 % interval of `ahead` over songs.
    low: f64,
    high: f64,
    /// Songs of the series with fewer songs.
    songs: usize,
    /// Songs of both series on which they differ.
    different: usize,
}

/// For each series, each run and each song of either series, numerator and denominator of a share.
struct PairedCounts {
    songs: usize,
    sides: [Vec<Vec<(f64, f64)>>; 2],
}

/// One row for each question.
pub(in crate::paper::report) fn section(results: &Results) -> Section {
    let mut table = Table::new(
        "answers",
        "The paper’s claims as questions; yes or no where the 95 % interval of the difference, over songs, excludes zero",
        &[
            "question",
            "here",
            "the paper",
            "this",
            "this, %",
            "that",
            "that, %",
            "points ahead",
            "from",
            "to",
            "songs",
            "that differ",
            "runs",
            "epochs",
        ],
    )
    .with_visibility(Visibility::Folded);
    let mut claims = Vec::new();
    for planned in &results.experiments {
        let all_series = results.series(planned);
        for question in &planned.experiment.questions {
            let side = |label: &str| all_series.iter().find(|series| series.series.label == label);
            let (Some(better), Some(worse)) = (side(&question.better), side(&question.worse))
            else {
                continue;
            };
            let comparison = compare(question, better, worse, &results.genres);
            let number = |f: fn(&Comparison) -> f64| Cell::maybe(comparison.as_ref().map(f), 2);
            // The data set may have no genres, for example.
            let none = match better.runs.is_empty() || worse.runs.is_empty() {
                true => Verdict::NotRun,
                false => Verdict::NoClips,
            };
            let verdict = comparison.map_or(none, |a| a.verdict);
            let runs = format!("{} / {}", better.runs.len(), worse.runs.len());
            let epochs = Epochs::of(planned, [better, worse]);
            let claim = Claim {
                verdict,
                question: question.text.clone(),
                paper: question.paper.clone(),
                sides: [
                    (question.better.clone(), number(|a| a.better)),
                    (question.worse.clone(), number(|a| a.worse)),
                ],
                ahead: [number(|a| a.ahead), number(|a| a.low), number(|a| a.high)],
                notes: notes(comparison.as_ref(), epochs),
            };
            let [(this, this_share), (that, that_share)] = &claim.sides;
            let mut row = vec![
                Cell::text(&claim.question),
                Cell::text(verdict.words()),
                Cell::text(&claim.paper),
                Cell::text(this),
                this_share.clone(),
                Cell::text(that),
                that_share.clone(),
            ];
            row.extend(claim.ahead.clone());
            row.extend([
                Cell::maybe(comparison.as_ref().map(|a| a.songs as f64), 0),
                Cell::maybe(comparison.as_ref().map(|a| a.different as f64), 0),
                Cell::text(runs),
                Cell::text(epochs.map_or_else(String::new, |epochs| epochs.to_string())),
            ]);
            table.rows.push(row);
            claims.push(claim);
        }
    }
    if claims.is_empty() {
        return Section::default();
    }
    let caption = "Each bar is the difference in points with its 95 % interval over songs: right of zero the first series is ahead";
    let figure = Figure { caption: caption.to_owned(), drawing: list(&claims), legend: Vec::new() };
    Section {
        id: "answers".to_owned(),
        title: "The paper’s claims".to_owned(),
        text: vec![
            tally(&claims),
            format!(
                "The difference is the mean over the runs of the first series minus that of the second; its interval is a bootstrap with \
             {RESAMPLES} resamples of the songs, not of the seeds of runs. With fewer than {FEWEST_SONGS} songs in either series the interval \
             would be too narrow (with ten it covers the truth 90 times in 100, not 95), and fewer than {FEWEST_DIFFERENT} songs that differ may \
             all favour one series by chance: the result is then “undecided”. It is “not finished” while the two series have runs with \
             different seeds."
            ),
        ],
        figures: vec![figure],
        tables: vec![table],
    }
}

/// How many claims have which verdict.
fn tally(claims: &[Claim]) -> String {
    use Verdict::{No, NoClips, NotFinished, NotRun, Undecided, Yes};
    let counts = [Yes, No, Undecided, NotFinished, NotRun, NoClips].into_iter().filter_map(|of| {
        let n = claims.iter().filter(|claim| claim.verdict == of).count();
        (n > 0).then(|| format!("{n} {}", of.words()))
    });
    format!("Of {}: {}.", count(claims.len(), "claim"), counts.collect::<Vec<_>>().join(", "))
}

/// Songs, and epochs where they are fewer than the experiment asks for.
fn notes(comparison: Option<&Comparison>, epochs: Option<Epochs>) -> Vec<String> {
    let songs = comparison
        .map(|a| format!("{}, {} of them different", count(a.songs, "song"), a.different));
    let short = epochs.filter(|epochs| comparison.is_some() && epochs.are_short());
    songs.into_iter().chain(short.map(|epochs| format!("after {epochs}"))).collect()
}

/// Compares two series; nothing where the metric applies to no clip of one of them.
fn compare(
    question: &Question,
    better: &SeriesResults<'_>,
    worse: &SeriesResults<'_>,
    genres: &Genres,
) -> Option<Comparison> {
    let metric = Metric { measure: question.measure, k: question.k, genre: None };
    let [ours, theirs] = [better, worse].map(|series| measure_series(series, metric, genres));
    let counts = PairedCounts::new([better, worse], metric, genres);
    let ahead = counts.ahead(&vec![1.0; counts.songs])?;
    let (low, high) = interval(counts.resampled())?;
    let (songs, different) = (counts.fewest_songs(), counts.different());
    let verdict = match (low, high) {
        _ if seeds(better) != seeds(worse) => Verdict::NotFinished,
        _ if songs < FEWEST_SONGS || different < FEWEST_DIFFERENT => Verdict::Undecided,
        _ if low > 0.0 => Verdict::Yes,
        _ if high < 0.0 => Verdict::No,
        _ => Verdict::Undecided,
    };
    let (better, worse) = (ours?.mean, theirs?.mean);
    Some(Comparison { verdict, better, worse, ahead, low, high, songs, different })
}

/// Seeds of splits and of runs: both series need the same, because a seed may favour every network.
fn seeds(series: &SeriesResults<'_>) -> BTreeSet<(u64, u64)> {
    series.runs.iter().map(|run| (run.record.split.seed, run.record.seed)).collect()
}

impl PairedCounts {
    fn new(both: [&SeriesResults<'_>; 2], metric: Metric<'_>, genres: &Genres) -> Self {
        let sides = both.map(|series| {
            let (runs, unit) = (series.runs.iter(), series.series.unit);
            runs.map(|run| counts_by_song(run, unit, metric, genres)).collect::<Vec<_>>()
        });
        let songs: BTreeSet<&str> =
            sides.iter().flatten().flat_map(|run| run.keys().copied()).collect();
        let of = |song: &&str, run: &BTreeMap<&str, (f64, f64)>| {
            run.get(song).copied().unwrap_or_default()
        };
        let sides = sides.map(|runs| {
            runs.iter().map(|run| songs.iter().map(|song| of(song, run)).collect()).collect()
        });
        PairedCounts { songs: songs.len(), sides }
    }

    /// Mean over the runs of the first series minus that of the second, in percent, with each song counted `times`. A run without any
    /// clip to count has no share.
    fn ahead(&self, times: &[f64]) -> Option<f64> {
        let share = |run: &Vec<(f64, f64)>| {
            let counted = run.iter().zip(times);
            let (right, all) = counted.fold((0.0, 0.0), |sum, ((right, all), times)| {
                (sum.0 + times * right, sum.1 + times * all)
            });
            (all > 0.0).then(|| 100.0 * right / all)
        };
        let mean = |side: &Vec<Vec<(f64, f64)>>| {
            let shares: Vec<f64> = side.iter().filter_map(share).collect();
            Spread::of(&shares).map(|spread| spread.mean)
        };
        let [better, worse] = &self.sides;
        Some(mean(better)? - mean(worse)?)
    }

    /// `ahead` over songs drawn with replacement, always the same ones.
    fn resampled(&self) -> Vec<f64> {
        let mut random = Random::derive(1, "answers", &[]);
        resample(&mut random, self.songs, RESAMPLES, |drawn| {
            let mut times = vec![0.0; self.songs];
            for song in drawn {
                if let Some(times) = times.get_mut(*song) {
                    *times += 1.0;
                }
            }
            self.ahead(&times)
        })
    }

    /// Songs of the series with fewer songs.
    fn fewest_songs(&self) -> usize {
        let of = |side| (0..self.songs).filter(|song| share(side, *song).is_some()).count();
        self.sides.iter().map(|side| of(side)).min().unwrap_or(0)
    }

    /// Songs of both series on which one is better than the other.
    fn different(&self) -> usize {
        let [better, worse] = &self.sides;
        let differs = |song: &usize| match (share(better, *song), share(worse, *song)) {
            (Some(ours), Some(theirs)) => (ours - theirs).abs() > 1e-9,
            _ => false,
        };
        (0..self.songs).filter(differs).count()
    }
}

/// The share of a song over all runs of a series.
fn share(side: &[Vec<(f64, f64)>], song: usize) -> Option<f64> {
    let runs = side.iter().filter_map(|run| run.get(song));
    let (right, all) = runs.fold((0.0, 0.0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
    (all > 0.0).then(|| right / all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::experiment::spec::Measure;
    use crate::paper::report::measure::tests::{genres, run, series};
    use crate::paper::report::results::Run;

    fn compared(better: &[Run], worse: &[Run]) -> Option<Comparison> {
        let series = series();
        let question = Question {
            text: "?".to_owned(),
            better: String::new(),
            worse: String::new(),
            measure: Measure::Accuracy,
            k: None,
            paper: String::new(),
        };
        let of = |runs| SeriesResults { series: &series, runs: Vec::from_iter(runs), planned: 1 };
        compare(&question, &of(better), &of(worse), &genres())
    }

    /// Of so many songs every `step`th is right.
    fn of(songs: usize, step: usize) -> Run {
        let names: Vec<String> = (0..songs).map(|i| i.to_string()).collect();
        let prediction = |(i, name)| {
            let name: &String = name;
            (name.as_str(), name.as_str(), 0, usize::from(i % step != 0))
        };
        run("r", &names.iter().enumerate().map(prediction).collect::<Vec<_>>())
    }

    /// Of forty.
    fn right(step: usize) -> Run {
        of(40, step)
    }

    #[test]
    fn a_verdict_needs_an_interval_without_zero() {
        let clear = compared(&[right(1)], &[right(4)]).unwrap();
        assert_eq!((clear.verdict, clear.better, clear.worse), (Verdict::Yes, 100.0, 25.0));
        assert_eq!((clear.ahead, clear.songs, clear.different), (75.0, 40, 30));
        assert!(clear.low > 50.0 && clear.high < 95.0, "{clear:?}");
        assert_eq!(compared(&[right(4)], &[right(1)]).unwrap().verdict, Verdict::No);
        assert_eq!(compared(&[right(3)], &[right(3)]).unwrap().verdict, Verdict::Undecided);
        assert_eq!(compared(&[], &[right(1)]), None);
    }

    #[test]
    fn few_songs_decide_nothing_however_large_the_difference() {
        for (songs, verdict) in [
            (8, Verdict::Undecided),
            (FEWEST_SONGS - 1, Verdict::Undecided),
            (FEWEST_SONGS, Verdict::Yes),
        ] {
            let comparison = compared(&[of(songs, 1)], &[of(songs, 4)]).unwrap();
            assert!(comparison.low > 0.0 && comparison.songs == songs, "{comparison:?}");
            assert_eq!(comparison.verdict, verdict, "{comparison:?}");
        }
        // Of a hundred songs, few differ, and all of these favour one series.
        let names: Vec<String> = (0..100).map(|i| i.to_string()).collect();
        let with_wrong = |wrong: usize| {
            let of = names.iter().map(String::as_str).enumerate();
            let predictions = of.map(|(i, name)| (name, name, 0, usize::from(i < wrong)));
            run("r", &predictions.collect::<Vec<_>>())
        };
        for (wrong, verdict) in
            [(FEWEST_DIFFERENT - 1, Verdict::Undecided), (FEWEST_DIFFERENT, Verdict::Yes)]
        {
            let comparison = compared(&[with_wrong(0)], &[with_wrong(wrong)]).unwrap();
            assert!(comparison.low > 0.0 && comparison.different == wrong, "{comparison:?}");
            assert_eq!(comparison.verdict, verdict, "{comparison:?}");
        }
    }

    #[test]
    fn few_songs_in_one_series_decide_nothing_however_many_the_other_has() {
        // Forty songs, all right, against five of them, all wrong.
        let wrong: Vec<String> = (0..5).map(|i| i.to_string()).collect();
        let wrong: Vec<_> = wrong.iter().map(|n| (n.as_str(), n.as_str(), 0, 1)).collect();
        let comparison = compared(&[of(40, 1)], &[run("r", &wrong)]).unwrap();
        assert!(comparison.low > 0.0, "{comparison:?}");
        assert_eq!(
            (comparison.verdict, comparison.songs, comparison.different),
            (Verdict::Undecided, 5, 5)
        );
    }

    #[test]
    fn series_with_different_seeds_are_not_finished() {
        let mut other = right(4);
        other.record.split.seed += 1;
        assert_eq!(compared(&[right(1)], &[other]).unwrap().verdict, Verdict::NotFinished);
        let mut more = right(1);
        more.record.seed += 1;
        let comparison = compared(&[right(1), more], &[right(4)]).unwrap();
        assert_eq!(comparison.verdict, Verdict::NotFinished);
    }

    #[test]
    fn the_interval_is_that_of_the_difference() {
        // Runs of different size, as on different splits: all of 10 songs are right, and 1 of 40. The mean of both is 51 %, but 22 % of all songs.
        let comparison = compared(&[of(10, 1), of(40, 41)], &[of(40, 41)]).unwrap();
        assert!(
            (comparison.ahead - (comparison.better - comparison.worse)).abs() < 1e-9,
            "{comparison:?}"
        );
        assert!(
            comparison.ahead > 45.0
                && comparison.low <= comparison.ahead
                && comparison.ahead <= comparison.high,
            "{comparison:?}"
        );
    }

    #[test]
    fn more_runs_of_the_same_songs_make_no_narrower_interval() {
        let width = |c: Comparison| c.high - c.low;
        let one = compared(&[right(2)], &[right(5)]).unwrap();
        let same = || vec![right(2), right(2), right(2)];
        let three = compared(&same(), &[right(5)]).unwrap();
        assert!((width(one) - width(three)).abs() < 1e-9, "{one:?} {three:?}");
    }
}
