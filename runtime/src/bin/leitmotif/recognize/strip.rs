//! The most probable artist over time: stretches of a recording with their probabilities, and a strip of letters that shows them.

use leitmotif::Answer;
use leitmotif::pooling::Mean;
use leitmotif_models::text::printable;
use leitmotif_models::{HeadKind, argmax};

use crate::console::Colors;

/// Cells of a strip: with its margin it fits a terminal of 80 columns.
const CELLS: usize = 64;

/// A stretch of a recording: a segment of a dense head, a window of an LSTM.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) probabilities: Vec<f32>,
}

/// The stretches that a network answers for: a dense head for each segment, an LSTM with the last output of a window.
pub(super) fn spans(answer: &Answer, head: HeadKind) -> Vec<Span> {
    match head {
        HeadKind::Lstm => windows(answer, head),
        HeadKind::Dense => {
            let moments = answer.timeline.iter().map(|moment| Span {
                start: moment.start_seconds,
                end: moment.end_seconds,
                probabilities: moment.probabilities.clone(),
            });
            moments.collect()
        }
    }
}

/// The windows: of a dense head each the mean of its segments, of an LSTM each its last output.
pub(super) fn windows(answer: &Answer, head: HeadKind) -> Vec<Span> {
    let windows = answer.timeline.chunk_by(|a, b| a.window == b.window).filter_map(|moments| {
        let (first, last) = (moments.first()?, moments.last()?);
        let probabilities = match head {
            HeadKind::Lstm => last.probabilities.clone(),
            HeadKind::Dense => {
                let mut mean = Mean::new(last.probabilities.len());
                moments.iter().for_each(|moment| mean.add(&moment.probabilities, 1.0));
                mean.values()
            }
        };
        Some(Span { start: first.start_seconds, end: last.end_seconds, probabilities })
    });
    windows.collect()
}

/// The artists of a picture in the order of their appearance, which gives each a letter and a colour.
#[derive(Clone, Debug, Default)]
pub(super) struct Legend {
    classes: Vec<usize>,
}

impl Legend {
    /// The artist's number, a new one for who appears first now.
    pub(super) fn index(&mut self, class: usize) -> usize {
        self.classes.iter().position(|known| *known == class).unwrap_or_else(|| {
            self.classes.push(class);
            self.classes.len() - 1
        })
    }

    pub(super) fn classes(&self) -> &[usize] {
        &self.classes
    }
}

/// `A` to `Z`; more artists than letters begin again in lower case, and then have none of their own.
fn letter(index: usize) -> char {
    (b'A'..=b'Z').chain(b'a'..=b'z').nth(index).map_or('*', char::from)
}

/// The most probable artist's class in each of [`CELLS`] equal parts of `seconds`; `None` where no stretch reaches, at
/// the end.
fn cells(spans: &[Span], seconds: f64) -> Vec<Option<usize>> {
    let width = seconds / CELLS as f64;
    let classes = spans.first().map_or(0, |span| span.probabilities.len());
    let cell = |cell: usize| {
        let (from, to) = (cell as f64 * width, (cell + 1) as f64 * width);
        let mut mean = Mean::new(classes);
        let mut any = false;
        for span in spans.iter().filter(|span| span.start < to && span.end > from) {
            mean.add(&span.probabilities, span.end.min(to) - span.start.max(from));
            any = true;
        }
        any.then(|| argmax(&mean.values()))
    };
    (0..CELLS).map(cell).collect()
}

/// A strip of a letter for each part of the recording, with its legend below.
pub(super) fn strip(spans: &[Span], seconds: f64, names: &[String], colors: Colors) -> String {
    let cells = cells(spans, seconds);
    let mut legend = Legend::default();
    let mut text = "      ".to_owned();
    for cell in &cells {
        match cell {
            None => text.push(' '),
            Some(class) => {
                let index = legend.index(*class);
                text += &colors.cell(index, &letter(index).to_string());
            }
        }
    }
    text.push('\n');
    let filled = cells.iter().flatten().count().max(1);
    for (index, class) in legend.classes().iter().enumerate() {
        let share =
            cells.iter().filter(|cell| **cell == Some(*class)).count() as f64 / filled as f64;
        let mark = colors.cell(index, &letter(index).to_string());
        let name = names.get(*class).map(|name| printable(name)).unwrap_or_default();
        text += &format!("      {mark} {:3.0} %  {name}\n", 100.0 * share);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: f64, end: f64, probabilities: &[f32]) -> Span {
        Span { start, end, probabilities: probabilities.to_vec() }
    }

    #[test]
    fn a_cell_is_of_the_artist_who_fills_it() {
        let spans = [span(0.0, 32.0, &[0.1, 0.9]), span(32.0, 48.0, &[0.8, 0.2])];
        let cells = cells(&spans, 64.0);
        let expected = |cell| match cell {
            0..32 => Some(1),
            32..48 => Some(0),
            _ => None,
        };
        assert!(
            cells.iter().enumerate().all(|(cell, class)| *class == expected(cell)),
            "{cells:?}"
        );
        assert!(super::cells(&[], 1.0).iter().all(Option::is_none));
    }

    #[test]
    fn letters_follow_the_order_of_appearance_and_end() {
        let letters: String = [0, 25, 26, 51, 52, 1_000].map(letter).into_iter().collect();
        assert_eq!(letters, "AZaz**");
        let mut legend = Legend::default();
        assert_eq!([7, 3, 7, 5].map(|class| legend.index(class)), [0, 1, 0, 2]);
        assert_eq!(legend.classes(), [7, 3, 5]);
    }
}
