//! Metrics of runs, in the paper's units.

use std::collections::BTreeMap;

use leitmotif_models::{Prediction, argmax};

use super::results::{Genres, Run, SeriesResults};
use super::spread::Spread;
use crate::learn::history::EpochRow;
use crate::paper::experiment::spec::{EvaluationUnit, Measure, PaperValue};

/// A measure with its parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric<'a> {
    /// The measure.
    pub(super) measure: Measure,
    /// The k of top-k.
    pub(super) k: Option<usize>,
    /// The genre of the share of wrong predictions.
    pub(super) genre: Option<&'a str>,
}

impl<'a> Metric<'a> {
    /// The metric of one of the paper's values.
    pub(super) fn of_paper(value: &'a PaperValue) -> Self {
        Metric { measure: value.measure, k: value.k, genre: value.genre.as_deref() }
    }

    /// Its name in tables.
    pub(super) fn label(&self) -> String {
        match self.measure {
            Measure::Accuracy => "test accuracy, %".to_owned(),
            Measure::PeakEpoch => "epoch of the highest test accuracy".to_owned(),
            Measure::TopK => format!("top-{} accuracy, %", self.k.unwrap_or(1)),
            Measure::AllAtK => "k for 100 % top-k accuracy".to_owned(),
            Measure::GenreWrong => format!("{}: errors, %", self.genre.unwrap_or_default()),
            Measure::SharedGenre => "errors with a shared genre, %".to_owned(),
        }
    }
}

/// Accuracy on the test part after an epoch.
pub(super) fn test_accuracy(row: &EpochRow, unit: EvaluationUnit) -> Option<f64> {
    match unit {
        EvaluationUnit::Clip => row.test_clips,
        EvaluationUnit::Segment => row.test_segments,
    }
}

/// The metric over the runs of a series.
pub(super) fn measure_series(
    series: &SeriesResults<'_>,
    metric: Metric<'_>,
    genres: &Genres,
) -> Option<Spread> {
    let unit = series.series.unit;
    let values = series.runs.iter().filter_map(|run| measure_run(run, unit, metric, genres));
    Spread::of(&values.collect::<Vec<_>>())
}

/// The metric of one run; nothing where it applies to no clip.
pub(super) fn measure_run(
    run: &Run,
    unit: EvaluationUnit,
    metric: Metric<'_>,
    genres: &Genres,
) -> Option<f64> {
    match metric.measure {
        Measure::PeakEpoch => {
            let rows = run.history.rows();
            let tested = rows.iter().filter_map(|row| Some((row.epoch, test_accuracy(row, unit)?)));
            // The first of equal epochs.
            let peak = tested.fold(None, |best: Option<(usize, f64)>, (epoch, value)| match best {
                Some((_, most)) if most >= value => best,
                _ => Some((epoch, value)),
            });
            peak.map(|(epoch, _)| epoch as f64)
        }
        Measure::AllAtK => run.predictions.clips().iter().map(rank).max().map(|k| k as f64 + 1.0),
        _ => {
            let counts = counts_by_song(run, unit, metric, genres);
            let (right, all) = counts.values().fold((0.0, 0.0), |s, c| (s.0 + c.0, s.1 + c.1));
            (all > 0.0).then(|| 100.0 * right / all)
        }
    }
}

/// Numerator and denominator of a share by song, because clips of one song are not independent.
pub(super) fn counts_by_song<'a>(
    run: &'a Run,
    unit: EvaluationUnit,
    metric: Metric<'_>,
    genres: &Genres,
) -> BTreeMap<&'a str, (f64, f64)> {
    let mut songs: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for clip in run.predictions.clips() {
        let wrong = || argmax(&clip.probabilities) != clip.truth.0;
        let one = |counts: bool| (f64::from(u8::from(counts)), 1.0);
        let (right, all) = match metric.measure {
            Measure::TopK => one(rank(clip) < metric.k.unwrap_or(1)),
            Measure::GenreWrong => {
                let of_genre = genres.of_clip(&clip.clip).any(|g| Some(g.as_str()) == metric.genre);
                if !of_genre {
                    continue;
                }
                one(wrong())
            }
            Measure::SharedGenre => {
                if !wrong() || genres.of_clip(&clip.clip).next().is_none() {
                    continue;
                }
                let predicted = run.predictions.classes().get(argmax(&clip.probabilities));
                one(predicted.is_some_and(|artist| genres.share(&clip.clip, artist)))
            }
            _ if unit == EvaluationUnit::Segment => {
                (clip.segments_right as f64, clip.segments as f64)
            }
            _ => one(!wrong()),
        };
        let song = songs.entry(clip.song.as_str()).or_default();
        *song = (song.0 + right, song.1 + all);
    }
    songs
}

