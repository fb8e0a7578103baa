//! How a session is opened.

use std::path::PathBuf;

use leitmotif_models::Device;

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
    /// The device asked for. [`Device::Auto`] takes CUDA where it can run, else the CPU;
    /// [`DeviceTaken`](crate::DeviceTaken) holds which and why. [`Device::Cuda`] never falls back to the CPU.
    pub device: Device,
    /// CPU threads of one run; 0 leaves the number to ONNX Runtime (one per physical core). At most
    /// [`MOST_THREADS`](Self::MOST_THREADS) are started.
    pub threads: usize,
    /// ONNX Runtime's library. `None` takes the first that exists of: the variable `ORT_DYLIB_PATH`; beside the
    /// program; what `make setup` unpacked in the checkout that this crate was compiled in; the system's own.
    pub onnx_runtime: Option<PathBuf>,
    /// Lets CUDA round the factors of its products to TF32, ten bits of mantissa: faster, and probabilities change by up
    /// to some 1e-3. The CPU never does.
    pub tf32: bool,
    /// Prefix of the name of a file to which ONNX Runtime writes what every node took and where it ran, once
    /// [`Session::end_profile`](crate::session::Session::end_profile) is called.
    pub profile: Option<PathBuf>,
}

impl SessionOptions {
    /// Most CPU threads of a session: ONNX Runtime itself sets no limit, and every thread takes memory.
    pub const MOST_THREADS: usize = 1024;

    /// Options with this device and defaults for everything else.
    pub fn on(device: Device) -> Self {
        Self { device, ..Self::default() }
    }

    /// With this number of CPU threads; see [`threads`](Self::threads).
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

    /// With a profile whose file name has this prefix; see [`profile`](Self::profile).
    pub fn with_profile(self, prefix: impl Into<PathBuf>) -> Self {
        Self { profile: Some(prefix.into()), ..self }
    }
}
