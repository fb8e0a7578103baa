//! How far reading and decoding music is.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use leitmotif_dataset::prepare::Progress;

use crate::console::log;

/// Interval between lines where standard error is not a terminal.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// A progress bar on a terminal, a line every [`LOG_INTERVAL`] elsewhere.
pub(in crate::commands) struct ProgressDisplay {
    pub(in crate::commands) bar: ProgressBar,
    started: Instant,
    last_line: std::cell::Cell<Option<Instant>>,
    activity: &'static str,
}

impl ProgressDisplay {
    pub(in crate::commands) fn new(activity: &'static str) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        let last_line = std::cell::Cell::new(None);
        ProgressDisplay { bar, started: Instant::now(), last_line, activity }
    }

    /// A display of `songs` that are decoded, or whatever `activity` names.
    pub(in crate::commands) fn for_songs(activity: &'static str, songs: usize) -> Self {
        let display = ProgressDisplay::new(activity);
        if std::io::stderr().is_terminal() {
            display.bar.set_length(songs as u64);
            let template = "{wide_bar} {pos}/{len} songs  {msg}  ETA {eta}";
            if let Ok(style) = ProgressStyle::with_template(&format!("{activity} {template}")) {
                display.bar.set_style(style);
            }
        }
        display
    }

    pub(in crate::commands) fn update(&self, text: &str) {
        self.bar.set_message(format!("{}: {text}", self.activity));
        self.bar.tick();
        let is_due = self.last_line.get().is_none_or(|last| last.elapsed() > LOG_INTERVAL);
        // The first update only starts the interval.
        if self.bar.is_hidden() && is_due && self.last_line.replace(Some(Instant::now())).is_some()
        {
            log!("{}: {text}", self.activity);
        }
    }

    pub(in crate::commands) fn update_songs(&self, progress: &Progress) {
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = progress.seconds / seconds.max(1e-3);
        self.bar.set_position(progress.done as u64);
        let left = seconds * (progress.songs - progress.done) as f64 / progress.done.max(1) as f64;
        let text = format!("{} clips  {rate:.0}x real time", progress.clips);
        if self.bar.is_hidden() {
            self.update(&format!(
                "{} of {} songs, {text}, {left:.0} s left",
                progress.done, progress.songs
            ));
        } else {
            self.bar.set_message(text);
        }
    }
}
