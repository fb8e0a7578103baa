//! What a caller gives as music: a path, the bytes of a file, a file object, or samples with their rate.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use leitmotif::audio::{AudioError, AudioReader};
use leitmotif::{Answer, Error, RecognizeOptions, Recognizer, SampleRate};
use numpy::{Element, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PyString};

use crate::errors::exception;

/// Most channels of samples: by this, the axis of an array that is its channels is known.
const MOST_CHANNELS: usize = 32;

/// Full scale of integers of 16 bits.
const FULL_SCALE: f32 = 32_768.0;

/// Music, free of Python.
pub(crate) enum Source {
    File(File),
    Samples { interleaved: Vec<f32>, channels: usize, rate: SampleRate },
}

/// An audio file: on a disk, or its bytes.
pub(crate) enum File {
    Path(PathBuf),
    Bytes { name: PathBuf, bytes: Vec<u8> },
}

impl Source {
    /// Reads what Python gives; `rate` is that of samples.
    ///
    /// # Errors
    ///
    /// Those of [`File::new`]; `TypeError` for samples without a rate and for a rate beside a file; `AudioError` for
    /// arrays of another shape, type or rate.
    pub(crate) fn new(given: &Bound<'_, PyAny>, rate: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let Some(array) = as_array(given)? else {
            if rate.is_some() {
                let text = "`rate` is that of an array; a file states its own: leave it out";
                return Err(PyTypeError::new_err(text));
            }
            return File::new(given).map(Source::File);
        };
        let Some(rate) = rate else {
            let text = "an array needs its rate in Hz: recognize(samples, rate=44100)";
            return Err(PyTypeError::new_err(text));
        };
        let rate = rate_of(rate)?;
        let (interleaved, channels) = interleaved(&array)?;
        Ok(Source::Samples { interleaved, channels, rate })
    }

    /// The recording's path or name.
    pub(crate) fn name(&self) -> Option<&Path> {
        match self {
            Source::File(File::Path(name) | File::Bytes { name, .. }) => Some(name),
            Source::Samples { .. } => None,
        }
    }

    pub(crate) fn recognize(
        self,
        recognizer: &Recognizer,
        options: &RecognizeOptions,
    ) -> Result<Answer, Error> {
        match self {
            Source::File(File::Path(path)) => recognizer.recognize_file_with(path, options),
            Source::File(File::Bytes { name, bytes }) => {
                recognizer.recognize_reader(Cursor::new(bytes), name, options)
            }
            Source::Samples { interleaved, channels, rate } => {
                recognizer.recognize_interleaved(&interleaved, channels, rate, options)
            }
        }
    }
}

impl File {
    /// Reads what Python gives for a file.
    ///
    /// # Errors
    ///
    /// `TypeError` for what is none, and whatever a file object's `read` raises.
    pub(crate) fn new(given: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = given.py();
        if let Some(bytes) = as_bytes(given)? {
            return Ok(File::Bytes { name: "(bytes)".into(), bytes });
        }
        if let Ok(path) = given.extract::<PathBuf>() {
            return Ok(File::Path(path));
        }
        let read = intern!(py, "read");
        if !given.hasattr(read)? {
            let kind = given.get_type().name().map_or_else(|_| "?".to_owned(), |n| n.to_string());
            return Err(PyTypeError::new_err(format!(
                "an object of type `{kind}` is no recording: give a path, the bytes of an audio file, a binary file \
                 object, or a NumPy array with rate="
            )));
        }
        let Some(bytes) = as_bytes(&given.call_method0(read)?)? else {
            let text =
                "the file object does not give bytes: open it in binary mode, open(path, \"rb\")";
            return Err(PyTypeError::new_err(text));
        };
        // That of a temporary file is a number.
        let name = given.getattr_opt(intern!(py, "name"))?;
        let name = name.and_then(|name| name.extract::<PathBuf>().ok());
        Ok(File::Bytes { name: name.unwrap_or_else(|| "(file object)".into()), bytes })
    }

    /// Opens it to be decoded to the network's rate.
    pub(crate) fn decode(self) -> Result<AudioReader, AudioError> {
        match self {
            File::Path(path) => AudioReader::open(&path, SampleRate::NETWORK),
            File::Bytes { name, bytes } => {
                AudioReader::from_reader(Cursor::new(bytes), &name, SampleRate::NETWORK)
            }
        }
    }
}

/// A rate in Hz; librosa, for one, gives whole numbers as floats.
pub(crate) fn rate_of(rate: &Bound<'_, PyAny>) -> PyResult<SampleRate> {
    if let Ok(rate) = rate.extract::<u32>() {
        return Ok(SampleRate(rate));
    }
    match rate.extract::<f64>() {
        Ok(number) if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) => {
            Ok(SampleRate(number as u32))
        }
        Ok(number) => {
            let text = format!(
                "a rate of {number} Hz cannot be used: give a whole number from 1,000 to 768,000"
            );
            Err(exception("AudioError", text, None))
        }
        Err(_) => Err(PyTypeError::new_err("`rate` is a number of Hz, such as 44100")),
    }
}

/// Mono samples in floats, for live audio.
pub(crate) fn mono(given: &Bound<'_, PyAny>) -> PyResult<Vec<f32>> {
    let Some(array) = as_array(given)? else {
        return Err(PyTypeError::new_err("samples are a NumPy array of one dimension"));
    };
    if array.ndim() != 1 {
        let text = format!(
            "samples of shape {} are not mono: give one dimension, e.g. chunk.mean(axis=1)",
            shape(&array)
        );
        return Err(exception("AudioError", text, None));
    }
    interleaved(&array).map(|(samples, _)| samples)
}

