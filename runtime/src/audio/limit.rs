//! How long a file may keep its listener busy, and the guard that holds every read to it.

use std::{
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// How long a file may keep its listener busy before it is given up with
/// [`AudioError::TookTooLong`](super::AudioError::TookTooLong).
///
/// Only time inside of a reader counts, not the time between two reads. The default, a minute and a tenth of the
/// length of what was heard, is dozens of times what sound takes to decode, even in a development build; files
/// that need more were made to need it, or lie on a disk that hardly answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeLimit {
    /// What any file may take.
    pub base: Duration,
    /// Seconds that each second of sound heard so far adds.
    pub per_second: f64,
}

impl Default for TimeLimit {
    fn default() -> Self {
        Self { base: Duration::from_secs(60), per_second: 0.1 }
    }
}

impl TimeLimit {
    /// Forever.
    pub const NONE: Self = Self { base: Duration::MAX, per_second: 0.0 };

    /// What a file may take of which so many seconds were heard.
    fn of(&self, heard: f64) -> Duration {
        let more = Duration::try_from_secs_f64(self.per_second * heard).unwrap_or(Duration::ZERO);
        self.base.saturating_add(more)
    }
}

/// Why reading was stopped from below; a demuxer may have swallowed the error itself.
#[derive(Debug)]
pub(super) enum Trouble {
    /// More bytes than one header or packet may have.
    TooMuch,
    /// The time is up.
    TooLong,
    /// The system failed.
    System(io::Error),
}

/// What a demuxer may still read and until when. Shared by a decoder and the source beneath its demuxer.
pub(super) struct Guard {
    born: Instant,
    /// Nanoseconds after `born` at which the time is up.
    deadline: AtomicU64,
    /// Bytes that may still be read for the header or packet under way.
    bytes: AtomicU64,
    trouble: Mutex<Option<Trouble>>,
}

impl Guard {
    pub(super) fn new() -> Self {
        Self {
            born: Instant::now(),
            deadline: AtomicU64::new(u64::MAX),
            bytes: AtomicU64::new(0),
            trouble: Mutex::new(None),
        }
    }

    /// Lets the next header or packet take so many bytes.
    pub(super) fn allow(&self, bytes: u64) {
        self.bytes.store(bytes, Relaxed);
    }

    /// Whether the time is up.
    pub(super) fn late(&self) -> bool {
        let deadline = self.deadline.load(Relaxed);
        deadline < u64::MAX && nanoseconds(self.born.elapsed()) > deadline
    }

    /// Before reading: how many of `wanted` bytes may be read, at least one.
    pub(super) fn admit(&self, wanted: usize) -> io::Result<usize> {
        if self.late() {
            self.note(Trouble::TooLong);
            return Err(io::ErrorKind::TimedOut.into());
        }
        let left = self.bytes.load(Relaxed);
        if left == 0 {
            self.note(Trouble::TooMuch);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(usize::try_from(left).map_or(wanted, |left| left.min(wanted)))
    }

    /// After reading.
    pub(super) fn count(&self, bytes: usize) {
        // One thread reads, so nothing comes between the two.
        self.bytes.store(self.bytes.load(Relaxed).saturating_sub(bytes as u64), Relaxed);
    }

    /// Seconds since it was made.
    pub(super) fn seconds(&self) -> f64 {
        self.born.elapsed().as_secs_f64()
    }

    /// Keeps the first trouble.
    pub(super) fn note(&self, trouble: Trouble) {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(trouble);
    }

    pub(super) fn take_trouble(&self) -> Option<Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Sums up the time spent inside of a reader, and sets the guard's deadline.
pub(super) struct Watch {
    pub(super) limit: TimeLimit,
    spent: Duration,
    started: Instant,
}

impl Watch {
    pub(super) fn new(limit: TimeLimit) -> Self {
        Self { limit, spent: Duration::ZERO, started: Instant::now() }
    }

    /// Work begins; so many seconds were heard before.
    pub(super) fn start(&mut self, guard: &Guard, heard: f64) {
        self.started = Instant::now();
        let left = self.limit.of(heard).saturating_sub(self.spent);
        let deadline = (self.started - guard.born).saturating_add(left);
        guard.deadline.store(nanoseconds(deadline), Relaxed);
    }

    /// Work rests.
    pub(super) fn stop(&mut self) {
        self.spent = self.spent.saturating_add(self.started.elapsed());
    }

    /// Seconds spent, the work under way included.
    pub(super) fn seconds(&self) -> f64 {
        self.spent.saturating_add(self.started.elapsed()).as_secs_f64()
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_grows_with_what_was_heard() {
        let limit = TimeLimit::default();
        assert_eq!(limit.of(0.0), Duration::from_secs(60));
        assert_eq!(limit.of(600.0), Duration::from_secs(120));
        assert_eq!(TimeLimit::NONE.of(1e9), Duration::MAX);
    }

    #[test]
    fn time_between_two_reads_does_not_count() {
        let guard = Guard::new();
        let limit = TimeLimit { base: Duration::from_millis(200), per_second: 0.0 };
        let mut watch = Watch::new(limit);
        watch.start(&guard, 0.0);
        watch.stop();
        std::thread::sleep(Duration::from_millis(300));
        watch.start(&guard, 0.0);
        assert!(!guard.late());
        std::thread::sleep(Duration::from_millis(300));
        assert!(guard.late());
        assert!(guard.admit(1).is_err());
        assert!(matches!(guard.take_trouble(), Some(Trouble::TooLong)));
    }

    #[test]
    fn bytes_are_counted_down() {
        let guard = Guard::new();
        guard.allow(10);
        assert_eq!(guard.admit(4).unwrap(), 4);
        guard.count(4);
        assert_eq!(guard.admit(40).unwrap(), 6);
        guard.count(6);
        assert!(guard.admit(1).is_err());
        assert!(matches!(guard.take_trouble(), Some(Trouble::TooMuch)));
    }
}
