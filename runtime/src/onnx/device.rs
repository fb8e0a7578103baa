//! The device a session runs on.

use std::fmt;
use std::path::Path;

use leitmotif_models::Device;
use serde::Serialize;

/// The device taken, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeviceTaken {
    /// [`Device::Cpu`] or [`Device::Cuda`], never [`Device::Auto`].
    pub device: Device,
    /// Why: it was asked for, or CUDA cannot run and [`Device::Auto`] took the CPU.
    pub why: String,
}

/// What happens where something would not run on the device asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DevicePolicy {
    /// All of it runs there, or the model is not opened: a node that ONNX Runtime gives to the CPU beside a GPU is
    /// [`Error::Placement`](crate::Error::Placement), and so is, as
    /// [`Error::CudaUnavailable`](crate::Error::CudaUnavailable), a CPU taken by [`Device::Auto`] beside an NVIDIA driver.
    Strict,
    /// [`Device::Cuda`] runs there or is an error, [`Device::Auto`] may take the CPU, and
    /// [`Recognizer::warning`](crate::Recognizer::warning) says what differs from the request.
    #[default]
    Warn,
    /// [`Device::Cuda`], too, takes the CPU where CUDA cannot run, and nothing is said but in [`DeviceTaken::why`].
    Allow,
}

impl fmt::Display for DeviceTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.device, self.why)
    }
}

/// Whether an NVIDIA driver is loaded, natively or in the Windows Subsystem for Linux.
pub(super) fn has_nvidia_driver() -> bool {
    let signs = ["/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"];
    let windows = "C:\\Windows\\System32\\nvcuda.dll";
    signs.iter().chain([&windows]).any(|sign| Path::new(sign).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_taken_is_printed_with_its_reason() {
        let taken = DeviceTaken { device: Device::Cuda(1), why: "asked for".to_owned() };
        assert_eq!(taken.to_string(), "cuda:1 (asked for)");
    }
}
