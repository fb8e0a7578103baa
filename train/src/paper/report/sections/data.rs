//! The data set, its splits and their leaks.

use crate::paper::report::document::Section;
use crate::paper::report::results::Results;
use crate::paper::report::table::{Cell, Table};

/// What MagnaTagATune holds after the paper's exclusions (section 3.1).
const PAPER: [(&str, f64); 2] = [("clips", 24_847.0), ("artists", 222.0)];

/// Counts of the data set, and what the parts of its splits share.
pub(in crate::paper::report) fn section(results: &Results) -> Section {
    let note = &results.note;
    let mut counts = Table::new(
        "dataset",
        "The data set, compared with the paper’s",
        &["what", "here", "paper"],
    );
    for (what, count) in [
        ("clips", note.dataset.clips),
        ("songs", note.dataset.songs),
        ("artists", note.artists),
        ("albums", note.albums),
        ("genres", note.genres.len()),
    ] {
        let paper = PAPER.iter().find(|(of, _)| *of == what).map(|(_, count)| *count);
        counts.rows.push(vec![Cell::text(what), Cell::count(count), Cell::paper(paper, 0)]);
    }
    let mut leaks = Table::new(
        "leaks",
        "Splits, and what their test part shares with the training part",
        &[
            "split",
            "clips to learn from",
            "to validate",
            "to test",
            "clips with a neighbour in training, %",
            "recordings",
            "recordings in training",
            "song groups",
            "song groups in training",
            "titles",
            "titles in training",
            "albums",
            "albums in training",
            "artists left out",
        ],
    );
    for split in &results.splits {
        let test = &split.leaks.test;
        let mut row = vec![
            Cell::text(&split.name),
            Cell::count(split.train),
            Cell::count(split.validation),
            Cell::count(split.test),
            Cell::percent(test.neighbours),
        ];
        for (all, shared) in [test.recordings, test.song_groups, test.titles, test.albums] {
            row.extend([Cell::count(all), Cell::count(shared)]);
        }
        row.push(Cell::count(split.without.len()));
        leaks.rows.push(row);
    }
    let mut text = vec![format!(
        "{}, digest {}. {}",
        note.dataset.name,
        note.digest,
        match note.dataset.licence.as_str() {
            "" => String::new(),
            licence => format!("Licences: {licence}."),
        }
    )];
    if !note.dataset.notes.is_empty() {
        text.push(note.dataset.notes.clone());
    }
    Section {
        id: "data".to_owned(),
        title: "Data and splits".to_owned(),
        text,
        figures: Vec::new(),
        tables: vec![counts, leaks],
    }
}
