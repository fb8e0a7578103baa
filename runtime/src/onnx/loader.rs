//! ONNX Runtime: one library, opened once in a process.
//!
//! It is not linked but opened together with the first model, so that the program starts without it and can report what
//! is missing. [`search`] finds the library; this file opens it and builds sessions.

mod external;
mod protobuf;
mod search;
mod stored_card;
mod threads;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use leitmotif_models::{Precision, Target};
use ort::ep::{self, ExecutionProvider};
use ort::session::builder::{AutoDevicePolicy, SessionBuilder};

use self::search::Place;
use super::device::has_nvidia_driver;
use super::error::Error;
use super::exit::{self, InFlight};
use super::options::SessionOptions;

pub(super) use self::external::external_data;

/// The ONNX Runtime that this process uses and the devices it can run on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RuntimeInfo {
    /// The library's file; a bare name where the system's loader found it.
    pub library: PathBuf,
    /// ONNX Runtime's own description of its build.
    pub build: String,
    /// What keeps CUDA from running, as far as is known without a model; `None` if nothing is known to.
    pub cuda_obstacle: Option<String>,
}

/// Opens ONNX Runtime and describes it. `requested` as in [`SessionOptions::onnx_runtime`].
///
/// # Errors
///
/// [`Error::OnnxRuntimeMissing`], [`Error::OnnxRuntimeUnusable`], [`Error::OnnxRuntimeOpen`],
/// [`Error::OnnxRuntimeTaken`], [`Error::Exiting`] or [`Error::Forked`].
pub fn runtime_info(requested: Option<&Path>) -> Result<RuntimeInfo, Error> {
    let _in_flight = InFlight::enter()?;
    let runtime = Runtime::open(requested)?;
    let mut cuda_obstacle = runtime.cuda_obstacle();
    if cuda_obstacle.is_none() {
        cuda_obstacle = runtime.builder(Some(0), &SessionOptions::default(), false).err();
    }
    Ok(RuntimeInfo {
        library: runtime.library.clone(),
        build: ort::info().to_owned(),
        cuda_obstacle,
    })
}

/// ONNX Runtime, open for the rest of the process.
#[derive(Clone)]
pub(super) struct Runtime {
    environment: ort::environment::Environment,
    library: PathBuf,
}

/// Has a session remember its assignment of nodes, which [`assignment`](super::assignment) reads.
const RECORD: (&str, &str) = ("session.record_ep_graph_assignment_info", "1");

/// `ort` allows one environment in a process and drops it with its last handle, so one handle stays here.
static OPEN: Mutex<Option<Runtime>> = Mutex::new(None);
/// Whether a model was given to ONNX Runtime before.
static LOADED: AtomicBool = AtomicBool::new(false);

