//! A network ready to run, and what runs it.
//!
//! ONNX Runtime is opened once in a process, when the first session that it runs is, and stays open; see
//! [`SessionOptions::onnx_runtime`] for where it is looked for. Sessions may be opened on many threads at once.
//! [`Session::run`] takes `&mut self` because ONNX Runtime's `Run` is not safe on all its devices when two
//! threads share a session: open one session per thread, or put one in a `Mutex`.

use std::io;
use std::path::{Path, PathBuf};

#[cfg(feature = "tract")]
use leitmotif_models::Device;
use leitmotif_models::{CARD_VERSION, Card, CardError};

use super::device::DeviceTaken;
#[cfg(feature = "tract")]
use super::device::{DevicePolicy, has_nvidia_driver};
use super::error::Error;
use super::exit::InFlight;
use super::loader::{external_data, names_library};
use super::options::Engine;
use super::ort_session::OrtSession;
use super::placement::Placement;
use super::tensor::Input;
#[cfg(feature = "tract")]
use super::tract_session::TractSession;

pub use super::loader::{RuntimeInfo, runtime_info};
pub use super::options::SessionOptions;
pub use super::tensor::{NamedTensor, Port};

/// A network ready to run.
#[derive(Debug)]
pub struct Session {
    engine: Loaded,
    device: DeviceTaken,
    /// The model's file, for errors.
    path: PathBuf,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

/// A network in the engine that runs it.
#[derive(Debug)]
enum Loaded {
    OnnxRuntime(OrtSession),
    #[cfg(feature = "tract")]
    Tract(TractSession),
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
    /// [`Error::Placement`] if a part of the graph would not run there and
    /// [`DevicePolicy::Strict`](crate::DevicePolicy::Strict) was asked for,
    /// [`Error::OnnxRuntimeMissing`], [`Error::OnnxRuntimeUnusable`], [`Error::OnnxRuntimeOpen`] or
    /// [`Error::OnnxRuntimeTaken`], [`Error::NoTract`] and [`Error::TractRefused`], [`Error::Exiting`] and
    /// [`Error::Forked`].
    pub fn from_bytes(model: &[u8], options: &SessionOptions) -> Result<Self, Error> {
        Self::load(model, Path::new("(in memory)"), options)
    }

    pub(super) fn load(model: &[u8], path: &Path, options: &SessionOptions) -> Result<Self, Error> {
        let _in_flight = InFlight::enter()?;
        if model.is_empty() {
            let reason = "the file is empty".to_owned();
            return Err(Error::ModelRefused { path: path.to_owned(), reason });
        }
        if let Some(location) = external_data(model) {
            return Err(Error::ExternalData { path: path.to_owned(), location });
        }
        let in_onnx_runtime = || {
            let (session, device) = OrtSession::open(model, path, options)?;
            let (inputs, outputs) = (session.inputs(), session.outputs());
            Ok((Loaded::OnnxRuntime(session), device, inputs, outputs))
        };
        let (engine, device, inputs, outputs) = match options.engine {
            Engine::OnnxRuntime => in_onnx_runtime()?,
            Engine::Tract => in_tract(model, path, options, "asked for")?,
            Engine::Auto => match in_onnx_runtime() {
                Err(Error::OnnxRuntimeMissing { reason })
                    if cfg!(feature = "tract") && !names_library(options) =>
                {
                    let why = format!("ONNX Runtime's library was not found: {reason}");
                    in_tract(model, path, options, &why)?
                }
                loaded => loaded?,
            },
        };
        Ok(Self { engine, device, path: path.to_owned(), inputs, outputs })
    }

