//! Live audio.

use std::sync::{Mutex, MutexGuard, PoisonError};

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
        let found = py.detach(|| self.lock().push(&samples)).map_err(errors::of_recognition)?;
        found.map(|found| answer::object(py, found, &self.artists, None)).transpose()
    }

    /// Ends the audio: the answer for all of it. The listener begins anew.
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let found = py.detach(|| self.lock().finish()).map_err(errors::of_recognition)?;
        answer::object(py, found, &self.artists, None)
    }

    /// Forgets everything taken: another recording begins.
    fn reset(&self) -> PyResult<()> {
        self.lock().reset().map_err(errors::of_recognition)
    }

    /// Seconds of audio taken since the beginning or the last `reset`.
    #[getter]
    fn seconds(&self) -> f64 {
        self.lock().seconds()
    }

    fn __repr__(&self) -> String {
        format!("<Listener, {:.1} s>", self.lock().seconds())
    }
}

impl Listener {
    pub(crate) fn new(listener: leitmotif::Listener, artists: Artists) -> Self {
        Self { listener: Mutex::new(listener), artists }
    }

    fn lock(&self) -> MutexGuard<'_, leitmotif::Listener> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
