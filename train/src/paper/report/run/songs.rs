//! The songs with most errors, and what the network found in each of their clips.

use std::collections::BTreeMap;

use leitmotif_models::text::count;
use leitmotif_models::{Network, Prediction, Predictions, SampleRate, argmax};

use super::read::TrainedRun;
use crate::paper::experiment::error::ReportError;
use crate::paper::report::document::{Figure, Key, Section, Stroke};
use crate::paper::report::table::{Cell, Table, Visibility};
use crate::plot::charts::responsive;
use crate::plot::timeline::{Segment, Timeline};

/// Songs that are drawn.
const DRAWN: usize = 6;

/// Height of their pictures.
const HEIGHT: u32 = 250;

/// A song of the test part.
struct TestedSong<'a> {
    song: &'a str,
    clips: Vec<&'a Prediction>,
    /// Classes.
    truth: usize,
    answer: usize,
    /// Mean probability of each class, clips weighted as in the scores.
    probabilities: Vec<f64>,
    wrong: usize,
}

/// Pictures of the worst songs and a table of all with errors; nothing without predictions.
pub(super) fn section(run: &TrainedRun) -> Result<Option<Section>, ReportError> {
    let Some(predictions) = &run.predictions else { return Ok(None) };
    let songs = with_errors(predictions);
    let classes = predictions.classes();
    let name = |class: usize| classes.get(class).map_or("", String::as_str);
    let mut table = Table::new(
        "songs",
        "Every test song with a clip that is predicted wrongly, most errors first",
        &[
            "song",
            "true artist",
            "answer",
            "clips wrong",
            "clips",
            "probability of the true artist, %",
            "probability of the answer, %",
        ],
    )
    .with_visibility(Visibility::Folded);
    for song in &songs {
        let probability = |class: usize| {
            song.probabilities.get(class).map_or(Cell::Empty, |share| Cell::percent(*share))
        };
        table.rows.push(vec![
            Cell::text(song.song),
            Cell::text(name(song.truth)),
            Cell::text(name(song.answer)),
            Cell::count(song.wrong),
            Cell::count(song.clips.len()),
            probability(song.truth),
            probability(song.answer),
        ]);
    }
    let drawn = songs.iter().take(DRAWN);
    let figures = drawn
        .map(|song| figure(song, classes, &run.shown().network))
        .collect::<Result<Vec<_>, _>>()?;
    let text = match songs.len() {
        0 => "Every clip of every test song is right.".to_owned(),
        wrong => format!(
            "{} of the test part {} a wrong clip; drawn are the {} with most. Each step is a clip, in the order of the data set, with \
             the mean of its segments’ probabilities; the true artist is at the bottom. Time counts the evaluated segments.",
            count(wrong, "song"),
            if wrong == 1 { "has" } else { "have" },
            figures.len()
        ),
    };
    Ok(Some(Section {
        id: "songs".to_owned(),
        title: "Songs with most errors".to_owned(),
        text: vec![text],
        figures,
        tables: if songs.is_empty() { Vec::new() } else { vec![table] },
    }))
}

/// Songs with wrong clips: most of these first, then the larger share, then the lower probability of the true artist.
fn with_errors(predictions: &Predictions) -> Vec<TestedSong<'_>> {
    let mut by_song: BTreeMap<&str, Vec<&Prediction>> = BTreeMap::new();
    for clip in predictions.clips() {
        by_song.entry(&clip.song).or_default().push(clip);
    }
    let classes = predictions.classes().len();
    let mut songs: Vec<TestedSong<'_>> = by_song
        .into_iter()
        .map(|(song, clips)| TestedSong::of(song, clips, classes))
        .filter(|song| song.wrong > 0)
        .collect();
    let share = |song: &TestedSong<'_>| song.wrong as f64 / song.clips.len().max(1) as f64;
    let truth = |song: &TestedSong<'_>| song.probabilities.get(song.truth).copied().unwrap_or(0.0);
    songs.sort_by(|a, b| {
        let by_share = share(b).total_cmp(&share(a));
        b.wrong.cmp(&a.wrong).then(by_share).then(truth(a).total_cmp(&truth(b)))
    });
    songs
}

impl<'a> TestedSong<'a> {
    fn of(song: &'a str, clips: Vec<&'a Prediction>, classes: usize) -> Self {
        let mut probabilities = vec![0.0; classes];
        let weight: f64 = clips.iter().map(|clip| clip.weight as f64).sum();
        for clip in &clips {
            for (sum, p) in probabilities.iter_mut().zip(&clip.probabilities) {
                *sum += f64::from(*p) * clip.weight as f64 / weight;
            }
        }
        let truth = clips.first().map_or(0, |clip| clip.truth.0);
        let wrong = clips.iter().filter(|clip| argmax(&clip.probabilities) != truth).count();
        TestedSong { song, clips, truth, answer: argmax(&probabilities), probabilities, wrong }
    }
}

fn figure(
    song: &TestedSong<'_>,
    classes: &[String],
    network: &Network,
) -> Result<Figure, ReportError> {
    let mut samples = 0;
    let mut segments = Vec::new();
    for clip in &song.clips {
        let from = SampleRate::NETWORK.seconds(samples);
        samples += clip.segments.saturating_mul(network.hop) as u64;
        segments.push(Segment {
            start_seconds: from,
            end_seconds: SampleRate::NETWORK.seconds(samples),
            probabilities: clip.probabilities.iter().copied().map(f64::from).collect(),
        });
    }
    let timeline = Timeline {
        file: song.song.to_owned(),
        seconds: SampleRate::NETWORK.seconds(samples),
        artists: classes.to_vec(),
        segments,
    };
    let (mut chart, legend) = timeline.chart(Some(song.truth));
    chart.size.1 = HEIGHT;
    let name = |class: usize| classes.get(class).map_or("", String::as_str);
    let caption = format!(
        "{}: by {}; {} of {} wrong, the song is {}",
        song.song,
        name(song.truth),
        song.wrong,
        count(song.clips.len(), "clip"),
        match song.answer == song.truth {
            true => "right".to_owned(),
            false => format!("taken for {}", name(song.answer)),
        }
    );
    let key = |(colour, label)| Key { colour, stroke: Stroke::Area, label };
    let legend = legend.into_iter().map(key).collect();
    Ok(Figure { drawing: responsive(&chart, &caption)?, caption, legend })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::report::measure::tests::run;

    #[test]
    fn songs_with_most_wrong_clips_come_first() {
        let run = run(
            "r",
            &[
                ("1", "right", 0, 0),
                ("2", "once of two", 1, 0),
                ("3", "once of two", 1, 1),
                ("4", "twice", 2, 1),
                ("5", "twice", 2, 1),
                ("6", "once of one", 3, 2),
            ],
        );
        let songs = with_errors(&run.predictions);
        let found: Vec<(&str, usize, usize)> =
            songs.iter().map(|song| (song.song, song.wrong, song.answer)).collect();
        // Of the two clips of “once of two” B has 0.7 and 0.05 or less: A has more.
        assert_eq!(found, [("twice", 2, 1), ("once of one", 1, 2), ("once of two", 1, 1)]);
        assert!((songs[0].probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        let figure = figure(&songs[0], run.predictions.classes(), &run.record.network).unwrap();
        assert_eq!(figure.legend[0].label, "C, 15 %");
        assert!(
            figure.caption.starts_with("twice: by C; 2 of 2 clips wrong, the song is taken for B")
        );
    }
}
