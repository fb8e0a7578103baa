//! A network loaded into ONNX Runtime. The only file that knows `ort`, whose types stay inside it.
//!
//! ONNX Runtime is opened once in a process, when the first session is, and stays open; see
//! [`SessionOptions::onnx_runtime`] for where it is looked for. Sessions may be opened on many threads at once.
//! [`Session::run`] takes `&mut self` because ONNX Runtime's `Run` is not safe on all its devices when two
//! threads share a session: open one session per thread, or put one in a `Mutex`.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use leitmotif_models::{CARD_VERSION, Card, CardError};
use ort::ep::{self, ExecutionProvider};
use ort::memory::Allocator;
use ort::session::builder::{AutoDevicePolicy, SessionBuilder};
use ort::session::{OutputSelector, RunOptions, SessionOutputs};
use ort::value::{Tensor, TensorElementType, TensorRef, ValueType};

use crate::device::{Device, DeviceTaken};
use crate::error::Error;
use crate::library::{self, Place};

/// How a session is opened.
///
/// ```
/// use leitmotif::{Device, SessionOptions};
///
/// let options = SessionOptions::on(Device::Cpu).with_threads(1);
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SessionOptions {
    /// The device asked for.
    pub device: Device,
    /// CPU threads of one run; 0 leaves the number to ONNX Runtime (one per physical core). More than
    /// [`MOST_THREADS`](Self::MOST_THREADS) are not started.
    pub threads: usize,
    /// ONNX Runtime's library. `None` takes the first that exists of: the variable `ORT_DYLIB_PATH`; beside the
    /// program; what `make setup` unpacked in the checkout that this crate was compiled in; the system's own.
    pub onnx_runtime: Option<PathBuf>,
    /// Lets CUDA round the factors of its products to TF32, ten bits of mantissa: faster, and answers move by up to
    /// some 1e-3. The CPU never does.
    pub tf32: bool,
    /// Begins the name of a file in which ONNX Runtime notes what every node did and where it ran, once
    /// [`Session::end_profile`] is called.
    pub profile: Option<PathBuf>,
}

impl SessionOptions {
    /// ONNX Runtime makes as many threads as it is told, and the memory for each.
    pub const MOST_THREADS: usize = 1024;

    /// On this device, all else as by default.
    pub fn on(device: Device) -> Self {
        Self { device, ..Self::default() }
    }

    /// With so many CPU threads; see [`threads`](Self::threads).
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// With this library of ONNX Runtime; see [`onnx_runtime`](Self::onnx_runtime).
    pub fn with_onnx_runtime(self, library: impl Into<PathBuf>) -> Self {
        Self { onnx_runtime: Some(library.into()), ..self }
    }

    /// With or without [`tf32`](Self::tf32).
    pub fn with_tf32(self, tf32: bool) -> Self {
        Self { tf32, ..self }
    }

    /// With a profile; see [`profile`](Self::profile).
    pub fn with_profile(self, begins: impl Into<PathBuf>) -> Self {
        Self { profile: Some(begins.into()), ..self }
    }
}

/// A network ready to run.
#[derive(Debug)]
pub struct Session {
    session: ort::session::Session,
    device: DeviceTaken,
    /// The model's file, for errors.
    path: PathBuf,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

/// An input or output as the graph declares it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its dimensions, `None` where any size will do; `None` as a whole where it is no tensor of `f32`.
    pub dims: Option<Vec<Option<usize>>>,
}

/// An output of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Name of the output.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its values, the last dimension next to each other.
    pub data: Vec<f32>,
}

/// What ONNX Runtime this process uses and what it could run on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RuntimeInfo {
    /// The library's file; a bare name where the system's loader found it.
    pub library: PathBuf,
    /// How it was built, in its own words.
    pub build: String,
    /// What keeps CUDA from running, as far as can be told without a model; `None` where nothing is known to.
    pub cuda_obstacle: Option<String>,
}

