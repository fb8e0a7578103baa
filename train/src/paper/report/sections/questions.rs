//! The paper's claims as questions, answered from the runs: is one line better than another *here*?

use std::collections::{BTreeMap, BTreeSet};

use crate::paper::experiment::spec::Question;
use crate::paper::report::document::Section;
use crate::paper::report::measure::{What, by_song, of_line};
use crate::paper::report::results::{Genres, Line, Results};
use crate::paper::report::spread::Spread;
use crate::paper::report::table::{Cell, Table};
use leitmotif_models::Random;
use leitmotif_models::score::bootstrap::{interval, resample};

const RESAMPLES: usize = 1_000;

/// Fewest songs for a yes or no. The percentile interval of a mean over n songs reaches about 1.96·√((n−1)/n) standard errors to each side
/// where Student's t asks for more: of 95 promised it holds the truth 90 times in 100 at ten songs, 93 times at twenty, and is not much
/// better at thirty.
const FEWEST_SONGS: usize = 20;

/// Fewest songs on which the sides differ for a yes or no. Resampling calls four songs that all speak for one side certain; of songs that
/// fall either way alike, five are on one side once in sixteen times, six once in thirty-two, which is the first below 5 %.
const FEWEST_DIFFERENT: usize = 6;

/// What the runs answer.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Answer {
    verdict: &'static str,
    /// In percent.
    better: f64,
    worse: f64,
    ahead: f64,
    /// 95 % interval of `ahead` over songs.
    low: f64,
    high: f64,
    /// Of the side that was asked fewer.
    songs: usize,
    /// Songs of both sides on which they differ.
    different: usize,
}

/// What there is to count: for each side, each run and each song of either side, the two numbers of a share.
struct Counts {
    songs: usize,
    sides: [Vec<Vec<(f64, f64)>>; 2],
}

/// One row a question.
pub(in crate::paper::report) fn section(results: &Results) -> Section {
    let mut table = Table::new(
        "answers",
        "The paper’s claims as questions. Yes or no where the 95 % interval of the difference, over songs, leaves no doubt",
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
        ],
    );
    for asked in &results.asked {
        let lines = results.lines(asked);
        for question in &asked.experiment.questions {
            let side = |label: &str| lines.iter().find(|line| line.line.label == label);
            let (Some(better), Some(worse)) = (side(&question.better), side(&question.worse))
            else {
                continue;
            };
            let answer = answer(question, better, worse, &results.genres);
            let number = |f: fn(&Answer) -> f64| Cell::maybe(answer.as_ref().map(f), 2);
            // The music may hold nothing to ask, such as genres.
            let none = match better.runs.is_empty() || worse.runs.is_empty() {
                true => "not run yet",
                false => "no such clips here",
            };
            let runs = format!("{} / {}", better.runs.len(), worse.runs.len());
            table.rows.push(vec![
                Cell::text(&question.ask),
                Cell::text(answer.map_or(none, |a| a.verdict)),
                Cell::text(&question.paper),
                Cell::text(&question.better),
                number(|a| a.better),
                Cell::text(&question.worse),
                number(|a| a.worse),
                number(|a| a.ahead),
                number(|a| a.low),
                number(|a| a.high),
                Cell::maybe(answer.as_ref().map(|a| a.songs as f64), 0),
                Cell::maybe(answer.as_ref().map(|a| a.different as f64), 0),
                Cell::text(runs),
            ]);
        }
    }
    Section {
        id: "answers".to_owned(),
        title: "Does it hold here?".to_owned(),
        text: vec![format!(
            "The interval is that of the points ahead (the mean over one side’s runs less that over the other’s) in {RESAMPLES} draws of as \
             many songs with replacement; seeds of runs are not drawn. On fewer than {FEWEST_SONGS} songs of either side it would be too narrow \
             (on ten it holds the truth 90 times in 100, not 95), and fewer than {FEWEST_DIFFERENT} songs of both that differ may all speak \
             for one side by chance: the answer is “undecided” then. It is “not finished” where one side has runs of other seeds than the other."
        )],
        figures: Vec::new(),
        tables: if table.rows.is_empty() { Vec::new() } else { vec![table] },
    }
}

