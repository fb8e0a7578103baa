//! The paper's claims as questions, answered from the runs: is one line better than another *here*?

use std::collections::BTreeMap;

use super::Section;
use super::measure::{What, by_song, of_line};
use super::results::{Genres, Line, Results};
use super::table::{Cell, Table};
use crate::experiment::file::Question;
use crate::random::Random;

const RESAMPLES: usize = 1_000;

/// What the runs answer.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Answer {
    verdict: &'static str,
    /// In percent.
    better: f64,
    worse: f64,
    /// 95 % interval of the difference over songs.
    low: f64,
    high: f64,
}

/// One row a question.
pub(super) fn section(results: &Results) -> Section {
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
            let runs = format!("{} / {}", better.runs.len(), worse.runs.len());
            table.rows.push(vec![
                Cell::text(&question.ask),
                Cell::text(answer.map_or("not run yet", |a| a.verdict)),
                Cell::text(&question.paper),
                Cell::text(&question.better),
                number(|a| a.better),
                Cell::text(&question.worse),
                number(|a| a.worse),
                number(|a| a.better - a.worse),
                number(|a| a.low),
                number(|a| a.high),
                Cell::text(runs),
            ]);
        }
    }
    Section {
        id: "answers".to_owned(),
        title: "Does it hold here?".to_owned(),
        text: Vec::new(),
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
    let songs = songs(better, worse, what, genres);
    let differences = resampled(&songs);
    let at = |share: f64| {
        let place = (share * differences.len().saturating_sub(1) as f64).round() as usize;
        differences.get(place).copied()
    };
    let (low, high) = (at(0.025)?, at(0.975)?);
    let verdict = match (low, high) {
        _ if low > 0.0 => "yes",
        _ if high < 0.0 => "no",
        _ => "undecided",
    };
    Some(Answer { verdict, better: ours?.mean, worse: theirs?.mean, low, high })
}

/// Both sides' two numbers of each song, over all runs: songs are what is drawn, whatever splits they were tested in.
fn songs(better: &Line<'_>, worse: &Line<'_>, what: What<'_>, genres: &Genres) -> Vec<[f64; 4]> {
    let mut songs: BTreeMap<&str, [f64; 4]> = BTreeMap::new();
    for (side, line) in [better, worse].into_iter().enumerate() {
        for run in &line.runs {
            for (song, (right, all)) in by_song(run, line.line.judged, what, genres) {
                let sums = songs.entry(song).or_default();
                for (sum, more) in sums.iter_mut().skip(2 * side).zip([right, all]) {
                    *sum += more;
                }
            }
        }
    }
    songs.into_values().collect()
}

/// Sorted differences in percent between the sides over songs drawn with replacement, always the same ones.
fn resampled(songs: &[[f64; 4]]) -> Vec<f64> {
    let mut random = Random::derive(1, "answers", &[]);
    let draw = |_| {
        let mut sums = [0.0; 4];
        for _ in 0..songs.len() {
            if let Some(song) = songs.get(random.below(songs.len())) {
                sums.iter_mut().zip(song).for_each(|(sum, more)| *sum += more);
            }
        }
        let [right, all, their_right, their_all] = sums;
        (all > 0.0 && their_all > 0.0).then(|| 100.0 * (right / all - their_right / their_all))
    };
    let mut differences: Vec<f64> = (0..RESAMPLES).filter_map(draw).collect();
    differences.sort_by(f64::total_cmp);
    differences
}

#[cfg(test)]
mod tests {
    use leitmotif_models::HeadKind;

    use super::super::measure::tests::{genres, run};
    use super::super::results::Run;
    use super::*;
    use crate::experiment::file::{self, Judged, Measure};
    use crate::split::Protocol;

    fn answered(better: &[Run], worse: &[Run]) -> Option<Answer> {
        let line = file::Line {
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

    /// Of forty songs every `step`th is right.
    fn right(step: usize) -> Run {
        let names: Vec<String> = (0..40).map(|i| i.to_string()).collect();
        let answer = |(i, name)| {
            let name: &String = name;
            (name.as_str(), name.as_str(), 0, usize::from(i % step != 0))
        };
        run("r", &names.iter().enumerate().map(answer).collect::<Vec<_>>())
    }

    #[test]
    fn a_question_is_answered_from_the_data_and_only_where_they_leave_no_doubt() {
        let clear = answered(&[right(1)], &[right(4)]).unwrap();
        assert_eq!((clear.verdict, clear.better, clear.worse), ("yes", 100.0, 25.0));
        assert!(clear.low > 50.0 && clear.high < 95.0, "{clear:?}");
        assert_eq!(answered(&[right(4)], &[right(1)]).unwrap().verdict, "no");
        // Thirteen of forty against fourteen: 20 songs would have to go one way.
        assert_eq!(answered(&[right(3)], &[right(3)]).unwrap().verdict, "undecided");
        assert_eq!(answered(&[], &[right(1)]), None);
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
