//! A network loaded into ONNX Runtime.
//!
//! ONNX Runtime is opened once in a process, when the first session is, and stays open; see
//! [`SessionOptions::onnx_runtime`] for where it is looked for. Sessions may be opened on many threads at once.
//! [`Session::run`] takes `&mut self` because ONNX Runtime's `Run` is not safe on all its devices when two
//! threads share a session: open one session per thread, or put one in a `Mutex`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use leitmotif_models::{CARD_VERSION, Card, CardError, Device};
use ort::memory::Allocator;
use ort::session::{OutputSelector, RunOptions, SessionOutputs};
use ort::value::{Tensor, TensorElementType, TensorRef, ValueType};

use super::device::DeviceTaken;
use super::error::Error;
use super::exit::{InFlight, Kept};
use super::loader::{Runtime, external_data, one_line, threads_available};
use super::pinned::Pinned;

pub use super::loader::{RuntimeInfo, runtime_info};
pub use super::options::SessionOptions;

/// A network ready to run.
#[derive(Debug)]
pub struct Session {
    /// For a GPU; before the session, which must outlive it.
    pinned: Kept<Mutex<Option<Pinned>>>,
    session: Kept<ort::session::Session>,
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
    /// Its dimensions, each `None` where any size is accepted; `None` as a whole if it is not a tensor of `f32`.
    pub dims: Option<Vec<Option<usize>>>,
}

/// An output of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Name of the output.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its values in row-major order.
    pub data: Vec<f32>,
}

impl Session {
    /// Loads the model in `path`.
    ///
    /// # Errors
    ///
    /// [`Error::ModelUnreadable`], and those of [`Session::from_bytes`].
    pub fn open(path: &Path, options: &SessionOptions) -> Result<Self, Error> {
        Self::load(&read_model(path)?, path, options)
    }

    /// Loads a model from the bytes of an `.onnx` file. Errors name it "(in memory)".
    ///
    /// # Errors
    ///
    /// [`Error::ModelRefused`] for a truncated file or another kind of file, [`Error::ExternalData`] for a part of one,
    /// [`Error::NoThreads`], [`Error::NoMemory`], [`Error::CudaUnavailable`] if CUDA was asked for and cannot run,
    /// [`Error::OnnxRuntimeMissing`], [`Error::OnnxRuntimeUnusable`], [`Error::OnnxRuntimeOpen`] or
    /// [`Error::OnnxRuntimeTaken`], [`Error::Exiting`] and [`Error::Forked`].
    pub fn from_bytes(model: &[u8], options: &SessionOptions) -> Result<Self, Error> {
        Self::load(model, Path::new("(in memory)"), options)
    }

    pub(super) fn load(model: &[u8], path: &Path, options: &SessionOptions) -> Result<Self, Error> {
        let _in_flight = InFlight::enter()?;
        let runtime = Runtime::open(options.onnx_runtime.as_deref())?;
        // Opening it takes a while, and the process may end meanwhile.
        let _in_flight = InFlight::enter()?;
        let refused = |reason: String| {
            if let Err(exiting) = InFlight::enter() {
                return exiting;
            }
            let path = path.to_owned();
            match reason.contains("std::bad_alloc") {
                true => Error::NoMemory { path, reason },
                false => Error::ModelRefused { path, reason },
            }
        };
        if model.is_empty() {
            return Err(refused("the file is empty".to_owned()));
        }
        if let Some(location) = external_data(model) {
            return Err(Error::ExternalData { path: path.to_owned(), location });
        }
        threads_available(options)
            .map_err(|threads| Error::NoThreads { path: path.to_owned(), threads })?;
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
                    // If the CPU refuses the model too, the fault is the model's and not CUDA's.
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
        let pinned = match device.device {
            Device::Cuda(gpu) => Pinned::of(&session, gpu),
            _ => None,
        };
        // ONNX Runtime's allocators are not `Sync`, a session is.
        let pinned = Kept::new(Mutex::new(pinned));
        Ok(Self {
            pinned,
            session: Kept::new(session),
            device,
            path: path.to_owned(),
            inputs,
            outputs,
        })
    }

    /// The value under `key` in the model's `metadata_props`; `None` if there is none.
    pub fn metadata(&self, key: &str) -> Option<String> {
        let _in_flight = InFlight::enter().ok()?;
        self.session.metadata().ok()?.custom(key)
    }

