//! The libtorch device that a name means on this machine.

use leitmotif_models::Device;

use crate::console::log;
use crate::error::ModelError;
use crate::model::cuda;

/// The device meant on this machine: [`Device::Auto`] is the first GPU where CUDA can run, else the CPU.
///
/// # Errors
///
/// A GPU was asked for by number and cannot be used; the reason is given.
pub fn resolve(device: Device) -> Result<tch::Device, ModelError> {
    match device {
        Device::Cpu => Ok(tch::Device::Cpu),
        Device::Cuda(number) => cuda::device(number)
            .map_err(|source| ModelError::Device { device: device.to_string(), source }),
        Device::Auto => Ok(cuda::device(0).unwrap_or(tch::Device::Cpu)),
    }
}

/// [`resolve`] for a training, which on a CPU takes long: standard error says why [`Device::Auto`] is no GPU.
///
/// # Errors
///
/// As [`resolve`].
pub fn resolve_for_training(device: Device) -> Result<tch::Device, ModelError> {
    if device == Device::Auto
        && let Err(reason) = cuda::device(0)
    {
        log!("training on the CPU: {reason}");
    }
    resolve(device)
}

/// The device's name on the command line: `cpu` or `cuda:N`.
pub fn name(device: tch::Device) -> String {
    match device {
        tch::Device::Cuda(number) => format!("cuda:{number}"),
        _ => "cpu".to_owned(),
    }
}

/// The kind of a device, as a run records it: `cpu` or `cuda`.
pub fn kind(device: tch::Device) -> &'static str {
    if device == tch::Device::Cpu { "cpu" } else { "cuda" }
}
