//! Puts the outputs on a lowered network, and its card beside the graph.

use std::collections::BTreeMap;

use leitmotif_models::{Card, GraphKind, Network};

use crate::ExportError;
use crate::fold::FoldedStep;
use crate::graph::Dim::{Fixed, Named};
use crate::graph::{Attribute, Graph, Value};
use crate::lower::{self, Form, Lowered, Plan, Rows, State};
use crate::onnx::write::Model;
use crate::recipe::Recipe;

/// The graph of `kind` over folded layers.
///
/// # Errors
/// [`ExportError::TooLarge`] for a size beyond what ONNX stores.
pub(crate) fn graph(
    network: &Network,
    classes: usize,
    layers: &[FoldedStep],
    kind: GraphKind,
    recipe: &Recipe,
) -> Result<Graph, ExportError> {
    let form = Form { target: recipe.target, precision: recipe.precision };
    let mut graph = Graph::new(&format!("leitmotif_{}", kind.name()), doc(kind), form.opset());
    let units = Fixed(network.head.units);
    let batch = recipe.fixed.batch.map_or(Named("batch"), Fixed);
    let fixed_segments = recipe.fixed.segments.filter(|_| kind.takes_any_length());
    let classes = Fixed(classes);
    let samples = match (kind.takes_any_length(), fixed_segments) {
        (true, None) => Named("samples"),
        (true, Some(segments)) => Fixed(network.samples_of(segments)),
        (false, _) => Fixed(network.segment),
    };
    let waveform_doc = "mono samples at 16 kHz in [-1, 1]";
    let waveform = graph.input("waveform", &[batch.clone(), samples], waveform_doc);
    let per_class = [batch.clone(), classes.clone()];
    let per_unit = [batch.clone(), units.clone()];
    let segments = fixed_segments.map_or(Named("segments"), Fixed);
    let per_segment = [batch.clone(), segments.clone(), classes];

    let state = (kind == GraphKind::Step).then(|| State {
        h: graph.input("h", &per_unit, "hidden state before this segment, zeros at first"),
        c: graph.input("c", &per_unit, "cell state before this segment, zeros at first"),
    });
    let rows = if kind.takes_any_length() { Rows::Segments } else { Rows::Single };
    let calibration = recipe.calibration.as_ref();
    let embedding_only = recipe.embedding_only;
    let plan = Plan {
        network,
        layers,
        form,
        calibration,
        rows,
        segments: fixed_segments,
        embedding_only,
        last_state: true,
    };
    let x = lower::network(&mut graph, &plan, waveform, state)?;

    match kind {
        GraphKind::Clip if embedding_only => {
            let mean = mean_over_segments(&mut graph, "clip.embedding", x.embedding);
            graph.output(mean, "embedding", &per_unit, "mean of the tanh layer");
            let each = [batch, segments, units];
            graph.output(x.embedding, SEGMENT_EMBEDDINGS, &each, "of each segment");
        }
        GraphKind::Sequence if embedding_only => {
            let h = x.last_h.unwrap_or(x.embedding);
            graph.output(h, "embedding", &per_unit, "last hidden state");
        }
        GraphKind::Clip => {
            let probabilities =
                mean_over_segments(&mut graph, "clip.probabilities", x.probabilities);
            let embedding = mean_over_segments(&mut graph, "clip.embedding", x.embedding);
            graph.output(probabilities, "probabilities", &per_class, "mean over the segments");
            graph.output(x.probabilities, SEGMENTS, &per_segment, "of each segment");
            graph.output(embedding, "embedding", &per_unit, "mean of the tanh layer");
        }
        GraphKind::Sequence => {
            let minus_one = graph.integer(-1);
            let axis = [("axis", Attribute::Int(1))];
            let inputs = [x.probabilities, minus_one];
            let last = graph.node("Gather", "sequence.probabilities", &inputs, &axis);
            graph.output(last, "probabilities", &per_class, "after the last segment");
            graph.output(x.probabilities, SEGMENTS, &per_segment, "after segments 0 to this one");
            graph.output(
                x.last_h.unwrap_or(x.embedding),
                "embedding",
                &per_unit,
                "last hidden state",
            );
        }
        GraphKind::Segment => segment_outputs(&mut graph, &x, &per_class, &per_unit),
        GraphKind::Step => {
            segment_outputs(&mut graph, &x, &per_class, &per_unit);
            if let (Some(h), Some(c)) = (x.last_h, x.last_c) {
                graph.output(h, "h_next", &per_unit, "hidden state after this segment");
                graph.output(c, "c_next", &per_unit, "cell state after this segment");
            }
        }
    }
    Ok(graph)
}

const SEGMENTS: &str = "segment_probabilities";
const SEGMENT_EMBEDDINGS: &str = "segment_embeddings";

fn segment_outputs(
    graph: &mut Graph,
    x: &Lowered,
    per_class: &[crate::graph::Dim],
    per_unit: &[crate::graph::Dim],
) {
    graph.output(x.probabilities, "probabilities", per_class, "of this segment");
    graph.output(x.logits, "logits", per_class, "before the softmax");
    graph.output(x.embedding, "embedding", per_unit, "layer before the output layer");
}

/// <https://onnx.ai/onnx/operators/onnx__ReduceMean.html>, opset 1: the axes are an attribute until opset 18.
pub(crate) fn mean_over_segments(graph: &mut Graph, name: &str, x: Value) -> Value {
    let attributes = [("axes", Attribute::Ints(vec![1])), ("keepdims", Attribute::Int(0))];
    graph.node("ReduceMean", name, &[x], &attributes)
}

