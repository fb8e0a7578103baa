//! A model that identifies artists.

use std::ffi::CString;
use std::path::PathBuf;

use numpy::PyArray1;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList, PyMemoryView, PyString, PyTuple};

use crate::answer::{self, Artists};
use crate::batch::{self, Plan};
use crate::errors::{exception, of_recognition};
use crate::listener::Listener;
use crate::options::{self, CancelToken, Opening, Recognizing};
use crate::source::{self, Source};
use crate::waiting;

/// Identifies artists with a model from one `.onnx` file.
///
/// Use one recognizer on as many threads as there are: it may be shared, and Python's lock is released. It can be
/// pickled where it was opened by its path, and is then opened again where it arrives.
#[pyclass(frozen, module = "leitmotif")]
pub(crate) struct Recognizer {
    recognizer: leitmotif::Recognizer,
    artists: Artists,
    opening: Opening,
    /// The absolute path by which it is opened again; `None` if it was opened from bytes.
    file: Option<PathBuf>,
}

#[pymethods]
impl Recognizer {
    /// Opens a model, by its path or from its bytes.
    ///
    /// `device`: "auto", "cpu", "cuda" or "cuda:N". "auto" takes CUDA where it can run; "cuda" runs there or raises.
    /// `device_policy`: "warn" says with a `DeviceWarning` what differs from the request, "strict" raises, "allow" is
    /// silent and lets "cuda", too, take the CPU.
    /// `threads`: CPU threads of one session, 0 for one for each core. `sessions`: recordings at once, 0 for one for
    /// each core, and one on a GPU. `memory_limit`: bytes that a session may take.
    /// `onnxruntime`: the library, or a folder that holds it; by default that of the package `onnxruntime`.
    #[new]
    #[pyo3(signature = (model, *, device="auto", device_policy="warn", threads=0, sessions=0, memory_limit=None,
        release_memory=false, spinning=false, warm_up=false, self_test=false, tf32=false, onnxruntime=None))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords")]
    fn new(
        py: Python<'_>,
        model: &Bound<'_, PyAny>,
        device: &str,
        device_policy: &str,
        #[pyo3(from_py_with = options::threads)] threads: usize,
        #[pyo3(from_py_with = options::sessions)] sessions: usize,
        #[pyo3(from_py_with = options::memory_limit)] memory_limit: Option<usize>,
        release_memory: bool,
        spinning: bool,
        warm_up: bool,
        self_test: bool,
        tf32: bool,
        onnxruntime: Option<PathBuf>,
    ) -> PyResult<Self> {
        let opening = Opening {
            device: device.to_owned(),
            device_policy: device_policy.to_owned(),
            threads,
            sessions,
            memory_limit,
            release_memory,
            spinning,
            warm_up,
            self_test,
            tf32,
            // It is pickled, and may arrive in another folder.
            onnxruntime: onnxruntime.map(|path| std::path::absolute(&path).unwrap_or(path)),
        };
        let options = opening.options(py)?;
        let (opened, file) = if let Ok(bytes) = model.cast::<PyBytes>() {
            let bytes = bytes.as_bytes();
            (waiting::run(py, None, |_| leitmotif::Recognizer::from_bytes(bytes, &options))?, None)
        } else {
            let path: PathBuf = model.extract().map_err(|_| {
                PyTypeError::new_err("a model is the path of an .onnx file, or its bytes")
            })?;
            let opened =
                waiting::run(py, None, |_| leitmotif::Recognizer::open_with(&path, &options))?;
            (opened, Some(std::path::absolute(&path).unwrap_or(path)))
        };
        let recognizer = opened.map_err(of_recognition)?;
        if let Some(text) = recognizer.warning() {
            let category = py.import(intern!(py, "leitmotif._errors"))?.getattr("DeviceWarning")?;
            PyErr::warn(py, &category, &CString::new(text).unwrap_or_default(), 1)?;
        }
        let artists = Artists::new(py, &recognizer.card().classes)?;
        Ok(Self { recognizer, artists, opening, file })
    }

    /// Identifies the artist of a recording: a path, the bytes of an audio file, a binary file object, which is read to
    /// its end, or an array of samples with its `rate`: floats in which full scale is 1, or int16; of shape (frames,),
    /// (frames, channels) or (channels, frames).
    ///
    /// `top`: most artists in the answer. `timeline`: whether segments are kept. `average`: "probabilities" or
    /// "logits".
    /// `hop`: samples at 16 kHz from one segment to the next. `time_limit`: seconds. `cancel`: a `CancelToken`.
    #[pyo3(signature = (source, /, *, rate=None, top=None, timeline=true, average="probabilities", hop=None,
        time_limit=None, cancel=None))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords")]
    fn recognize<'py>(
        &self,
        py: Python<'py>,
        source: &Bound<'py, PyAny>,
        rate: Option<&Bound<'py, PyAny>>,
        #[pyo3(from_py_with = options::top)] top: Option<usize>,
        timeline: bool,
        average: &str,
        #[pyo3(from_py_with = options::hop)] hop: Option<usize>,
        time_limit: Option<f64>,
        cancel: Option<&Bound<'py, CancelToken>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let average = average.to_owned();
        let how = Recognizing { top, timeline, average, hop, time_limit };
        let source = Source::new(source, rate)?;
        let name = source.name().map(ToOwned::to_owned);
        let found = self.answer(py, source, &how, cancel)?;
        answer::object(py, found, &self.artists, name.as_deref())
    }

    /// The embedding of a recording, an array of floats: its direction in the network's last layer. As `recognize`,
    /// which gives it as well, `answer.embedding`.
    #[pyo3(signature = (source, /, *, rate=None, cancel=None))]
    fn embed<'py>(
        &self,
        py: Python<'py>,
        source: &Bound<'py, PyAny>,
        rate: Option<&Bound<'py, PyAny>>,
        cancel: Option<&Bound<'py, CancelToken>>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let how = Recognizing { timeline: false, ..Recognizing::default() };
        let found = self.answer(py, Source::new(source, rate)?, &how, cancel)?;
        Ok(PyArray1::from_vec(py, found.embedding))
    }

    /// Recognises many recordings on threads and returns their answers in the same order. In the place of one that
    /// cannot be recognised is the exception (`errors="return"`), or the first is raised (`errors="raise"`). The iterable
    /// is read to its end before the first is recognised: give paths, which are opened in their turn, rather than arrays.
    ///
    /// `jobs`: recordings at once, by default one for each session. `progress`: tqdm, a bar with `update(n)` such as
    /// its, or a function of (done, total). `on_result`: a function of (number, result), as they are done. What they
    /// raise and Ctrl-C end the batch; the exception then has what is done as `results`.
    #[pyo3(signature = (sources, /, *, rate=None, jobs=None, progress=None, on_result=None, errors="return", top=None,
        timeline=true, average="probabilities", hop=None, time_limit=None, cancel=None))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords")]
    fn recognize_batch<'py>(
        &self,
        py: Python<'py>,
        sources: &Bound<'py, PyAny>,
        rate: Option<Bound<'py, PyAny>>,
        #[pyo3(from_py_with = options::jobs)] jobs: Option<usize>,
        progress: Option<Bound<'py, PyAny>>,
        on_result: Option<Bound<'py, PyAny>>,
        errors: &str,
        #[pyo3(from_py_with = options::top)] top: Option<usize>,
        timeline: bool,
        average: &str,
        #[pyo3(from_py_with = options::hop)] hop: Option<usize>,
        time_limit: Option<f64>,
        cancel: Option<&Bound<'py, CancelToken>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let raises = match errors {
            "return" => false,
            "raise" => true,
            other => {
                let text = format!("`errors` is {other:?}: use \"return\" or \"raise\"");
                return Err(exception("OptionError", text, None));
            }
        };
        let one = sources.is_instance_of::<PyString>()
            || sources.is_instance_of::<PyBytes>()
            || sources.is_instance_of::<PyByteArray>()
            || sources.is_instance_of::<PyMemoryView>()
            || sources.hasattr(intern!(py, "read"))?;
        if one || sources.try_iter().is_err() {
            let text = "a batch is a list of recordings, [recording]; one goes to `recognize`";
            return Err(PyTypeError::new_err(text));
        }
        let sources = sources
            .try_iter()?
            .map(|given| given.map(Bound::unbind))
            .collect::<PyResult<Vec<_>>>()?;
        let average = average.to_owned();
        let how = Recognizing { top, timeline, average, hop, time_limit };
        let cancel = cancel.map(|cancel| cancel.get().0.clone());
        let plan = Plan { rate, jobs, progress, on_result, raises, cancel };
        batch::run(py, &self.recognizer, &how.options()?, &self.artists, &sources, plan)
    }

    /// Takes live audio at this rate, mono: a `Listener`.
    #[pyo3(signature = (rate, *, top=None, average="probabilities", hop=None))]
    fn listen(
        &self,
        rate: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = options::top)] top: Option<usize>,
        average: &str,
        #[pyo3(from_py_with = options::hop)] hop: Option<usize>,
    ) -> PyResult<Listener> {
        let average = average.to_owned();
        let how = Recognizing { top, average, hop, ..Recognizing::default() };
        let listener = self.recognizer.listen(source::rate_of(rate)?, &how.options()?);
        Ok(Listener::new(listener.map_err(of_recognition)?, self.artists.clone()))
    }

    /// Runs the golden input of the model's card: does this machine compute what the trainer computed?
    fn self_test<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let test = waiting::run(py, None, |_| self.recognizer.self_test())?;
        answer::of_self_test(py, test.map_err(of_recognition)?)
    }

    /// The model's description of itself as a dictionary: artists, network, training data, scores.
    #[getter]
    fn card<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let card = self.recognizer.card().to_json();
        let card = card.map_err(|error| exception("ModelError", error.to_string(), None))?;
        py.import(intern!(py, "json"))?.call_method1(intern!(py, "loads"), (card,))
    }

    /// The artists that the model knows, in the order of its outputs.
    #[getter]
    fn artists<'py>(&self, py: Python<'py>) -> Bound<'py, PyTuple> {
        self.artists.tuple(py)
    }

    /// The model's file; "(in memory)" if it was opened from bytes.
    #[getter]
    fn path(&self) -> String {
        self.recognizer.path().to_string_lossy().into_owned()
    }

    /// The device taken: "cpu" or "cuda:N".
    #[getter]
    fn device(&self) -> String {
        self.recognizer.device().device.to_string()
    }

    /// Why that device was taken.
    #[getter]
    fn device_reason(&self) -> &str {
        &self.recognizer.device().why
    }

    /// What differs from the request, in one sentence; `None` where nothing does.
    #[getter]
    fn warning(&self) -> Option<String> {
        self.recognizer.warning()
    }

    /// For each of ONNX Runtime's execution providers the operators that it runs, and how many of each.
    #[getter]
    fn placement<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.recognizer.placement().providers.clone().into_pyobject(py)
    }

    /// Recordings that are recognised at once; further callers wait for their turn.
    #[getter]
    fn sessions(&self) -> usize {
        self.recognizer.most_sessions()
    }

    /// Seconds of one segment: a shorter recording has no answer.
    #[getter]
    fn segment_seconds(&self) -> f64 {
        let card = self.recognizer.card();
        card.sample_rate.seconds(card.segment_samples as u64)
    }

    fn __getnewargs_ex__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let Some(file) = &self.file else {
            let text =
                "a Recognizer that was opened from bytes cannot be pickled: open it by its path";
            return Err(PyTypeError::new_err(text));
        };
        Ok((PyTuple::new(py, [file])?, self.opening.keywords(py)?))
    }

    fn __repr__(&self) -> String {
        let name = self.recognizer.path().file_name().unwrap_or_default().to_string_lossy();
        let artists = self.recognizer.card().classes.len();
        format!("<Recognizer {name}: {artists} artists, on {}>", self.device())
    }
}

impl Recognizer {
    /// The crate's recognizer.
    pub(crate) fn model(&self) -> &leitmotif::Recognizer {
        &self.recognizer
    }

    fn answer(
        &self,
        py: Python<'_>,
        source: Source,
        how: &Recognizing,
        cancel: Option<&Bound<'_, CancelToken>>,
    ) -> PyResult<leitmotif::Answer> {
        let options = how.options()?;
        let cancel = cancel.map(|cancel| cancel.get().0.clone());
        let work = |token: &leitmotif::CancelToken| {
            source.recognize(&self.recognizer, &options.with_cancel(token))
        };
        waiting::run(py, cancel.as_ref(), work)?.map_err(of_recognition)
    }
}
