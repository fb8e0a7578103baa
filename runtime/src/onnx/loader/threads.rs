//! Whether there are threads to be had.
//!
//! ONNX Runtime hangs, or says something about the model, where the system refuses it a thread while it opens a session
//! (a limit of processes as in `ulimit -u`, a container's `pids.max`). So as many are started before it asks.

use std::sync::{Mutex, PoisonError};
use std::thread::{self, Builder};

/// Whether `count` threads can be started beside those that run.
pub(super) fn available(count: usize) -> bool {
    // All must be there at once, so none ends before this is unlocked.
    let gate = Mutex::new(());
    let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        let start = || Builder::new().spawn_scoped(scope, || drop(gate.lock()));
        let all = (0..count).all(|_| start().is_ok());
        drop(closed);
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_available_and_end() {
        for count in [0, 1, 8] {
            assert!(available(count));
        }
    }
}
