//! Work without Python's lock, on a thread of its own, while this one looks for Ctrl-C.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, Builder};
use std::time::Duration;

use leitmotif::CancelToken;
use pyo3::prelude::*;

use crate::errors;

/// How often it is looked for Ctrl-C and for the caller's token.
const PERIOD: Duration = Duration::from_millis(50);

enum Message<T, E> {
    Result(T),
    End(E),
}

/// Runs `work`, which is to end soon once the token that it gets is cancelled: by `cancel`, or by Ctrl-C.
///
/// # Errors
///
/// `KeyboardInterrupt` or whatever a handler of signals raises, after `work` has ended.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    cancel: Option<&CancelToken>,
    work: impl FnOnce(&CancelToken) -> T + Send,
) -> PyResult<T> {
    run_each(py, cancel, |token, _: &dyn Fn(())| work(token), |_, (), _| Ok(()))
}

/// The same for work that has results before its end. `each` gets them on this thread with Python's lock, the last
/// argument says whether all goes on; after its own error or Ctrl-C it still gets what `work` finishes. Meanwhile `work`
/// waits with further results, so that those of a slow `each` do not fill the memory.
///
/// # Errors
///
/// As [`run`], and the first error of `each`; both after `work` has ended.
pub(crate) fn run_each<T: Send, E: Send>(
    py: Python<'_>,
    cancel: Option<&CancelToken>,
    work: impl FnOnce(&CancelToken, &dyn Fn(T)) -> E + Send,
    mut each: impl FnMut(Python<'_>, T, bool) -> PyResult<()> + Send,
) -> PyResult<E> {
    let token = CancelToken::new();
    let pass_on = || {
        if cancel.is_some_and(CancelToken::is_cancelled) {
            token.cancel();
        }
    };
    // Before the work begins, which may be done before the first turn.
    pass_on();
    py.detach(|| {
        thread::scope(|scope| {
            let (sender, messages) = mpsc::sync_channel(0);
            let token = &token;
            let body = move || {
                // Nobody receives once this thread has panicked; there is nobody to tell then.
                let give = |result| drop(sender.send(Message::Result(result)));
                let end = work(token, &give);
                let _ = sender.send(Message::End(end));
            };
            let started = Builder::new().name("leitmotif".to_owned()).spawn_scoped(scope, body);
            if let Err(error) = started {
                let text = format!(
                    "the system refuses a thread ({error}): raise the limit (`ulimit -u`, a container's `pids.max`)"
                );
                return Err(errors::exception("RunError", text, None));
            }
            let mut failed: Option<PyErr> = None;
            let fail = |result: PyResult<()>, failed: &mut Option<PyErr>| {
                if let Err(error) = result {
                    token.cancel();
                    failed.get_or_insert(error);
                }
            };
            loop {
                let message = messages.recv_timeout(PERIOD);
                // Also between results that follow each other faster than that.
                pass_on();
                match message {
                    Ok(Message::Result(result)) => {
                        let goes_on = failed.is_none();
                        let given = Python::attach(|py| {
                            each(py, result, goes_on)?;
                            py.check_signals()
                        });
                        fail(given, &mut failed);
                    }
                    Ok(Message::End(end)) => return failed.map_or(Ok(end), Err),
                    Err(RecvTimeoutError::Timeout) => {
                        fail(Python::attach(|py| py.check_signals()), &mut failed);
                    }
                    // It panicked; the scope goes on with that.
                    Err(RecvTimeoutError::Disconnected) => {
                        let text = "recognising ended without a result".to_owned();
                        return Err(errors::exception("RunError", text, None));
                    }
                }
            }
        })
    })
}
