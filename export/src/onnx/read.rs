//! Reads an `.onnx` file, any producer's, as plain data.

use std::collections::BTreeMap;
use std::path::Path;

use prost::Message;

use crate::ReadError;
use crate::onnx::messages::{
    AttributeProto, DataType, DimensionValue, GraphProto, ModelProto, ModelRest, NodeProto,
    TensorProto, TypeValue, ValueInfoProto,
};

/// The content of a file, as plain data.
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
    /// What the file holds that is in none of these: tensors in other files, functions of its own.
    pub(crate) beyond: Option<String>,
}

/// A node of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredNode {
    /// After the names of the nodes around it; the names of its outputs where it has none.
    pub(crate) name: String,
    /// With its domain, where it is not the default one.
    pub(crate) operator: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    /// By name, each encoded: equal bytes, equal attributes.
    pub(crate) attributes: BTreeMap<String, Vec<u8>>,
}

/// A tensor of the file.
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
    /// Encoded, with all its fields: equal bytes, equal tensors.
    pub(crate) whole: Vec<u8>,
}

impl Contents {
    /// Reads the content of an `.onnx` file; `path` is for the error only.
    ///
    /// # Errors
    /// [`ReadError::NotOnnx`] for anything that is no ONNX model.
    pub(crate) fn of(bytes: &[u8], path: &Path) -> Result<Self, ReadError> {
        let ModelProto { first: versions, rest } = decode(bytes, path)?;
        let ModelRest { graph, functions, metadata_props, .. } = rest;
        let graph = graph.unwrap_or_default();
        let (inputs, outputs) = (format_ports(&graph.input), format_ports(&graph.output));
        let (name, mut parts) = (graph.name.clone(), Parts::default());
        parts.take(graph, "");
        let functions = (!functions.is_empty()).then(|| "it has functions of its own".to_owned());
        let domain = |name: &str| if name.is_empty() { "ai.onnx".into() } else { name.to_owned() };
        let opsets = versions.opset_import.iter().map(|o| (domain(&o.domain), o.version));
        Ok(Contents {
            graph: name,
            ir_version: versions.ir_version,
            opsets: opsets.collect(),
            producer: format!("{} {}", rest.producer_name, rest.producer_version),
            nodes: parts.nodes,
            tensors: parts.tensors,
            inputs,
            outputs,
            metadata: metadata_props.into_iter().map(|e| (e.key, e.value)).collect(),
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
    /// `owner` is put before the names of nodes and tensors of a body: `NODE.ATTRIBUTE/`; empty for the graph itself. The
    /// recursion is bounded by prost's limit on nested messages.
    fn take(&mut self, graph: GraphProto, owner: &str) {
        let outside = graph.initializer.iter().find(|tensor| !tensor.external_data.is_empty());
        let beyond = match outside {
            Some(tensor) => Some(format!("its tensor {} is stored in another file", tensor.name)),
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

/// Takes the nodes and tensors out of the graphs among a node's attributes, each with the attribute's name; inputs and
/// outputs stay.
fn bodies_of(node: &mut NodeProto) -> Vec<(String, GraphProto)> {
    let mut bodies = Vec::new();
    for AttributeProto { first, rest } in &mut node.attribute {
        let name = &first.name;
        let one = rest.g.as_deref_mut().into_iter().map(|graph| (name.clone(), graph));
        let many = rest.graphs.iter_mut().enumerate();
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

/// Decodes a file that holds a graph; `path` is for the error only.
///
/// # Errors
/// [`ReadError::NotOnnx`].
pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<ModelProto, ReadError> {
    let refused = |reason| ReadError::NotOnnx { path: path.to_owned(), reason };
    let model = ModelProto::decode(bytes).map_err(|error| refused(error.to_string()))?;
    match model.rest.graph.as_ref().is_some_and(|graph| !graph.node.is_empty()) {
        true => Ok(model),
        false => Err(refused("it holds no graph".to_owned())),
    }
}

fn stored_node(node: NodeProto, owner: &str) -> StoredNode {
    let encoded = |attribute: AttributeProto| {
        let bytes = attribute.encode_to_vec();
        (attribute.first.name, bytes)
    };
    // A node without a name is known by its outputs.
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
        attributes: node.attribute.into_iter().map(encoded).collect(),
    }
}

fn stored_tensor(tensor: TensorProto, owner: &str) -> StoredTensor {
    let kind = DataType::try_from(tensor.data_type).ok();
    let width = match kind {
        Some(DataType::DOUBLE | DataType::INT64 | DataType::UINT64 | DataType::COMPLEX64) => 8,
        Some(DataType::FLOAT | DataType::INT32 | DataType::UINT32) => 4,
        Some(DataType::FLOAT16 | DataType::BFLOAT16 | DataType::INT16 | DataType::UINT16) => 2,
        _ => 1,
    };
    let values = tensor.dims.iter().fold(1u64, |n, axis| n.saturating_mul(axis.unsigned_abs()));
    let whole = tensor.encode_to_vec();
    StoredTensor {
        name: format!("{owner}{}", tensor.name),
        kind: kind.map_or("of no known type".to_owned(), |kind| format!("{kind:?}")),
        shape: tensor.dims,
        bytes: values.saturating_mul(width),
        raw: tensor.raw_data,
        whole,
    }
}

fn format_ports(ports: &[ValueInfoProto]) -> Vec<String> {
    ports.iter().map(format_port).collect()
}

fn format_port(port: &ValueInfoProto) -> String {
    let value = port.kind.as_ref().and_then(|kind| kind.value.as_ref());
    let Some(TypeValue::Tensor(tensor)) = value else { return port.name.clone() };
    let Some(shape) = &tensor.shape else { return port.name.clone() };
    let axes: Vec<String> = shape
        .dim
        .iter()
        .map(|dim| match &dim.value {
            Some(DimensionValue::Size(size)) => size.to_string(),
            Some(DimensionValue::Name(name)) => name.clone(),
            None => "?".to_owned(),
        })
        .collect();
    format!("{} [{}]", port.name, axes.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::write::encode;
    use crate::onnx::write::tests::model;

    #[test]
    fn what_is_written_is_read_back() {
        let contents = Contents::of(&encode(&model()).unwrap(), Path::new("x.onnx")).unwrap();
        assert_eq!(contents.inputs, ["x [batch, 3]"]);
        assert_eq!(contents.outputs, ["y [batch, 3]"]);
        let operators: Vec<&str> = contents.nodes.iter().map(|n| n.operator.as_str()).collect();
        assert_eq!(operators, ["Add", "Softmax"]);
        let axis = AttributeProto::decode(&contents.nodes[1].attributes["axis"][..]).unwrap();
        assert_eq!((axis.first.name.as_str(), axis.rest.i), ("axis", -1));
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
        let model = crate::onnx::write::Model { graph, ..model() };

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
        let contents = Contents::of(&file(graph), Path::new("x")).unwrap();
        assert!(contents.tensors.iter().all(|tensor| tensor.bytes == u64::MAX));
    }

    fn file(graph: GraphProto) -> Vec<u8> {
        let rest = ModelRest { graph: Some(graph), ..Default::default() };
        ModelProto { rest, ..Default::default() }.encode_to_vec()
    }

    fn refused(bytes: &[u8]) -> String {
        let error = Contents::of(bytes, Path::new("bomb.onnx")).unwrap_err();
        assert!(matches!(error, ReadError::NotOnnx { .. }), "{error}");
        error.to_string()
    }

    #[test]
    fn nested_groups_are_refused_before_the_stack_overflows() {
        // Each opens a group a million times: in the model, in a node, in an attribute, in a dimension. RUSTSEC-2024-0437.
        let groups = [0xC3, 0x3E].repeat(1_000_000);
        let inside = |fields: &[u8]| fields.iter().rev().fold(groups.clone(), within);
        for fields in [&[][..], &[7, 1], &[7, 1, 5], &[7, 11, 2, 1, 2, 1]] {
            refused(&inside(fields));
        }
    }

    #[test]
    fn bodies_in_bodies_have_an_end() {
        let nested = |times| {
            (0..times).fold(vec![0x0A, 0], |graph, _| [1, 5, 6].iter().rev().fold(graph, within))
        };
        let file = |times| within(nested(times), &7);
        assert!(Contents::of(&file(32), Path::new("x")).is_ok());
        refused(&file(33));
        refused(&file(10_000));
    }

    /// The field of this number, below 16, with this content.
    fn within(content: Vec<u8>, field: &u8) -> Vec<u8> {
        let mut bytes = vec![field << 3 | 2];
        prost::encoding::encode_varint(content.len() as u64, &mut bytes);
        bytes.extend(content);
        bytes
    }

    #[test]
    fn fields_of_later_versions_are_skipped() {
        let whole = encode(&model()).unwrap();
        // Field 1000 as a number, as bytes, and as a group with a number inside.
        let unknown = [0xC0, 0x3E, 5, 0xC2, 0x3E, 1, 0xFF, 0xC3, 0x3E, 0x08, 1, 0xC4, 0x3E];
        let later = Contents::of(&[&whole, &unknown[..]].concat(), Path::new("x")).unwrap();
        let contents = Contents::of(&whole, Path::new("x")).unwrap();
        assert_eq!((later.nodes, later.tensors), (contents.nodes, contents.tensors));
    }

    #[test]
    fn files_that_are_cut_or_claim_huge_lengths_are_refused() {
        let whole = encode(&model()).unwrap();
        for bytes in [&whole[..whole.len() - 1], &whole[..1], &[0x3A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]]
        {
            refused(bytes);
        }
        for bytes in [&[0x3A][..], &[0x3A, 5, 0], &[0x09, 1], &[0x80], &[0xFF; 11]] {
            refused(bytes);
        }
    }

    #[test]
    fn other_files_are_refused_by_name() {
        for bytes in [&b""[..], b"RIFF....WAVE", &encode(&model()).unwrap()[..40]] {
            let error = Contents::of(bytes, Path::new("song.onnx")).unwrap_err();
            assert!(error.to_string().contains("song.onnx"), "{error}");
        }
    }
}