/// Compares two lines; nothing where one of them has nothing to measure.
fn answer(
    question: &Question,
    better: &Line<'_>,
    worse: &Line<'_>,
    genres: &Genres,
) -> Option<Answer> {
    let what = What { measure: question.measure, k: question.k, genre: None };
    let [ours, theirs] = [better, worse].map(|line| of_line(line, what, genres));
    let counts = Counts::new([better, worse], what, genres);
    let ahead = counts.ahead(&vec![1.0; counts.songs])?;
    let (low, high) = interval(counts.resampled())?;
    let (songs, different) = (counts.fewest_songs(), counts.different());
    let verdict = match (low, high) {
        _ if seeds(better) != seeds(worse) => "not finished",
        _ if songs < FEWEST_SONGS || different < FEWEST_DIFFERENT => "undecided",
        _ if low > 0.0 => "yes",
        _ if high < 0.0 => "no",
        _ => "undecided",
    };
    let (better, worse) = (ours?.mean, theirs?.mean);
    Some(Answer { verdict, better, worse, ahead, low, high, songs, different })
}

/// Of splits and of runs: a seed that is lucky for one side must be there for the other.
fn seeds(line: &Line<'_>) -> BTreeSet<(u64, u64)> {
    line.runs.iter().map(|run| (run.record.split.seed, run.record.seed)).collect()
}

