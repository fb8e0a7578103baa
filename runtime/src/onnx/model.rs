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

    /// What is not as it may have been expected.
    pub(super) fn warning(&self) -> Option<String> {
        let (device, policy, engine) = self.asked;
        let taken = &self.device;
        if policy == DevicePolicy::Allow {
            return None;
        }
        if device == Device::Auto && taken.device == Device::Cpu && has_nvidia_driver() {
            return Some(format!("runs on {taken}, beside an NVIDIA driver"));
        }
        if engine == Engine::Auto && self.placement.nodes(TRACT) > 0 {
            return Some(format!("runs on {taken}"));
        }
        let beside = self.placement.beside(taken.device)?;
        Some(format!("runs on {taken}, but not all of it: ONNX Runtime gives {beside}"))
    }

    /// That live audio needs another graph.
    pub(super) fn needs_step(&self) -> Error {
        Error::NeedsStep { path: self.path.clone() }
    }
}