/// Number of classes ranked before the true one; of equal probabilities, the class with the lower number is first.
fn rank(clip: &Prediction) -> usize {
    clip.rank().unwrap_or(usize::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use leitmotif_dataset::split::{Protocol, SplitRequest};
    use leitmotif_models::{ClassId, HeadKind, Network, Predictions, RunRecord, Scores};

    use super::*;
    use crate::learn::config::FitConfig;
    use crate::learn::history::History;
    use crate::paper::experiment::spec::Series;

    /// A run with these predictions: clip, song, truth, prediction of four classes `A`…`D` (the classes after it follow in order).
    pub(in super::super) fn run(key: &str, predictions: &[(&str, &str, usize, usize)]) -> Run {
        let classes: Vec<String> = ["A", "B", "C", "D"].map(str::to_owned).to_vec();
        let clip = |(clip, song, truth, predicted): &(&str, &str, usize, usize)| Prediction {
            clip: (*clip).to_owned(),
            song: (*song).to_owned(),
            truth: ClassId(*truth),
            segments: 4,
            segments_right: if truth == predicted { 3 } else { 1 },
            weight: 4,
            probabilities: (0..4)
                .map(|c| [0.7, 0.15, 0.1, 0.05][(c + 4 - predicted) % 4])
                .collect(),
            certainty: 0.7,
        };
        let predictions =
            Predictions::new(classes.clone(), predictions.iter().map(clip).collect()).unwrap();
        let network = Network::preset("example").unwrap().with_head(HeadKind::Dense);
        let record = RunRecord {
            version: leitmotif_models::RUN_VERSION,
            golden: leitmotif_models::GoldenInput { seed: 1, samples: network.clip_samples() },
            network,
            classes,
            epoch: 2,
            step: 8,
            unfinished: None,
            seed: 1,
            dataset: leitmotif_models::DatasetNote::default(),
            split: leitmotif_models::SplitNote::default(),
            scores: None,
            confidence: None,
            tools: BTreeMap::new(),
            config: serde_json::Value::Null,
        };
        let mut history = History::default();
        for (epoch, test) in [(1, 0.5), (2, 0.75), (3, 0.75)] {
            history.push(EpochRow {
                epoch,
                step: 4,
                learning_rate: 1e-3,
                loss: 1.0,
                accuracy: 0.9,
                validation_segments: None,
                validation_clips: None,
                validation_songs: None,
                test_segments: Some(test / 2.0),
                test_clips: Some(test),
                test_songs: Some(test),
                seconds: 1.0,
                clips_per_second: 4.0,
                validation_loss: None,
                gradient_norm: None,
            });
        }
        Run {
            key: key.to_owned(),
            record,
            config: FitConfig::default(),
            split: SplitRequest { protocol: Protocol::Song, seed: 1, test: 0.2, validation: 0.0 },
            history,
            scores: Scores::of(&predictions).unwrap(),
            predictions,
            sessions: Vec::new(),
            filters: None,
        }
    }

    /// A series whose accuracy is of clips.
    pub(in super::super) fn series() -> Series {
        Series {
            label: "dense".to_owned(),
            network: "n".to_owned(),
            head: HeadKind::Dense,
            split: Protocol::Song,
            unit: EvaluationUnit::Clip,
            recipe: None,
            settings: toml::Table::new(),
        }
    }

    pub(in super::super) fn genres() -> Genres {
        let mut genres = Genres::default();
        // A's two albums are of different genres; D has none.
        for (clip, artist, column) in [
            ("1", "A", "Jazz"),
            ("2", "A", "Jazz; World"),
            ("3", "B", "World"),
            ("4", "C", "Rock"),
            ("5", "D", ""),
        ] {
            genres.add(clip, artist, column);
        }
        genres
    }

    const PREDICTIONS: [(&str, &str, usize, usize); 5] =
        [("1", "x", 0, 0), ("2", "x", 0, 1), ("3", "y", 1, 0), ("4", "z", 2, 1), ("5", "w", 3, 0)];

    fn measured(measure: Measure, k: Option<usize>, genre: Option<&str>) -> Option<f64> {
        let metric = Metric { measure, k, genre };
        measure_run(&run("r", &PREDICTIONS), EvaluationUnit::Clip, metric, &genres())
    }

    #[test]
    fn measures_are_the_papers() {
        assert_eq!(measured(Measure::Accuracy, None, None), Some(20.0));
        let metric = Metric { measure: Measure::Accuracy, k: None, genre: None };
        let unit = EvaluationUnit::Segment;
        assert_eq!(measure_run(&run("r", &PREDICTIONS), unit, metric, &genres()), Some(35.0));
        // Ranks of the truth: 0, 3 (after B, C, D), 1, 1, 3.
        let top = |k| measured(Measure::TopK, Some(k), None).unwrap();
        assert_eq!([top(1), top(2), top(3), top(4)], [20.0, 60.0, 60.0, 100.0]);
        assert_eq!(measured(Measure::AllAtK, None, None), Some(4.0));
        assert_eq!(measured(Measure::PeakEpoch, None, None), Some(2.0));
    }

    #[test]
    fn genres_count_errors_and_those_that_share_one() {
        let wrong = |genre| measured(Measure::GenreWrong, None, Some(genre));
        assert_eq!(wrong("Jazz"), Some(50.0));
        assert_eq!(wrong("World"), Some(100.0));
        assert_eq!(wrong("Polka"), None);
        // Wrong with a genre: 2 (Jazz, World; predicted B: World), 3 (World; A has World by the album of 2), 4 (Rock; B has none).
        let shared = measured(Measure::SharedGenre, None, None).unwrap();
        assert!((shared - 200.0 / 3.0).abs() < 1e-9, "{shared}");
    }
}
