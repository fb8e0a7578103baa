//! Which artists are recognised, and which are taken for whom.

use super::read::TrainedRun;
use crate::paper::report::confusion::Confusion;
use crate::paper::report::document::Section;
use crate::paper::report::table::{Cell, Layout, Table, Visibility};

/// Artists in a confusion matrix: those with the most errors.
const MATRIX: usize = 24;
/// Pairs of artists listed.
const CONFUSED: usize = 15;

/// Scores by artist and confusion matrices; nothing before the test part was evaluated.
pub(super) fn section(run: &TrainedRun) -> Option<Section> {
    let record = run.shown();
    let scores = record.scores.as_ref()?;
    let mut table = Table::new(
        "artists",
        "Test songs and clips right by artist",
        &[
            "artist",
            "songs: right, %",
            "songs: right",
            "songs: of",
            "clips: right, %",
            "clips: right",
            "clips: of",
            "songs of others taken for theirs",
            "F1 by song, %",
        ],
    )
    .with_layout(Layout::Bars);
    // An artist without test songs has no share.
    let share = |right: usize, of: usize| match of {
        0 => Cell::Empty,
        of => Cell::percent(right as f64 / of as f64),
    };
    for artist in &scores.artists {
        table.rows.push(vec![
            Cell::text(&artist.artist),
            share(artist.songs_right, artist.songs),
            Cell::count(artist.songs_right),
            Cell::count(artist.songs),
            share(artist.clips_right, artist.clips),
            Cell::count(artist.clips_right),
            Cell::count(artist.clips),
            Cell::count(artist.songs_mistaken),
            Cell::percent(artist.song_f1),
        ]);
    }
    let mut tables = vec![table];
    let caption = |unit: &str, artists: usize| {
        let which = match artists > MATRIX {
            true => format!(", the {MATRIX} artists with the most errors"),
            false => String::new(),
        };
        format!(
            "Confusion matrix of {unit}: true artist (row) and predicted artist (column){which}"
        )
    };
    if let Some(predictions) = &run.predictions {
        let confusion = Confusion::of_clips([predictions]);
        let caption = caption("clips", confusion.artists().count());
        tables.push(
            confusion.matrix("confusion-clips", caption, MATRIX).with_visibility(Visibility::Open),
        );
        tables.push(confused(&confusion));
    }
    let mut songs = Confusion::default();
    for (truth, row) in record.classes.iter().zip(&scores.song_confusion) {
        for (predicted, count) in record.classes.iter().zip(row).filter(|(_, n)| **n > 0) {
            songs.add(truth, predicted, *count);
        }
    }
    tables.push(songs.matrix("confusion-songs", caption("songs", songs.artists().count()), MATRIX));
    Some(Section {
        id: "artists".to_owned(),
        title: "Artists".to_owned(),
        text: vec![
            "In a confusion matrix blue is right and orange wrong, the stronger the larger its share of the row; artists with the most \
             errors come first."
                .to_owned(),
        ],
        figures: Vec::new(),
        tables,
    })
}

fn confused(confusion: &Confusion<'_>) -> Table {
    let mut table = Table::new(
        "confused",
        format!("The {CONFUSED} most confused pairs of artists, by clips"),
        &["true artist", "answer", "clips", "of", "%"],
    )
    .with_visibility(Visibility::Folded);
    for (truth, predicted, clips, of) in confusion.most_confused(CONFUSED) {
        table.rows.push(vec![
            Cell::text(truth),
            Cell::text(predicted),
            Cell::count(clips),
            Cell::count(of),
            Cell::percent(clips as f64 / of.max(1) as f64),
        ]);
    }
    table
}
