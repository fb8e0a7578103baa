//! From a checkpoint to the bytes of an `.onnx` file, phase by phase.

use std::collections::BTreeMap;

use leitmotif_models::{Card, GraphKind, Precision};

use crate::fold::fold;
use crate::graph::{Dim, Port};
use crate::onnx::write::encode;
use crate::recipe::Recipe;
use crate::{Checkpoint, ExportError, LowerError, assemble, card, huggingface};

/// A compiled graph, complete but not yet in a file.
#[derive(Clone, Debug)]
pub struct Artifact {
    card: Card,
    metadata: BTreeMap<String, String>,
    inputs: Vec<(String, Shape)>,
    outputs: Vec<(String, Shape)>,
    /// The operator of each output, by its name.
    operators: BTreeMap<String, &'static str>,
    bytes: Vec<u8>,
}

/// The axes of an input or output, `None` where any size will do.
pub type Shape = Vec<Option<usize>>;

/// Compiles the portable fp32 graph of `kind` and calls the model `name`.
///
/// # Errors
/// Those of [`compile_as`].
pub fn compile(
    checkpoint: &Checkpoint,
    kind: GraphKind,
    name: &str,
) -> Result<Artifact, ExportError> {
    compile_as(checkpoint, kind, &Recipe::named(name))
}

/// Compiles the graph of `kind` by a recipe.
///
/// # Errors
/// [`ExportError`] of the phase that failed; [`LowerError::WrongHead`] for a graph that the head does not have,
/// [`LowerError::NoEmbeddingOf`] for an embedding of a graph that takes one segment, [`LowerError::NotWhole`] for Hugging
/// Face's form of one, of fixed sizes or without artists,
/// [`LowerError::Form`] for a precision that the target does not have, [`LowerError::NotCalibrated`] for int8 without
/// ranges.
pub fn compile_as(
    checkpoint: &Checkpoint,
    kind: GraphKind,
    recipe: &Recipe,
) -> Result<Artifact, ExportError> {
    recipe.target.check(recipe.precision).map_err(LowerError::from)?;
    let run = checkpoint.run();
    let (network, classes) = (&run.network, run.classes.len());
    let head = network.head.kind;
    if kind.head() != head {
        return Err(LowerError::WrongHead { graph: kind.name().to_owned(), head }.into());
    }
    if recipe.embedding_only && !kind.takes_any_length() {
        return Err(LowerError::NoEmbeddingOf { graph: kind.name().to_owned() }.into());
    }
    let free = recipe.fixed.is_free() && !recipe.embedding_only;
    if recipe.huggingface && !(kind.takes_any_length() && free) {
        return Err(LowerError::NotWhole.into());
    }
    let layers = fold(checkpoint.steps(), checkpoint.weights())?;
    let temperature = run.confidence.as_ref().map(|confidence| confidence.temperature);
    let graph = match recipe.huggingface {
        true => huggingface::graph(network, classes, &layers, temperature, recipe)?,
        false => assemble::graph(network, classes, &layers, kind, recipe)?,
    };
    let card = card::card(checkpoint, kind, recipe);
    let (inputs, outputs) = (named_shapes(&graph.inputs), named_shapes(&graph.outputs));
    let operators = graph.operators_of_outputs();
    let model = assemble::model(graph, &card)?;
    let bytes = encode(&model)?;
    Ok(Artifact { card, metadata: model.metadata, inputs, outputs, operators, bytes })
}

fn named_shapes(ports: &[Port]) -> Vec<(String, Shape)> {
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => Some(*size),
        Dim::Named(_) | Dim::Any => None,
    };
    ports.iter().map(|port| (port.name.clone(), port.dims.iter().map(size).collect())).collect()
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

    /// What the graph takes, in its order.
    pub fn inputs(&self) -> &[(String, Shape)] {
        &self.inputs
    }

    /// What the graph gives, in its order.
    pub fn outputs(&self) -> &[(String, Shape)] {
        &self.outputs
    }

    /// The operator whose node gives an output.
    pub(crate) fn operator_of(&self, output: &str) -> Option<&'static str> {
        self.operators.get(output).copied()
    }

    /// The content of the `.onnx` file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// `NAME.GRAPH.onnx`, or `NAME.embedding.onnx` where it ends there; in Hugging Face's form what its libraries look for
    /// in the folder `onnx`, by precision: `model.onnx`, `model_fp16.onnx`, `model_int8.onnx`.
    pub fn file_name(&self) -> String {
        if self.card.huggingface {
            return match self.card.precision {
                Precision::Fp32 => "model.onnx".to_owned(),
                precision => format!("model_{precision}.onnx"),
            };
        }
        let graph = if self.card.embedding_only { "embedding" } else { self.card.graph.name() };
        format!("{}.{graph}.onnx", self.card.name)
    }
}
