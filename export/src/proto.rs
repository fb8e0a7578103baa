//! Writes ONNX's protobuf: with `read.rs`, `layers.rs` and `batch.rs`, the only file that knows `onnx-protobuf`.
//!
//! Fields are written in the order of their numbers and nothing in a model is a map, so that the same model always
//! gives the same bytes.

use std::collections::BTreeMap;

use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::tensor_proto::DataType;
use onnx_protobuf::tensor_shape_proto::{Dimension, dimension};
use onnx_protobuf::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use protobuf::{Enum, EnumOrUnknown, Message, MessageField};

use crate::ExportError;
use crate::graph::{Attribute, Data, Dim, Element, Graph, Node, Port, Tensor};

/// A graph with what stands around it in the file.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) graph: Graph,
    /// Version of the file format.
    pub(crate) ir_version: i64,
    pub(crate) producer_name: String,
    pub(crate) producer_version: String,
    pub(crate) doc: String,
    /// Keys of `metadata_props`; the map sorts them.
    pub(crate) metadata: BTreeMap<String, String>,
}

/// The bytes of an `.onnx` file.
///
/// # Errors
/// [`ExportError::TooLarge`] from 2 GiB on, where no reader of protobuf follows; [`ExportError::Encode`] where it refuses.
pub(crate) fn encode(model: &Model) -> Result<Vec<u8>, ExportError> {
    let proto = ModelProto {
        ir_version: model.ir_version,
        opset_import: vec![OperatorSetIdProto {
            version: i64::from(model.graph.opset),
            ..Default::default()
        }],
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
        node: graph.nodes().map(node_proto).collect::<Result<_, _>>()?,
        initializer: tensors.collect::<Result<_, _>>()?,
        input: graph.inputs.iter().map(port_proto).collect::<Result<_, _>>()?,
        output: graph.outputs.iter().map(port_proto).collect::<Result<_, _>>()?,
        value_info: graph.declared().map(|port| port_proto(&port)).collect::<Result<_, _>>()?,
        ..Default::default()
    })
}

fn node_proto(node: Node) -> Result<NodeProto, ExportError> {
    let attributes = node.attributes.into_iter().map(|(name, a)| attribute_proto(name, a));
    Ok(NodeProto {
        name: node.name,
        op_type: node.operator.to_owned(),
        input: node.inputs,
        output: node.outputs,
        attribute: attributes.collect::<Result<_, _>>()?,
        ..Default::default()
    })
}

fn attribute_proto(name: &str, attribute: Attribute) -> Result<AttributeProto, ExportError> {
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
        Attribute::Body(graph) => {
            proto.g = MessageField::some(graph_proto(&graph)?);
            AttributeType::GRAPH
        }
    };
    proto.type_ = EnumOrUnknown::new(kind);
    Ok(proto)
}

fn tensor_proto(name: String, tensor: &Tensor) -> Result<TensorProto, ExportError> {
    // Raw little-endian bytes: what every reader maps straight into memory.
    macro_rules! bytes {
        ($values:expr) => {
            $values.iter().flat_map(|value| value.to_le_bytes()).collect()
        };
    }
    let (kind, raw_data) = match &tensor.data {
        Data::F32(values) => (DataType::FLOAT, bytes!(values)),
        Data::F16(values) => (DataType::FLOAT16, bytes!(values)),
        Data::I64(values) => (DataType::INT64, bytes!(values)),
        Data::I32(values) => (DataType::INT32, bytes!(values)),
        Data::I8(values) => (DataType::INT8, bytes!(values)),
        Data::U8(values) => (DataType::UINT8, values.clone()),
    };
    let dims = tensor.shape.iter().map(|axis| axis_size(*axis)).collect::<Result<_, _>>()?;
    Ok(TensorProto { name, dims, data_type: kind.value(), raw_data, ..Default::default() })
}

fn port_proto(port: &Port) -> Result<ValueInfoProto, ExportError> {
    let mut dim = Vec::with_capacity(port.dims.len());
    for axis in &port.dims {
        let value = match axis {
            Dim::Fixed(size) => Some(dimension::Value::DimValue(axis_size(*size)?)),
            Dim::Named(name) => Some(dimension::Value::DimParam((*name).to_owned())),
            Dim::Any => None,
        };
        dim.push(Dimension { value, ..Default::default() });
    }
    let kind = match port.element {
        Element::F32 => DataType::FLOAT,
        Element::U8 => DataType::UINT8,
    };
    let tensor = type_proto::Tensor {
        elem_type: kind.value(),
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One of the smallest models there are.
    pub(crate) fn model() -> Model {
        let mut graph = Graph::new("test", "a test", 13);
        let axes = [Dim::Named("batch"), Dim::Fixed(3)];
        let x = graph.input("x", &axes, "");
        let w = graph.weights("sum.w", &[3], vec![1.0, 2.0, 3.0]);
        let y = graph.node("Add", "sum", &[x, w], &[]);
        let y = graph.node("Softmax", "softmax", &[y], &[("axis", Attribute::Int(-1))]);
        graph.output(y, "y", &axes, "");
        let metadata = [("b".to_owned(), "2".to_owned()), ("a".to_owned(), "🎷".to_owned())];
        Model {
            graph,
            ir_version: 7,
            producer_name: "test".into(),
            producer_version: "1".into(),
            doc: String::new(),
            metadata: metadata.into(),
        }
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
}
