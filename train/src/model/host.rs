//! Copies tensors between libtorch's layout on a device and a checkpoint's layout on the host.

use tch::{Device, Tensor};

use crate::error::TrainError;
use crate::model::native;
use crate::model::tensors::Values;

/// `[filters, in, kernel]` becomes `[filters, in, 1, kernel]` in channels-last memory, everything else stays.
pub(crate) fn on_device(values: &Values, device: Device) -> Result<Tensor, TrainError> {
    let shape: Vec<i64> = values.shape.iter().map(|d| *d as i64).collect();
    let tensor = Tensor::f_from_slice(&values.data)?.f_reshape(&shape)?;
    let tensor = match shape.as_slice() {
        [_, _, _] => {
            tensor.f_permute([0, 2, 1])?.f_contiguous()?.f_unsqueeze(1)?.f_permute([0, 3, 1, 2])?
        }
        _ => tensor,
    };
    Ok(tensor.f_to_device(device)?)
}

/// Back to the host, in the checkpoint's shape: the height of one of a convolution's kernel is dropped.
pub(crate) fn to_host(tensor: &Tensor) -> Result<Values, TrainError> {
    let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?;
    let shape = match tensor.size().as_slice() {
        [filters, inputs, 1, kernel] => vec![*filters, *inputs, *kernel],
        other => other.to_vec(),
    };
    let mut data = vec![0.0; tensor.numel()];
    tensor.f_copy_data(&mut data, tensor.numel())?;
    Ok(Values { shape: shape.into_iter().map(|d| d as usize).collect(), data })
}

/// Copies a tensor of the host to `device`, if it can be without waiting for the work that a GPU has: else the GPU
/// would have nothing to do between two steps.
pub(crate) fn to_device(tensor: &Tensor, device: Device) -> Result<Tensor, TrainError> {
    Ok(match device {
        Device::Cpu => tensor.shallow_clone(),
        Device::Cuda(gpu) if native::available().is_ok() => native::upload(tensor, gpu)?,
        _ => tensor.f_to_device(device)?,
    })
}

/// A copy on the same device.
pub(crate) fn copy(tensor: &Tensor) -> Result<Tensor, TrainError> {
    let mut copy = tensor.f_empty_like()?;
    copy.f_copy_(tensor)?;
    Ok(copy)
}