/// Values of an embedding.
pub(crate) fn floats(array: &Bound<'_, PyAny>) -> PyResult<Vec<f32>> {
    let py = array.py();
    let numpy = py.import(intern!(py, "numpy"))?;
    let array = numpy.call_method1(intern!(py, "ascontiguousarray"), (array, "float32"))?;
    let array: PyReadonlyArrayDyn<'_, f32> = array.extract()?;
    Ok(array.as_slice()?.to_vec())
}

/// Whether it is an array of NumPy or becomes one, such as a tensor of another library. NumPy's own strings would, too,
/// and are paths or bytes.
pub(crate) fn is_array(given: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = given.py();
    let text = given.is_instance_of::<PyString>() || given.is_instance_of::<PyBytes>();
    Ok(!text
        && !given.hasattr(intern!(py, "__fspath__"))?
        && given.hasattr(intern!(py, "__array__"))?)
}

fn as_array<'py>(given: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyUntypedArray>>> {
    if !is_array(given)? {
        return Ok(None);
    }
    if let Ok(array) = given.cast::<PyUntypedArray>() {
        return Ok(Some(array.clone()));
    }
    let py = given.py();
    let array = py.import(intern!(py, "numpy"))?.call_method1(intern!(py, "asarray"), (given,))?;
    Ok(Some(array.cast_into::<PyUntypedArray>()?))
}

fn as_bytes(given: &Bound<'_, PyAny>) -> PyResult<Option<Vec<u8>>> {
    if let Ok(bytes) = given.cast::<PyBytes>() {
        return Ok(Some(bytes.as_bytes().to_vec()));
    }
    if !given.is_instance_of::<PyByteArray>() && !given.is_instance_of::<PyMemoryView>() {
        return Ok(None);
    }
    let bytes = given.py().get_type::<PyBytes>().call1((given,))?;
    Ok(Some(bytes.cast::<PyBytes>()?.as_bytes().to_vec()))
}

/// The samples frame by frame, in floats where full scale is 1, and the number of channels.
fn interleaved(array: &Bound<'_, PyUntypedArray>) -> PyResult<(Vec<f32>, usize)> {
    let py = array.py();
    let dtype = array.dtype();
    let kind: char = dtype.getattr(intern!(py, "kind"))?.extract()?;
    let bytes: usize = dtype.getattr(intern!(py, "itemsize"))?.extract()?;
    let integers = match (kind, bytes) {
        ('f', _) => false,
        ('i', 2) => true,
        _ => return Err(exception("AudioError", advice(&dtype.to_string(), kind, bytes), None)),
    };
    let (channels, transposed) = match *array.shape() {
        [_] => (1, false),
        [channels @ 1..=MOST_CHANNELS, frames] if frames > MOST_CHANNELS => (channels, true),
        [frames, channels @ 1..=MOST_CHANNELS] if frames > MOST_CHANNELS => (channels, false),
        _ => {
            let text = format!(
                "an array of shape {} is no recording: give (frames,), (frames, channels) or (channels, frames), \
                 with at most {MOST_CHANNELS} channels, fewer than frames; several recordings go to \
                 recognize_batch one by one",
                shape(array)
            );
            return Err(exception("AudioError", text, None));
        }
    };
    let frames_first: Bound<'_, PyAny> =
        if transposed { array.getattr(intern!(py, "T"))? } else { array.clone().into_any() };
    // The usual ones by one copy; the rest NumPy converts first, without Python's lock.
    let copied = copied(&frames_first, |sample: f32| sample)
        .or_else(|| copied(&frames_first, |sample: f64| sample as f32))
        .or_else(|| copied(&frames_first, |sample: i16| f32::from(sample) / FULL_SCALE));
    let samples = match copied {
        Some(samples) => samples,
        None => {
            let full_scale = if integers { FULL_SCALE } else { 1.0 };
            let mut samples = floats(&frames_first)?;
            py.detach(|| samples.iter_mut().for_each(|sample| *sample /= full_scale));
            samples
        }
    };
    Ok((samples, channels))
}

/// The values of an array of this type that lies in memory in its own order.
fn copied<T: Element + Copy>(
    array: &Bound<'_, PyAny>,
    float: impl Fn(T) -> f32,
) -> Option<Vec<f32>> {
    let array: PyReadonlyArrayDyn<'_, T> = array.extract().ok()?;
    let values = array.is_c_contiguous().then(|| array.as_slice().ok()).flatten()?;
    Some(values.iter().map(|value| float(*value)).collect())
}

/// Why an array of this type is no audio, and what to do.
fn advice(name: &str, kind: char, bytes: usize) -> String {
    let remedy = match (kind, bytes) {
        ('i', 4) => "divide it by 2147483648.0",
        ('u', 1) => "subtract 128.0 and divide it by 128.0",
        _ => "give floats in which full scale is 1, or int16",
    };
    format!("an array of {name} has no known scale: {remedy}")
}

fn shape(array: &Bound<'_, PyUntypedArray>) -> String {
    let text = array
        .getattr("shape")
        .and_then(|shape| shape.str().map(|text: Bound<'_, PyString>| text.to_string()));
    text.unwrap_or_else(|_| format!("{:?}", array.shape()))
}
