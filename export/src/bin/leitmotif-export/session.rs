//! Sessions of ONNX Runtime for checking what was compiled.

use leitmotif::{Device, SessionOptions};

/// Clips side by side in one call: more than one, so that the batch axis is tried.
pub(crate) const CLIPS_PER_CALL: usize = 2;

/// The CPU, with the threads of the machine: compiled files are compared there.
pub(crate) fn on_cpu() -> SessionOptions {
    SessionOptions::on(Device::Cpu)
}
