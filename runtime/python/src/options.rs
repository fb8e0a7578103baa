//! Keywords as the crate's options, and what they name: devices, libraries, a token that cancels.

use std::path::PathBuf;
use std::time::Duration;

use leitmotif::session::RuntimeInfo;
use leitmotif::{
    Average, Device, DevicePolicy, Engine, RecognizeOptions, SessionOptions, UnknownDevice,
};
use pyo3::exceptions::PyOverflowError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::{exception, of_recognition};
use crate::waiting;

/// Stops recognitions from another thread: all that were given it.
#[pyclass(frozen, module = "leitmotif")]
#[derive(Default)]
pub(crate) struct CancelToken(pub(crate) leitmotif::CancelToken);

#[pymethods]
impl CancelToken {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Cancels what has this token, now and later; it raises `CancelledError`.
    fn cancel(&self) {
        self.0.cancel();
    }

    /// Whether `cancel` was called.
    #[getter]
    fn cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    fn __repr__(&self) -> String {
        format!("<CancelToken{}>", if self.0.is_cancelled() { ", cancelled" } else { "" })
    }
}

/// A keyword of whole numbers, at least 0; `None` where it is `None`.
///
/// # Errors
///
/// `OptionError` for a number below or too large, which is of the right type; `TypeError` for what is none.
fn count(name: &str, given: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    given.extract().map_err(|error: PyErr| {
        if !error.is_instance_of::<PyOverflowError>(given.py()) {
            return error;
        }
        let text =
            format!("`{name}` cannot be {given}: give a whole number from 0 to {}", usize::MAX);
        exception("OptionError", text, None)
    })
}

/// The keyword `threads`.
pub(crate) fn threads(given: &Bound<'_, PyAny>) -> PyResult<usize> {
    count("threads", given).map(Option::unwrap_or_default)
}

/// The keyword `sessions`.
pub(crate) fn sessions(given: &Bound<'_, PyAny>) -> PyResult<usize> {
    count("sessions", given).map(Option::unwrap_or_default)
}

/// The keyword `memory_limit`.
pub(crate) fn memory_limit(given: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    count("memory_limit", given)
}

/// The keyword `top`.
pub(crate) fn top(given: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    count("top", given)
}

/// The keyword `hop`.
pub(crate) fn hop(given: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    count("hop", given)
}

/// The keyword `jobs`.
pub(crate) fn jobs(given: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    count("jobs", given)
}

/// Opens ONNX Runtime and describes it: the library, its build, and what keeps CUDA from running.
#[pyfunction]
#[pyo3(signature = (onnxruntime=None))]
pub(crate) fn runtime_info(
    py: Python<'_>,
    onnxruntime: Option<PathBuf>,
) -> PyResult<Bound<'_, PyAny>> {
    let library = library(py, onnxruntime)?;
    let info: RuntimeInfo =
        waiting::run(py, None, |_| leitmotif::session::runtime_info(library.as_deref()))?
            .map_err(of_recognition)?;
    let class =
        py.import(intern!(py, "leitmotif._answers"))?.getattr(intern!(py, "RuntimeInfo"))?;
    class.call1((info.library.to_string_lossy(), info.build, info.cuda_obstacle))
}

/// How a model is opened: the keywords of `Recognizer`, as they were given.
pub(crate) struct Opening {
    pub(crate) device: String,
    pub(crate) device_policy: String,
    pub(crate) threads: usize,
    pub(crate) sessions: usize,
    pub(crate) memory_limit: Option<usize>,
    pub(crate) release_memory: bool,
    pub(crate) spinning: bool,
    pub(crate) warm_up: bool,
    pub(crate) self_test: bool,
    pub(crate) tf32: bool,
    pub(crate) onnxruntime: Option<PathBuf>,
}

