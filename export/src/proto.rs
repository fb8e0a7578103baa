//! Writes and reads ONNX's protobuf: the only file that knows `onnx-protobuf`.
//!
//! Fields are written in the order of their numbers and nothing in a model is a map, so that the same model always
//! gives the same bytes.

use std::collections::BTreeMap;
use std::path::Path;

use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::tensor_proto::DataType;
use onnx_protobuf::tensor_shape_proto::{Dimension, dimension};
use onnx_protobuf::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use protobuf::{Enum, EnumOrUnknown, Message, MessageField};
use serde::Serialize;

use crate::graph::{Attribute, Data, Dim, Graph, Node, Port, Tensor};
use crate::{ExportError, wire};

/// A graph with what stands around it in the file.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) graph: Graph,
    /// Version of the file format.
    pub(crate) ir_version: i64,
    /// Version of the default operator set.
    pub(crate) opset: i64,
    pub(crate) producer_name: String,
    pub(crate) producer_version: String,
    pub(crate) doc: String,
    /// Keys of `metadata_props`; the map sorts them.
    pub(crate) metadata: BTreeMap<String, String>,
}

/// What an `.onnx` file holds, as far as a look at it tells; any producer's file will do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Name of the graph.
    pub graph: String,
    /// Version of the file format.
    pub ir_version: i64,
    /// Version of each operator set, by domain; the default domain is `ai.onnx`.
    pub opsets: BTreeMap<String, i64>,
    /// Name and version of the program that made it.
    pub producer: String,
    /// How often each operator stands in the graph.
    pub operators: BTreeMap<String, usize>,
    /// Inputs with their axes, e.g. `waveform [batch, samples]`.
    pub inputs: Vec<String>,
    /// Outputs with their axes.
    pub outputs: Vec<String>,
    /// Bytes of the stored tensors.
    pub tensor_bytes: u64,
    /// Bytes of the whole file.
    pub file_bytes: u64,
    /// `metadata_props`.
    pub metadata: BTreeMap<String, String>,
}

impl Summary {
    /// Reads the content of an `.onnx` file; `path` is for the error only.
    ///
    /// # Errors
    /// [`ExportError::NotOnnx`] for anything that is no ONNX model.
    pub fn of(bytes: &[u8], path: &Path) -> Result<Self, ExportError> {
        let refused = |reason| ExportError::NotOnnx { path: path.to_owned(), reason };
        wire::check(bytes).map_err(|reason| refused(reason.to_owned()))?;
        let model =
            ModelProto::parse_from_bytes(bytes).map_err(|error| refused(error.to_string()))?;
        let graph = model.graph.as_ref().filter(|graph| !graph.node.is_empty());
        let graph = graph.ok_or_else(|| refused("it holds no graph".to_owned()))?;
        let mut operators = BTreeMap::new();
        for node in &graph.node {
            *operators.entry(node.op_type.clone()).or_default() += 1;
        }
        let domain = |name: &str| if name.is_empty() { "ai.onnx".into() } else { name.to_owned() };
        Ok(Summary {
            graph: graph.name.clone(),
            ir_version: model.ir_version,
            opsets: model.opset_import.iter().map(|o| (domain(&o.domain), o.version)).collect(),
            producer: format!("{} {}", model.producer_name, model.producer_version),
            operators,
            inputs: graph.input.iter().map(port_text).collect(),
            outputs: graph.output.iter().map(port_text).collect(),
            tensor_bytes: graph.initializer.iter().map(tensor_bytes).fold(0, u64::saturating_add),
            file_bytes: bytes.len() as u64,
            metadata: model.metadata_props.into_iter().map(|e| (e.key, e.value)).collect(),
        })
    }
}

/// The bytes of an `.onnx` file.
///
/// # Errors
/// [`ExportError::TooLarge`] from 2 GiB on, where no reader of protobuf follows; [`ExportError::Encode`] where it refuses.
pub(crate) fn encode(model: &Model) -> Result<Vec<u8>, ExportError> {
    let proto = ModelProto {
        ir_version: model.ir_version,
        opset_import: vec![OperatorSetIdProto { version: model.opset, ..Default::default() }],
        producer_name: model.producer_name.clone(),
        producer_version: model.producer_version.clone(),
        doc_string: model.doc.clone(),
        graph: MessageField::some(graph_proto(&model.graph)?),
        metadata_props: model.metadata.iter().map(|(key, value)| entry(key, value)).collect(),
        ..Default::default()
    };
    check_size(proto.compute_size())?;
    proto.write_to_bytes().map_err(|error| ExportError::Encode { reason: error.to_string() })
}

