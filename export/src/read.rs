//! Reads ONNX's protobuf, any producer's: with `proto.rs`, `layers.rs` and `batch.rs`, the only file that
//! knows `onnx-protobuf`.

use std::collections::BTreeMap;
use std::path::Path;

use onnx_protobuf::tensor_proto::DataType;
use onnx_protobuf::tensor_shape_proto::dimension;
use onnx_protobuf::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto,
};
use protobuf::{Enum, Message};

use crate::{ExportError, wire};

/// What a file says, as plain data.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    pub(crate) graph: String,
    pub(crate) ir_version: i64,
    /// By domain; the default one is `ai.onnx`.
    pub(crate) opsets: BTreeMap<String, i64>,
    /// Name and version.
    pub(crate) producer: String,
    /// Those of bodies included, as `NODE.ATTRIBUTE/NAME`.
    pub(crate) nodes: Vec<StoredNode>,
    pub(crate) tensors: Vec<StoredTensor>,
    /// E.g. `waveform [batch, samples]`.
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    /// What the model says that is in none of these: tensors in other files, functions of its own.
    pub(crate) beyond: Option<String>,
}

/// A node as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredNode {
    /// With its owners before it; where it has none, what it gives.
    pub(crate) name: String,
    /// With its domain, where it is not the default one.
    pub(crate) operator: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// A tensor as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredTensor {
    pub(crate) name: String,
    /// Name of the element type, `FLOAT`.
    pub(crate) kind: String,
    pub(crate) shape: Vec<i64>,
    /// From its shape and type, however its producer stored it.
    pub(crate) bytes: u64,
    /// Raw little-endian values; empty where its producer stored them otherwise.
    pub(crate) raw: Vec<u8>,
    /// Everything that the file says of it: equal texts, equal tensors.
    pub(crate) whole: Vec<u8>,
}

impl Contents {
    /// Reads the content of an `.onnx` file; `path` is for the error only.
    ///
    /// # Errors
    /// [`ExportError::NotOnnx`] for anything that is no ONNX model.
    pub(crate) fn of(bytes: &[u8], path: &Path) -> Result<Self, ExportError> {
        let model = parse(bytes, path)?;
        let has_functions = !model.functions.is_empty();
        let graph = model.graph.unwrap_or_default();
        let (inputs, outputs) = (ports_text(&graph.input), ports_text(&graph.output));
        let (name, mut parts) = (graph.name.clone(), Parts::default());
        parts.take(graph, "");
        let functions = has_functions.then(|| "it has functions of its own".to_owned());
        let domain = |name: &str| if name.is_empty() { "ai.onnx".into() } else { name.to_owned() };
        Ok(Contents {
            graph: name,
            ir_version: model.ir_version,
            opsets: model.opset_import.iter().map(|o| (domain(&o.domain), o.version)).collect(),
            producer: format!("{} {}", model.producer_name, model.producer_version),
            nodes: parts.nodes,
            tensors: parts.tensors,
            inputs,
            outputs,
            metadata: model.metadata_props.into_iter().map(|e| (e.key, e.value)).collect(),
            beyond: parts.beyond.or(functions),
        })
    }
}

/// What a graph holds, the bodies of its nodes included.
#[derive(Default)]
struct Parts {
    nodes: Vec<StoredNode>,
    tensors: Vec<StoredTensor>,
    beyond: Option<String>,
}

impl Parts {
    /// `owner` stands before the names of what a body holds: `NODE.ATTRIBUTE/`, and nothing in the graph itself. The reader's own bound
    /// on messages within messages is the bound here.
    fn take(&mut self, graph: GraphProto, owner: &str) {
        let outside = graph.initializer.iter().find(|tensor| !tensor.external_data.is_empty());
        let beyond = match outside {
            Some(tensor) => Some(format!("its tensor {} lies in another file", tensor.name)),
            None if !graph.sparse_initializer.is_empty() => {
                Some("it has sparse tensors".to_owned())
            }
            None => None,
        };
        self.beyond = self.beyond.take().or(beyond);
        for mut node in graph.node {
            let bodies = bodies_of(&mut node);
            let node = stored_node(node, owner);
            let inside = |body: &str| format!("{}.{body}/", node.name);
            let bodies: Vec<(String, GraphProto)> =
                bodies.into_iter().map(|(name, body)| (inside(&name), body)).collect();
            self.nodes.push(node);
            bodies.into_iter().for_each(|(owner, body)| self.take(body, &owner));
        }
        self.tensors.extend(graph.initializer.into_iter().map(|t| stored_tensor(t, owner)));
    }
}

