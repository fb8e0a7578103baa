//! The device a session runs on.

use std::fmt;

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

impl fmt::Display for DeviceTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.device, self.why)
    }
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
