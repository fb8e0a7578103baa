//! Limits on the time a file may take and on the bytes of its headers and packets.

use std::{
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Bytes that a file's headers may take to read, and then each packet; symphonia may hold two copies. The tables
/// of a day of AAC in MP4 are two thirds of it.
pub(super) const MOST_BYTES: u64 = 24 << 20;

/// The time that decoding a file may take before it fails with
/// [`AudioError::TookTooLong`](super::AudioError::TookTooLong).
///
/// Only work inside of a reader counts: not the time between two reads, not waiting for a disk or a network share, and for
/// a process that is stopped and continued at most two seconds. The default, a minute and a tenth of the decoded length,
/// is dozens of times what decoding takes, even in a development build; only crafted files need more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeLimit {
    /// What any file may take.
    pub base: Duration,
    /// Seconds added for each second of audio decoded so far.
    pub per_second: f64,
}

impl Default for TimeLimit {
    fn default() -> Self {
        Self { base: Duration::from_secs(60), per_second: 0.1 }
    }
}

impl TimeLimit {
    /// No limit.
    pub const NONE: Self = Self { base: Duration::MAX, per_second: 0.0 };

    /// The limit after this many seconds of decoded audio.
    pub(super) fn after(&self, decoded: f64) -> Duration {
        let more = Duration::try_from_secs_f64(self.per_second * decoded).unwrap_or(Duration::ZERO);
        self.base.saturating_add(more)
    }
}

/// Why reading below the demuxer was stopped; the demuxer may hide the error itself.
#[derive(Debug)]
pub(super) enum StopReason {
    /// A header or packet has more than [`MOST_BYTES`].
    TooManyBytes,
    /// The time is up.
    OutOfTime,
    /// The system failed.
    System(io::Error),
}

/// Nanoseconds that count at most between two readings of the clock: anything longer was a stall, not work.
const STALL: u64 = 2_000_000_000;

/// The bytes a demuxer may still read and the time it may still work. Shared by a decoder and the source below its
/// demuxer.
pub(super) struct Budget {
    created: Instant,
    /// Nanoseconds after `created` of the last reading of the clock.
    last_reading: AtomicU64,
    /// Nanoseconds of work so far.
    worked: AtomicU64,
    /// Nanoseconds of work that are allowed.
    allowed: AtomicU64,
    /// Bytes that may still be read for the current header or packet.
    bytes: AtomicU64,
    stopped: Mutex<Option<StopReason>>,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            created: Instant::now(),
            last_reading: AtomicU64::new(0),
            worked: AtomicU64::new(0),
            allowed: AtomicU64::new(u64::MAX),
            bytes: AtomicU64::new(0),
            stopped: Mutex::new(None),
        }
    }

    /// Allows [`MOST_BYTES`] for the next header or packet.
    pub(super) fn allow_bytes(&self) {
        self.set_bytes(MOST_BYTES);
    }

    fn set_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Relaxed);
    }

    /// Starts or continues work after a pause, which does not count; `allowed` is for all work so far and to come.
    pub(super) fn start_work(&self, allowed: Duration) {
        self.allowed.store(nanoseconds(allowed), Relaxed);
        self.skip_time();
    }

    /// Does not count the time since the last reading of the clock.
    pub(super) fn skip_time(&self) {
        self.last_reading.store(nanoseconds(self.created.elapsed()), Relaxed);
    }

    /// Counts the time since the last reading of the clock as work.
    pub(super) fn count_time(&self) {
        // One thread works at a time, so the counter cannot change in between.
        let now = nanoseconds(self.created.elapsed());
        let passed = now.saturating_sub(self.last_reading.load(Relaxed)).min(STALL);
        self.last_reading.store(now, Relaxed);
        self.worked.store(self.worked.load(Relaxed).saturating_add(passed), Relaxed);
    }

    /// Whether the time is up.
    pub(super) fn is_out_of_time(&self) -> bool {
        self.count_time();
        self.worked.load(Relaxed) > self.allowed.load(Relaxed)
    }

    /// Before reading: how many of `wanted` bytes may be read, at least one.
    pub(super) fn admit(&self, wanted: usize) -> io::Result<usize> {
        if self.is_out_of_time() {
            self.stop(StopReason::OutOfTime);
            return Err(io::ErrorKind::TimedOut.into());
        }
        let left = self.bytes.load(Relaxed);
        if left == 0 {
            self.stop(StopReason::TooManyBytes);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(usize::try_from(left).map_or(wanted, |left| left.min(wanted)))
    }

    /// After reading: counts the bytes.
    pub(super) fn count_bytes(&self, bytes: usize) {
        // One thread reads, so the counter cannot change in between.
        self.bytes.store(self.bytes.load(Relaxed).saturating_sub(bytes as u64), Relaxed);
    }

    /// Seconds of work so far.
    pub(super) fn seconds(&self) -> f64 {
        Duration::from_nanos(self.worked.load(Relaxed)).as_secs_f64()
    }

    /// Records why reading stopped; the first reason is kept.
    pub(super) fn stop(&self, reason: StopReason) {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
    }

    pub(super) fn take_stop_reason(&self) -> Option<StopReason> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_grows_with_what_was_decoded() {
        let limit = TimeLimit::default();
        assert_eq!(limit.after(0.0), Duration::from_secs(60));
        assert_eq!(limit.after(600.0), Duration::from_secs(120));
        assert_eq!(TimeLimit::NONE.after(1e9), Duration::MAX);
    }

    #[test]
    fn work_counts_and_pauses_do_not() {
        let budget = Budget::new();
        let pause = || std::thread::sleep(Duration::from_millis(300));
        let allowed = Duration::from_millis(200);
        budget.start_work(allowed);
        budget.count_time();
        pause();
        budget.start_work(allowed);
        assert!(!budget.is_out_of_time(), "a pause between two reads");
        pause();
        budget.skip_time();
        assert!(!budget.is_out_of_time(), "waiting for a disk");
        pause();
        assert!(budget.is_out_of_time());
        assert!(budget.admit(1).is_err());
        assert!(matches!(budget.take_stop_reason(), Some(StopReason::OutOfTime)));
        assert!((0.3..2.0).contains(&budget.seconds()), "{}", budget.seconds());
    }

    #[test]
    fn a_stall_counts_two_seconds_at_most() {
        let mut budget = Budget::new();
        budget.start_work(Duration::from_secs(60));
        // As if the process had been stopped for an hour.
        budget.created -= Duration::from_secs(3600);
        assert!(!budget.is_out_of_time());
        assert!((2.0..3.0).contains(&budget.seconds()), "{}", budget.seconds());
    }

    #[test]
    fn bytes_are_counted_down() {
        let budget = Budget::new();
        budget.set_bytes(10);
        assert_eq!(budget.admit(4).unwrap(), 4);
        budget.count_bytes(4);
        assert_eq!(budget.admit(40).unwrap(), 6);
        budget.count_bytes(6);
        assert!(budget.admit(1).is_err());
        assert!(matches!(budget.take_stop_reason(), Some(StopReason::TooManyBytes)));
    }
}
