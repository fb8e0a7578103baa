//! An answer as text for people.

use leitmotif::Answer;
use leitmotif_models::text::printable;
use leitmotif_models::{Card, argmax};

use super::Threshold;
use super::strip::{spans, strip, windows};
use crate::console::Colors;

pub(super) struct Table<'a> {
    pub(super) card: &'a Card,
    pub(super) colors: Colors,
}

impl Table<'_> {
    /// The line above an answer.
    pub(super) fn heading(&self, file: &str, answer: &Answer) -> String {
        format!("{} ({:.1} s)\n", self.colors.bold(&printable(file)), answer.seconds)
    }

    /// The lines of one file.
    pub(super) fn text(
        &self,
        file: &str,
        answer: &Answer,
        unknown: Option<bool>,
        threshold: Threshold,
        timeline: bool,
    ) -> String {
        let colors = self.colors;
        let mut text = self.heading(file, answer);
        for remark in remarks(answer, unknown, threshold) {
            text += &format!("  {}\n", colors.warning(&remark));
        }
        for (rank, artist) in answer.artists.iter().enumerate() {
            let percent = 100.0 * artist.probability;
            let line = format!("{:>4}. {percent:5.1} %  {}", rank + 1, printable(&artist.artist));
            let best = rank == 0 && unknown != Some(true) && !answer.is_silent();
            text += &if best { colors.best(&line) } else { line };
            text.push('\n');
        }
        if timeline {
            let head = self.card.graph.head();
            text += &strip(&spans(answer, head), answer.seconds, &self.card.classes, colors);
            for window in windows(answer, head) {
                let best = argmax(&window.probabilities);
                let artist = self.card.classes.get(best).map(|name| printable(name));
                let p = window.probabilities.get(best).copied().unwrap_or(0.0);
                let (start, end) = (clock(window.start), clock(window.end));
                let (percent, artist) = (100.0 * p, artist.unwrap_or_default());
                text += &format!("      {start} – {end}  {percent:5.1} %  {artist}\n");
            }
        }
        text
    }
}

/// What must be known before the ranking is believed.
fn remarks(answer: &Answer, unknown: Option<bool>, threshold: Threshold) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(audio) = &answer.audio {
        if audio.truncated || audio.skipped_packets > 0 {
            let lost = (audio.skipped_packets > 0).then(|| {
                let (packets, seconds) = (audio.skipped_packets, audio.lost_seconds);
                format!("{packets} packets skipped, {seconds:.1} s")
            });
            let cut = audio.truncated.then(|| "it is truncated".to_owned());
            let damage: Vec<String> = lost.into_iter().chain(cut).collect();
            remarks.push(format!("damaged: {}", damage.join(", and ")));
        }
        remarks.extend(audio.notes.iter().map(|note| format!("note: {note}")));
    }
    if answer.is_silent() {
        let silent = "silent: there is nothing to recognise, and these probabilities mean nothing";
        remarks.push(silent.to_owned());
    } else if unknown == Some(true) {
        let why = match (threshold.0, answer.min_certainty) {
            (Some(least), _) => format!("no probability reaches {:.1} %", 100.0 * least),
            (None, least) => format!(
                "a certainty of {:.1} %, where the model asks for {:.1} %",
                100.0 * answer.certainty,
                100.0 * least.unwrap_or(0.0)
            ),
        };
        remarks.push(format!("none of these artists: {why}; the best guesses"));
    }
    remarks
}

/// Minutes and seconds.
pub(super) fn clock(seconds: f64) -> String {
    format!("{:>3}:{:04.1}", (seconds / 60.0) as u64, seconds % 60.0)
}
