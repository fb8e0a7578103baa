//! A network loaded into ONNX Runtime.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use leitmotif_models::Device;
use ort::memory::Allocator;
use ort::session::{OutputSelector, RunOptions, SessionOutputs};
use ort::value::{Tensor, TensorElementType, TensorRef, ValueType};

use super::assignment::assignment;
use super::device::{DevicePolicy, DeviceTaken, has_nvidia_driver};
use super::error::Error;
use super::exit::{InFlight, Kept};
use super::loader::{Runtime, one_line, threads_available};
use super::options::SessionOptions;
use super::pinned::Pinned;
use super::placement::{Placement, misplaced};
use super::tensor::{Input, NamedTensor, Port};

/// A session of ONNX Runtime, which must be called within an [`InFlight`].
#[derive(Debug)]
pub(super) struct OrtSession {
    /// For a GPU; before the session, which must outlive it.
    pinned: Kept<Mutex<Option<Pinned>>>,
    session: Kept<ort::session::Session>,
    placement: Placement,
}

impl OrtSession {
    /// Loads a model; `path` is its name in errors.
    pub(super) fn open(
        model: &[u8],
        path: &Path,
        options: &SessionOptions,
    ) -> Result<(Self, DeviceTaken), Error> {
        let runtime = Runtime::open(options.onnx_runtime.as_deref())?;
        // Opening it takes a while, and the process may end meanwhile.
        let _in_flight = InFlight::enter()?;
        let refused = |reason: String| {
            if let Err(exiting) = InFlight::enter() {
                return exiting;
            }
            let path = path.to_owned();
            match reason.contains("std::bad_alloc") {
                true => Error::NoMemory { path, reason },
                false => Error::ModelRefused { path, reason },
            }
        };
        threads_available(options)
            .map_err(|threads| Error::NoThreads { path: path.to_owned(), threads })?;
        let on = |cuda| runtime.load(model, cuda, options);
        let on_cpu = |why: String| -> Result<_, Error> {
            Ok((on(None).map_err(refused)?, DeviceTaken { device: Device::Cpu, why }))
        };
        let on_cuda = |number: usize, why: &str| -> Result<_, String> {
            let taken = DeviceTaken { device: Device::Cuda(number), why: why.to_owned() };
            Ok((on(Some(number))?, taken))
        };
        let strict = options.policy == DevicePolicy::Strict;
        let unavailable = |reason| Error::CudaUnavailable { reason: runtime.explain(reason) };
        let (session, device) = match options.device {
            Device::Cpu => on_cpu("asked for".to_owned())?,
            Device::Cuda(number) => match on_cuda(number, "asked for") {
                Ok(found) => found,
                Err(reason) => {
                    let why = format!("CUDA cannot run: {}", runtime.explain(reason.clone()));
                    // If the CPU refuses the model too, the fault is the model's and not CUDA's.
                    let found = on_cpu(why)?;
                    if options.policy != DevicePolicy::Allow {
                        return Err(unavailable(reason));
                    }
                    found
                }
            },
            Device::Auto => match runtime.cuda_obstacle() {
                Some(obstacle) if strict && has_nvidia_driver() => {
                    return Err(Error::CudaUnavailable { reason: obstacle });
                }
                Some(obstacle) => on_cpu(format!("no CUDA: {obstacle}"))?,
                None => match on_cuda(0, "CUDA can run here") {
                    Ok(found) => found,
                    Err(reason) => {
                        let found = on_cpu(format!("CUDA cannot run: {reason}"))?;
                        if strict {
                            return Err(unavailable(reason));
                        }
                        found
                    }
                },
            },
        };
        let assigned = assignment(&session);
        if strict && let Some(elsewhere) = misplaced(&assigned, device.device) {
            let path = path.to_owned();
            return Err(Error::Placement { path, device: device.device.to_string(), elsewhere });
        }
        let placement = assigned.unwrap_or_default();
        let pinned = match device.device {
            Device::Cuda(gpu) => Pinned::of(&session, gpu),
            _ => None,
        };
        // ONNX Runtime's allocators are not `Sync`, a session is.
        let pinned = Kept::new(Mutex::new(pinned));
        Ok((Self { pinned, session: Kept::new(session), placement }, device))
    }