impl Opening {
    /// The crate's options. The engine is ONNX Runtime: never another one where its library is missing.
    ///
    /// # Errors
    ///
    /// `OptionError` for a device or a policy that there is not; `RuntimeLibraryError`.
    pub(crate) fn options(&self, py: Python<'_>) -> PyResult<SessionOptions> {
        let device: Device = self
            .device
            .parse()
            .map_err(|error: UnknownDevice| exception("OptionError", error.to_string(), None))?;
        let policy = match self.device_policy.as_str() {
            "strict" => DevicePolicy::Strict,
            "warn" => DevicePolicy::Warn,
            "allow" => DevicePolicy::Allow,
            other => {
                let text = format!(
                    "there is no device policy `{other}`: use \"strict\", \"warn\" or \"allow\""
                );
                return Err(exception("OptionError", text, None));
            }
        };
        let mut options = SessionOptions::on(device)
            .with_policy(policy)
            .with_engine(Engine::OnnxRuntime)
            .with_threads(self.threads)
            .with_sessions(self.sessions)
            .with_release_memory(self.release_memory)
            .with_spinning(self.spinning)
            .with_warm_up(self.warm_up)
            .with_self_test(self.self_test)
            .with_tf32(self.tf32);
        options.memory_limit = self.memory_limit;
        options.onnx_runtime = library(py, self.onnxruntime.clone())?;
        Ok(options)
    }

    /// The keywords again.
    pub(crate) fn keywords<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let keywords = PyDict::new(py);
        keywords.set_item("device", &self.device)?;
        keywords.set_item("device_policy", &self.device_policy)?;
        keywords.set_item("threads", self.threads)?;
        keywords.set_item("sessions", self.sessions)?;
        keywords.set_item("memory_limit", self.memory_limit)?;
        keywords.set_item("release_memory", self.release_memory)?;
        keywords.set_item("spinning", self.spinning)?;
        keywords.set_item("warm_up", self.warm_up)?;
        keywords.set_item("self_test", self.self_test)?;
        keywords.set_item("tf32", self.tf32)?;
        keywords.set_item("onnxruntime", &self.onnxruntime)?;
        Ok(keywords)
    }
}

/// How a recording is recognised: the keywords of `recognize`.
pub(crate) struct Recognizing {
    pub(crate) top: Option<usize>,
    pub(crate) timeline: bool,
    pub(crate) average: String,
    pub(crate) hop: Option<usize>,
    pub(crate) time_limit: Option<f64>,
}

impl Default for Recognizing {
    fn default() -> Self {
        let average = "probabilities".to_owned();
        Self { top: None, timeline: true, average, hop: None, time_limit: None }
    }
}

impl Recognizing {
    /// # Errors
    ///
    /// `OptionError` for what no recognition can have.
    pub(crate) fn options(&self) -> PyResult<RecognizeOptions> {
        let refuse = |text: String| exception("OptionError", text, None);
        let average = match self.average.as_str() {
            "probabilities" => Average::Probabilities,
            "logits" => Average::Logits,
            other => {
                let text =
                    format!("there is no average `{other}`: use \"probabilities\" or \"logits\"");
                return Err(refuse(text));
            }
        };
        if self.top == Some(0) {
            return Err(refuse("`top` is how many artists to return: at least 1".to_owned()));
        }
        let mut options =
            RecognizeOptions::new().with_timeline(self.timeline).with_average(average);
        (options.top, options.hop) = (self.top, self.hop);
        if let Some(seconds) = self.time_limit {
            let limit = Duration::try_from_secs_f64(seconds)
                .map_err(|_| refuse(format!("a time limit of {seconds} seconds is none")))?;
            options.time_limit = Some(limit);
        }
        Ok(options)
    }
}

/// The library to open: the caller's, or this Python's own; `None` where the variable names one, which the crate reads.
fn library(py: Python<'_>, requested: Option<PathBuf>) -> PyResult<Option<PathBuf>> {
    if requested.is_some() || std::env::var_os("ORT_DYLIB_PATH").is_some_and(|v| !v.is_empty()) {
        return Ok(requested);
    }
    py.import("leitmotif._library")?.call_method0("find")?.extract().map(Some)
}