impl Session {
    /// Loads the model in `path`.
    ///
    /// # Errors
    ///
    /// [`Error::ModelUnreadable`], and those of [`Session::from_bytes`].
    pub fn open(path: &Path, options: &SessionOptions) -> Result<Self, Error> {
        let unreadable = |source| Error::ModelUnreadable { path: path.to_owned(), source };
        // Looked at before reading: a pipe would be waited for, a device would never end.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(unreadable(io::Error::other("it is not a regular file")));
        }
        let model = std::fs::read(path).map_err(unreadable)?;
        Self::load(&model, path, options)
    }

    /// Loads the model that `model` holds: the content of an `.onnx` file. Errors call it "(in memory)".
    ///
    /// # Errors
    ///
    /// [`Error::ModelRefused`] for a truncated file or another kind of file, [`Error::CudaUnavailable`] where
    /// CUDA was asked for and cannot run, [`Error::OnnxRuntimeMissing`], [`Error::OnnxRuntimeUnusable`] or
    /// [`Error::OnnxRuntimeOpen`].
    pub fn from_bytes(model: &[u8], options: &SessionOptions) -> Result<Self, Error> {
        Self::load(model, Path::new("(in memory)"), options)
    }

    fn load(model: &[u8], path: &Path, options: &SessionOptions) -> Result<Self, Error> {
        let runtime = Runtime::open(options.onnx_runtime.as_deref())?;
        let refused = |reason| Error::ModelRefused { path: path.to_owned(), reason };
        if model.is_empty() {
            return Err(refused("the file is empty".to_owned()));
        }
        let on = |cuda| runtime.load(model, cuda, options);
        let on_cpu = |why: &str| -> Result<_, Error> {
            let taken = DeviceTaken { device: Device::Cpu, why: why.to_owned() };
            Ok((on(None).map_err(refused)?, taken))
        };
        let (session, device) = match options.device {
            Device::Cpu => on_cpu("asked for")?,
            Device::Cuda(number) => match on(Some(number)) {
                Ok(session) => {
                    (session, DeviceTaken { device: options.device, why: "asked for".to_owned() })
                }
                Err(reason) => {
                    // A model that the CPU refuses too is the model's fault, not CUDA's.
                    on_cpu("")?;
                    return Err(Error::CudaUnavailable { reason: runtime.explain(reason) });
                }
            },
            Device::Auto => match runtime.cuda_obstacle() {
                Some(obstacle) => on_cpu(&format!("no CUDA: {obstacle}"))?,
                None => match on(Some(0)) {
                    Ok(session) => {
                        let why = "CUDA can run here".to_owned();
                        (session, DeviceTaken { device: Device::Cuda(0), why })
                    }
                    Err(reason) => on_cpu(&format!("CUDA cannot run: {reason}"))?,
                },
            },
        };
        let inputs = session.inputs().iter().map(port).collect();
        let outputs = session.outputs().iter().map(port).collect();
        Ok(Self { session, device, path: path.to_owned(), inputs, outputs })
    }

    /// The value under `key` in the model's `metadata_props`; `None` where there is none.
    pub fn metadata(&self, key: &str) -> Option<String> {
        self.session.metadata().ok()?.custom(key)
    }

    /// What the model says of itself.
    ///
    /// # Errors
    ///
    /// [`Error::NoCard`], [`Error::CardVersion`] and [`Error::BadCard`] where it does not say so, or not in a way that can
    /// be read.
    pub fn card(&self) -> Result<Card, Error> {
        let path = || self.path.clone();
        let text = self.metadata(Card::KEY).ok_or_else(|| Error::NoCard { path: path() })?;
        Card::from_json(&text).map_err(|source| match source {
            CardError::Version { found } => {
                Error::CardVersion { path: path(), found, supported: CARD_VERSION }
            }
            source => Error::BadCard { path: path(), source },
        })
    }

    /// What the graph takes, in its order.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// What the graph gives, in its order.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// The device taken, and why.
    pub fn device(&self) -> &DeviceTaken {
        &self.device
    }

    /// The model's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs the network: each input is its name, its dimensions and its values, all outputs come back in the
    /// graph's order.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] where ONNX Runtime fails: an unknown or missing input, dimensions that do not fit the graph
    /// or the number of values, an output that is no tensor of `f32`, no memory left.
    pub fn run(&mut self, inputs: &[(&str, &[usize], &[f32])]) -> Result<Vec<NamedTensor>, Error> {
        let outputs = run(&mut self.session, inputs);
        outputs.map_err(|source| self.failed(&source))
    }

    /// Writes the profile that [`SessionOptions::profile`] asked for, a JSON list of events, and gives its file.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] where none was asked for or it cannot be written.
    pub fn end_profile(&mut self) -> Result<PathBuf, Error> {
        match self.session.end_profiling() {
            Ok(file) if !file.is_empty() => Ok(file.into()),
            Ok(_) => Err(self.failed(&io::Error::other("no profile was asked for"))),
            Err(source) => Err(self.failed(&source)),
        }
    }

    /// Runs the network for the outputs named, each with the dimensions it will have, which come back in that order.
    ///
    /// For programs that run for long: `ort` rc.14 forgets to free the description of every output whose dimensions it
    /// learns from ONNX Runtime, some 300 bytes each, and never learns those that are given.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] as for [`run`](Self::run), and where an output has other dimensions or is none of the graph's.
    pub(crate) fn run_shaped(
        &mut self,
        inputs: &[(&str, &[usize], &[f32])],
        outputs: &[(&str, &[usize])],
    ) -> Result<Vec<NamedTensor>, Error> {
        let outputs = run_shaped(&mut self.session, inputs, outputs);
        outputs.map_err(|source| self.failed(&source))
    }

    fn failed(&self, source: &dyn std::error::Error) -> Error {
        Error::Run {
            path: self.path.clone(),
            device: self.device.device.to_string(),
            reason: one_line(source),
        }
    }
}

