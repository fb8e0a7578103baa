//! Progress of training on standard error: a bar on a terminal, elsewhere a line after each epoch.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use leitmotif_models::text::thousands;

use crate::console::log;
use crate::learn::config::FitConfig;
use crate::learn::history::{EpochRow, History};
use crate::learn::task::{Task, format_names};
use crate::model::device;
use crate::model::network::Model;

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
        bar.reset();
        bar.set_length(clips as u64);
        bar.set_prefix(part.to_owned());
        bar.set_message("clips evaluated");
    }
    move |clips| {
        if let Some(bar) = &bar {
            bar.set_position(clips as u64);
        }
    }
}

/// The progress of a run.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    epoch: usize,
    epochs: usize,
    /// Steps left in the whole run.
    steps_left: usize,
    steps: usize,
    clips: usize,
    began: Instant,
}

impl Progress {
    /// Prints network, data and device once.
    pub fn new(model: &Model, task: &Task, config: &FitConfig, steps: usize) -> Self {
        let network = model.network();
        log!(
            "{} ({} head), {} trainable parameters, {} artists; {} clips for training, {} for validation, \
             {} for test; {}, {} thread(s)",
            network.name,
            network.head.kind,
            thousands(model.trainable_values() as u64),
            model.classes(),
            task.train.len(),
            task.validation.len(),
            task.test.len(),
            device::name(model.device()),
            config.threads,
        );
        if let Some(auxiliary) = &task.auxiliary {
            log!(
                "auxiliary music: {} clips of {} other artists, {} of each batch",
                auxiliary.examples.len(),
                auxiliary.artists.len(),
                config.auxiliary.share
            );
        }
        if task.validation.is_empty() {
            log!("no validation part: the best checkpoint is the last one");
        }
        if !task.left_out.is_empty() {
            log!(
                "{} clips are left out: the training part has none of {}",
                task.left_out.values().sum::<usize>(),
                format_names(task.left_out.keys())
            );
        }
        Progress {
            bar: bar(steps),
            epoch: 0,
            epochs: config.epochs,
            steps_left: 0,
            steps,
            clips: 0,
            began: Instant::now(),
        }
    }

    /// Starts the epoch after `done` epochs, or goes on with it after `steps` of its steps.
    pub fn epoch(&mut self, done: usize, steps: usize) {
        self.epoch = done + 1;
        self.steps_left = ((self.epochs - done) * self.steps).saturating_sub(steps);
        self.clips = 0;
        self.began = Instant::now();
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.set_length(self.steps as u64);
            bar.set_position(steps as u64);
            bar.set_prefix(format!("epoch {}/{}", self.epoch, self.epochs));
        }
    }

    /// A step is done; `loss` and `accuracy` are means over the epoch so far.
    pub fn step(&mut self, loss: f64, accuracy: f64, clips: usize) {
        self.clips += clips;
        self.steps_left = self.steps_left.saturating_sub(1);
        let Some(bar) = &self.bar else { return };
        let seconds = self.began.elapsed().as_secs_f64().max(1e-9);
        let speed = self.clips as f64 / seconds;
        let left = seconds / (self.clips.max(1) as f64) * clips as f64 * self.steps_left as f64;
        bar.inc(1);
        bar.set_message(format!(
            "loss {loss:.3}, accuracy {:.1} %, {speed:.1} clips/s, {} left",
            100.0 * accuracy,
            clock(left)
        ));
    }

    /// Starts the evaluation of a part; returns the function to call with the number of clips done.
    pub fn evaluation(&self, part: &str, clips: usize) -> impl FnMut(usize) + use<> {
        evaluation(self.bar.clone(), part, clips)
    }

    /// Removes the bar.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// An epoch is done; its row is the newest in the history.
    pub fn epoch_done(&self, history: &History) {
        let Some(row) = history.newest() else { return };
        let line = format_epoch(row, self.epochs, history.best_epoch() == row.epoch);
        match &self.bar {
            Some(bar) => bar.println(line),
            None => log!("{line}"),
        }
    }
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
fn clock(seconds: f64) -> String {
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
            validation_segments: None,
            validation_clips: None,
            validation_songs: None,
            test_segments: None,
            test_clips: None,
            test_songs: None,
            seconds: 2.0,
            clips_per_second: 80.0,
            validation_loss: None,
            gradient_norm: Some(0.25),
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
