//! Answers as the objects of `python/leitmotif/_answers.py`.

use std::path::Path;
use std::sync::Arc;

use leitmotif::audio::{AudioInfo, AudioNote};
use leitmotif::{Answer, GalleryAnswer, Moment, SelfTest};
use numpy::{PyArray1, PyArrayMethods};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// The model's artists, once in Rust and once in Python.
#[derive(Clone)]
pub(crate) struct Artists(Arc<Py<PyTuple>>);

impl Artists {
    pub(crate) fn new(py: Python<'_>, names: &[String]) -> PyResult<Self> {
        Ok(Self(Arc::new(PyTuple::new(py, names)?.unbind())))
    }

    pub(crate) fn tuple<'py>(&self, py: Python<'py>) -> Bound<'py, PyTuple> {
        self.0.bind(py).clone()
    }
}

/// An `Answer`.
pub(crate) fn object<'py>(
    py: Python<'py>,
    answer: Answer,
    artists: &Artists,
    source: Option<&Path>,
) -> PyResult<Bound<'py, PyAny>> {
    let ranked = class(py, "RankedArtist")?;
    let ranking = answer.artists.iter().map(|a| ranked.call1((&a.artist, a.probability, a.class)));
    let values = PyDict::new(py);
    values.set_item("artists", PyTuple::new(py, ranking.collect::<PyResult<Vec<_>>>()?)?)?;
    values.set_item("unknown", answer.unknown())?;
    values.set_item("silent", answer.is_silent())?;
    values.set_item("certainty", answer.certainty)?;
    values.set_item("min_certainty", answer.min_certainty)?;
    values.set_item("seconds", answer.seconds)?;
    values.set_item("used_seconds", answer.used_seconds)?;
    values.set_item("peak", answer.peak)?;
    values.set_item("segments", answer.segments)?;
    values.set_item("windows", answer.windows)?;
    values.set_item("network_seconds", answer.timing.network.as_secs_f64())?;
    values.set_item("total_seconds", answer.timing.total.as_secs_f64())?;
    values.set_item("audio", answer.audio.as_ref().map(|info| audio(py, info)).transpose()?)?;
    values.set_item("timeline", timeline(py, &answer.timeline, artists)?)?;
    values.set_item("embedding", PyArray1::from_vec(py, answer.embedding))?;
    values.set_item("uncalibrated", PyArray1::from_vec(py, answer.uncalibrated))?;
    values.set_item("source", source.map(|path| path.to_string_lossy().into_owned()))?;
    class(py, "Answer")?.call((), Some(&values))
}

/// A `GalleryAnswer`.
pub(crate) fn of_gallery<'py>(
    py: Python<'py>,
    answer: &GalleryAnswer,
) -> PyResult<Bound<'py, PyAny>> {
    let similar = class(py, "SimilarArtist")?;
    let artists = answer.artists.iter().map(|a| similar.call1((&a.artist, a.similarity)));
    let artists = PyTuple::new(py, artists.collect::<PyResult<Vec<_>>>()?)?;
    class(py, "GalleryAnswer")?.call1((artists, answer.unknown(), answer.min_similarity))
}

/// A `SelfTest`.
pub(crate) fn of_self_test(py: Python<'_>, test: SelfTest) -> PyResult<Bound<'_, PyAny>> {
    let SelfTest { largest_difference, tolerance, same_best, .. } = test;
    let passed = test.passed();
    class(py, "SelfTest")?.call1((passed, largest_difference, tolerance, test.artist, same_best))
}

fn timeline<'py>(
    py: Python<'py>,
    moments: &[Moment],
    artists: &Artists,
) -> PyResult<Bound<'py, PyAny>> {
    let seconds = |of: fn(&Moment) -> f64| PyArray1::from_iter(py, moments.iter().map(of));
    let windows = PyArray1::from_iter(py, moments.iter().map(|m| m.window as i64));
    let flat =
        PyArray1::from_iter(py, moments.iter().flat_map(|m| m.probabilities.iter().copied()));
    let artists = artists.tuple(py);
    let probabilities = flat.reshape([moments.len(), artists.len()])?;
    let (starts, ends) = (seconds(|m| m.start_seconds), seconds(|m| m.end_seconds));
    class(py, "Timeline")?.call1((starts, ends, windows, probabilities, artists))
}

fn audio<'py>(py: Python<'py>, info: &AudioInfo) -> PyResult<Bound<'py, PyAny>> {
    let notes = info.notes.iter().map(|note| audio_note(py, note));
    class(py, "AudioInfo")?.call1((
        &info.codec,
        info.sample_rate.0,
        info.channels,
        info.duration_seconds,
        info.skipped_packets,
        info.lost_seconds,
        info.truncated,
        PyTuple::new(py, notes.collect::<PyResult<Vec<_>>>()?)?,
    ))
}

fn audio_note<'py>(py: Python<'py>, note: &AudioNote) -> PyResult<Bound<'py, PyAny>> {
    let values = PyDict::new(py);
    let kind = match note {
        AudioNote::WrongHeader => "wrong_header",
        AudioNote::BytesBefore { bytes } => {
            values.set_item("bytes", bytes)?;
            "bytes_before"
        }
        AudioNote::Scaled { peak } => {
            values.set_item("peak", peak)?;
            "scaled"
        }
        AudioNote::Cancelling { seconds } => {
            values.set_item("seconds", seconds)?;
            "cancelling"
        }
        _ => "other",
    };
    class(py, "AudioNote")?.call1((kind, note.to_string(), values))
}

fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import(intern!(py, "leitmotif._answers"))?.getattr(name)
}