/// What ONNX Runtime would be used; opens it. `asked` as in [`SessionOptions::onnx_runtime`].
///
/// # Errors
///
/// [`Error::OnnxRuntimeMissing`], [`Error::OnnxRuntimeUnusable`] or [`Error::OnnxRuntimeOpen`].
pub fn runtime_info(asked: Option<&Path>) -> Result<RuntimeInfo, Error> {
    let runtime = Runtime::open(asked)?;
    let mut cuda_obstacle = runtime.cuda_obstacle();
    if cuda_obstacle.is_none() {
        cuda_obstacle = runtime.builder(Some(0), &SessionOptions::default()).err();
    }
    Ok(RuntimeInfo {
        library: runtime.library.clone(),
        build: ort::info().to_owned(),
        cuda_obstacle,
    })
}

type Tensors<'a> = Vec<(&'a str, TensorRef<'a, f32>)>;

fn tensors<'a>(inputs: &[(&'a str, &[usize], &'a [f32])]) -> ort::Result<Tensors<'a>> {
    inputs
        .iter()
        .map(|(name, shape, data)| {
            Ok((*name, TensorRef::from_array_view((shape.to_vec(), *data))?))
        })
        .collect()
}

fn run(
    session: &mut ort::session::Session,
    inputs: &[(&str, &[usize], &[f32])],
) -> ort::Result<Vec<NamedTensor>> {
    named(&session.run(tensors(inputs)?)?)
}

fn run_shaped(
    session: &mut ort::session::Session,
    inputs: &[(&str, &[usize], &[f32])],
    outputs: &[(&str, &[usize])],
) -> ort::Result<Vec<NamedTensor>> {
    let mut selector = OutputSelector::no_default();
    for (name, shape) in outputs {
        let tensor = Tensor::<f32>::new(&Allocator::default(), shape.to_vec())?;
        selector = selector.with(*name).preallocate(*name, tensor);
    }
    let options = RunOptions::new()?.with_outputs(selector);
    named(&session.run_with_options(tensors(inputs)?, &options)?)
}