impl Counts {
    fn new(lines: [&Line<'_>; 2], what: What<'_>, genres: &Genres) -> Self {
        let sides = lines.map(|line| {
            let runs = line.runs.iter();
            runs.map(|run| by_song(run, line.line.judged, what, genres)).collect::<Vec<_>>()
        });
        let songs: BTreeSet<&str> =
            sides.iter().flatten().flat_map(|run| run.keys().copied()).collect();
        let of = |song: &&str, run: &BTreeMap<&str, (f64, f64)>| {
            run.get(song).copied().unwrap_or_default()
        };
        let sides = sides.map(|runs| {
            runs.iter().map(|run| songs.iter().map(|song| of(song, run)).collect()).collect()
        });
        Counts { songs: songs.len(), sides }
    }

    /// The mean over one side's runs less that over the other's, in percent, each song counted so many times. As everywhere in the
    /// report, a run's share is of all that it was asked, and a run that was asked nothing has none.
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

    /// Songs that the side was asked which was asked fewer.
    fn fewest_songs(&self) -> usize {
        let asked = |side| (0..self.songs).filter(|song| share(side, *song).is_some()).count();
        self.sides.iter().map(|side| asked(side)).min().unwrap_or(0)
    }

    /// Songs of both sides on which one is better than the other.
    fn different(&self) -> usize {
        let [better, worse] = &self.sides;
        let differs = |song: &usize| match (share(better, *song), share(worse, *song)) {
            (Some(ours), Some(theirs)) => (ours - theirs).abs() > 1e-9,
            _ => false,
        };
        (0..self.songs).filter(differs).count()
    }
}

/// Of all that a side's runs were asked about a song.
fn share(side: &[Vec<(f64, f64)>], song: usize) -> Option<f64> {
    let runs = side.iter().filter_map(|run| run.get(song));
    let (right, all) = runs.fold((0.0, 0.0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
    (all > 0.0).then(|| right / all)
}

#[cfg(test)]
mod tests {
    use leitmotif_models::HeadKind;

    use super::*;
    use crate::paper::experiment::spec::{self, Judged, Measure};
    use crate::paper::report::measure::tests::{genres, run};
    use crate::paper::report::results::Run;
    use leitmotif_dataset::split::Protocol;

    fn answered(better: &[Run], worse: &[Run]) -> Option<Answer> {
        let line = spec::Line {
            label: "l".to_owned(),
            network: "n".to_owned(),
            head: HeadKind::Dense,
            split: Protocol::Song,
            judged: Judged::Clip,
        };
        let question = Question {
            ask: "?".to_owned(),
            better: String::new(),
            worse: String::new(),
            measure: Measure::Accuracy,
            k: None,
            paper: String::new(),
        };
        let of = |runs| Line { line: &line, runs: Vec::from_iter(runs), wanted: 1 };
        answer(&question, &of(better), &of(worse), &genres())
    }

    /// Of so many songs every `step`th is right.
    fn of(songs: usize, step: usize) -> Run {
        let names: Vec<String> = (0..songs).map(|i| i.to_string()).collect();
        let answer = |(i, name)| {
            let name: &String = name;
            (name.as_str(), name.as_str(), 0, usize::from(i % step != 0))
        };
        run("r", &names.iter().enumerate().map(answer).collect::<Vec<_>>())
    }

    /// Of forty.
    fn right(step: usize) -> Run {
        of(40, step)
    }

    #[test]
    fn a_question_is_answered_from_the_data_and_only_where_they_leave_no_doubt() {
        let clear = answered(&[right(1)], &[right(4)]).unwrap();
        assert_eq!((clear.verdict, clear.better, clear.worse), ("yes", 100.0, 25.0));
        assert_eq!((clear.ahead, clear.songs, clear.different), (75.0, 40, 30));
        assert!(clear.low > 50.0 && clear.high < 95.0, "{clear:?}");
        assert_eq!(answered(&[right(4)], &[right(1)]).unwrap().verdict, "no");
        // Thirteen of forty against fourteen: 20 songs would have to go one way.
        assert_eq!(answered(&[right(3)], &[right(3)]).unwrap().verdict, "undecided");
        assert_eq!(answered(&[], &[right(1)]), None);
    }

    #[test]
    fn few_songs_decide_nothing_however_clear_they_look() {
        for (songs, verdict) in
            [(8, "undecided"), (FEWEST_SONGS - 1, "undecided"), (FEWEST_SONGS, "yes")]
        {
            let answer = answered(&[of(songs, 1)], &[of(songs, 4)]).unwrap();
            assert!(answer.low > 0.0 && answer.songs == songs, "{answer:?}");
            assert_eq!(answer.verdict, verdict, "{answer:?}");
        }
        // Of a hundred songs five that all speak for one side.
        let names: Vec<String> = (0..100).map(|i| i.to_string()).collect();
        let with_wrong = |wrong: usize| {
            let of = names.iter().map(String::as_str).enumerate();
            let answers = of.map(|(i, name)| (name, name, 0, usize::from(i < wrong)));
            run("r", &answers.collect::<Vec<_>>())
        };
        for (wrong, verdict) in [(FEWEST_DIFFERENT - 1, "undecided"), (FEWEST_DIFFERENT, "yes")] {
            let answer = answered(&[with_wrong(0)], &[with_wrong(wrong)]).unwrap();
            assert!(answer.low > 0.0 && answer.different == wrong, "{answer:?}");
            assert_eq!(answer.verdict, verdict, "{answer:?}");
        }
    }

    #[test]
    fn few_songs_of_one_side_decide_nothing_however_many_the_other_was_asked() {
        // Forty songs, all right, against five of them, all wrong.
        let wrong: Vec<String> = (0..5).map(|i| i.to_string()).collect();
        let wrong: Vec<_> = wrong.iter().map(|n| (n.as_str(), n.as_str(), 0, 1)).collect();
        let answer = answered(&[of(40, 1)], &[run("r", &wrong)]).unwrap();
        assert!(answer.low > 0.0, "{answer:?}");
        assert_eq!((answer.verdict, answer.songs, answer.different), ("undecided", 5, 5));
    }

    #[test]
    fn sides_of_other_seeds_are_not_finished() {
        let mut other = right(4);
        other.record.split.seed += 1;
        assert_eq!(answered(&[right(1)], &[other]).unwrap().verdict, "not finished");
        let mut more = right(1);
        more.record.seed += 1;
        let answer = answered(&[right(1), more], &[right(4)]).unwrap();
        assert_eq!(answer.verdict, "not finished");
    }

    #[test]
    fn points_ahead_are_what_the_interval_is_of() {
        // Runs of unlike size, as splits have: of 10 songs all are right, of 40 one. The mean of both is 51, of all songs 22 % are right.
        let answer = answered(&[of(10, 1), of(40, 41)], &[of(40, 41)]).unwrap();
        assert!((answer.ahead - (answer.better - answer.worse)).abs() < 1e-9, "{answer:?}");
        assert!(
            answer.ahead > 45.0 && answer.low <= answer.ahead && answer.ahead <= answer.high,
            "{answer:?}"
        );
    }

    #[test]
    fn more_runs_of_the_same_songs_make_no_narrower_interval() {
        let width = |a: Answer| a.high - a.low;
        let one = answered(&[right(2)], &[right(5)]).unwrap();
        let same = || vec![right(2), right(2), right(2)];
        let three = answered(&same(), &[right(5)]).unwrap();
        assert!((width(one) - width(three)).abs() < 1e-9, "{one:?} {three:?}");
    }
}
