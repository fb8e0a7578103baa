//! A file whose batch is fixed, with a smaller one: the same nodes and weights where whole batches would fill the memory.

use std::path::Path;

use onnx_protobuf::ValueInfoProto;
use onnx_protobuf::tensor_shape_proto::dimension;
use protobuf::Message;

use crate::ExportError;
use crate::read::parse;

/// The file with `batch` as the first axis of every input and output; `path` is for the error only.
///
/// No node that the compiler writes holds the size of the batch, so nothing else changes.
///
/// # Errors
/// [`ExportError::NotOnnx`] for anything that is no ONNX model, [`ExportError::TooLarge`] for a batch beyond what ONNX stores.
pub fn with_batch(bytes: &[u8], path: &Path, batch: usize) -> Result<Vec<u8>, ExportError> {
    let mut model = parse(bytes, path)?;
    let size = i64::try_from(batch).map_err(|_| ExportError::TooLarge { what: "a batch" })?;
    let graph = model.graph.mut_or_insert_default();
    for port in graph.input.iter_mut().chain(&mut graph.output) {
        set_first_axis(port, size);
    }
    model.write_to_bytes().map_err(|error| ExportError::Encode { reason: error.to_string() })
}

fn set_first_axis(port: &mut ValueInfoProto, size: i64) {
    let kind = port.type_.mut_or_insert_default();
    if kind.has_tensor_type()
        && let Some(first) = kind.mut_tensor_type().shape.mut_or_insert_default().dim.first_mut()
    {
        first.value = Some(dimension::Value::DimValue(size));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::encode;
    use crate::proto::tests::model;
    use crate::read::Contents;

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