fn doc(kind: GraphKind) -> &'static str {
    match kind {
        // These texts are in the files: other words would be other bytes.
        GraphKind::Clip => "Cuts a recording into segments, judges each and takes the mean.",
        GraphKind::Segment => "Judges one segment.",
        GraphKind::Sequence => "Cuts a recording into segments and runs an LSTM over them.",
        GraphKind::Step => "Takes an LSTM one segment further.",
    }
}

/// The graph and its card as one model.
///
/// # Errors
/// [`ExportError::Card`] where the card would not be read back.
pub(crate) fn model(graph: Graph, card: &Card) -> Result<Model, ExportError> {
    let json = card.to_json()?;
    let classes = serde_json::Value::from(card.classes.clone()).to_string();
    let mut metadata = BTreeMap::from([
        (Card::KEY, json),
        ("class_outputs_key", "probabilities".to_owned()),
        ("classes", classes),
        ("embedding_outputs_key", "embedding".to_owned()),
        ("sample_rate", card.sample_rate.0.to_string()),
    ]);
    if card.embedding_only {
        metadata.remove("class_outputs_key");
    }
    if card.huggingface {
        metadata.remove("embedding_outputs_key");
        metadata.insert("class_outputs_key", "logits".to_owned());
    }
    let form = Form { target: card.target, precision: card.precision };
    Ok(Model {
        graph,
        ir_version: form.ir_version(),
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc: format!(
            "{}: recognises {} artists from mono samples at 16 kHz. The metadata key `{}` holds the card.",
            card.name,
            card.classes.len(),
            Card::KEY
        ),
        metadata: metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use leitmotif_models::{Calibration, Precision, RangeRule, Target};

    use super::*;
    use crate::Checkpoint;
    use crate::fold::fold;
    use crate::graph::Node;

    /// Made up: only the structure of the graph matters here.
    fn calibration(network: &Network) -> Option<Calibration> {
        let ranges = network.map_names().map(|block| (block, 1.0)).collect();
        let source = String::new();
        Some(Calibration { rule: RangeRule::MinMax, source, clips: 1, segments: 1, ranges })
    }

    fn check(kind: GraphKind, target: Target, precision: Precision) {
        let free = leitmotif_models::Fixed::default();
        let whole = leitmotif_models::Fixed { batch: Some(1), segments: Some(7) };
        for (fixed, embedding_only) in [(free, false), (whole, false), (free, true)] {
            if kind.takes_any_length() || !embedding_only {
                check_one(
                    kind,
                    Recipe { target, precision, fixed, embedding_only, ..Recipe::named("x") },
                );
            }
        }
        if kind.takes_any_length() {
            check_one(kind, Recipe { target, precision, huggingface: true, ..Recipe::named("x") });
        }
    }

    fn check_one(kind: GraphKind, recipe: Recipe) {
        let folder = format!("tests/data/tiny-{}", kind.head());
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let checkpoint = Checkpoint::open(&folder).unwrap();
        let (network, classes) = (&checkpoint.run().network, checkpoint.run().classes.len());
        let layers = fold(checkpoint.steps(), checkpoint.weights()).unwrap();
        let calibration = calibration(network).filter(|_| recipe.precision == Precision::Int8);
        let recipe = Recipe { calibration, ..recipe };
        let graph = match recipe.huggingface {
            true => {
                crate::huggingface::graph(network, classes, &layers, Some(2.0), &recipe).unwrap()
            }
            false => graph(network, classes, &layers, kind, &recipe).unwrap(),
        };
        let nodes: Vec<Node> = with_bodies(&graph);
        let mut used: BTreeSet<String> = nodes.iter().flat_map(|n| n.inputs.clone()).collect();
        used.extend(graph.outputs.iter().map(|port| port.name.clone()));
        let constants = graph.constants().map(|(name, _)| name);
        let made = nodes.iter().flat_map(|n| n.outputs.clone()).chain(constants);
        let mut names = BTreeSet::new();
        for value in made.filter(|name| !name.is_empty()) {
            assert!(used.contains(&value), "{}: nothing uses {value}", kind.name());
            assert!(names.insert(value.clone()), "{}: two values are called {value}", kind.name());
        }
        for (i, node) in nodes.iter().enumerate() {
            let same = |other: &Node| {
                (other.operator, &other.inputs, &other.attributes)
                    == (node.operator, &node.inputs, &node.attributes)
            };
            assert!(!nodes[..i].iter().any(same), "{}: {node:?} is there twice", kind.name());
        }
    }

    /// The nodes of a graph and of the bodies in it; the outputs of a body count as inputs of its node.
    fn with_bodies(graph: &Graph) -> Vec<Node> {
        let mut nodes = Vec::new();
        for mut node in graph.nodes() {
            for (_, attribute) in &node.attributes {
                if let Attribute::Body(body) = attribute {
                    nodes.extend(with_bodies(body));
                    node.inputs.extend(body.outputs.iter().map(|port| port.name.clone()));
                }
            }
            nodes.push(node);
        }
        nodes
    }

    #[test]
    fn no_graph_computes_anything_twice_or_in_vain() {
        let kinds = [GraphKind::Clip, GraphKind::Segment, GraphKind::Sequence, GraphKind::Step];
        let precisions = [Precision::Fp32, Precision::Fp16, Precision::Int8];
        for (kind, target) in kinds.into_iter().flat_map(|kind| Target::ALL.map(|t| (kind, t))) {
            for precision in precisions.into_iter().filter(|p| target.check(*p).is_ok()) {
                check(kind, target, precision);
            }
        }
    }
}
