//! The end of the process, while other threads open, run or drop models.
//!
//! `exit`, which a `main` that returns calls too, destroys ONNX Runtime's static objects while all other threads go on;
//! one that is inside ONNX Runtime then crashes the process. So whatever calls ONNX Runtime holds an [`InFlight`], and a
//! handler of `exit` lets nobody in any more and waits for who is.

use std::ffi::c_int;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use super::error::Error;

/// How long the end of the process waits for a call: who ends a process does not expect it to take longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the handler may not be the last one registered while ONNX Runtime makes static objects.
const PERIOD: Duration = Duration::from_micros(100);

/// How long `exit` may take for the destructors that were registered after the handler.
const MOMENT: Duration = Duration::from_millis(1);

struct State {
    /// Calls that are inside ONNX Runtime.
    in_flight: usize,
    /// When the process ends at the latest; `None` as long as it goes on.
    deadline: Option<Instant>,
}

static STATE: Mutex<State> = Mutex::new(State { in_flight: 0, deadline: None });
static CHANGED: Condvar = Condvar::new();
/// The process that opened ONNX Runtime; 0 before.
static OPENER: AtomicU32 = AtomicU32::new(0);

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this process was forked from the one that opened ONNX Runtime.
fn forked() -> bool {
    let opener = OPENER.load(Ordering::Relaxed);
    opener != 0 && opener != std::process::id()
}

/// A call that is inside ONNX Runtime, for as long as this lives.
pub(super) struct InFlight(());

impl InFlight {
    /// # Errors
    ///
    /// [`Error::Exiting`] once the process ends, [`Error::Forked`] in a child of the process that opened ONNX Runtime.
    pub(super) fn enter() -> Result<Self, Error> {
        // First, because a fork may have copied a locked mutex that nobody will unlock.
        if forked() {
            return Err(Error::Forked);
        }
        let mut state = state();
        if state.deadline.is_some() {
            return Err(Error::Exiting);
        }
        state.in_flight += 1;
        Ok(Self(()))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = state();
        state.in_flight -= 1;
        if state.in_flight == 0 && state.deadline.is_some() {
            CHANGED.notify_all();
        }
    }
}

/// Something of ONNX Runtime's, freed when it is dropped but not once the process ends or in a fork.
#[derive(Debug)]
pub(super) struct Kept<T>(ManuallyDrop<T>);

impl<T> Kept<T> {
    pub(super) fn new(value: T) -> Self {
        Self(ManuallyDrop::new(value))
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Kept<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> Drop for Kept<T> {
    #[expect(unsafe_code, reason = "it is dropped here, and here alone")]
    fn drop(&mut self) {
        if let Ok(_in_flight) = InFlight::enter() {
            // SAFETY: `self.0` is never used again: this is the end of its owner.
            unsafe { ManuallyDrop::drop(&mut self.0) }
        }
    }
}

/// Does `work`, which gives ONNX Runtime new static objects: opens it, or the first model.
///
/// Handlers run in the reverse order of their registration, and those that destroy such objects are among them. One that
/// came after ours would run before it, under the feet of `work`: so ours is registered over and over meanwhile.
///
/// # Errors
///
/// [`Error::Exiting`] if the process ends already.
pub(super) fn watched<T>(work: impl FnOnce() -> T) -> Result<T, Error> {
    OPENER.store(std::process::id(), Ordering::Relaxed);
    if !register() {
        // No handler runs any more.
        state().deadline = Some(Instant::now());
        return Err(Error::Exiting);
    }
    Ok(thread::scope(|scope| {
        let (end, ended) = mpsc::channel::<()>();
        let again = move || {
            while ended.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                if state().deadline.is_some() || !register() {
                    return;
                }
            }
        };
        // Where no thread can be had, it is registered before and after.
        let _ = Builder::new().spawn_scoped(scope, again);
        let result = work();
        register();
        drop(end);
        result
    }))
}

/// Takes back that this process opened ONNX Runtime: there is none, so that forks of it lack nothing.
pub(super) fn not_opened() {
    OPENER.store(0, Ordering::Relaxed);
}

/// Whether the process goes on, between two steps of `watched` work: the next step would need what `exit` destroyed.
///
/// # Errors
///
/// [`Error::Exiting`] if it ends.
pub(super) fn goes_on() -> Result<(), Error> {
    register();
    // Where `exit` began a moment ago, this is when it reaches the handler.
    thread::sleep(MOMENT);
    InFlight::enter().map(drop)
}

/// Has `exit` wait; `false` if it is too late for that, or no memory is left.
#[expect(unsafe_code, reason = "std has no handlers of exit")]
fn register() -> bool {
    unsafe extern "C" {
        fn atexit(handler: extern "C" fn()) -> c_int;
    }
    // SAFETY: `atexit` is of the C library that std links, with this signature on every system. `wait` does not unwind
    // and uses nothing that `exit` or a destructor of this program takes away.
    unsafe { atexit(wait) == 0 }
}

/// Waits until nobody is inside ONNX Runtime, for [`PATIENCE`] at most, however often it is called.
extern "C" fn wait() {
    // The threads of the process that was forked are not here.
    if forked() {
        return;
    }
    let mut state = state();
    let deadline = *state.deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
    while state.in_flight > 0 {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let woken = CHANGED.wait_timeout(state, left);
        state = woken.unwrap_or_else(PoisonError::into_inner).0;
    }
}
