//! How a session is opened.

use std::path::PathBuf;

use leitmotif_models::Device;

use super::device::DevicePolicy;

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
    /// What happens where something would not run on the device asked for.
    pub policy: DevicePolicy,
    /// What runs the network.
    pub engine: Engine,
    /// CPU threads of one session; 0 takes one for each core that the process may use, by its affinity and its group's
    /// quota, and no more than there are physical cores. At most [`MOST_THREADS`](Self::MOST_THREADS) are started.
    pub threads: usize,
    /// Sessions that a [`Recognizer`](crate::Recognizer) opens at most, one for each caller at a time; further callers
    /// wait for their turn. 0 takes one for each core that the process may use, on a GPU one. Each has the model's weights
    /// and its own threads.
    pub sessions: usize,
    /// Lets a session's threads spin for a while when they have nothing to do: a call after another begins sooner, and an
    /// idle program uses a core. Off by default.
    pub spinning: bool,
    /// Runs a block of silence when a [`Recognizer`](crate::Recognizer) is opened, so that the first recording does not wait
    /// for memory and, on a GPU, for kernels.
    pub warm_up: bool,
    /// Runs the model's golden input when a [`Recognizer`](crate::Recognizer) is opened, on the device taken, and refuses a
    /// machine that computes something else than the trainer did.
    pub self_test: bool,
    /// Bytes that a session may take. On a CPU those of one call's activations, by which the recordings of a dense head are
    /// cut into blocks; one segment, or an LSTM's window, is always run. On a GPU the most that ONNX Runtime's arena takes,
    /// weights included, of which half is for a block's activations; CUDA cannot run with less than the weights need. `None`
    /// takes 24 MiB on a CPU, where longer blocks are no faster, and on a GPU as much as the card's longest call needs.
    pub memory_limit: Option<usize>,
    /// On the CPU, gives the memory of a call back when the call ends, where ONNX Runtime otherwise keeps what its largest call needed
    /// until the session is dropped. Each call then asks the system for memory, which takes time.
    pub release_memory: bool,
    /// ONNX Runtime's library, or a folder that holds it. `None` takes the first that exists of: the variable
    /// `ORT_DYLIB_PATH`, which may also name a folder; beside the program; what `make setup` unpacked in the checkout that this crate was compiled in; the active Python environment's
    /// (`VIRTUAL_ENV`, `CONDA_PREFIX`); the system's own.
    pub onnx_runtime: Option<PathBuf>,
    /// Lets CUDA round the factors of its products to TF32, ten bits of mantissa: faster, and probabilities change by up
    /// to some 1e-3. The CPU never does.
    pub tf32: bool,
    /// Prefix of the name of a file to which ONNX Runtime writes what every node took and where it ran, once
    /// [`Session::end_profile`](crate::session::Session::end_profile) is called.
    pub profile: Option<PathBuf>,
}

/// What runs a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// ONNX Runtime; or tract, where its library is neither named nor found and the feature `tract` is on. The device taken
    /// says so.
    #[default]
    Auto,
    /// ONNX Runtime, whose library is found and opened at run time.
    OnnxRuntime,
    /// tract, written in Rust, on one CPU thread: models compiled with `--target portable`. Needs the feature `tract`.
    Tract,
}

impl SessionOptions {
    /// Most CPU threads of a session: ONNX Runtime itself sets no limit, and every thread takes memory.
    pub const MOST_THREADS: usize = 1024;

    /// Options with this device and defaults for everything else.
    pub fn on(device: Device) -> Self {
        Self { device, ..Self::default() }
    }

    /// With this [`policy`](Self::policy).
    pub fn with_policy(self, policy: DevicePolicy) -> Self {
        Self { policy, ..self }
    }

    /// With this [`engine`](Self::engine).
    pub fn with_engine(self, engine: Engine) -> Self {
        Self { engine, ..self }
    }

    /// With this limit in bytes; see [`memory_limit`](Self::memory_limit).
    pub fn with_memory_limit(self, bytes: usize) -> Self {
        Self { memory_limit: Some(bytes), ..self }
    }

    /// With or without [`release_memory`](Self::release_memory).
    pub fn with_release_memory(self, release_memory: bool) -> Self {
        Self { release_memory, ..self }
    }

    /// With this number of CPU threads; see [`threads`](Self::threads).
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// With this number of sessions at most; see [`sessions`](Self::sessions).
    pub fn with_sessions(self, sessions: usize) -> Self {
        Self { sessions, ..self }
    }

    /// With or without [`spinning`](Self::spinning).
    pub fn with_spinning(self, spinning: bool) -> Self {
        Self { spinning, ..self }
    }

    /// With or without a [`warm_up`](Self::warm_up).
    pub fn with_warm_up(self, warm_up: bool) -> Self {
        Self { warm_up, ..self }
    }

    /// With or without a [`self_test`](Self::self_test).
    pub fn with_self_test(self, self_test: bool) -> Self {
        Self { self_test, ..self }
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

    /// Threads of a session on the CPU.
    pub(super) fn threads_of_session(&self) -> usize {
        match self.threads {
            0 => allowed_cores().min(physical_cores()).max(1),
            threads => threads.min(Self::MOST_THREADS),
        }
    }

    /// Sessions of a recognizer on this device.
    pub(super) fn most_sessions(&self, device: Device) -> usize {
        match (self.sessions, device) {
            (0, Device::Cpu) => allowed_cores(),
            (0, _) => 1,
            (sessions, _) => sessions,
        }
    }
}

/// Cores that the process may use, by its affinity and its group's quota.
fn allowed_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Cores of the machine, where two threads of one core count once; as many as one likes where that is not known.
fn physical_cores() -> usize {
    let Ok(processors) = std::fs::read_dir("/sys/devices/system/cpu") else { return usize::MAX };
    let siblings = |processor: std::fs::DirEntry| {
        std::fs::read_to_string(processor.path().join("topology/thread_siblings_list")).ok()
    };
    let cores: std::collections::HashSet<String> =
        processors.flatten().filter_map(siblings).collect();
    if cores.is_empty() { usize::MAX } else { cores.len() }
}
