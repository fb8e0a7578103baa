//! Lowers `Layer::Softmax` to the ONNX `Softmax` operator.
//! <https://onnx.ai/onnx/operators/onnx__Softmax.html>, opset 11.
//!
//! Up to opset 12 the operator flattens all axes from `axis` on; from 13 on it works along the one axis, as torch does. Along
//! the last axis, the only one here, both are the same.

use crate::graph::Attribute::Int;
use crate::graph::{Graph, Value};

/// Any shape, kept; the last axis sums to one.
pub(crate) fn lower(graph: &mut Graph, name: &str, x: Value) -> Value {
    graph.node("Softmax", &format!("{name}.softmax"), &[x], &[("axis", Int(-1))])
}
