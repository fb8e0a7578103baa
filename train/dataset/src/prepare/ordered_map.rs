//! A parallel map that yields results in order, with bounded memory.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often a waiting consumer checks whether it should stop.
const STOP_CHECK: Duration = Duration::from_millis(100);

struct Queue<R> {
    /// Index of the next item to process.
    next: usize,
    /// Number of results that the consumer has taken.
    taken: usize,
    /// Results that wait for earlier ones.
    done: BTreeMap<usize, R>,
    closed: bool,
}

struct Shared<R> {
    state: Mutex<Queue<R>>,
    finished: Condvar,
    room: Condvar,
}

impl<R> Shared<R> {
    fn lock(&self) -> MutexGuard<'_, Queue<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the queue on drop, which ends the workers.
struct Close<'a, R>(&'a Shared<R>);

impl<R> Drop for Close<'_, R> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.room.notify_all();
    }
}

/// Runs `work` over `items` on `threads` threads and passes the results to `take` in the order of the items, so that
/// the data set does not depend on the number of threads. At most `threads + 2` results are computed or waiting at a
/// time, since each is a whole song. Returns early, without error, once `stopped` returns true.
pub(super) fn ordered_map<T: Sync, R: Send, E>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
    stopped: impl Fn() -> bool,
    mut take: impl FnMut(&T, R) -> Result<(), E>,
) -> Result<(), E> {
    let threads = threads.max(1);
    let window = threads + 2;
    let shared = Shared {
        state: Mutex::new(Queue { next: 0, taken: 0, done: BTreeMap::new(), closed: false }),
        finished: Condvar::new(),
        room: Condvar::new(),
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| worker(items, window, &work, &shared));
        }
        // Also if `take` panics: the scope joins the workers, which must not wait for room in the queue.
        let _close = Close(&shared);
        consume(items, &stopped, &shared, &mut take)
    })
}

fn worker<T, R>(items: &[T], window: usize, work: &impl Fn(&T) -> R, shared: &Shared<R>) {
    loop {
        let mut state = shared.lock();
        while !state.closed && state.next < items.len() && state.next >= state.taken + window {
            state = shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let index = state.next;
        let Some(item) = items.get(index).filter(|_| !state.closed) else { return };
        state.next += 1;
        drop(state);
        let result = work(item);
        shared.lock().done.insert(index, result);
        shared.finished.notify_one();
    }
}

fn consume<T, R, E>(
    items: &[T],
    stopped: &impl Fn() -> bool,
    shared: &Shared<R>,
    take: &mut impl FnMut(&T, R) -> Result<(), E>,
) -> Result<(), E> {
    for (index, item) in items.iter().enumerate() {
        let mut state = shared.lock();
        let result = loop {
            if stopped() {
                return Ok(());
            }
            if let Some(result) = state.done.remove(&index) {
                break result;
            }
            state = shared
                .finished
                .wait_timeout(state, STOP_CHECK)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        };
        state.taken = index + 1;
        drop(state);
        shared.room.notify_all();
        take(item, result)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_are_in_order_and_few_wait() {
        let items: Vec<usize> = (0..200).collect();
        let (started, mut seen) = (AtomicUsize::new(0), Vec::new());
        let slow_when_even = |item: &usize| {
            started.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_micros(if item.is_multiple_of(2) {
                300
            } else {
                10
            }));
            item * item
        };
        let take = |item: &usize, square: usize| {
            assert_eq!(square, item * item);
            assert!(
                started.load(Ordering::SeqCst) <= item + 1 + 4 + 2,
                "more than threads + 2 results were started"
            );
            seen.push(*item);
            Ok::<(), ()>(())
        };
        ordered_map(&items, 4, slow_when_even, || false, take).unwrap();
        assert_eq!(seen, items);
    }

    #[test]
    #[should_panic(expected = "taken badly")]
    fn a_panic_ends_the_work() {
        let items: Vec<usize> = (0..1000).collect();
        let _ = ordered_map(
            &items,
            3,
            |item| *item,
            || false,
            |_, _| -> Result<(), ()> { panic!("taken badly") },
        );
    }

    #[test]
    fn an_error_and_a_stop_end_the_work() {
        let items: Vec<usize> = (0..1000).collect();
        let taken = AtomicUsize::new(0);
        let failed = ordered_map(
            &items,
            3,
            |item| *item,
            || false,
            |_, item| if item == 5 { Err(item) } else { Ok(()) },
        );
        assert_eq!(failed, Err(5));
        let stop = || taken.load(Ordering::SeqCst) >= 7;
        let count = |_: &usize, _| {
            taken.fetch_add(1, Ordering::SeqCst);
            Ok::<(), ()>(())
        };
        ordered_map(&items, 3, |item| *item, stop, count).unwrap();
        assert_eq!(taken.into_inner(), 7);
    }
}
