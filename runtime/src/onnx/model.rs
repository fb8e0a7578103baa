//! A model that is open: what its card says, and the sessions that run it.

use std::path::PathBuf;

use leitmotif_models::{Card, HeadKind};

use super::call::RecognizeOptions;
use super::device::DeviceTaken;
use super::error::Error;
use super::graph::Graph;
use super::pool::Pool;
use super::session::Port;

/// A model as clones of a recognizer share it.
#[derive(Debug)]
pub(super) struct OpenModel {
    pub(super) card: Card,
    pub(super) graph: Graph,
    pub(super) sessions: Pool,
    pub(super) device: DeviceTaken,
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

    /// That live audio needs another graph.
    pub(super) fn needs_step(&self) -> Error {
        Error::NeedsStep { path: self.path.clone() }
    }
}