fn named(outputs: &SessionOutputs<'_>) -> ort::Result<Vec<NamedTensor>> {
    outputs
        .iter()
        .map(|(name, value)| {
            let (shape, data) = value.try_extract_tensor::<f32>()?;
            let shape = shape.iter().map(|dim| usize::try_from(*dim).unwrap_or(0)).collect();
            Ok(NamedTensor { name: name.to_owned(), shape, data: data.to_vec() })
        })
        .collect()
}

fn port(outlet: &ort::value::Outlet) -> Port {
    let dims = match outlet.dtype() {
        ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } => {
            Some(shape.iter().map(|dim| usize::try_from(*dim).ok()).collect())
        }
        _ => None,
    };
    Port { name: outlet.name().to_owned(), dims }
}

/// ONNX Runtime, open for the rest of the process.
#[derive(Clone)]
struct Runtime {
    environment: ort::environment::Environment,
    library: PathBuf,
}

/// `ort` allows one environment in a process, and drops ONNX Runtime's with the last handle to it.
static OPEN: Mutex<Option<Runtime>> = Mutex::new(None);

impl Runtime {
    fn open(asked: Option<&Path>) -> Result<Self, Error> {
        let mut open: MutexGuard<'_, _> = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*open {
            return match asked {
                Some(asked) if !same_file(asked, &runtime.library) => {
                    Err(Error::OnnxRuntimeOpen { open: runtime.library.clone() })
                }
                _ => Ok(runtime.clone()),
            };
        }
        let runtime = Self::start(library::find(asked))?;
        Ok(open.insert(runtime).clone())
    }

    fn start(place: Place) -> Result<Self, Error> {
        let library = probe(place)?;
        let unusable = |reason| Error::OnnxRuntimeUnusable { path: library.clone(), reason };
        let environment = without_panic(|| {
            let builder = ort::init_from(&library).map_err(|e| one_line(&e))?;
            let builder = builder.with_name("leitmotif").with_telemetry(false);
            builder.build().map_err(|e| one_line(&e))
        });
        let environment = environment.map_err(unusable)?;
        if std::env::var_os("ORT_LOG").is_none() {
            // Errors come back as errors; a library has no business on its host's standard error.
            environment.set_log_level(ort::logging::LogLevel::Fatal);
        }
        Ok(Self { environment, library })
    }

    fn load(
        &self,
        model: &[u8],
        cuda: Option<usize>,
        options: &SessionOptions,
    ) -> Result<ort::session::Session, String> {
        // `ort` panics on graph inputs of types that the ONNX standard has and it has not (sequences in sequences).
        without_panic(|| {
            let mut builder = self.builder(cuda, options)?;
            builder.commit_from_memory(model).map_err(|e| one_line(&e))
        })
    }

    fn builder(
        &self,
        cuda: Option<usize>,
        options: &SessionOptions,
    ) -> Result<SessionBuilder, String> {
        let mut builder = SessionBuilder::new(&self.environment).map_err(|e| one_line(&e))?;
        // `ort` would let ONNX Runtime choose a device of its own liking.
        builder =
            builder.with_auto_device(AutoDevicePolicy::PreferCPU).map_err(|e| one_line(&e))?;
        if options.threads > 0 {
            let threads = options.threads.min(SessionOptions::MOST_THREADS);
            builder = builder.with_intra_threads(threads).map_err(|e| one_line(&e))?;
        }
        if let Some(begins) = &options.profile {
            builder = builder.with_profiling(begins).map_err(|e| one_line(&e))?;
        }
        if let Some(number) = cuda {
            self.preload_cuda();
            let number = i32::try_from(number).map_err(|_| format!("no device {number}"))?;
            // Unlike ONNX Runtime's own defaults: TF32 must be asked for, and the exhaustive search for algorithms would
            // stall on each new length.
            let cuda = ep::CUDA::default()
                .with_device_id(number)
                .with_tf32(options.tf32)
                .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic);
            let providers = [cuda.build().error_on_failure()];
            builder = builder.with_execution_providers(providers).map_err(|e| one_line(&e))?;
        }
        Ok(builder)
    }

    /// What certainly keeps CUDA from running.
    fn cuda_obstacle(&self) -> Option<String> {
        if !ep::CUDA::is_available().unwrap_or(false) {
            Some("this build of ONNX Runtime has no CUDA, `onnxruntime-gpu` has".to_owned())
        } else if !nvidia_driver() {
            Some("no NVIDIA driver is loaded".to_owned())
        } else {
            None
        }
    }

    /// ONNX Runtime's reason and, where it is known, what is behind it.
    fn explain(&self, reason: String) -> String {
        match self.cuda_obstacle() {
            Some(obstacle) => format!("{reason}; {obstacle}"),
            None => reason,
        }
    }

    /// Opens CUDA and cuDNN where Python's wheels keep them, so that nobody need set `LD_LIBRARY_PATH`.
    ///
    /// What is not there is left to the system's loader, and ONNX Runtime names what is missing in the end.
    fn preload_cuda(&self) {
        let Some(packages) = self.library.ancestors().nth(3) else { return };
        let folders = ["cu13/lib", "cudnn/lib"].map(|folder| packages.join("nvidia").join(folder));
        for name in ep::cuda::CUDA_DYLIBS.iter().chain(ep::cuda::CUDNN_DYLIBS) {
            let files = folders.iter().map(|folder| folder.join(name));
            for file in files.filter(|file| file.is_file()) {
                let _ = ort::util::preload_dylib(file);
            }
        }
    }
}

