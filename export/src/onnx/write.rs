//! Writes a graph as the bytes of an `.onnx` file.
//!
//! Fields have a fixed order and nothing in a model is a map, so that the same model always gives the same bytes.

use std::collections::BTreeMap;

use prost::Message;

use crate::ExportError;
use crate::graph::{Attribute, Data, Dim, Element, Graph, Node, Port, Tensor};
use crate::onnx::messages::{
    AttributeHead, AttributeProto, AttributeType, AttributeValue, DataType, Dimension,
    DimensionValue, GraphProto, ModelProto, ModelRest, ModelVersions, NodeProto,
    OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorType,
    TypeProto, TypeValue, ValueInfoProto,
};

/// A graph with the other content of a file.
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
/// [`ExportError::TooLarge`] from 2 GiB on, beyond which readers of protobuf refuse a file.
pub(crate) fn encode(model: &Model) -> Result<Vec<u8>, ExportError> {
    let opset = i64::from(model.graph.opset);
    let proto = ModelProto {
        first: ModelVersions {
            ir_version: model.ir_version,
            opset_import: vec![OperatorSetIdProto { version: opset, ..Default::default() }],
        },
        rest: ModelRest {
            producer_name: model.producer_name.clone(),
            producer_version: model.producer_version.clone(),
            doc_string: model.doc.clone(),
            graph: Some(graph_proto(&model.graph)?),
            metadata_props: model.metadata.iter().map(|(key, value)| entry(key, value)).collect(),
            ..Default::default()
        },
    };
    check_size(proto.encoded_len())?;
    Ok(proto.encode_to_vec())
}

fn check_size(bytes: usize) -> Result<(), ExportError> {
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
    let mut value = AttributeValue::default();
    let bytes = |text: &str| text.as_bytes().to_vec();
    let kind = match attribute {
        Attribute::Int(number) => {
            value.i = number;
            AttributeType::Int
        }
        Attribute::Ints(numbers) => {
            value.ints = numbers;
            AttributeType::Ints
        }
        Attribute::Text(text) => {
            value.s = bytes(text);
            AttributeType::Text
        }
        Attribute::Texts(texts) => {
            value.strings = texts.into_iter().map(bytes).collect();
            AttributeType::Texts
        }
        Attribute::Body(graph) => {
            value.g = Some(Box::new(graph_proto(&graph)?));
            AttributeType::Graph
        }
    };
    let first = AttributeHead { name: name.to_owned(), kind: kind.into(), ..Default::default() };
    Ok(AttributeProto { first, rest: value })
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
    Ok(TensorProto { name, dims, data_type: kind.into(), raw_data, ..Default::default() })
}

fn port_proto(port: &Port) -> Result<ValueInfoProto, ExportError> {
    let mut dim = Vec::with_capacity(port.dims.len());
    for axis in &port.dims {
        let value = match axis {
            Dim::Fixed(size) => Some(DimensionValue::Size(axis_size(*size)?)),
            Dim::Named(name) => Some(DimensionValue::Name((*name).to_owned())),
            Dim::Any => None,
        };
        dim.push(Dimension { value, ..Default::default() });
    }
    let element = match port.element {
        Element::F32 => DataType::FLOAT,
        Element::U8 => DataType::UINT8,
    };
    let tensor = TensorType { elem_type: element.into(), shape: Some(TensorShapeProto { dim }) };
    Ok(ValueInfoProto {
        name: port.name.clone(),
        doc_string: port.doc.to_owned(),
        kind: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)), ..Default::default() }),
        ..Default::default()
    })
}

fn axis_size(size: usize) -> Result<i64, ExportError> {
    i64::try_from(size).map_err(|_| ExportError::TooLarge { what: "an axis" })
}

fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: key.to_owned(), value: value.to_owned() }
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
