//! The terminal: messages, progress, colours, and Ctrl-C.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use leitmotif::CancelToken;
use leitmotif_models::text::printable;

/// Cancelled by Ctrl-C: nothing further is started.
pub(crate) static STOP: LazyLock<CancelToken> = LazyLock::new(CancelToken::new);
/// Set by the second Ctrl-C, before the process ends: what fails after it, fails because of it.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Exit code after Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// Writes one line to standard error.
pub(crate) fn log(message: &str) {
    let _ = writeln!(io::stderr(), "leitmotif: {}", printable(message));
}

/// Lets Ctrl-C cancel [`STOP`], and a second one end the process; `after` is what is finished before it stops.
pub(crate) fn stop_on_ctrl_c(after: &'static str) -> anyhow::Result<()> {
    ctrlc::set_handler(move || {
        if STOP.is_cancelled() {
            ENDING.store(true, Ordering::SeqCst);
            std::process::exit(i32::from(INTERRUPTED));
        }
        STOP.cancel();
        log(&format!("stopping after {after}; Ctrl-C again stops at once"));
    })?;
    Ok(())
}

/// Returns unless the process is ending: libraries are torn down by then, and their errors are false.
pub(crate) fn wait_if_ending() {
    while ENDING.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// A bar on standard error; hidden where that is no terminal, or for a single item.
pub(crate) fn progress(items: usize) -> ProgressBar {
    if items < 2 || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(items as u64);
    if let Ok(style) = ProgressStyle::with_template("{pos}/{len} {wide_bar} {eta} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Whether text on standard output is coloured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Colors(bool);

impl Colors {
    /// Colours of the strips and pictures, one for each artist in the order of appearance: as a number among the 256
    /// of terminals, and as in SVG.
    pub(crate) const PALETTE: [(u8, &str); 10] = [
        (39, "#00afff"),
        (208, "#ff8700"),
        (76, "#5fd700"),
        (205, "#ff5faf"),
        (220, "#ffd700"),
        (141, "#af87ff"),
        (37, "#00afaf"),
        (203, "#ff5f5f"),
        (179, "#d7af5f"),
        (250, "#bcbcbc"),
    ];

    /// On a terminal, unless `NO_COLOR` is set; with `CLICOLOR_FORCE` anywhere.
    pub(crate) fn of_stdout() -> Self {
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(!no_color && (set("CLICOLOR_FORCE") || (io::stdout().is_terminal() && !dumb)))
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.marked("1", text)
    }

    /// What should be noticed: damage, silence.
    pub(crate) fn warning(self, text: &str) -> String {
        self.marked("33", text)
    }

    /// The best answer.
    pub(crate) fn best(self, text: &str) -> String {
        self.marked("1;32", text)
    }

    /// A cell of a strip: black on the colour of the `index`-th artist.
    pub(crate) fn cell(self, index: usize, text: &str) -> String {
        let color = Self::PALETTE.get(index % Self::PALETTE.len()).map_or(7, |(color, _)| *color);
        self.marked(&format!("30;48;5;{color}"), text)
    }

    fn marked(self, codes: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{codes}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
