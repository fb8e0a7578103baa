//! Files as the samples that training and serving read.

use leitmotif::audio::AudioError;
use numpy::PyArray1;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::errors;
use crate::source::{self, File};
use crate::waiting;

/// Decodes an audio file (its path, its bytes or a binary file object) to the samples that training and serving read:
/// mono, 16 kHz, floats in [-1, 1]. A model's graph takes them as they are, as `samples[None]`.
#[pyfunction]
#[pyo3(signature = (source, /))]
pub(crate) fn decode<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    if source::is_array(source)? {
        return Err(PyTypeError::new_err("an array is decoded already: give a file"));
    }
    let file = File::new(source)?;
    let samples = waiting::run(py, None, move |token| {
        let mut reader = file.decode()?;
        let mut samples = Vec::new();
        while reader.read(&mut samples)? > 0 && !token.is_cancelled() {}
        Ok::<_, AudioError>(samples)
    })?;
    samples.map(|samples| PyArray1::from_vec(py, samples)).map_err(|error| errors::of_audio(&error))
}
