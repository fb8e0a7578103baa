//! From a checkpoint to the bytes of an `.onnx` file, phase by phase.

use std::path::Path;

use leitmotif_models::{Card, GraphKind};

use crate::fold::fold;
use crate::proto::encode;
use crate::{Checkpoint, ExportError, assemble, write};

/// A compiled graph, complete but not yet in a file.
#[derive(Clone, Debug)]
pub struct Artifact {
    card: Card,
    bytes: Vec<u8>,
}

/// Compiles the graph of `kind` and calls the model `name`.
///
/// The same checkpoint, kind and name give the same bytes.
///
/// # Errors
/// [`ExportError`] of the phase that failed; [`ExportError::WrongHead`] for a graph that the head does not have.
pub fn compile(
    checkpoint: &Checkpoint,
    kind: GraphKind,
    name: &str,
) -> Result<Artifact, ExportError> {
    let run = checkpoint.run();
    let (network, classes) = (&run.network, run.classes.len());
    let head = network.head.kind;
    if kind.head() != head {
        return Err(ExportError::WrongHead { graph: kind.name().to_owned(), head });
    }
    let weights = checkpoint.weights()?;
    let layers = fold(&network.steps(classes), &weights)?;
    let graph = assemble::graph(network, classes, &layers, kind)?;
    let card = assemble::card(checkpoint, weights.sha256(), kind, name);
    let bytes = encode(&assemble::model(graph, &card)?)?;
    Ok(Artifact { card, bytes })
}

impl Artifact {
    /// The card inside.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// The content of the `.onnx` file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// `NAME.GRAPH.onnx`.
    pub fn file_name(&self) -> String {
        format!("{}.{}.onnx", self.card.name, self.card.graph.name())
    }

    /// Writes the file to `path` once `accept` has judged it under a temporary name.
    ///
    /// # Errors
    /// Those of [`write_accepted`](crate::write_accepted).
    pub fn write<E: From<ExportError>>(
        &self,
        path: &Path,
        accept: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        write::write_accepted(path, &self.bytes, accept)
    }
}