/// The library at `place`, after making sure that it is an ONNX Runtime of a version that serves.
///
/// This must come before `ort::init_from`, which counts as done even where it failed: the call after that would
/// use a library that was never opened.
fn probe(place: Place) -> Result<PathBuf, Error> {
    let library = match &place {
        Place::File(file) => {
            let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
            if !file.is_file() {
                let reason = format!("there is no file {file:?}");
                return Err(Error::OnnxRuntimeMissing { reason });
            }
            file
        }
        Place::System { name, .. } => name.clone(),
    };
    if let Err(source) = ort::util::preload_dylib(&library) {
        return Err(match place {
            Place::File(path) => Error::OnnxRuntimeUnusable { path, reason: one_line(&source) },
            Place::System { searched, .. } => Error::OnnxRuntimeMissing {
                reason: format!(
                    "{}; neither is it beside the program, in {:?}",
                    one_line(&source),
                    searched.first().cloned().unwrap_or_default()
                ),
            },
        });
    }
    let unusable = |reason: String| Error::OnnxRuntimeUnusable { path: library.clone(), reason };
    match without_panic(|| Ok(ort::util::probe(&library))).map_err(unusable)? {
        None => Err(unusable("it is no ONNX Runtime".to_owned())),
        Some(minor) if minor < ort::MINOR_VERSION => {
            Err(unusable(format!("it is version 1.{minor}")))
        }
        Some(_) => Ok(library),
    }
}

/// Whether an NVIDIA driver is loaded: natively or under Windows' Linux.
fn nvidia_driver() -> bool {
    let signs = ["/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"];
    let windows = "C:\\Windows\\System32\\nvcuda.dll";
    signs.iter().chain([&windows]).any(|sign| Path::new(sign).exists())
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

/// What `work` gives, with a panic inside `ort` as one more reason.
fn without_panic<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(words.unwrap_or("it panicked").to_owned())
    })
}

/// An error with its causes in one line, for ONNX Runtime's messages run over several.
fn one_line(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.trim_end_matches('.').to_owned()
}
