//! From a checkpoint to the bytes of an `.onnx` file, phase by phase.

use std::collections::BTreeMap;

use leitmotif_models::{Card, GraphKind};

use crate::fold::fold;
use crate::proto::encode;
use crate::{Checkpoint, ExportError, assemble};

/// A compiled graph, complete but not yet in a file.
#[derive(Clone, Debug)]
pub struct Artifact {
    card: Card,
    metadata: BTreeMap<String, String>,
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
    let layers = fold(&network.steps(classes), checkpoint.weights())?;
    let graph = assemble::graph(network, classes, &layers, kind)?;
    let card = assemble::card(checkpoint, kind, name);
    let model = assemble::model(graph, &card)?;
    let bytes = encode(&model)?;
    Ok(Artifact { card, metadata: model.metadata, bytes })
}

impl Artifact {
    /// The card inside.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// The keys and values of `metadata_props`, the card's among them.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The content of the `.onnx` file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// `NAME.GRAPH.onnx`.
    pub fn file_name(&self) -> String {
        format!("{}.{}.onnx", self.card.name, self.card.graph.name())
    }
}
