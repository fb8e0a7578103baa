//! `--plot FILE.svg`: the most probable artist over time, one strip for each recording.

use std::fmt::Write as _;

use leitmotif::Answer;
use leitmotif_models::text::{escape_html, printable};
use leitmotif_models::{Card, HeadKind, argmax};

use super::strip::{Legend, spans};
use super::table::clock;
use crate::console::Colors;

const WIDTH: f64 = 960.0;
const MARGIN: f64 = 20.0;
/// A recording: its name, its strip, and room below.
const ROW: f64 = 56.0;
const STRIP: f64 = 24.0;
const LINE: f64 = 20.0;

/// The picture, recording by recording.
pub(super) struct Plot {
    head: HeadKind,
    names: Vec<String>,
    legend: Legend,
    recordings: Vec<Recording>,
}

struct Recording {
    name: String,
    seconds: f64,
    /// Start, end and artist; neighbours of one artist are one.
    stretches: Vec<(f64, f64, usize)>,
}

impl Plot {
    pub(super) fn new(card: &Card) -> Self {
        let (head, names) = (card.graph.head(), card.classes.clone());
        Self { head, names, legend: Legend::default(), recordings: Vec::new() }
    }

    pub(super) fn add(&mut self, name: &str, answer: &Answer) {
        let mut stretches: Vec<(f64, f64, usize)> = Vec::new();
        for span in spans(answer, self.head) {
            let class = argmax(&span.probabilities);
            self.legend.index(class);
            match stretches.last_mut() {
                Some((_, end, last)) if *last == class => *end = span.end,
                last => {
                    // Where segments overlap, the later one begins.
                    if let Some((_, end, _)) = last {
                        *end = end.min(span.start);
                    }
                    stretches.push((span.start, span.end, class));
                }
            }
        }
        let (name, seconds) = (name.to_owned(), answer.seconds);
        self.recordings.push(Recording { name, seconds, stretches });
    }

    /// The text of the picture; all strips have one scale of time.
    pub(super) fn svg(&self) -> String {
        let longest = self.recordings.iter().map(|recording| recording.seconds).fold(1.0, f64::max);
        let scale = (WIDTH - 2.0 * MARGIN) / longest;
        let strips = MARGIN + ROW * self.recordings.len() as f64;
        let height = strips + LINE * self.legend.classes().len() as f64 + MARGIN;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        // Writing to a String cannot fail.
        for (row, recording) in self.recordings.iter().enumerate() {
            let y = MARGIN + ROW * row as f64;
            let length = clock(recording.seconds);
            let _ = writeln!(
                svg,
                "<text x=\"{MARGIN}\" y=\"{:.1}\">{} ({})</text>",
                y + 12.0,
                text(&recording.name),
                length.trim()
            );
            for (start, end, class) in &recording.stretches {
                let (x, width) = (MARGIN + start * scale, (end - start) * scale);
                let (y, name) = (y + 18.0, self.name(*class));
                let (start, end) = (clock(*start), clock(*end));
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x:.2}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{STRIP}\" fill=\"{}\"><title>{name}, {} – {}</title></rect>",
                    self.color(*class),
                    start.trim(),
                    end.trim()
                );
            }
        }
        for (line, class) in self.legend.classes().iter().enumerate() {
            let y = strips + LINE * line as f64;
            let _ = writeln!(
                svg,
                "<rect x=\"{MARGIN}\" y=\"{y:.1}\" width=\"12\" height=\"12\" fill=\"{}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                self.color(*class),
                MARGIN + 20.0,
                y + 11.0,
                self.name(*class)
            );
        }
        svg + "</svg>\n"
    }

    fn name(&self, class: usize) -> String {
        self.names.get(class).map(|name| text(name)).unwrap_or_default()
    }

    fn color(&self, class: usize) -> &'static str {
        let index = self.legend.classes().iter().position(|known| *known == class).unwrap_or(0);
        Colors::PALETTE.get(index % Colors::PALETTE.len()).map_or("gray", |(_, color)| color)
    }
}

/// Text as XML that shows it. XML has neither control characters nor these two, whatever their escape.
fn text(text: &str) -> String {
    escape_html(&printable(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"))
}