/// Takes the content of the graphs among a node's attributes out of them, each with the attribute's name; what goes in and
/// comes out stays.
fn bodies_of(node: &mut NodeProto) -> Vec<(String, GraphProto)> {
    let mut bodies = Vec::new();
    for AttributeProto { name, g, graphs, .. } in &mut node.attribute {
        let one = g.as_mut().into_iter().map(|graph| (name.clone(), graph));
        let many = graphs.iter_mut().enumerate();
        let many = many.map(|(i, graph)| (format!("{name}[{i}]"), graph));
        bodies.extend(one.chain(many).map(|(name, graph)| {
            let body = GraphProto {
                node: std::mem::take(&mut graph.node),
                initializer: std::mem::take(&mut graph.initializer),
                sparse_initializer: std::mem::take(&mut graph.sparse_initializer),
                ..Default::default()
            };
            (name, body)
        }));
    }
    bodies
}

pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<ModelProto, ExportError> {
    let refused = |reason| ExportError::NotOnnx { path: path.to_owned(), reason };
    wire::check(bytes).map_err(|reason| refused(reason.to_owned()))?;
    let model = ModelProto::parse_from_bytes(bytes).map_err(|error| refused(error.to_string()))?;
    match model.graph.as_ref().is_some_and(|graph| !graph.node.is_empty()) {
        true => Ok(model),
        false => Err(refused("it holds no graph".to_owned())),
    }
}

fn stored_node(node: NodeProto, owner: &str) -> StoredNode {
    let attribute = |attribute: AttributeProto| (attribute.name.clone(), format!("{attribute:?}"));
    // A node without a name is known by what it gives.
    let name = match node.name.is_empty() {
        true => format!("{owner}{}", node.output.join(", ")),
        false => format!("{owner}{}", node.name),
    };
    StoredNode {
        name,
        operator: match node.domain.as_str() {
            "" | "ai.onnx" => node.op_type,
            domain => format!("{domain}.{}", node.op_type),
        },
        inputs: node.input,
        outputs: node.output,
        attributes: node.attribute.into_iter().map(attribute).collect(),
    }
}

fn stored_tensor(tensor: TensorProto, owner: &str) -> StoredTensor {
    let kind = DataType::from_i32(tensor.data_type);
    let width = match kind {
        Some(DataType::DOUBLE | DataType::INT64 | DataType::UINT64 | DataType::COMPLEX64) => 8,
        Some(DataType::FLOAT | DataType::INT32 | DataType::UINT32) => 4,
        Some(DataType::FLOAT16 | DataType::BFLOAT16 | DataType::INT16 | DataType::UINT16) => 2,
        _ => 1,
    };
    let values = tensor.dims.iter().fold(1u64, |n, axis| n.saturating_mul(axis.unsigned_abs()));
    let whole = tensor.write_to_bytes().unwrap_or_default();
    StoredTensor {
        name: format!("{owner}{}", tensor.name),
        kind: kind.map_or("of no known type".to_owned(), |kind| format!("{kind:?}")),
        shape: tensor.dims,
        bytes: values.saturating_mul(width),
        raw: tensor.raw_data,
        whole,
    }
}

fn ports_text(ports: &[ValueInfoProto]) -> Vec<String> {
    ports.iter().map(port_text).collect()
}

fn port_text(port: &ValueInfoProto) -> String {
    let dims = port.type_.as_ref().filter(|t| t.has_tensor_type()).map(|t| t.tensor_type());
    let Some(shape) = dims.and_then(|tensor| tensor.shape.as_ref()) else {
        return port.name.clone();
    };
    let axes: Vec<String> = shape
        .dim
        .iter()
        .map(|dim| match &dim.value {
            Some(dimension::Value::DimValue(size)) => size.to_string(),
            Some(dimension::Value::DimParam(name)) => name.clone(),
            _ => "?".to_owned(),
        })
        .collect();
    format!("{} [{}]", port.name, axes.join(", "))
}