    /// The value under `key` in the model's `metadata_props`; `None` if there is none.
    pub fn metadata(&self, key: &str) -> Option<String> {
        let _in_flight = InFlight::enter().ok()?;
        match &self.engine {
            Loaded::OnnxRuntime(session) => session.metadata(key),
            #[cfg(feature = "tract")]
            Loaded::Tract(session) => session.metadata(key),
        }
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

    /// What runs it: never [`Engine::Auto`].
    pub(super) fn engine(&self) -> Engine {
        match &self.engine {
            Loaded::OnnxRuntime(_) => Engine::OnnxRuntime,
            #[cfg(feature = "tract")]
            Loaded::Tract(_) => Engine::Tract,
        }
    }

    /// The device taken, and why.
    pub fn device(&self) -> &DeviceTaken {
        &self.device
    }

    /// How many of the graph's nodes run by which of ONNX Runtime's execution providers, or in tract.
    pub fn placement(&self) -> &Placement {
        match &self.engine {
            Loaded::OnnxRuntime(session) => session.placement(),
            #[cfg(feature = "tract")]
            Loaded::Tract(session) => session.placement(),
        }
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
    /// [`Error::Run`] if it fails: an unknown or missing input, dimensions that do not fit the graph or the
    /// number of values, an output that is not a tensor of `f32`, out of memory. [`Error::Exiting`] and
    /// [`Error::Forked`].
    pub fn run(&mut self, inputs: &[Input<'_>]) -> Result<Vec<NamedTensor>, Error> {
        let _in_flight = InFlight::enter()?;
        let outputs = match &mut self.engine {
            Loaded::OnnxRuntime(session) => session.run(inputs),
            #[cfg(feature = "tract")]
            Loaded::Tract(session) => session.run(inputs),
        };
        outputs.map_err(|reason| self.failed(reason))
    }

    /// Writes the profile that [`SessionOptions::profile`] asked for, a JSON list of events, and returns its path.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] if none was asked for or it cannot be written.
    pub fn end_profile(&mut self) -> Result<PathBuf, Error> {
        let _in_flight = InFlight::enter()?;
        let written = match &mut self.engine {
            Loaded::OnnxRuntime(session) => session.end_profile(),
            #[cfg(feature = "tract")]
            Loaded::Tract(_) => Err("only ONNX Runtime writes a profile".to_owned()),
        };
        written.map_err(|reason| self.failed(reason))
    }

    /// Runs the network for the named outputs, each with the dimensions it will have, and returns them in that order.
    ///
    /// Where dimensions are given, `ort` need not ask ONNX Runtime for them at every call.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] as for [`run`](Self::run), and if an output has other dimensions or is not one of the graph's.
    pub(super) fn run_shaped(
        &mut self,
        inputs: &[Input<'_>],
        outputs: &[(&str, &[usize])],
    ) -> Result<Vec<NamedTensor>, Error> {
        let _in_flight = InFlight::enter()?;
        let outputs = match &mut self.engine {
            Loaded::OnnxRuntime(session) => session.run_shaped(inputs, outputs),
            #[cfg(feature = "tract")]
            Loaded::Tract(session) => session.run_shaped(inputs, outputs),
        };
        outputs.map_err(|reason| self.failed(reason))
    }

    fn failed(&self, reason: String) -> Error {
        let engine = match &self.engine {
            Loaded::OnnxRuntime(_) => "ONNX Runtime",
            #[cfg(feature = "tract")]
            Loaded::Tract(_) => "tract",
        };
        let device = self.device.device.to_string();
        Error::Run { path: self.path.clone(), engine, device, reason }
    }
}

type Opened = (Loaded, DeviceTaken, Vec<Port>, Vec<Port>);

/// `why` tract was taken.
#[cfg(feature = "tract")]
fn in_tract(
    model: &[u8],
    path: &Path,
    options: &SessionOptions,
    why: &str,
) -> Result<Opened, Error> {
    let wants_gpu = match options.device {
        Device::Cuda(_) => options.policy != DevicePolicy::Allow,
        Device::Auto => options.policy == DevicePolicy::Strict && has_nvidia_driver(),
        Device::Cpu => false,
    };
    if wants_gpu {
        let reason = format!("tract runs on the CPU alone, and was taken since {why}");
        return Err(Error::CudaUnavailable { reason });
    }
    let session = TractSession::open(model)
        .map_err(|reason| Error::TractRefused { path: path.to_owned(), reason })?;
    let (inputs, outputs) = (session.inputs().to_vec(), session.outputs().to_vec());
    let device = DeviceTaken { device: Device::Cpu, why: format!("in tract: {why}") };
    Ok((Loaded::Tract(session), device, inputs, outputs))
}

#[cfg(not(feature = "tract"))]
fn in_tract(_: &[u8], _: &Path, _: &SessionOptions, _: &str) -> Result<Opened, Error> {
    Err(Error::NoTract)
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