    pub(super) fn inputs(&self) -> Vec<Port> {
        self.session.inputs().iter().map(port).collect()
    }

    pub(super) fn outputs(&self) -> Vec<Port> {
        self.session.outputs().iter().map(port).collect()
    }

    pub(super) fn metadata(&self, key: &str) -> Option<String> {
        self.session.metadata().ok()?.custom(key)
    }

    pub(super) fn placement(&self) -> &Placement {
        &self.placement
    }

    /// All outputs, in the graph's order.
    pub(super) fn run(&mut self, inputs: &[Input<'_>]) -> Result<Vec<NamedTensor>, String> {
        let outputs = run(&mut self.session, pinned(&mut self.pinned), inputs);
        outputs.map_err(|error| one_line(&error))
    }

    /// The named outputs, each with the dimensions it will have, in that order.
    pub(super) fn run_shaped(
        &mut self,
        inputs: &[Input<'_>],
        outputs: &[(&str, &[usize])],
    ) -> Result<Vec<NamedTensor>, String> {
        let outputs = run_shaped(&mut self.session, pinned(&mut self.pinned), inputs, outputs);
        outputs.map_err(|error| one_line(&error))
    }

    pub(super) fn end_profile(&mut self) -> Result<PathBuf, String> {
        match self.session.end_profiling() {
            Ok(file) if !file.is_empty() => Ok(file.into()),
            Ok(_) => Err("no profile was asked for".to_owned()),
            Err(error) => Err(one_line(&error)),
        }
    }
}

type Tensors<'a> = Vec<(&'a str, TensorRef<'a, f32>)>;

fn pinned(memory: &mut Mutex<Option<Pinned>>) -> Option<&mut Pinned> {
    memory.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut()
}

fn tensors<'a>(inputs: &[Input<'a>]) -> ort::Result<Tensors<'a>> {
    inputs
        .iter()
        .map(|(name, shape, data)| {
            Ok((*name, TensorRef::from_array_view((shape.to_vec(), *data))?))
        })
        .collect()
}

fn run(
    session: &mut ort::session::Session,
    pinned: Option<&mut Pinned>,
    inputs: &[Input<'_>],
) -> ort::Result<Vec<NamedTensor>> {
    match pinned {
        None => copy_outputs(&session.run(tensors(inputs)?)?),
        Some(pinned) => copy_outputs(&session.run(tensors(&pinned.take(inputs)?)?)?),
    }
}

fn run_shaped(
    session: &mut ort::session::Session,
    pinned: Option<&mut Pinned>,
    inputs: &[Input<'_>],
    outputs: &[(&str, &[usize])],
) -> ort::Result<Vec<NamedTensor>> {
    let mut selector = OutputSelector::no_default();
    for (name, shape) in outputs {
        let tensor = Tensor::<f32>::new(&Allocator::default(), shape.to_vec())?;
        selector = selector.with(*name).preallocate(*name, tensor);
    }
    let options = RunOptions::new()?.with_outputs(selector);
    match pinned {
        None => copy_outputs(&session.run_with_options(tensors(inputs)?, &options)?),
        Some(pinned) => {
            let inputs = pinned.take(inputs)?;
            copy_outputs(&session.run_with_options(tensors(&inputs)?, &options)?)
        }
    }
}

fn copy_outputs(outputs: &SessionOutputs<'_>) -> ort::Result<Vec<NamedTensor>> {
    outputs
        .iter()
        .map(|(name, value)| {
            let (shape, data) = value.try_extract_tensor::<f32>()?;
            let shape = shape.iter().map(|dim| usize::try_from(*dim).unwrap_or(0)).collect();
            Ok(NamedTensor { name: name.to_owned(), shape, data: data.to_vec() })
        })
        .collect()
}

fn port(outlet: &ort::value::Outlet) -> Port {
    let dims = match outlet.dtype() {
        ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } => {
            Some(shape.iter().map(|dim| usize::try_from(*dim).ok()).collect())
        }
        _ => None,
    };
    Port { name: outlet.name().to_owned(), dims }
}
