//! Quantizes a feature map to eight bits: `QuantizeLinear` and `DequantizeLinear`, which runtimes fuse into their neighbours.
//! <https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html>, opset 10;
//! <https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html>, opset 10.
//!
//! Behind a ReLU nothing is below zero, so all 256 steps lie above it: unsigned, with the zero point 0. That zero point
//! also cuts what a ReLU cuts, and runtimes drop the ReLU before it. A map that has no ReLU, before a residual block's
//! sum, has its zero in the middle.

use leitmotif_models::Precision;

use crate::ExportError;
use crate::graph::{Data, Graph, Value};
use crate::lower::{Flow, Place, range};
use crate::quantize::ACTIVATION_MOST;

/// The integer of a zero in a map with both signs.
const MIDDLE: u8 = 128;

/// How the values of a map become integers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantizer {
    /// The difference between two neighbouring integers.
    pub(crate) scale: f32,
    /// The same, stored.
    pub(crate) stored: Value,
    /// The integer of a zero, stored.
    pub(crate) zero: Value,
}

impl Quantizer {
    /// Stores scale and zero point of a map called `name`, in which `most` becomes 255.
    pub(crate) fn of(graph: &mut Graph, name: &str, most: f32) -> Self {
        Self::stored(graph, name, most / ACTIVATION_MOST, 0)
    }

    /// The same of a map with both signs, in which `most` becomes 255 and its negative 1.
    fn around_zero(graph: &mut Graph, name: &str, most: f32) -> Self {
        Self::stored(graph, name, most / f32::from(u8::MAX - MIDDLE), MIDDLE)
    }

    fn stored(graph: &mut Graph, name: &str, scale: f32, zero: u8) -> Self {
        let stored = graph.weights(&format!("{name}.scale"), &[], vec![scale]);
        let zero = graph.tensor(&format!("{name}.zero"), &[], Data::U8(vec![zero]));
        Quantizer { scale, stored, zero }
    }

    /// Floats to integers.
    pub(crate) fn integers(self, graph: &mut Graph, name: &str, x: Value) -> Value {
        let inputs = [x, self.stored, self.zero];
        graph.node("QuantizeLinear", &format!("{name}.integers"), &inputs, &[])
    }

    /// Integers to floats that are multiples of the scale.
    pub(crate) fn floats(self, graph: &mut Graph, name: &str, integers: Value) -> Value {
        let inputs = [integers, self.stored, self.zero];
        graph.node("DequantizeLinear", &format!("{name}.floats"), &inputs, &[])
    }
}

/// In int8, quantizes the output of the node `name` in the range of its block; in any other precision nothing.
///
/// # Errors
/// [`LowerError::NotCalibrated`](crate::LowerError::NotCalibrated).
pub(crate) fn quantized(
    graph: &mut Graph,
    at: &Place<'_>,
    name: &str,
    flow: Flow,
) -> Result<Flow, ExportError> {
    if at.plan.form.precision != Precision::Int8 {
        return Ok(flow);
    }
    let quantizer = Quantizer::of(graph, name, range(at.plan, at.name)?);
    let x = through_integers(graph, quantizer, name, flow.x);
    Ok(Flow { x, scale: Some(quantizer.scale), ..flow })
}

/// The same for a map with both signs, so that the convolution before is one of integers. What follows computes in
/// floats.
///
/// # Errors
/// [`LowerError::NotCalibrated`](crate::LowerError::NotCalibrated).
pub(crate) fn quantized_around_zero(
    graph: &mut Graph,
    at: &Place<'_>,
    name: &str,
    flow: Flow,
) -> Result<Flow, ExportError> {
    let quantizer = Quantizer::around_zero(graph, name, range(at.plan, at.name)?);
    let x = through_integers(graph, quantizer, name, flow.x);
    Ok(Flow { x, scale: None, ..flow })
}

fn through_integers(graph: &mut Graph, quantizer: Quantizer, name: &str, x: Value) -> Value {
    let integers = quantizer.integers(graph, name, x);
    quantizer.floats(graph, name, integers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_begin_at_zero_and_the_range_ends_at_255() {
        let mut graph = Graph::new("test", "", 13);
        let quantizer = Quantizer::of(&mut graph, "map", 510.0);
        assert_eq!(quantizer.scale, 2.0);
        let stored: Vec<Data> = graph.constants().map(|(_, tensor)| tensor.data.clone()).collect();
        assert_eq!(stored, [Data::F32(vec![2.0]), Data::U8(vec![0])]);
    }

    #[test]
    fn a_map_with_both_signs_has_its_zero_in_the_middle() {
        let mut graph = Graph::new("test", "", 13);
        assert_eq!(Quantizer::around_zero(&mut graph, "map", 254.0).scale, 2.0);
        let stored: Vec<Data> = graph.constants().map(|(_, tensor)| tensor.data.clone()).collect();
        assert_eq!(stored, [Data::F32(vec![2.0]), Data::U8(vec![128])]);
    }
}
