//! Several files at once, on threads, with results in the order of the files.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

/// Files of each worker that may be done before an earlier one is: results wait in memory.
const AHEAD: usize = 8;

/// Runs `work` on the items, one thread for each worker, and gives `each` the results in order.
///
/// Once `stop` is set no further item is taken; those in work are finished. Returns how many were done, from the
/// first on.
///
/// # Errors
///
/// The first error of `each`, after which nothing further is taken.
pub(super) fn in_order<W: Send, I: Sync, T: Send, E>(
    workers: &mut [W],
    items: &[I],
    stop: &AtomicBool,
    work: impl Fn(&mut W, &I) -> T + Sync,
    mut each: impl FnMut(&I, T) -> Result<(), E>,
) -> Result<usize, E> {
    let queue = Queue { count: items.len(), ahead: AHEAD * workers.len(), ..Queue::default() };
    let (sender, results) = mpsc::channel();
    thread::scope(|scope| {
        // Also where `each` panics.
        let _guard = EndOnPanic(&queue);
        for worker in workers {
            let (sender, queue, work) = (sender.clone(), &queue, &work);
            scope.spawn(move || {
                let _guard = EndOnPanic(queue);
                while let Some((index, item)) =
                    queue.take(stop).and_then(|index| Some((index, items.get(index)?)))
                {
                    if sender.send((index, (item, work(worker, item)))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let (mut waiting, mut given) = (BTreeMap::new(), 0);
        for (index, result) in results {
            waiting.insert(index, result);
            while let Some((item, result)) = waiting.remove(&given) {
                each(item, result).inspect_err(|_| queue.end())?;
                given += 1;
                queue.give(given);
            }
        }
        Ok(given)
    })
}

/// The items' numbers, taken in order by whoever is free.
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

    fn numbers(count: usize) -> Vec<usize> {
        (0..count).collect()
    }

    #[test]
    fn results_come_in_order_and_none_is_lost() {
        let mut results = Vec::new();
        let work = |worker: &mut u64, item: &usize| {
            // The first worker is slow: the others run ahead until they wait for it.
            thread::sleep(Duration::from_micros(*worker));
            item * 2
        };
        let each = |item: &usize, result| {
            results.push((*item, result));
            Ok::<(), ()>(())
        };
        let workers = &mut [20_000, 0, 10];
        let done = in_order(workers, &numbers(200), &AtomicBool::new(false), work, each);
        assert_eq!(done, Ok(200));
        assert!(results.iter().copied().eq((0..200).map(|item| (item, item * 2))));
    }

    #[test]
    fn what_was_taken_is_finished_after_a_stop() {
        let stop = AtomicBool::new(false);
        let each = |item: &usize, ()| {
            stop.store(*item >= 20, Ordering::SeqCst);
            Ok::<(), ()>(())
        };
        let done = in_order(&mut [(), ()], &numbers(1_000), &stop, |(), _| (), each).unwrap();
        assert!((21..=21 + 2 * AHEAD).contains(&done), "{done}");
    }

    #[test]
    fn an_error_ends_it() {
        let each = |item: &usize, ()| if *item < 3 { Ok(()) } else { Err(*item) };
        let stop = AtomicBool::new(false);
        assert_eq!(in_order(&mut [(), ()], &numbers(100_000), &stop, |(), _| (), each), Err(3));
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_does_not_hang_the_others() {
        let work = |(): &mut (), item: &usize| assert!(*item != 5, "this test's own panic");
        let stop = AtomicBool::new(false);
        let _ = in_order(&mut [(), ()], &numbers(1_000), &stop, work, |_, ()| Ok::<(), ()>(()));
    }
}
