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
/// Only work inside of a reader counts: not the time between two reads, not waiting for a disk or a share, and of a process
/// that is stopped and continued no more than two seconds. The default, a minute and a tenth of the length of what was
/// heard, is dozens of times what sound takes to decode, even in a development build; files that need more were made
/// to need it.
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
    pub(super) fn of(&self, heard: f64) -> Duration {
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

/// Nanoseconds that count at most between two looks at the clock: what takes longer was a stall, not work.
const STALL: u64 = 2_000_000_000;

/// What a demuxer may still read and how long it may work. Shared by a decoder and the source beneath its demuxer.
pub(super) struct Guard {
    born: Instant,
    /// Nanoseconds after `born` of the last look at the clock.
    seen: AtomicU64,
    /// Nanoseconds of work so far.
    worked: AtomicU64,
    /// Nanoseconds of work that are allowed.
    allowed: AtomicU64,
    /// Bytes that may still be read for the header or packet under way.
    bytes: AtomicU64,
    trouble: Mutex<Option<Trouble>>,
}

impl Guard {
    pub(super) fn new() -> Self {
        Self {
            born: Instant::now(),
            seen: AtomicU64::new(0),
            worked: AtomicU64::new(0),
            allowed: AtomicU64::new(u64::MAX),
            bytes: AtomicU64::new(0),
            trouble: Mutex::new(None),
        }
    }

    /// Lets the next header or packet take so many bytes.
    pub(super) fn allow(&self, bytes: u64) {
        self.bytes.store(bytes, Relaxed);
    }

    /// Work begins or goes on after a rest, which does not count; this much of it is allowed in all.
    pub(super) fn begin(&self, allowed: Duration) {
        self.allowed.store(nanoseconds(allowed), Relaxed);
        self.pass_over();
    }

    /// What passed since the last look at the clock was no work.
    pub(super) fn pass_over(&self) {
        self.seen.store(nanoseconds(self.born.elapsed()), Relaxed);
    }

    /// What passed since the last look at the clock was work.
    pub(super) fn note_work(&self) {
        // One thread works at a time, so nothing comes between these.
        let now = nanoseconds(self.born.elapsed());
        let passed = now.saturating_sub(self.seen.load(Relaxed)).min(STALL);
        self.seen.store(now, Relaxed);
        self.worked.store(self.worked.load(Relaxed).saturating_add(passed), Relaxed);
    }

    /// Whether the time is up.
    pub(super) fn late(&self) -> bool {
        self.note_work();
        self.worked.load(Relaxed) > self.allowed.load(Relaxed)
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

    /// Seconds of work so far.
    pub(super) fn seconds(&self) -> f64 {
        Duration::from_nanos(self.worked.load(Relaxed)).as_secs_f64()
    }

    /// Keeps the first trouble.
    pub(super) fn note(&self, trouble: Trouble) {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(trouble);
    }

    pub(super) fn take_trouble(&self) -> Option<Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
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
    fn work_counts_and_rest_does_not() {
        let guard = Guard::new();
        let pause = || std::thread::sleep(Duration::from_millis(300));
        let allowed = Duration::from_millis(200);
        guard.begin(allowed);
        guard.note_work();
        pause();
        guard.begin(allowed);
        assert!(!guard.late(), "a rest between two reads");
        pause();
        guard.pass_over();
        assert!(!guard.late(), "waiting for a disk");
        pause();
        assert!(guard.late());
        assert!(guard.admit(1).is_err());
        assert!(matches!(guard.take_trouble(), Some(Trouble::TooLong)));
        assert!((0.3..2.0).contains(&guard.seconds()), "{}", guard.seconds());
    }

    #[test]
    fn a_stall_counts_two_seconds_at_most() {
        let mut guard = Guard::new();
        guard.begin(Duration::from_secs(60));
        // As if the process had been stopped for an hour.
        guard.born -= Duration::from_secs(3600);
        assert!(!guard.late());
        assert!((2.0..3.0).contains(&guard.seconds()), "{}", guard.seconds());
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
