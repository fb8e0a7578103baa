//! Files as the samples that training and serving read.

use std::io::Cursor;

use leitmotif::SampleRate;
use leitmotif::audio::{AudioError, AudioReader};
use numpy::PyArray1;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::errors;
use crate::source::Source;
use crate::waiting;

/// Decodes a file, its bytes or a binary file object to the samples that training and serving read: mono, 16 kHz, floats
/// in [-1, 1]. A model's graph takes them as they are, as `samples[None]`.
#[pyfunction]
#[pyo3(signature = (source, /))]
pub(crate) fn decode<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let source = match Source::new(source, None) {
        Ok(Source::Samples { .. }) => None,
        other => Some(other?),
    };
    let open = move || match source? {
        Source::File(path) => Some(AudioReader::open(&path, SampleRate::NETWORK)),
        Source::Bytes { name, bytes } => {
            Some(AudioReader::from_reader(Cursor::new(bytes), &name, SampleRate::NETWORK))
        }
        Source::Samples { .. } => None,
    };
    let samples = waiting::run(py, None, move |token| {
        let mut reader = open().transpose()?;
        let mut samples = Vec::new();
        while let Some(reader) = &mut reader
            && reader.read(&mut samples)? > 0
            && !token.is_cancelled()
        {}
        Ok::<_, AudioError>(reader.map(|_| samples))
    })?;
    match samples.map_err(|error| errors::of_audio(&error))? {
        Some(samples) => Ok(PyArray1::from_vec(py, samples)),
        None => Err(PyTypeError::new_err("an array is decoded already: give a file")),
    }
}
