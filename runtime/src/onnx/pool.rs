//! Sessions of one model that callers on many threads share.
//!
//! ONNX Runtime cannot run one session from two threads on all its devices, so each call has a session to itself for as
//! long as one block of segments takes. There are as many as callers need at once, up to a limit; then callers wait, and
//! get their turn in the order in which they came. Until the first has waited for [`SLICE`], whoever comes may take a
//! session before it: one that is running goes on without a change of threads.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::cancel::Stop;
use super::device::DevicePolicy;
use super::error::Error;
use super::exit::InFlight;
use super::options::SessionOptions;
use super::session::Session;

/// How often a waiting caller looks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(20);
/// How long a caller may be overtaken.
const SLICE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Pool {
    /// What further sessions are opened from: the file may have been replaced since.
    model: Box<[u8]>,
    path: PathBuf,
    options: SessionOptions,
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    idle: Vec<Session>,
    open: usize,
    /// Most that may be open: fewer than the pool's once one could not be opened.
    most: usize,
    /// Callers that wait, the first first.
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    thread: Thread,
    since: Instant,
}

impl State {
    /// Whether this caller may take a session: it is the first, or the first has not waited for long.
    fn may_take(&self, caller: &Thread) -> bool {
        self.waiting
            .front()
            .is_none_or(|first| first.thread.id() == caller.id() || first.since.elapsed() < SLICE)
    }

    fn leave(&mut self, caller: &Thread) {
        self.waiting.retain(|waiting| waiting.thread.id() != caller.id());
    }
}

/// Further sessions run where the first does, or are not opened: callers then share those that are.
fn of_further_sessions(options: &SessionOptions, first: &Session) -> SessionOptions {
    let (device, engine) = (first.device().device, first.engine());
    let policy = match options.policy {
        DevicePolicy::Allow => DevicePolicy::Warn,
        policy => policy,
    };
    SessionOptions { device, engine, policy, ..options.clone() }
}

impl Pool {
    /// A pool with this session of `model`; further ones are opened with the same options on the same device.
    pub(super) fn new(first: Session, model: &[u8], options: &SessionOptions) -> Self {
        let most = options.most_sessions(first.device().device);
        let options = of_further_sessions(options, &first);
        Self {
            model: if most > 1 { model.into() } else { Box::default() },
            path: first.path().to_owned(),
            options,
            most,
            state: Mutex::new(State { idle: vec![first], open: 1, most, waiting: VecDeque::new() }),
        }
    }

    /// Most sessions at once.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Runs `work` with a session for it alone, after those who have waited for [`SLICE`].
    ///
    /// # Errors
    ///
    /// Those of `work`; [`Error::Cancelled`] or [`Error::TimeLimit`] while it waits, [`Error::Exiting`],
    /// [`Error::Forked`].
    pub(super) fn run<T>(
        &self,
        stop: &Stop,
        work: impl FnOnce(&mut Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut session = self.take(stop)?;
        // After a panic, too, the session goes back: others wait for it.
        let result = catch_unwind(AssertUnwindSafe(|| work(&mut session)));
        self.lock().idle.push(session);
        self.wake();
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn take(&self, stop: &Stop) -> Result<Session, Error> {
        // A fork has neither the threads that hold sessions, nor anybody to unlock this.
        drop(InFlight::enter()?);
        let caller = thread::current();
        let mut state = self.lock();
        loop {
            if state.may_take(&caller) {
                if let Some(session) = state.idle.pop() {
                    state.leave(&caller);
                    let more = !state.idle.is_empty();
                    drop(state);
                    if more {
                        self.wake();
                    }
                    return Ok(session);
                }
                if state.open < state.most {
                    state.open += 1;
                    // Others need not wait until it is open.
                    state.leave(&caller);
                    drop(state);
                    self.wake();
                    let opened = Session::load(&self.model, &self.path, &self.options);
                    let error = match opened {
                        Ok(session) => return Ok(session),
                        Err(error) => error,
                    };
                    state = self.lock();
                    state.open -= 1;
                    if matches!(error, Error::Exiting | Error::Forked) {
                        return Err(error);
                    }
                    // No memory or threads for another one: it is not tried again, and callers share those that are open.
                    state.most = state.open.max(1);
                    continue;
                }
            }
            if state.waiting.iter().all(|waiting| waiting.thread.id() != caller.id()) {
                state.waiting.push_back(Waiting { thread: caller.clone(), since: Instant::now() });
            }
            drop(state);
            thread::park_timeout(LOOK);
            let stopped = stop.check();
            state = self.lock();
            if let Err(error) = stopped {
                state.leave(&caller);
                drop(state);
                self.wake();
                return Err(error);
            }
        }
    }

    /// Wakes who is first in the row.
    fn wake(&self) {
        if let Some(first) = self.lock().waiting.front() {
            first.thread.unpark();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use leitmotif_models::Device;

    use super::*;
    use crate::onnx::options::Engine;

    #[test]
    fn further_sessions_never_fall_back_to_another_device_or_engine() {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny.clip.onnx");
        let asked = SessionOptions::on(Device::Cpu).with_policy(DevicePolicy::Allow);
        let first = Session::open(&model, &asked).unwrap();
        let further =
            of_further_sessions(&SessionOptions { device: Device::Auto, ..asked }, &first);
        assert_eq!(further.device, Device::Cpu);
        assert_eq!(further.policy, DevicePolicy::Warn);
        assert_eq!(further.engine, Engine::OnnxRuntime);
    }
}
