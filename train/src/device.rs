//! Where to train: what was asked for, and the libtorch device that it means here.

use std::fmt;
use std::str::FromStr;

use tch::Device;

use crate::cuda;
use crate::error::TrainError;

/// The device asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU where CUDA can run, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU of this number, never the CPU instead.
    Cuda(usize),
}

impl DeviceChoice {
    /// The device meant on this machine.
    ///
    /// # Errors
    ///
    /// A GPU was asked for by name and cannot be used; the reason is given.
    pub fn resolve(self) -> Result<Device, TrainError> {
        match self {
            DeviceChoice::Auto => Ok(cuda::device(0).unwrap_or(Device::Cpu)),
            DeviceChoice::Cpu => Ok(Device::Cpu),
            DeviceChoice::Cuda(number) => cuda::device(number).map_err(|reason| {
                TrainError::Device { device: self.to_string(), reason: reason.to_string() }
            }),
        }
    }
}

/// The kind of a device, as a run records it: `cpu` or `cuda`.
pub fn kind(device: Device) -> &'static str {
    if device == Device::Cpu { "cpu" } else { "cuda" }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "auto" => Ok(DeviceChoice::Auto),
            None if text == "cpu" => Ok(DeviceChoice::Cpu),
            None if text == "cuda" => Ok(DeviceChoice::Cuda(0)),
            Some(("cuda", number)) if number.bytes().all(|b| b.is_ascii_digit()) => {
                let number =
                    number.parse().map_err(|_| format!("`{number}` is no device number"))?;
                Ok(DeviceChoice::Cuda(number))
            }
            _ => Err(format!("there is no device `{text}`: use auto, cpu, cuda or cuda:N")),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => f.write_str("auto"),
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for device in
            [DeviceChoice::Auto, DeviceChoice::Cpu, DeviceChoice::Cuda(0), DeviceChoice::Cuda(3)]
        {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        for wrong in ["gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", ""] {
            assert!(wrong.parse::<DeviceChoice>().is_err(), "{wrong}");
        }
    }
}
