//! Changes a compiled file for one run: another batch, or the output of each layer as one more output.

use std::path::Path;

use prost::Message;

use crate::onnx::messages::{
    AttributeHead, AttributeProto, AttributeType, AttributeValue, DataType, DimensionValue,
    NodeProto, TensorType, TypeProto, TypeValue, ValueInfoProto,
};
use crate::onnx::read::decode;
use crate::{ExportError, ReadError};

/// The file with `batch` as the first axis of every input and output, for where whole batches would fill the memory;
/// `path` is for the error only.
///
/// No node that the compiler writes holds the size of the batch, so nothing else changes.
///
/// # Errors
/// [`ReadError::NotOnnx`] for anything that is no ONNX model, [`ExportError::TooLarge`] for a batch beyond what ONNX stores.
pub fn with_batch(bytes: &[u8], path: &Path, batch: usize) -> Result<Vec<u8>, ExportError> {
    let mut model = decode(bytes, path)?;
    let size = i64::try_from(batch).map_err(|_| ExportError::TooLarge { what: "a batch" })?;
    if let Some(graph) = &mut model.rest.graph {
        for port in graph.input.iter_mut().chain(&mut graph.output) {
            set_first_axis(port, size);
        }
    }
    Ok(model.encode_to_vec())
}

fn set_first_axis(port: &mut ValueInfoProto, size: i64) {
    let value = port.kind.as_mut().and_then(|kind| kind.value.as_mut());
    let Some(TypeValue::Tensor(tensor)) = value else { return };
    if let Some(first) = tensor.shape.as_mut().and_then(|shape| shape.dim.first_mut()) {
        first.value = Some(DimensionValue::Size(size));
    }
}

/// What [`tapped`] calls the output of a layer.
pub fn tap_name(layer: &str) -> String {
    format!("layer.{layer}")
}

/// The file with the output of each of `layers` as one more output, [`tap_name`] and in f32; `path` is for the error only.
///
/// # Errors
/// [`ReadError::NotOnnx`] for anything that is no ONNX model, [`ReadError::NoLayer`] where none of the nodes that a
/// layer ends with is there.
pub fn tapped(bytes: &[u8], path: &Path, layers: &[String]) -> Result<Vec<u8>, ReadError> {
    let mut model = decode(bytes, path)?;
    let graph = model.rest.graph.get_or_insert_default();
    for layer in layers {
        let ends = [
            "pool.floats",
            "relu.floats",
            "pool",
            "relu",
            "tanh",
            "gemm",
            "add",
            "energy",
            "features",
            "conv.floats",
            "conv",
        ];
        let ends = ends.iter().map(|end| format!("{layer}.{end}"));
        // By the node: a value that is an output of the graph has that output's name.
        let node = ends.filter_map(|end| graph.node.iter().find(|node| node.name == end)).next();
        let value = node.and_then(|node| node.output.first()).cloned();
        let value = value
            .ok_or_else(|| ReadError::NoLayer { path: path.to_owned(), layer: layer.clone() })?;
        let name = tap_name(layer);
        let kind = AttributeType::Int.into();
        graph.node.push(NodeProto {
            name: name.clone(),
            op_type: "Cast".to_owned(),
            input: vec![value],
            output: vec![name.clone()],
            attribute: vec![AttributeProto {
                first: AttributeHead { name: "to".to_owned(), kind, ..Default::default() },
                rest: AttributeValue { i: crate::lower::FLOAT, ..Default::default() },
            }],
            ..Default::default()
        });
        graph.output.push(float_of_any_shape(name));
    }
    Ok(model.encode_to_vec())
}

fn float_of_any_shape(name: String) -> ValueInfoProto {
    let tensor = TensorType { elem_type: DataType::FLOAT.into(), shape: None };
    let kind = TypeProto { value: Some(TypeValue::Tensor(tensor)), ..Default::default() };
    ValueInfoProto { name, kind: Some(kind), ..Default::default() }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::onnx::read::Contents;
    use crate::onnx::write::encode;
    use crate::onnx::write::tests::model;

    /// The file with its first tensor in another file.
    pub(crate) fn with_external_data(bytes: &[u8]) -> Vec<u8> {
        let mut model = decode(bytes, Path::new("x.onnx")).unwrap();
        let tensor = &mut model.rest.graph.as_mut().unwrap().initializer[0];
        tensor.external_data.push(Default::default());
        model.encode_to_vec()
    }

    #[test]
    fn only_inputs_and_outputs_change() {
        let (path, bytes) = (Path::new("x.onnx"), encode(&model()).unwrap());
        let found = Contents::of(&with_batch(&bytes, path, 2).unwrap(), path).unwrap();
        let before = Contents::of(&bytes, path).unwrap();
        assert_eq!(
            (&found.inputs[..], &found.outputs[..]),
            (&["x [2, 3]".to_owned()][..], &["y [2, 3]".to_owned()][..])
        );
        assert_eq!((found.nodes, found.tensors), (before.nodes, before.tensors));
    }
}