impl Runtime {
    /// Opens ONNX Runtime, or returns the one that is open already.
    pub(super) fn open(requested: Option<&Path>) -> Result<Self, Error> {
        let mut open: MutexGuard<'_, _> = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*open {
            return match requested {
                Some(requested) if !same_file(&search::file_of(requested), &runtime.library) => {
                    Err(Error::OnnxRuntimeOpen { open: runtime.library.clone() })
                }
                _ => Ok(runtime.clone()),
            };
        }
        let started = exit::watched(|| Self::start(search::find(requested)))?;
        if let Err(Error::OnnxRuntimeMissing { .. }) = started {
            exit::not_opened();
        }
        let runtime = started?;
        Ok(open.insert(runtime).clone())
    }

    fn start(place: Place) -> Result<Self, Error> {
        let library = probe(place)?;
        exit::goes_on()?;
        let unusable = |reason| Error::OnnxRuntimeUnusable { path: library.clone(), reason };
        let environment = without_panic(|| {
            let builder = ort::init_from(&library).map_err(|e| one_line(&e))?;
            let builder = builder.with_name("leitmotif").with_telemetry(false);
            builder.build().map_err(|e| one_line(&e))
        });
        let environment = environment.map_err(|reason| match reason {
            // The words of `ort`, which says it in no other way.
            _ if reason.contains("only one environment") => Error::OnnxRuntimeTaken,
            _ => unusable(reason),
        })?;
        exit::goes_on()?;
        if std::env::var_os("ORT_LOG").is_none() {
            // Errors are returned as errors; a library should not write to its host's standard error.
            environment.set_log_level(ort::logging::LogLevel::Fatal);
        }
        Ok(Self { environment, library })
    }

    /// Builds a session for the model, on the CUDA device of this number or on the CPU.
    pub(super) fn load(
        &self,
        model: &[u8],
        cuda: Option<usize>,
        options: &SessionOptions,
    ) -> Result<ort::session::Session, String> {
        // `ort` panics on graph inputs of types that it does not support (sequences of sequences).
        let load = || {
            without_panic(|| {
                let mut builder =
                    self.builder(cuda, options, cuda.is_some() && computes_in_half(model))?;
                builder.commit_from_memory(model).map_err(|e| one_line(&e))
            })
        };
        if LOADED.swap(true, Ordering::Relaxed) {
            return load();
        }
        exit::watched(load).map_err(|exiting| exiting.to_string())?
    }

    /// `half`: whether the model's convolutions are of 16-bit floats.
    fn builder(
        &self,
        cuda: Option<usize>,
        options: &SessionOptions,
        half: bool,
    ) -> Result<SessionBuilder, String> {
        let mut builder = SessionBuilder::new(&self.environment).map_err(|e| one_line(&e))?;
        // By default, `ort` would let ONNX Runtime choose the device.
        builder =
            builder.with_auto_device(AutoDevicePolicy::PreferCPU).map_err(|e| one_line(&e))?;
        let threads = options.threads_of_session();
        builder = builder.with_intra_threads(threads).map_err(|e| one_line(&e))?;
        builder = builder.with_intra_op_spinning(options.spinning).map_err(|e| one_line(&e))?;
        builder = builder.with_config_entry(RECORD.0, RECORD.1).map_err(|e| one_line(&e))?;
        // Two ways to have no memory kept: of single values, and of the plan for a whole call.
        if options.release_memory {
            let cpu = ep::CPU::default().with_arena_allocator(false).build();
            builder = builder.with_execution_providers([cpu]).map_err(|e| one_line(&e))?;
            builder = builder.with_memory_pattern(false).map_err(|e| one_line(&e))?;
        }
        if let Some(prefix) = &options.profile {
            builder = builder.with_profiling(prefix).map_err(|e| one_line(&e))?;
        }
        if let Some(number) = cuda {
            self.preload_cuda();
            let number = i32::try_from(number).map_err(|_| format!("no device {number}"))?;
            // Unlike ONNX Runtime's own defaults: TF32 is opt-in, the exhaustive search for algorithms would stall on
            // each new length, and channels-last memory (NHWC) is what tensor cores want: 1.1 to 1.4 times as fast on
            // an H200 (benches/results/2026-11-26-h200/second).
            //
            // In 16 bits a convolution's bias is added within it where cuDNN can, not in a pass of its own: 64 clips of
            // model 1 take 7.0 ms and not 9.7 (benches/results/2026-11-27-h200). In fp32 it is not asked for: where
            // cuDNN cannot, ONNX Runtime's next attempt allows TF32 whatever was said.
            let mut cuda = ep::CUDA::default()
                .with_device_id(number)
                .with_tf32(options.tf32)
                .with_prefer_nhwc(true)
                .with_fuse_conv_bias(half)
                .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic);
            if let Some(bytes) = options.memory_limit {
                cuda = cuda.with_memory_limit(bytes);
            }
            let providers = [cuda.build().error_on_failure()];
            builder = builder.with_execution_providers(providers).map_err(|e| one_line(&e))?;
        }
        Ok(builder)
    }

    /// A known reason why CUDA cannot run.
    pub(super) fn cuda_obstacle(&self) -> Option<String> {
        if !ep::CUDA::is_available().unwrap_or(false) {
            Some("this build of ONNX Runtime has no CUDA, `onnxruntime-gpu` has".to_owned())
        } else if !has_nvidia_driver() {
            Some("no NVIDIA driver is loaded".to_owned())
        } else {
            None
        }
    }

    /// ONNX Runtime's reason for a failure of CUDA, followed by the known obstacle if there is one.
    pub(super) fn explain(&self, reason: String) -> String {
        match self.cuda_obstacle() {
            Some(obstacle) => format!("{reason}; {obstacle}"),
            None => reason,
        }
    }

    /// Opens CUDA and cuDNN where Python's wheels keep them, so that `LD_LIBRARY_PATH` need not be set.
    ///
    /// Files that are not there are left to the system's loader, and ONNX Runtime reports what is missing.
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

/// Whether the options or the environment name the library of ONNX Runtime.
pub(super) fn names_library(options: &SessionOptions) -> bool {
    search::named(options.onnx_runtime.as_deref()).is_some()
}

/// Checks that the system lets a session with these options start its threads.
pub(super) fn threads_available(options: &SessionOptions) -> Result<(), usize> {
    let threads = options.threads_of_session();
    // The thread that calls is one of them.
    if threads::available(threads - 1) { Ok(()) } else { Err(threads) }
}

/// Whether the model was compiled for CUDA in fp16, where the convolutions themselves are of 16-bit floats.
fn computes_in_half(model: &[u8]) -> bool {
    stored_card::stored_card(model)
        .is_some_and(|card| (card.target, card.precision) == (Target::Cuda, Precision::Fp16))
}

/// Opens the library at `place` and checks that it is an ONNX Runtime of a supported version.
///
/// This must come before `ort::init_from`, which counts as done even if it failed: the next call would use a library
/// that was never opened.
fn probe(place: Place) -> Result<PathBuf, Error> {
    let library = match &place {
        Place::File(file) => {
            let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
            if !file.is_file() {
                let reason = match file.is_dir() {
                    true => format!("the folder {file:?} holds none"),
                    false => format!("there is no file {file:?}"),
                };
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
        None => Err(unusable("it is not ONNX Runtime".to_owned())),
        Some(minor) if minor < ort::MINOR_VERSION => {
            Err(unusable(format!("it is version 1.{minor}")))
        }
        Some(_) => Ok(library),
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

/// Runs `work` and turns a panic inside `ort` into an error.
fn without_panic<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(message.unwrap_or("it panicked").to_owned())
    })
}

/// An error with its causes on one line; ONNX Runtime's messages span several.
pub(super) fn one_line(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.trim_end_matches('.').to_owned()
}
