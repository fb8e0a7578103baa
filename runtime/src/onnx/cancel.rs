//! Ends of a recognition before its time: by the caller, or by a limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::error::Error;

/// Stops recognitions from another thread, all that were given a clone of it.
///
/// They end with [`Error::Cancelled`] after the block of segments they are at: on a CPU some seconds of music.
///
/// ```
/// use leitmotif::{CancelToken, Error, RecognizeOptions, Recognizer};
///
/// let cancel = CancelToken::new();
/// let recognizer = Recognizer::open("tests/data/tiny.clip.onnx")?;
/// let options = RecognizeOptions::new().with_cancel(&cancel);
/// cancel.cancel();
/// let answer = recognizer.recognize_samples_with(&[0.1; 100_000], &options);
/// assert!(matches!(answer, Err(Error::Cancelled)));
/// # Ok::<(), leitmotif::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// One that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels what has a clone of this, now and later.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What may end one recognition.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop {
    cancel: Option<CancelToken>,
    end: Option<(Instant, Duration)>,
}

impl Stop {
    /// By this token, and once `limit` has passed from now on.
    pub(super) fn new(cancel: Option<&CancelToken>, limit: Option<Duration>) -> Self {
        let end = limit.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)));
        Self { cancel: cancel.cloned(), end }
    }

    /// # Errors
    ///
    /// [`Error::Cancelled`], [`Error::TimeLimit`].
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.cancel.as_ref().is_some_and(CancelToken::is_cancelled) {
            return Err(Error::Cancelled);
        }
        match self.end {
            Some((end, limit)) if Instant::now() >= end => Err(Error::TimeLimit { limit }),
            _ => Ok(()),
        }
    }
}
