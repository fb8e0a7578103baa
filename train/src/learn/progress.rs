//! What a run shows while it learns: a bar on a terminal, a line an epoch elsewhere; on standard error.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use leitmotif_models::text::thousands;

use crate::console::log;
use crate::learn::config::FitConfig;
use crate::learn::history::History;
use crate::learn::task::{Task, some_of};
use crate::model::network::Model;

/// A bar of `steps` steps where standard error is a terminal.
pub(crate) fn bar(steps: usize) -> Option<ProgressBar> {
    let bar = std::io::stderr().is_terminal().then(|| ProgressBar::new(steps as u64))?;
    if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    Some(bar)
}

/// Shows on `bar` that a part is being judged; gives what to tell how many of its clips are heard.
pub(crate) fn judging(
    bar: Option<ProgressBar>,
    part: &str,
    clips: usize,
) -> impl FnMut(usize) + use<> {
    if let Some(bar) = &bar {
        bar.reset();
        bar.set_length(clips as u64);
        bar.set_prefix(part.to_owned());
        bar.set_message("clips judged");
    }
    move |heard| {
        if let Some(bar) = &bar {
            bar.set_position(heard as u64);
        }
    }
}

/// Shows how learning goes.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    epoch: usize,
    epochs: usize,
    /// Steps still to come in the whole run.
    steps_left: usize,
    steps: usize,
    clips: usize,
    began: Instant,
}

impl Progress {
    /// Prints once what is trained on what, then waits for the first epoch.
    pub fn new(model: &Model, task: &Task, config: &FitConfig, steps: usize) -> Self {
        let network = model.network();
        log!(
            "{} ({} head), {} values to learn, {} artists; {} clips to learn from, {} to validate, {} to test; {:?}, {} thread(s)",
            network.name,
            network.head.kind,
            thousands(model.trainable_values() as u64),
            model.classes(),
            task.train.len(),
            task.validation.len(),
            task.test.len(),
            model.device(),
            config.threads,
        );
        if task.validation.is_empty() {
            log!("no validation part: the best checkpoint is the last one");
        }
        if !task.left_out.is_empty() {
            log!(
                "{} clips are left out: there is none to learn from of {}",
                task.left_out.values().sum::<usize>(),
                some_of(task.left_out.keys())
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

    /// A new epoch begins, the one after `done` epochs.
    pub fn epoch(&mut self, done: usize) {
        self.epoch = done + 1;
        self.steps_left = (self.epochs - done) * self.steps;
        self.clips = 0;
        self.began = Instant::now();
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.set_length(self.steps as u64);
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
            "loss {loss:.3}, {:.1} % right, {speed:.1} clips/s, {} left",
            100.0 * accuracy,
            clock(left)
        ));
    }

    /// A part is being judged; gives what to tell how many of its clips are heard.
    pub fn judging(&self, part: &str, clips: usize) -> impl FnMut(usize) + use<> {
        judging(self.bar.clone(), part, clips)
    }

    /// All is done: the bar goes.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// An epoch is done; its row is the newest in the history.
    pub fn epoch_done(&self, history: &History) {
        let Some(row) = history.newest() else { return };
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let mut line = format!(
            "epoch {}/{}: loss {:.4}, {} right, {:.1} clips/s, {:.1} s",
            row.epoch,
            self.epochs,
            row.loss,
            percent(row.accuracy),
            row.clips_per_second,
            row.seconds
        );
        if let (Some(clips), Some(songs)) = (row.validation_clips, row.validation_songs) {
            line +=
                &format!("; validation: {} of clips, {} of songs", percent(clips), percent(songs));
            if history.best_epoch() == row.epoch {
                line += ", the best so far";
            }
        }
        if let (Some(clips), Some(songs)) = (row.test_clips, row.test_songs) {
            line += &format!("; test: {} of clips, {} of songs", percent(clips), percent(songs));
        }
        match &self.bar {
            Some(bar) => bar.println(line),
            None => log!("{line}"),
        }
    }
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
    #[test]
    fn clocks_read_as_clocks() {
        assert_eq!(super::clock(3723.9), "1:02:03");
        assert_eq!(super::clock(63.0), "1:03");
        assert_eq!(super::clock(f64::NAN), "0:00");
    }
}