fn check_size(bytes: u64) -> Result<(), ExportError> {
    i32::try_from(bytes).map(drop).map_err(|_| ExportError::TooLarge { what: "the model" })
}

fn graph_proto(graph: &Graph) -> Result<GraphProto, ExportError> {
    let tensors = graph.constants().map(|(name, tensor)| tensor_proto(name, tensor));
    Ok(GraphProto {
        name: graph.name.clone(),
        doc_string: graph.doc.clone(),
        node: graph.nodes().map(node_proto).collect(),
        initializer: tensors.collect::<Result<_, _>>()?,
        input: graph.inputs.iter().map(port_proto).collect::<Result<_, _>>()?,
        output: graph.outputs.iter().map(port_proto).collect::<Result<_, _>>()?,
        ..Default::default()
    })
}

fn node_proto(node: Node) -> NodeProto {
    NodeProto {
        name: node.name,
        op_type: node.operator.to_owned(),
        input: node.inputs,
        output: node.outputs,
        attribute: node.attributes.into_iter().map(|(name, a)| attribute_proto(name, a)).collect(),
        ..Default::default()
    }
}

fn attribute_proto(name: &str, attribute: Attribute) -> AttributeProto {
    let mut proto = AttributeProto { name: name.to_owned(), ..Default::default() };
    let bytes = |text: &str| text.as_bytes().to_vec();
    let kind = match attribute {
        Attribute::Int(value) => {
            proto.i = value;
            AttributeType::INT
        }
        Attribute::Ints(values) => {
            proto.ints = values;
            AttributeType::INTS
        }
        Attribute::Text(text) => {
            proto.s = bytes(text);
            AttributeType::STRING
        }
        Attribute::Texts(texts) => {
            proto.strings = texts.into_iter().map(bytes).collect();
            AttributeType::STRINGS
        }
    };
    proto.type_ = EnumOrUnknown::new(kind);
    proto
}

fn tensor_proto(name: String, tensor: &Tensor) -> Result<TensorProto, ExportError> {
    // Raw little-endian bytes: what every reader maps straight into memory.
    let (kind, raw_data) = match &tensor.data {
        Data::F32(values) => {
            (DataType::FLOAT, values.iter().flat_map(|v| v.to_le_bytes()).collect())
        }
        Data::I64(values) => {
            (DataType::INT64, values.iter().flat_map(|v| v.to_le_bytes()).collect())
        }
    };
    let dims = tensor.shape.iter().map(|axis| axis_size(*axis)).collect::<Result<_, _>>()?;
    Ok(TensorProto { name, dims, data_type: kind.value(), raw_data, ..Default::default() })
}

fn port_proto(port: &Port) -> Result<ValueInfoProto, ExportError> {
    let mut dim = Vec::with_capacity(port.dims.len());
    for axis in &port.dims {
        let value = match axis {
            Dim::Fixed(size) => dimension::Value::DimValue(axis_size(*size)?),
            Dim::Named(name) => dimension::Value::DimParam((*name).to_owned()),
        };
        dim.push(Dimension { value: Some(value), ..Default::default() });
    }
    let tensor = type_proto::Tensor {
        elem_type: DataType::FLOAT.value(),
        shape: MessageField::some(TensorShapeProto { dim, ..Default::default() }),
        ..Default::default()
    };
    let value = Some(type_proto::Value::TensorType(tensor));
    Ok(ValueInfoProto {
        name: port.name.clone(),
        doc_string: port.doc.to_owned(),
        type_: MessageField::some(TypeProto { value, ..Default::default() }),
        ..Default::default()
    })
}

fn axis_size(size: usize) -> Result<i64, ExportError> {
    i64::try_from(size).map_err(|_| ExportError::TooLarge { what: "an axis" })
}

fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: key.to_owned(), value: value.to_owned(), ..Default::default() }
}

fn port_text(port: &ValueInfoProto) -> String {
    let Some(type_proto::Value::TensorType(tensor)) =
        port.type_.as_ref().and_then(|kind| kind.value.as_ref())
    else {
        return format!("{} (no tensor)", port.name);
    };
    let axes: Vec<String> = tensor
        .shape
        .dim
        .iter()
        .map(|axis| match &axis.value {
            Some(dimension::Value::DimValue(size)) => size.to_string(),
            Some(dimension::Value::DimParam(name)) => name.clone(),
            _ => "?".to_owned(),
        })
        .collect();
    format!("{} [{}]", port.name, axes.join(", "))
}

/// Bytes of a tensor however its producer stored it, from its shape and type.
fn tensor_bytes(tensor: &TensorProto) -> u64 {
    let values = tensor.dims.iter().fold(1u64, |n, axis| n.saturating_mul(axis.unsigned_abs()));
    let width = match DataType::from_i32(tensor.data_type) {
        Some(DataType::DOUBLE | DataType::INT64 | DataType::UINT64 | DataType::COMPLEX64) => 8,
        Some(DataType::FLOAT | DataType::INT32 | DataType::UINT32) => 4,
        Some(DataType::FLOAT16 | DataType::BFLOAT16 | DataType::INT16 | DataType::UINT16) => 2,
        _ => 1,
    };
    values.saturating_mul(width)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        let mut graph = Graph::new("test", "a test");
        let axes = [Dim::Named("batch"), Dim::Fixed(3)];
        let x = graph.input("x", &axes, "");
        let w = graph.weights("w", &[3], vec![1.0, 2.0, 3.0]);
        let y = graph.node("Add", "sum", &[x, w], &[]);
        let y = graph.node("Softmax", "softmax", &[y], &[("axis", Attribute::Int(-1))]);
        graph.output(y, "y", &axes, "");
        let metadata = [("b".to_owned(), "2".to_owned()), ("a".to_owned(), "🎷".to_owned())];
        Model {
            graph,
            ir_version: 7,
            opset: 13,
            producer_name: "test".into(),
            producer_version: "1".into(),
            doc: String::new(),
            metadata: metadata.into(),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let summary = Summary::of(&encode(&model()).unwrap(), Path::new("x.onnx")).unwrap();
        assert_eq!(summary.inputs, ["x [batch, 3]"]);
        assert_eq!(summary.outputs, ["y [batch, 3]"]);
        assert_eq!(summary.operators, [("Add".into(), 1), ("Softmax".into(), 1)].into());
        assert_eq!(summary.opsets, [("ai.onnx".into(), 13)].into());
        assert_eq!((summary.ir_version, summary.tensor_bytes), (7, 12));
        assert_eq!(summary.metadata.get("a").map(String::as_str), Some("🎷"));
    }

    #[test]
    fn the_same_model_gives_the_same_bytes() {
        assert_eq!(encode(&model()).unwrap(), encode(&model()).unwrap());
    }

    #[test]
    fn two_gibibytes_are_refused() {
        assert!(check_size((1 << 31) - 1).is_ok());
        assert!(matches!(check_size(1 << 31), Err(ExportError::TooLarge { what: "the model" })));
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
        let bytes = model.write_to_bytes().unwrap();
        assert_eq!(Summary::of(&bytes, Path::new("x")).unwrap().tensor_bytes, u64::MAX);
    }

    #[test]
    fn a_file_of_nested_groups_is_refused() {
        // Field 1000 opens a group, a million times: the parser would follow each with a call of itself.
        let bytes = [0xC3, 0x3E].repeat(1_000_000);
        let error = Summary::of(&bytes, Path::new("bomb.onnx")).unwrap_err();
        assert!(matches!(error, ExportError::NotOnnx { .. }), "{error}");
    }

    #[test]
    fn other_files_are_refused_by_name() {
        for bytes in [&b""[..], b"RIFF....WAVE", &encode(&model()).unwrap()[..40]] {
            let error = Summary::of(bytes, Path::new("song.onnx")).unwrap_err();
            assert!(error.to_string().contains("song.onnx"), "{error}");
        }
    }
}
