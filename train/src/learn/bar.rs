//! Progress of training on standard error: a bar on a terminal, elsewhere a line after each epoch.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use leitmotif_models::text::thousands;

use crate::console::log;
use crate::learn::events::{EvaluationEvent, Event, Observer, StartEvent, StepEvent};
use crate::learn::history::EpochRow;

/// A bar of `steps` steps where standard error is a terminal.
pub(crate) fn bar(steps: usize) -> Option<ProgressBar> {
    let bar = std::io::stderr().is_terminal().then(|| ProgressBar::new(steps as u64))?;
    if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    Some(bar)
}

/// Sets `bar` to the evaluation of a part; returns the function to call with the number of clips done.
pub(crate) fn evaluation(
    bar: Option<ProgressBar>,
    part: &str,
    clips: usize,
) -> impl FnMut(usize) + use<> {
    if let Some(bar) = &bar {
        show_part(bar, part, clips);
    }
    move |clips| {
        if let Some(bar) = &bar {
            bar.set_position(clips as u64);
        }
    }
}

fn show_part(bar: &ProgressBar, part: &str, clips: usize) {
    bar.reset();
    bar.set_length(clips as u64);
    bar.set_prefix(part.to_owned());
    bar.set_message("clips evaluated");
}

/// Prints network, data and device once, and every epoch; on a terminal with a bar between them.
#[derive(Debug)]
pub struct Bar {
    wanted: bool,
    bar: Option<ProgressBar>,
    epochs: usize,
    steps: usize,
    shown: Shown,
}

/// What the bar shows.
#[derive(Debug, PartialEq, Eq)]
enum Shown {
    Nothing,
    Epoch(usize),
    Part(String),
}

impl Bar {
    /// With a bar where standard error is a terminal.
    pub fn new() -> Self {
        Bar { wanted: true, bar: None, epochs: 0, steps: 0, shown: Shown::Nothing }
    }

    /// Lines alone, for where something else has the terminal.
    pub fn without_bar() -> Self {
        Bar { wanted: false, ..Bar::new() }
    }

    fn step(&mut self, step: &StepEvent) {
        let Some(bar) = &self.bar else { return };
        if self.shown != Shown::Epoch(step.epoch) {
            self.shown = Shown::Epoch(step.epoch);
            bar.reset();
            bar.set_length(self.steps as u64);
            bar.set_prefix(format!("epoch {}/{}", step.epoch, self.epochs));
        }
        bar.set_position(step.step.saturating_sub(1) % self.steps.max(1) as u64 + 1);
        bar.set_message(format!(
            "loss {:.3}, accuracy {:.1} %, {:.1} clips/s, {} left",
            step.mean_loss,
            100.0 * step.accuracy,
            step.clips_per_second,
            clock(step.seconds_left)
        ));
    }

    fn evaluation(&mut self, event: &EvaluationEvent<'_>) {
        let Some(bar) = &self.bar else { return };
        if !matches!(&self.shown, Shown::Part(part) if part == event.part) {
            self.shown = Shown::Part(event.part.to_owned());
            show_part(bar, event.part, event.clips);
        }
        bar.set_position(event.done as u64);
    }
}

impl Default for Bar {
    fn default() -> Self {
        Bar::new()
    }
}

impl Observer for Bar {
    fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Start(start) => {
                log!("{}", format_start(start));
                for note in &start.notes {
                    log!("{note}");
                }
                (self.epochs, self.steps) = (start.epochs, start.steps_per_epoch);
                self.bar = bar(self.steps).filter(|_| self.wanted);
            }
            Event::Step(step) => self.step(step),
            Event::Evaluation(evaluation) => self.evaluation(evaluation),
            Event::Epoch(epoch) => {
                let line = format_epoch(epoch.row, epoch.epochs, epoch.best);
                match &self.bar {
                    Some(bar) => bar.println(line),
                    None => log!("{line}"),
                }
            }
            Event::End(_) | Event::Stopped { .. } => {
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

/// `model1 (dense head), 1,000 trainable parameters, …`
fn format_start(start: &StartEvent) -> String {
    format!(
        "{} ({} head), {} trainable parameters, {} artists; {} clips for training, {} for validation, \
         {} for test; {}, {} thread(s)",
        start.network,
        start.head,
        thousands(start.parameters),
        start.artists,
        start.clips.train,
        start.clips.validation,
        start.clips.test,
        start.device,
        start.threads,
    )
}

/// `epoch 1/20: loss 1.2345, accuracy 50.0 %, …`
fn format_epoch(row: &EpochRow, epochs: usize, is_best: bool) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let mut line = format!(
        "epoch {}/{epochs}: loss {:.4}, accuracy {}, {:.1} clips/s, {:.1} s",
        row.epoch,
        row.loss,
        percent(row.accuracy),
        row.clips_per_second,
        row.seconds
    );
    if let Some(norm) = row.gradient_norm {
        line += &format!(", gradient norm {norm:.3}");
    }
    if let (Some(clips), Some(songs)) = (row.validation_clips, row.validation_songs) {
        let loss = row.validation_loss.map_or(String::new(), |loss| format!("loss {loss:.4}, "));
        line += &format!(
            "; validation: {loss}{} of clips, {} of songs",
            percent(clips),
            percent(songs)
        );
        if is_best {
            line += ", the best so far";
        }
    }
    if let (Some(clips), Some(songs)) = (row.test_clips, row.test_songs) {
        line += &format!("; test: {} of clips, {} of songs", percent(clips), percent(songs));
    }
    line
}

/// `1:02:03` or `2:03`.
pub(crate) fn clock(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO).as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_read_as_clocks() {
        assert_eq!(clock(3723.9), "1:02:03");
        assert_eq!(clock(63.0), "1:03");
        assert_eq!(clock(f64::NAN), "0:00");
    }

    #[test]
    fn an_epochs_line_has_validation_where_there_is_one() {
        let trained = EpochRow {
            epoch: 3,
            step: 30,
            learning_rate: 1e-3,
            loss: 1.5,
            accuracy: 0.25,
            seconds: 2.0,
            clips_per_second: 80.0,
            gradient_norm: Some(0.25),
            ..EpochRow::default()
        };
        let line =
            "epoch 3/4: loss 1.5000, accuracy 25.0 %, 80.0 clips/s, 2.0 s, gradient norm 0.250";
        assert_eq!(format_epoch(&trained, 4, true), line);
        let validated = EpochRow {
            validation_clips: Some(0.5),
            validation_songs: Some(1.0),
            validation_loss: Some(0.75),
            ..trained
        };
        let validation =
            "; validation: loss 0.7500, 50.0 % of clips, 100.0 % of songs, the best so far";
        assert_eq!(format_epoch(&validated, 4, true), line.to_owned() + validation);
    }
}