#[cfg(test)]
mod tests {
    use protobuf::MessageField;

    use super::*;
    use crate::proto::encode;
    use crate::proto::tests::model;

    #[test]
    fn what_is_written_is_read_back() {
        let contents = Contents::of(&encode(&model()).unwrap(), Path::new("x.onnx")).unwrap();
        assert_eq!(contents.inputs, ["x [batch, 3]"]);
        assert_eq!(contents.outputs, ["y [batch, 3]"]);
        let operators: Vec<&str> = contents.nodes.iter().map(|n| n.operator.as_str()).collect();
        assert_eq!(operators, ["Add", "Softmax"]);
        assert!(contents.nodes[1].attributes["axis"].contains("-1"), "{:?}", contents.nodes);
        assert_eq!(contents.opsets, [("ai.onnx".into(), 13)].into());
        let [weights] = &contents.tensors[..] else { panic!("{:?}", contents.tensors) };
        assert_eq!((weights.kind.as_str(), weights.bytes, weights.raw.len()), ("FLOAT", 12, 12));
        assert_eq!(contents.metadata.get("a").map(String::as_str), Some("🎷"));
    }

    #[test]
    fn what_lies_in_a_body_is_read_too() {
        use crate::graph::{Attribute, Data, Dim, Element, Graph};
        let mut graph = Graph::new("outer", "", 13);
        let x = graph.input("x", &[Dim::Named("rows"), Dim::Fixed(3)], "");
        let w = graph.weights("w", &[3], vec![1.0, 2.0, 3.0]);
        let mut body = Graph::new("one", "", 13);
        let row = body.input("row", &[Dim::Fixed(3)], "");
        let zero = body.tensor("zero", &[], Data::U8(vec![0]));
        let w_inside = body.outer(&graph, w);
        let scaled = body.node("QuantizeLinear", "round", &[row, w_inside, zero], &[]);
        body.output_of(Element::U8, scaled, "rounded", &[Dim::Fixed(3)], "");
        let attributes = [("body", Attribute::Body(Box::new(body)))];
        let each = graph.node("Scan", "each", &[x], &attributes);
        graph.declare(each, Element::U8, &[Dim::Any, Dim::Fixed(3)]);
        graph.output_of(Element::U8, each, "y", &[Dim::Any, Dim::Fixed(3)], "");
        let model = crate::proto::Model { graph, ..model() };

        let contents = Contents::of(&encode(&model).unwrap(), Path::new("x.onnx")).unwrap();
        let names: Vec<&str> = contents.nodes.iter().map(|n| n.name.as_str()).collect();
        assert_eq!(names, ["each", "each.body/round"]);
        assert_eq!(contents.nodes[1].inputs, ["row", "w", "zero"]);
        let tensors: Vec<&str> = contents.tensors.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(tensors, ["each.body/zero", "w"]);
        assert_eq!(contents.outputs, ["y [?, 3]"]);
    }

    #[test]
    fn sizes_that_a_file_claims_do_not_wrap() {
        let huge = TensorProto { dims: vec![i64::MAX, 16], data_type: 1, ..Default::default() };
        let graph = GraphProto {
            node: vec![NodeProto::default()],
            initializer: vec![huge.clone(), huge],
            ..Default::default()
        };
        let model = ModelProto { graph: MessageField::some(graph), ..Default::default() };
        let contents = Contents::of(&model.write_to_bytes().unwrap(), Path::new("x")).unwrap();
        assert!(contents.tensors.iter().all(|tensor| tensor.bytes == u64::MAX));
    }

    #[test]
    fn a_file_of_nested_groups_is_refused() {
        // Field 1000 opens a group, a million times: the parser would follow each with a call of itself.
        let bytes = [0xC3, 0x3E].repeat(1_000_000);
        let error = Contents::of(&bytes, Path::new("bomb.onnx")).unwrap_err();
        assert!(matches!(error, ExportError::NotOnnx { .. }), "{error}");
    }

    #[test]
    fn other_files_are_refused_by_name() {
        for bytes in [&b""[..], b"RIFF....WAVE", &encode(&model()).unwrap()[..40]] {
            let error = Contents::of(bytes, Path::new("song.onnx")).unwrap_err();
            assert!(error.to_string().contains("song.onnx"), "{error}");
        }
    }
}
