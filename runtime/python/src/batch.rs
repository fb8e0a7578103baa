//! Many recordings on threads.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use leitmotif::{Batch, Error, RecognizeOptions, Recognizer};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyList, PyType};

use crate::answer::{self, Artists};
use crate::errors;
use crate::source::Source;
use crate::waiting;

/// What a batch is given beside its recordings.
pub(crate) struct Plan<'py> {
    pub(crate) rate: Option<Bound<'py, PyAny>>,
    pub(crate) jobs: Option<usize>,
    /// A bar with `update(n)`, a class of such bars, or a function of how many are done and of how many.
    pub(crate) progress: Option<Bound<'py, PyAny>>,
    /// A function of the number and the result of each.
    pub(crate) on_result: Option<Bound<'py, PyAny>>,
    /// Whether the first failure ends it.
    pub(crate) raises: bool,
    pub(crate) cancel: Option<leitmotif::CancelToken>,
}

/// What became of one recording.
type Outcome = PyResult<Found>;

struct Found {
    answer: leitmotif::Answer,
    name: Option<PathBuf>,
}

/// Recognises all and returns, in their order, answers or exceptions: `CancelledError` for what was not recognised
/// since the batch ended early.
///
/// # Errors
///
/// The first failure where it `raises`, what the functions raise, and `KeyboardInterrupt`: with what is done as its
/// `results`.
pub(crate) fn run<'py>(
    py: Python<'py>,
    recognizer: &Recognizer,
    options: &RecognizeOptions,
    artists: &Artists,
    recordings: &[Py<PyAny>],
    plan: Plan<'py>,
) -> PyResult<Bound<'py, PyList>> {
    let Plan { rate, jobs, progress, on_result, raises, cancel } = plan;
    // A class of bars, such as tqdm itself: one for this batch.
    let own = progress.as_ref().is_some_and(|p| p.is_instance_of::<PyType>() && is_bar(p));
    let progress = match progress {
        Some(class) if own => {
            Some(class.call((), Some(&[("total", recordings.len())].into_py_dict(py)?))?)
        }
        other => other,
    };
    if progress.as_ref().is_some_and(|p| !p.is_callable() && !is_bar(p)) {
        let text = "`progress` is tqdm, a bar with update(n) such as tqdm's, or a function of (done, total)";
        return Err(PyTypeError::new_err(text));
    }
    let cancelled = errors::of_recognition(Error::Cancelled).into_value(py);
    let results = PyList::new(py, recordings.iter().map(|_| &cancelled))?;
    let kept = results.clone().unbind();
    let [rate, progress, on_result] =
        [rate, progress, on_result].map(|given| given.map(Bound::unbind));

    let mut done = 0;
    let each = |py: Python<'_>, (number, outcome): (usize, Outcome), goes_on: bool| {
        done += 1;
        let (result, failure) = match outcome {
            Ok(Found { answer, name }) => {
                (answer::object(py, answer, artists, name.as_deref())?.unbind(), None)
            }
            Err(error) => (error.value(py).clone().into_any().unbind(), Some(error)),
        };
        kept.bind(py).set_item(number, &result)?;
        if !goes_on {
            return Ok(());
        }
        if let Some(on_result) = &on_result {
            on_result.call1(py, (number, result))?;
        }
        if let Some(progress) = &progress {
            report(progress.bind(py), done, recordings.len())?;
        }
        failure.filter(|_| raises).map_or(Ok(()), Err)
    };
    let work = |token: &leitmotif::CancelToken, give: &dyn Fn((usize, Outcome))| {
        let mut batch = Batch::new(recognizer).with_options(&options.clone().with_cancel(token));
        if let Some(jobs) = jobs {
            batch = batch.with_jobs(jobs);
        }
        let work = |recognizer: &Recognizer, options: &RecognizeOptions, given: &Py<PyAny>| {
            one(recognizer, options, given, rate.as_ref())
        };
        let give = |number, _: &Py<PyAny>, outcome| {
            give((number, outcome));
            Ok::<(), Infallible>(())
        };
        match batch.run_each(recordings, work, give) {
            Ok(count) => count,
        }
    };
    let ended = waiting::run_each(py, cancel.as_ref(), work, each);
    if let Some(bar) = progress.filter(|_| own) {
        bar.bind(py).call_method0(intern!(py, "close"))?;
    }
    match ended {
        Ok(_) => Ok(results),
        Err(error) => {
            error.value(py).setattr(intern!(py, "results"), &results)?;
            Err(error)
        }
    }
}

/// One recording, on a thread of the batch: read from Python when its turn has come, so that few are in memory.
fn one(
    recognizer: &Recognizer,
    options: &RecognizeOptions,
    given: &Py<PyAny>,
    rate: Option<&Py<PyAny>>,
) -> Outcome {
    let source =
        Python::try_attach(|py| Source::new(given.bind(py), rate.map(|rate| rate.bind(py))));
    let source = source.unwrap_or_else(|| Err(errors::of_recognition(Error::Exiting)))?;
    let name = source.name().map(Path::to_owned);
    let answer = source.recognize(recognizer, options).map_err(errors::of_recognition)?;
    Ok(Found { answer, name })
}

fn is_bar(progress: &Bound<'_, PyAny>) -> bool {
    progress.hasattr(intern!(progress.py(), "update")).unwrap_or(false)
}

fn report(progress: &Bound<'_, PyAny>, done: usize, count: usize) -> PyResult<()> {
    match is_bar(progress) {
        true => progress.call_method1(intern!(progress.py(), "update"), (1,)),
        false => progress.call1((done, count)),
    }
    .map(drop)
}
