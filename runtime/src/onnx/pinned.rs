//! Inputs in memory that a GPU reads by itself.
//!
//! An H200 takes 53 GB/s from page-locked memory and 6 from other memory, which the driver first copies on one thread.

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::value::Tensor;

use super::tensor::Input;

/// Values that one thread copies, at least: starting a thread costs as much as copying some of them.
const PER_THREAD: usize = 1 << 19;
/// Calls with fewer values are not copied: the driver is as fast with them.
const LEAST: usize = 1 << 20;
/// Threads beyond which copying gains nothing.
const MOST_THREADS: usize = 8;

/// Page-locked memory for the inputs of one session; it grows to the largest call and stays.
#[derive(Debug)]
pub(super) struct Pinned {
    inputs: Vec<Tensor<f32>>,
    allocator: Allocator,
}

impl Pinned {
    /// For a session on the GPU of this number; `None` where ONNX Runtime gives none: it only saves time.
    pub(super) fn of(session: &ort::session::Session, gpu: usize) -> Option<Self> {
        // Releases differ in whether page-locked memory belongs to a GPU or to the host.
        [i32::try_from(gpu).unwrap_or(0), 0].into_iter().find_map(|number| {
            let info = MemoryInfo::new(
                AllocationDevice::CUDA_PINNED,
                number,
                AllocatorType::Device,
                MemoryType::CPUInput,
            );
            let allocator = Allocator::new(session, info.ok()?).ok()?;
            Some(Self { inputs: Vec::new(), allocator })
        })
    }

    /// The inputs, with their values copied into this memory where that pays.
    pub(super) fn take<'a>(&'a mut self, inputs: &[Input<'a>]) -> ort::Result<Vec<Input<'a>>> {
        if inputs.iter().map(|(_, _, values)| values.len()).sum::<usize>() < LEAST {
            return Ok(inputs.to_vec());
        }
        for (number, (_, _, values)) in inputs.iter().enumerate() {
            let room = self.inputs.get(number).map_or(0, |input| input.shape().num_elements());
            if room < values.len() || number >= self.inputs.len() {
                // The old one goes first: both would take twice the memory.
                self.inputs.truncate(number);
                let Ok(memory) = Tensor::new(&self.allocator, [values.len()]) else {
                    return Ok(inputs.to_vec());
                };
                self.inputs.push(memory);
            }
        }
        self.inputs
            .iter_mut()
            .zip(inputs)
            .map(|(input, (name, shape, values))| {
                let (_, memory) = input.try_extract_tensor_mut::<f32>()?;
                let memory = memory.get_mut(..values.len()).unwrap_or_default();
                copy(memory, values);
                Ok((*name, *shape, &*memory))
            })
            .collect()
    }
}

/// Copies on as many threads as pay.
fn copy(to: &mut [f32], from: &[f32]) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = (from.len() / PER_THREAD).clamp(1, MOST_THREADS.min(cores));
    if threads == 1 {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        return;
    }
    let each = from.len().div_ceil(threads);
    std::thread::scope(|scope| {
        for (to, from) in to.chunks_mut(each).zip(from.chunks(each)) {
            scope.spawn(|| to.copy_from_slice(from));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_copied_by_any_number_of_threads() {
        for length in [0, 1, PER_THREAD, 3 * PER_THREAD + 1] {
            let from: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let mut to = vec![-1.0; length];
            copy(&mut to, &from);
            assert_eq!(to, from);
        }
    }
}
