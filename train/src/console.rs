//! Log lines on standard error.

use std::collections::VecDeque;
use std::fmt;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// `eprintln!` that ignores a closed standard error: a line that cannot be written must not stop training.
macro_rules! log {
    ($($text:tt)*) => { $crate::console::line(format_args!($($text)*)) };
}
pub(crate) use log;

/// Lines that wait for the end of a view of the terminal, if there is one.
static HELD: Mutex<Option<VecDeque<String>>> = Mutex::new(None);
/// So many at most: the newest.
const MOST: usize = 1_000;

/// Whether this process says nothing, being one of several that would all say the same.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Writes no lines from now on.
pub(crate) fn silence() {
    SILENT.store(true, Ordering::Relaxed);
}

/// Writes a line, or keeps it while a view has the terminal.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    if SILENT.load(Ordering::Relaxed) {
        return;
    }
    match &mut *lines() {
        Some(lines) => {
            if lines.len() >= MOST {
                lines.pop_front();
            }
            lines.push_back(text.to_string());
        }
        None => {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }
}

/// Keeps lines from now on.
pub(crate) fn hold() {
    lines().get_or_insert_default();
}

/// The newest `count` lines that are kept.
pub(crate) fn held(count: usize) -> Vec<String> {
    let lines = lines();
    let skipped = lines.as_ref().map_or(0, |lines| lines.len().saturating_sub(count));
    lines.iter().flatten().skip(skipped).cloned().collect()
}

/// Writes the lines that were kept, and keeps none from now on.
pub(crate) fn release() {
    let lines = lines().take();
    for line in lines.iter().flatten() {
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

fn lines() -> MutexGuard<'static, Option<VecDeque<String>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}
