//! Many items at once, on threads, with results in the items' order or as they are there.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, Scope};
use std::time::Duration;

/// Items for each thread that may be done before an earlier result is given: results wait in memory.
const AHEAD: usize = 8;

/// Starts a thread.
type Spawn = for<'scope, 'env> fn(
    &'scope Scope<'scope, 'env>,
    Box<dyn FnOnce() + Send + 'scope>,
) -> io::Result<()>;

/// How items are worked on.
pub(super) struct Jobs<'a> {
    /// Threads, at least one; where the system refuses some, those that it allows.
    pub(super) count: usize,
    /// Whether results are given in the order of the items.
    pub(super) in_order: bool,
    /// Whether no further item is taken; those in work are finished and given.
    pub(super) stopped: &'a (dyn Fn() -> bool + Sync),
}

impl Jobs<'_> {
    /// Runs `work` on the items and gives `each`, on this thread, the results with the items' numbers. Returns how many
    /// were given.
    ///
    /// # Errors
    ///
    /// The first error of `each`, after which nothing further is taken.
    pub(super) fn run<I: Sync, T: Send, E>(
        &self,
        items: &[I],
        work: impl Fn(&I) -> T + Sync,
        each: impl FnMut(usize, T) -> Result<(), E>,
    ) -> Result<usize, E> {
        self.run_on(items, work, each, |scope, work| {
            thread::Builder::new().spawn_scoped(scope, work).map(drop)
        })
    }

    fn run_on<I: Sync, T: Send, E>(
        &self,
        items: &[I],
        work: impl Fn(&I) -> T + Sync,
        mut each: impl FnMut(usize, T) -> Result<(), E>,
        spawn: Spawn,
    ) -> Result<usize, E> {
        let jobs = self.count.clamp(1, items.len().max(1));
        let queue = Queue {
            count: items.len(),
            ahead: jobs.saturating_mul(AHEAD),
            stopped: self.stopped,
            state: Mutex::default(),
            moved: Condvar::new(),
        };
        let next = || {
            let number = queue.take()?;
            Some((number, work(items.get(number)?)))
        };
        let (sender, results) = mpsc::channel();
        thread::scope(|scope| {
            // Also where `each` panics.
            let _guard = EndOnPanic(&queue);
            let start = || {
                let (sender, queue, next) = (sender.clone(), &queue, &next);
                let work = move || {
                    let _guard = EndOnPanic(queue);
                    while next().is_some_and(|result| sender.send(result).is_ok()) {}
                };
                spawn(scope, Box::new(work))
            };
            let started = (0..jobs).take_while(|_| start().is_ok()).count();
            drop(sender);
            let mut done = 0;
            let mut give = |done: &mut usize, number, result| {
                each(number, result).inspect_err(|_| queue.end())?;
                *done += 1;
                queue.give(*done);
                Ok(())
            };
            if started == 0 {
                while let Some((number, result)) = next() {
                    give(&mut done, number, result)?;
                }
            }
            let mut waiting = BTreeMap::new();
            for (number, result) in results {
                if !self.in_order {
                    give(&mut done, number, result)?;
                    continue;
                }
                waiting.insert(number, result);
                while let Some(result) = waiting.remove(&done) {
                    let number = done;
                    give(&mut done, number, result)?;
                }
            }
            Ok(done)
        })
    }
}

/// The items' numbers, taken in order by whoever is free.
struct Queue<'a> {
    count: usize,
    ahead: usize,
    stopped: &'a (dyn Fn() -> bool + Sync),
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    taken: usize,
    given: usize,
    ended: bool,
}

impl Queue<'_> {
    /// The next number, once it is not too far ahead of the results; `None` where there is none.
    fn take(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            if state.ended || state.taken == self.count || (self.stopped)() {
                return None;
            }
            if state.taken < state.given.saturating_add(self.ahead) {
                state.taken += 1;
                return Some(state.taken - 1);
            }
            // Not for ever, because `stopped` wakes nobody.
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
struct EndOnPanic<'a>(&'a Queue<'a>);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn numbers(count: usize) -> Vec<usize> {
        (0..count).collect()
    }

    fn jobs(count: usize) -> Jobs<'static> {
        Jobs { count, in_order: true, stopped: &|| false }
    }

    #[test]
    fn results_come_in_order_or_as_they_are_there_and_none_is_lost() {
        // The first item is slow: the others run ahead until they wait for it.
        let work = |item: &usize| {
            thread::sleep(Duration::from_millis(if *item == 0 { 300 } else { 0 }));
            item * 2
        };
        for in_order in [true, false] {
            let mut results = Vec::new();
            let each = |number: usize, result: usize| {
                assert_eq!(result, number * 2);
                results.push(number);
                Ok::<(), ()>(())
            };
            let done = Jobs { in_order, ..jobs(3) }.run(&numbers(200), work, each);
            assert_eq!(done, Ok(200));
            assert_eq!(results[0] == 0, in_order);
            assert_eq!(results.is_sorted(), in_order);
            results.sort();
            assert_eq!(results, numbers(200));
        }
    }

    #[test]
    fn what_was_taken_is_finished_after_an_end() {
        for in_order in [true, false] {
            let stop = AtomicBool::new(false);
            let taken = Mutex::new(0);
            let work = |_: &usize| *taken.lock().unwrap() += 1;
            let each = |number: usize, ()| {
                stop.fetch_or(number >= 20, Ordering::SeqCst);
                Ok::<(), ()>(())
            };
            let stopped = || stop.load(Ordering::SeqCst);
            let done =
                Jobs { count: 2, in_order, stopped: &stopped }.run(&numbers(1_000), work, each);
            assert_eq!(done, Ok(*taken.lock().unwrap()));
            assert!((20..=21 + 2 * AHEAD).contains(&done.unwrap()), "{done:?}");
        }
    }

    thread_local! {
        /// Threads that the system allows this test.
        static ALLOWED: Cell<usize> = const { Cell::new(0) };
    }

    #[test]
    fn threads_that_the_system_refuses_are_done_without() {
        let spawn: Spawn = |scope, work| {
            let left = ALLOWED.get().checked_sub(1);
            ALLOWED.set(left.ok_or(io::ErrorKind::WouldBlock)?);
            scope.spawn(work);
            Ok(())
        };
        for (allowed, in_order) in [(0, true), (0, false), (1, true), (2, false)] {
            ALLOWED.set(allowed);
            let threads = Mutex::new(BTreeSet::new());
            let work = |item: &usize| {
                threads.lock().unwrap().insert(format!("{:?}", thread::current().id()));
                *item
            };
            let mut results = Vec::new();
            let each = |_, result| {
                results.push(result);
                if result < 99 { Ok(()) } else { Err(result) }
            };
            let jobs = Jobs { in_order, ..jobs(4) };
            assert_eq!(jobs.run_on(&numbers(100), work, each, spawn), Err(99));
            assert!(threads.into_inner().unwrap().len() <= allowed.max(1));
            results.sort();
            assert!(!in_order || results == numbers(100), "{results:?}");
        }
    }

    #[test]
    fn an_error_ends_it() {
        let each = |number: usize, ()| if number < 3 { Ok(()) } else { Err(number) };
        assert_eq!(jobs(2).run(&numbers(100_000), |_| (), each), Err(3));
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_does_not_hang_the_others() {
        let work = |item: &usize| assert!(*item != 5, "this test's own panic");
        let _ = jobs(2).run(&numbers(1_000), work, |_, ()| Ok::<(), ()>(()));
    }
}
