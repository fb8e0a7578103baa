//! Where a network runs: what the caller asks for, and what was taken.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// The device asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[non_exhaustive]
pub enum Device {
    /// CUDA where it can run, else the CPU; [`DeviceTaken`] says which and why.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this number; an error that says why where it cannot run, never the CPU instead.
    Cuda(usize),
}

/// The device taken, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeviceTaken {
    /// [`Device::Cpu`] or [`Device::Cuda`], never [`Device::Auto`].
    pub device: Device,
    /// Why: what was asked for, or what kept [`Device::Auto`] from CUDA.
    pub why: String,
}

/// A device name that is none of `auto`, `cpu`, `cuda` and `cuda:N`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no device `{0}`: use `auto`, `cpu`, `cuda` or `cuda:N`, where N is the number of the device"
)]
pub struct UnknownDevice(pub String);

impl FromStr for Device {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, UnknownDevice> {
        let unknown = || UnknownDevice(text.to_owned());
        match text {
            "auto" => Ok(Device::Auto),
            "cpu" => Ok(Device::Cpu),
            "cuda" => Ok(Device::Cuda(0)),
            _ => {
                let number = text.strip_prefix("cuda:").ok_or_else(unknown)?;
                // ONNX Runtime counts devices in an i32.
                match number.parse::<u16>() {
                    Ok(number) => Ok(Device::Cuda(usize::from(number))),
                    Err(_) => Err(unknown()),
                }
            }
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Auto => f.write_str("auto"),
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl Serialize for Device {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
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
    fn device_names_are_read_and_printed_alike() {
        for (text, device) in [
            ("auto", Device::Auto),
            ("cpu", Device::Cpu),
            ("cuda:0", Device::Cuda(0)),
            ("cuda:7", Device::Cuda(7)),
        ] {
            assert_eq!(text.parse::<Device>().unwrap(), device);
            assert_eq!(device.to_string(), text);
        }
        assert_eq!("cuda".parse::<Device>().unwrap(), Device::Cuda(0));
    }

    #[test]
    fn other_names_are_refused_with_the_list_of_right_ones() {
        for text in ["gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:99999999", "CPU", ""] {
            let complaint = text.parse::<Device>().unwrap_err().to_string();
            assert!(complaint.contains("`auto`, `cpu`, `cuda`"), "{complaint}");
        }
    }
}
