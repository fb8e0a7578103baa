//! The subcommands of `leitmotif-train`, one file each.

pub mod calibrate;
pub mod compare;
pub mod dataset;
pub mod devices;
pub mod evaluate;
pub mod experiment;
pub mod fit;
pub mod inspect;
pub mod plot;
pub mod prepare;
pub mod recipe;
pub mod report;
pub mod runs;
pub mod split;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use leitmotif_models::{Confidence, Network};

use crate::watch::view;

/// Exit code after Ctrl-C, as shells report it: 128 + SIGINT.
pub const INTERRUPTED: u8 = 130;

/// A flag that Ctrl-C sets; a second Ctrl-C exits at once.
pub(crate) fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let received = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if received.swap(true, Ordering::SeqCst) {
            view::leave();
            std::process::exit(INTERRUPTED.into());
        }
    })
    .context("cannot handle Ctrl-C")?;
    Ok(stop)
}

/// The same for one of several processes. Whoever started them may hand on a Ctrl-C that the terminal sends as well, so
/// that a second one at once is the same.
pub(crate) fn stop_flag_of_rank() -> anyhow::Result<Arc<AtomicBool>> {
    const SAME: Duration = Duration::from_secs(1);
    let stop = Arc::new(AtomicBool::new(false));
    let (received, mut first) = (Arc::clone(&stop), None);
    ctrlc::set_handler(move || {
        received.store(true, Ordering::SeqCst);
        if first.get_or_insert_with(Instant::now).elapsed() > SAME {
            view::leave();
            std::process::exit(INTERRUPTED.into());
        }
    })
    .context("cannot handle Ctrl-C")?;
    Ok(stop)
}

/// How often Ctrl-C was pressed.
pub(crate) fn signal_count() -> anyhow::Result<Arc<AtomicUsize>> {
    let count = Arc::new(AtomicUsize::new(0));
    let received = Arc::clone(&count);
    ctrlc::set_handler(move || _ = received.fetch_add(1, Ordering::SeqCst))
        .context("cannot handle Ctrl-C")?;
    Ok(count)
}

/// The number of threads given, or one for each core.
pub(crate) fn cores(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()))
}

/// Sets libtorch's threads, for commands without a run's settings.
pub(crate) fn set_threads(asked: Option<usize>) {
    tch::set_num_threads(i32::try_from(cores(asked)).unwrap_or(1).max(1));
}

/// A preset by its name, or a description in a TOML file; the name of a preset wins over a folder of that name.
pub(crate) fn network(name_or_file: &str) -> anyhow::Result<Network> {
    let path = Path::new(name_or_file);
    if path.extension().is_some_and(|e| e == "toml") || path.is_file() {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {name_or_file}"))?;
        return Network::from_toml(&text).with_context(|| name_or_file.to_owned());
    }
    Ok(Network::preset(name_or_file)?)
}

/// Prints to standard output; a broken pipe is no error: the reader closed early, as `head` does.
pub(crate) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.context("cannot write to standard output"),
    }
}

/// Writes temperature and threshold, with what they do, as text.
pub(crate) fn write_confidence(out: &mut dyn Write, confidence: &Confidence) -> io::Result<()> {
    let Confidence { temperature, songs, kept, kept_right, source, .. } = confidence;
    let threshold = 100.0 * confidence.threshold;
    writeln!(
        out,
        "temperature {temperature:.3}, certainty from {threshold:.2} % on, by {songs} songs of {source}"
    )?;
    writeln!(out, "{kept} of {songs} songs kept, {kept_right} of them right")?;
    match &confidence.unknown {
        Some(unknown) => writeln!(
            out,
            "{} of {} songs of other artists accepted ({})",
            unknown.accepted, unknown.songs, unknown.source
        ),
        None => Ok(()),
    }
}
