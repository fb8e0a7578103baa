//! A summary of an `.onnx` file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::ReadError;
use crate::onnx::read::Contents;

/// What an `.onnx` file of any producer holds.
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
    /// How often each operator occurs in the graph.
    pub operators: BTreeMap<String, usize>,
    /// Inputs with their axes, e.g. `waveform [batch, samples]`.
    pub inputs: Vec<String>,
    /// Outputs with their axes.
    pub outputs: Vec<String>,
    /// Bytes of the stored tensors.
    pub tensor_bytes: u64,
    /// Bytes of each part: of the tensors by their names up to the first dot, of the metadata, and of
    /// everything else (the graph itself and names).
    pub parts: BTreeMap<String, u64>,
    /// Bytes of the whole file.
    pub file_bytes: u64,
    /// `metadata_props`.
    pub metadata: BTreeMap<String, String>,
}

impl Summary {
    /// Reads the content of an `.onnx` file; `path` is for the error only.
    ///
    /// # Errors
    /// [`ReadError::NotOnnx`] for anything that is no ONNX model.
    pub fn of(bytes: &[u8], path: &Path) -> Result<Self, ReadError> {
        let contents = Contents::of(bytes, path)?;
        let mut operators = BTreeMap::new();
        for node in &contents.nodes {
            *operators.entry(node.operator.clone()).or_default() += 1;
        }
        let file_bytes = bytes.len() as u64;
        let sum = |bytes: &mut dyn Iterator<Item = u64>| bytes.fold(0, u64::saturating_add);
        let tensor_bytes = sum(&mut contents.tensors.iter().map(|tensor| tensor.bytes));
        let metadata = contents.metadata.iter();
        let metadata_bytes = sum(&mut metadata.map(|(key, text)| (key.len() + text.len()) as u64));
        let mut parts = BTreeMap::new();
        for tensor in &contents.tensors {
            let part = parts.entry(part_of(&tensor.name)).or_insert(0u64);
            *part = part.saturating_add(tensor.bytes);
        }
        parts.insert("metadata".to_owned(), metadata_bytes);
        let named = tensor_bytes.saturating_add(metadata_bytes);
        parts.insert("graph".to_owned(), file_bytes.saturating_sub(named));
        Ok(Summary {
            graph: contents.graph,
            ir_version: contents.ir_version,
            opsets: contents.opsets,
            producer: contents.producer,
            operators,
            inputs: contents.inputs,
            outputs: contents.outputs,
            tensor_bytes,
            parts,
            file_bytes,
            metadata: contents.metadata,
        })
    }
}

/// `block1` of `block1.conv.weight`; integers that shapes and axes are made of are one part.
fn part_of(tensor: &str) -> String {
    match tensor.split_once('.') {
        Some((part, _)) => part.to_owned(),
        None if tensor.starts_with("integer") => "integers".to_owned(),
        None => tensor.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::write::encode;
    use crate::onnx::write::tests::model;

    #[test]
    fn parts_are_the_whole_file() {
        let bytes = encode(&model()).unwrap();
        let summary = Summary::of(&bytes, Path::new("x.onnx")).unwrap();
        assert_eq!(summary.operators, [("Add".into(), 1), ("Softmax".into(), 1)].into());
        assert_eq!((summary.ir_version, summary.tensor_bytes), (7, 12));
        assert_eq!((summary.parts["sum"], summary.parts["metadata"]), (12, 7));
        assert_eq!(summary.parts.values().sum::<u64>(), bytes.len() as u64);
    }

    #[test]
    fn a_tensor_belongs_to_the_layer_of_its_name() {
        assert_eq!(part_of("block1.conv.weight"), "block1");
        assert_eq!(part_of("integers_0_1"), "integers");
        assert_eq!(part_of("w"), "w");
    }
}
