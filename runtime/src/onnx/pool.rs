//! Sessions of one model that callers on many threads share.
//!
//! ONNX Runtime cannot run one session from two threads on all its devices, so each call has a session to itself for as
//! long as one block of segments takes. There are as many as callers need at once, up to a limit; then callers wait, and
//! get their turn in the order in which they came.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cancel::Stop;
use super::error::Error;
use super::options::SessionOptions;
use super::session::Session;

/// How often a waiting caller looks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Pool {
    /// What further sessions are opened from: the file may have been replaced since.
    model: Box<[u8]>,
    path: PathBuf,
    options: SessionOptions,
    most: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    idle: Vec<Session>,
    open: usize,
    /// Callers that wait, the first first.
    waiting: VecDeque<u64>,
    callers: u64,
}

/// A session for one caller; it goes back when this is dropped.
#[derive(Debug)]
pub(super) struct Lease<'a> {
    pool: &'a Pool,
    session: Option<Session>,
}

impl Pool {
    /// A pool with this session of `model`; further ones are opened with the same options on the same device.
    pub(super) fn new(first: Session, model: &[u8], options: &SessionOptions) -> Self {
        let most = options.most_sessions(first.device().device);
        let options = SessionOptions { device: first.device().device, ..options.clone() };
        Self {
            model: if most > 1 { model.into() } else { Box::default() },
            path: first.path().to_owned(),
            options,
            most,
            state: Mutex::new(State {
                idle: vec![first],
                open: 1,
                waiting: VecDeque::new(),
                callers: 0,
            }),
            changed: Condvar::new(),
        }
    }

    /// Most sessions at once.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// A session for the caller alone, after those who asked before.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`] or [`Error::TimeLimit`] while it waits.
    pub(super) fn take(&self, stop: &Stop) -> Result<Lease<'_>, Error> {
        let mut state = self.lock();
        let own = state.callers;
        state.callers += 1;
        state.waiting.push_back(own);
        loop {
            if state.waiting.front() == Some(&own) {
                if let Some(session) = state.idle.pop() {
                    state.waiting.pop_front();
                    self.changed.notify_all();
                    return Ok(Lease { pool: self, session: Some(session) });
                }
                if state.open < self.most {
                    state.open += 1;
                    state.waiting.pop_front();
                    self.changed.notify_all();
                    drop(state);
                    if let Ok(session) = Session::load(&self.model, &self.path, &self.options) {
                        return Ok(Lease { pool: self, session: Some(session) });
                    }
                    // No memory or threads for another one: the caller waits for one that is open, first in the row.
                    state = self.lock();
                    state.open -= 1;
                    state.waiting.push_front(own);
                    if let Some(session) = state.idle.pop() {
                        state.waiting.pop_front();
                        return Ok(Lease { pool: self, session: Some(session) });
                    }
                }
            }
            let (next, _) =
                self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner);
            state = next;
            if let Err(error) = stop.check() {
                state.waiting.retain(|caller| *caller != own);
                self.changed.notify_all();
                return Err(error);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Lease<'_> {
    type Target = Session;

    #[expect(clippy::expect_used, reason = "it is taken out by `drop` alone")]
    fn deref(&self) -> &Session {
        self.session.as_ref().expect("a lease has its session")
    }
}

impl DerefMut for Lease<'_> {
    #[expect(clippy::expect_used, reason = "it is taken out by `drop` alone")]
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect("a lease has its session")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.idle.extend(self.session.take());
        self.pool.changed.notify_all();
    }
}
