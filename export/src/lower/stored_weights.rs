//! How weights are stored in each precision, and the operators that make 32-bit floats of them again.
//! <https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html>, opset 13 (the first with a scale a channel);
//! <https://onnx.ai/onnx/operators/onnx__Cast.html>, opset 6; <https://onnx.ai/onnx/operators/onnx__Mul.html>, opset 7.
//!
//! ONNX Runtime keeps a `DequantizeLinear` of stored weights for its fusions; where none applies, it computes it again at
//! every call and packs none of the weights. `Cast` and `Mul` compute the same and are done once, when the file is opened:
//! the `cpu` target has those.

use leitmotif_models::{Precision, Target};
use ndarray::ArrayD;

use crate::graph::Attribute::Int;
use crate::graph::{Data, Graph, Value};
use crate::lower::Form;
use crate::quantize::{STORED_MOST, halves, per_channel, scales};
use crate::{ExportError, LowerError};

/// ONNX's number for the element type f32.
pub(crate) const FLOAT: i64 = 1;
/// ONNX's number for the element type f16.
pub(crate) const FLOAT16: i64 = 10;

/// Stores `weight` and gives it back as f32; in int8 with one scale for each index of `axis`.
///
/// # Errors
/// [`LowerError::BeyondHalf`] where a weight does not fit into 16 bits.
pub(crate) fn floats(
    graph: &mut Graph,
    form: Form,
    name: &str,
    weight: &ArrayD<f32>,
    axis: usize,
) -> Result<Value, ExportError> {
    match form.precision {
        Precision::Fp32 => {
            Ok(graph.weights(name, weight.shape(), weight.iter().copied().collect()))
        }
        Precision::Fp16 => {
            let stored = half(graph, name, weight)?;
            Ok(cast(graph, &format!("{name}.widened"), stored, FLOAT))
        }
        Precision::Int8 => {
            let quantized =
                per_channel(weight, axis, STORED_MOST, scales(weight, axis, STORED_MOST));
            let stored = graph.tensor(name, weight.shape(), Data::I8(quantized.values));
            Ok(match form.target {
                Target::Cpu => {
                    let widened = cast(graph, &format!("{name}.widened"), stored, FLOAT);
                    let shape = along(weight.ndim(), axis, quantized.scales.len());
                    let scale = graph.weights(&format!("{name}.scale"), &shape, quantized.scales);
                    graph.node("Mul", &format!("{name}.scaled"), &[widened, scale], &[])
                }
                Target::Portable | Target::Cuda => {
                    dequantized(graph, name, stored, quantized.scales, axis)?
                }
            })
        }
    }
}

/// Stores `weight` as 16-bit floats, without a `Cast` behind it.
///
/// # Errors
/// [`LowerError::BeyondHalf`].
pub(crate) fn half(
    graph: &mut Graph,
    name: &str,
    weight: &ArrayD<f32>,
) -> Result<Value, ExportError> {
    let values: Vec<f32> = weight.iter().copied().collect();
    let bits = halves(&values).ok_or_else(|| LowerError::BeyondHalf { name: name.to_owned() })?;
    Ok(graph.tensor(name, weight.shape(), Data::F16(bits)))
}

/// A `Cast` to the element type of this number.
pub(crate) fn cast(graph: &mut Graph, name: &str, x: Value, to: i64) -> Value {
    graph.node("Cast", name, &[x], &[("to", Int(to))])
}

/// Stored 8-bit integers as floats, with one scale for each index of `axis`.
pub(crate) fn dequantized(
    graph: &mut Graph,
    name: &str,
    stored: Value,
    scales: Vec<f32>,
    axis: usize,
) -> Result<Value, ExportError> {
    let channels = [scales.len()];
    let zero = graph.tensor(&format!("{name}.zero"), &channels, Data::I8(vec![0; scales.len()]));
    let scale = graph.weights(&format!("{name}.scale"), &channels, scales);
    let axis = [("axis", Int(crate::lower::size("an axis", axis)?))];
    Ok(graph.node("DequantizeLinear", &format!("{name}.floats"), &[stored, scale, zero], &axis))
}

/// Ones, but `length` along `axis`.
fn along(axes: usize, axis: usize, length: usize) -> Vec<usize> {
    (0..axes).map(|other| if other == axis { length } else { 1 }).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    /// The operators behind a stored matrix, and its data.
    fn stored(target: Target, precision: Precision) -> (Vec<&'static str>, Vec<Data>) {
        let mut graph = Graph::new("test", "", 13);
        let weight = array![[1.0f32, -2.0], [0.5, 0.25]].into_dyn();
        floats(&mut graph, Form { target, precision }, "w", &weight, 1).unwrap();
        let operators = graph.nodes().map(|node| node.operator).collect();
        (operators, graph.constants().map(|(_, tensor)| tensor.data.clone()).collect())
    }

    #[test]
    fn each_precision_has_its_own_way_back_to_floats() {
        assert_eq!(stored(Target::Portable, Precision::Fp32).0, [""; 0]);
        assert_eq!(stored(Target::Portable, Precision::Fp16).0, ["Cast"]);
        let (operators, tensors) = stored(Target::Cpu, Precision::Int8);
        assert_eq!(operators, ["Cast", "Mul"]);
        assert_eq!(tensors[0], Data::I8(vec![127, -127, 64, 16]));
        assert_eq!(tensors[1], Data::F32(vec![1.0 / 127.0, 2.0 / 127.0]));
        assert_eq!(stored(Target::Portable, Precision::Int8).0, ["DequantizeLinear"]);
    }

    #[test]
    fn a_weight_beyond_half_precision_is_named() {
        let form = Form { target: Target::Portable, precision: Precision::Fp16 };
        let weight = array![[70_000.0f32]].into_dyn();
        let error = floats(&mut Graph::new("test", "", 13), form, "w", &weight, 0).unwrap_err();
        assert!(
            matches!(&error, ExportError::Lower(LowerError::BeyondHalf { name }) if name == "w"),
            "{error}"
        );
    }
}
