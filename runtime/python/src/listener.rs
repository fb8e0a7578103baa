//! Live audio.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

use crate::answer::{self, Artists};
use crate::{errors, source};

/// Identifies the artist of live audio, in chunks of any size; `Recognizer.listen` makes one.
///
/// The answer after a chunk is that for everything since the beginning or `reset`; its timeline has the segments of
/// this chunk alone, so that memory does not grow.
#[pyclass(frozen, module = "leitmotif")]
pub(crate) struct Listener {
    listener: Mutex<leitmotif::Listener>,
    artists: Artists,
}

#[pymethods]
impl Listener {
    /// Takes the next mono samples, floats or int16; the answer so far if they complete a segment, else `None`.
    fn push<'py>(
        &self,
        py: Python<'py>,
        samples: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let samples = source::mono(samples)?;
        let found =
            self.with(py, |listener| listener.push(&samples)).map_err(errors::of_recognition)?;
        found.map(|found| answer::object(py, found, &self.artists, None)).transpose()
    }

    /// Ends the audio: the answer for all of it. The listener begins anew.
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let found = self.with(py, |listener| listener.finish()).map_err(errors::of_recognition)?;
        answer::object(py, found, &self.artists, None)
    }

    /// Forgets everything taken: another recording begins.
    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |listener| listener.reset()).map_err(errors::of_recognition)
    }

    /// Seconds of audio taken since the beginning or the last `reset`.
    #[getter]
    fn seconds(&self, py: Python<'_>) -> f64 {
        self.with(py, |listener| listener.seconds())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<Listener, {:.1} s>", self.seconds(py))
    }
}

impl Listener {
    pub(crate) fn new(listener: leitmotif::Listener, artists: Artists) -> Self {
        Self { listener: Mutex::new(listener), artists }
    }

    /// Works on it without Python's lock, with which nobody may wait for the mutex: whoever holds that is recognising.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut leitmotif::Listener) -> T + Send,
    ) -> T {
        py.detach(|| work(&mut self.listener.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