    /// The model's card: its description of itself.
    ///
    /// # Errors
    ///
    /// [`Error::NoCard`], [`Error::CardVersion`] and [`Error::BadCard`] if it has no card that this version can read,
    /// [`Error::Exiting`] and [`Error::Forked`].
    pub fn card(&self) -> Result<Card, Error> {
        let _in_flight = InFlight::enter()?;
        let path = || self.path.clone();
        let text = self.metadata(Card::KEY).ok_or_else(|| Error::NoCard { path: path() })?;
        Card::from_json(&text).map_err(|source| match source {
            CardError::Version { found } => {
                Error::CardVersion { path: path(), found, supported: CARD_VERSION }
            }
            source => Error::BadCard { path: path(), source },
        })
    }

    /// The graph's inputs, in its order.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// The graph's outputs, in its order.
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

    /// Runs the network. Each input is its name, its dimensions and its values; all outputs are returned in the graph's
    /// order.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] if ONNX Runtime fails: an unknown or missing input, dimensions that do not fit the graph or the
    /// number of values, an output that is not a tensor of `f32`, out of memory. [`Error::Exiting`] and
    /// [`Error::Forked`].
    pub fn run(&mut self, inputs: &[(&str, &[usize], &[f32])]) -> Result<Vec<NamedTensor>, Error> {
        let _in_flight = InFlight::enter()?;
        let outputs = run(&mut self.session, pinned(&mut self.pinned), inputs);
        outputs.map_err(|source| self.failed(&source))
    }

    /// Writes the profile that [`SessionOptions::profile`] asked for, a JSON list of events, and returns its path.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] if none was asked for or it cannot be written.
    pub fn end_profile(&mut self) -> Result<PathBuf, Error> {
        let _in_flight = InFlight::enter()?;
        match self.session.end_profiling() {
            Ok(file) if !file.is_empty() => Ok(file.into()),
            Ok(_) => Err(self.failed(&io::Error::other("no profile was asked for"))),
            Err(source) => Err(self.failed(&source)),
        }
    }

    /// Runs the network for the named outputs, each with the dimensions it will have, and returns them in that order.
    ///
    /// For programs that run for long: `ort` rc.14 leaks the description of every output whose dimensions it asks ONNX
    /// Runtime for, some 300 bytes each, and does not ask for dimensions that are given.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] as for [`run`](Self::run), and if an output has other dimensions or is not one of the graph's.
    pub(super) fn run_shaped(
        &mut self,
        inputs: &[(&str, &[usize], &[f32])],
        outputs: &[(&str, &[usize])],
    ) -> Result<Vec<NamedTensor>, Error> {
        let _in_flight = InFlight::enter()?;
        let outputs = run_shaped(&mut self.session, pinned(&mut self.pinned), inputs, outputs);
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

/// The bytes of a model's file.
///
/// # Errors
///
/// [`Error::ModelUnreadable`].
pub(super) fn read_model(path: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |source| Error::ModelUnreadable { path: path.to_owned(), source };
    // Checked before reading: reading a pipe would block, and a device would never end.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::other("it is not a regular file")));
    }
    std::fs::read(path).map_err(unreadable)
}

type Tensors<'a> = Vec<(&'a str, TensorRef<'a, f32>)>;

fn pinned(memory: &mut Mutex<Option<Pinned>>) -> Option<&mut Pinned> {
    memory.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut()
}

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
    pinned: Option<&mut Pinned>,
    inputs: &[(&str, &[usize], &[f32])],
) -> ort::Result<Vec<NamedTensor>> {
    match pinned {
        None => copy_outputs(&session.run(tensors(inputs)?)?),
        Some(pinned) => copy_outputs(&session.run(tensors(&pinned.take(inputs)?)?)?),
    }
}

fn run_shaped(
    session: &mut ort::session::Session,
    pinned: Option<&mut Pinned>,
    inputs: &[(&str, &[usize], &[f32])],
    outputs: &[(&str, &[usize])],
) -> ort::Result<Vec<NamedTensor>> {
    let mut selector = OutputSelector::no_default();
    for (name, shape) in outputs {
        let tensor = Tensor::<f32>::new(&Allocator::default(), shape.to_vec())?;
        selector = selector.with(*name).preallocate(*name, tensor);
    }
    let options = RunOptions::new()?.with_outputs(selector);
    match pinned {
        None => copy_outputs(&session.run_with_options(tensors(inputs)?, &options)?),
        Some(pinned) => {
            let inputs = pinned.take(inputs)?;
            copy_outputs(&session.run_with_options(tensors(&inputs)?, &options)?)
        }
    }
}

fn copy_outputs(outputs: &SessionOutputs<'_>) -> ort::Result<Vec<NamedTensor>> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Recognizer;

    #[test]
    fn sessions_are_moved_and_shared_between_threads() {
        fn both<T: Send + Sync>() {}
        both::<Session>();
        both::<Recognizer>();
    }
}
