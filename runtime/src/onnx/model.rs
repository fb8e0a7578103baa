//! A model that is open: what its card says, and the sessions that run it.

use std::path::PathBuf;

use leitmotif_models::{Card, Device, HeadKind};

use super::call::RecognizeOptions;
use super::device::{DevicePolicy, DeviceTaken, has_nvidia_driver};
use super::error::Error;
use super::graph::Graph;
use super::options::Engine;
use super::placement::{Placement, TRACT};
use super::pool::Pool;
use super::session::Port;

/// A model as clones of a recognizer share it.
#[derive(Debug)]
pub(super) struct OpenModel {
    pub(super) card: Card,
    pub(super) graph: Graph,
    pub(super) sessions: Pool,
    pub(super) device: DeviceTaken,
    pub(super) placement: Placement,
    /// What was asked for.
    pub(super) asked: (Device, DevicePolicy, Engine),
    pub(super) path: PathBuf,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
}

impl OpenModel {
    /// Samples from one segment's start to the next.
    ///
    /// # Errors
    ///
    /// [`Error::Hop`].
    pub(super) fn hop(&self, options: &RecognizeOptions) -> Result<usize, Error> {
        let Some(hop) = options.hop.filter(|hop| *hop != self.card.hop_samples) else {
            return Ok(self.card.hop_samples);
        };
        let reason = match (hop, self.card.graph.head()) {
            (0, _) => "segments would never move on",
            (_, HeadKind::Lstm) => "an LSTM was trained with its own",
            _ => return Ok(hop),
        };
        Err(Error::Hop { path: self.path.clone(), hop, reason })
    }

    /// What differs from the request.
    pub(super) fn warning(&self) -> Option<String> {
        warning(self.asked, &self.device, &self.placement, has_nvidia_driver())
    }

    /// That live audio needs another graph.
    pub(super) fn needs_step(&self) -> Error {
        Error::NeedsStep { path: self.path.clone() }
    }
}

fn warning(
    (device, policy, engine): (Device, DevicePolicy, Engine),
    taken: &DeviceTaken,
    placement: &Placement,
    nvidia_driver: bool,
) -> Option<String> {
    if policy == DevicePolicy::Allow {
        return None;
    }
    if device == Device::Auto && taken.device == Device::Cpu && nvidia_driver {
        return Some(format!("runs on {taken}, beside an NVIDIA driver"));
    }
    if engine == Engine::Auto && placement.nodes(TRACT) > 0 {
        return Some(format!("runs on {taken}"));
    }
    let elsewhere = placement.elsewhere(taken.device)?;
    Some(format!("runs on {taken}, but not all of it: ONNX Runtime gives {elsewhere}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_the_request_is_a_warning_unless_it_is_allowed() {
        let on = |device| DeviceTaken { device, why: "because".to_owned() };
        let nodes = |providers: &[&str]| {
            let operators = [("Conv".to_owned(), 1)];
            let of = |name: &&str| ((*name).to_owned(), operators.clone().into());
            Placement { providers: providers.iter().map(of).collect() }
        };
        let (cpu, cuda) = (nodes(&["CPUExecutionProvider"]), nodes(&["CUDAExecutionProvider"]));
        let mixed = nodes(&["CUDAExecutionProvider", "CPUExecutionProvider"]);
        let (gpu, auto, warn) = (Device::Cuda(0), Device::Auto, DevicePolicy::Warn);
        let (any, ort, tract) = (Engine::Auto, Engine::OnnxRuntime, Engine::Tract);
        for (asked, taken, placement, driver, warns) in [
            ((Device::Cpu, warn, any), Device::Cpu, &cpu, true, false),
            ((auto, warn, any), Device::Cpu, &cpu, false, false),
            ((auto, warn, any), Device::Cpu, &cpu, true, true),
            ((auto, DevicePolicy::Allow, any), Device::Cpu, &cpu, true, false),
            ((gpu, warn, ort), gpu, &cuda, true, false),
            ((gpu, warn, ort), gpu, &mixed, true, true),
            ((auto, warn, any), Device::Cpu, &nodes(&["tract"]), false, true),
            ((auto, warn, tract), Device::Cpu, &nodes(&["tract"]), false, false),
        ] {
            let found = warning(asked, &on(taken), placement, driver);
            assert_eq!(found.is_some(), warns, "{asked:?} on {taken:?}: {found:?}");
        }
    }
}
