//! Several files at once, on threads, with results in the order of the files.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

/// Files of each worker that may be done before an earlier one is: results wait in memory.
const AHEAD: usize = 8;

/// Runs `work` on `0..count`, one thread for each worker, and gives `each` the results in order.
///
/// Once `stop` is set no further number is taken; those in work are finished. Returns how many were done, from the
/// first on.
///
/// # Errors
///
/// The first error of `each`, after which nothing further is taken.
pub(super) fn in_order<W: Send, T: Send, E>(
    workers: &mut [W],
    count: usize,
    stop: &AtomicBool,
    work: impl Fn(&mut W, usize) -> T + Sync,
    mut each: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<usize, E> {
    let queue = Queue { count, ahead: AHEAD * workers.len(), ..Queue::default() };
    let (sender, results) = mpsc::channel();
    thread::scope(|scope| {
        for worker in workers {
            let (sender, queue, work) = (sender.clone(), &queue, &work);
            scope.spawn(move || {
                let _guard = EndOnPanic(queue);
                while let Some(index) = queue.take(stop) {
                    if sender.send((index, work(worker, index))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let (mut waiting, mut given) = (BTreeMap::new(), 0);
        for (index, result) in results {
            waiting.insert(index, result);
            while let Some(result) = waiting.remove(&given) {
                each(given, result).inspect_err(|_| queue.end())?;
                given += 1;
                queue.give(given);
            }
        }
        Ok(given)
    })
}

/// The numbers, taken in order by whoever is free.
#[derive(Default)]
struct Queue {
    count: usize,
    ahead: usize,
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    taken: usize,
    given: usize,
    ended: bool,
}

impl Queue {
    /// The next number, once it is not too far ahead of the results; `None` where there is none.
    fn take(&self, stop: &AtomicBool) -> Option<usize> {
        let mut state = self.lock();
        loop {
            if state.ended || stop.load(Ordering::SeqCst) || state.taken == self.count {
                return None;
            }
            if state.taken < state.given + self.ahead {
                state.taken += 1;
                return Some(state.taken - 1);
            }
            // Not for ever, because `stop` wakes nobody.
            let wait = self.moved.wait_timeout(state, Duration::from_millis(100));
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn give(&self, given: usize) {
        self.lock().given = given;
        self.moved.notify_all();
    }

    fn end(&self) {
        self.lock().ended = true;
        self.moved.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number whose work panicked is never given: the others would wait for it.
struct EndOnPanic<'a>(&'a Queue);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_none_is_lost() {
        let mut results = Vec::new();
        let work = |worker: &mut u64, index: usize| {
            // The first worker is slow: the others run ahead until they wait for it.
            thread::sleep(Duration::from_micros(*worker));
            index * 2
        };
        let each = |index, result| {
            results.push((index, result));
            Ok::<(), ()>(())
        };
        let done = in_order(&mut [20_000, 0, 10], 200, &AtomicBool::new(false), work, each);
        assert_eq!(done, Ok(200));
        assert!(results.iter().copied().eq((0..200).map(|index| (index, index * 2))));
    }

    #[test]
    fn what_was_taken_is_finished_after_a_stop() {
        let stop = AtomicBool::new(false);
        let each = |index, ()| {
            stop.store(index >= 20, Ordering::SeqCst);
            Ok::<(), ()>(())
        };
        let done = in_order(&mut [(), ()], 1_000, &stop, |(), _| (), each).unwrap();
        assert!((21..=21 + 2 * AHEAD).contains(&done), "{done}");
    }

    #[test]
    fn an_error_ends_it() {
        let each = |index, ()| if index < 3 { Ok(()) } else { Err(index) };
        let done = in_order(&mut [(), ()], 1_000_000, &AtomicBool::new(false), |(), _| (), each);
        assert_eq!(done, Err(3));
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_does_not_hang_the_others() {
        let work = |(): &mut (), index| assert!(index != 5, "this test's own panic");
        let _ =
            in_order(&mut [(), ()], 1_000, &AtomicBool::new(false), work, |_, ()| Ok::<(), ()>(()));
    }
}
