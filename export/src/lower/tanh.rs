//! Lowers `Layer::Tanh` to the ONNX `Tanh` operator; the conventions agree.
//! <https://onnx.ai/onnx/operators/onnx__Tanh.html>, opset 6.

use crate::graph::{Graph, Value};

/// Any shape, kept.
pub(crate) fn lower(graph: &mut Graph, name: &str, x: Value) -> Value {
    graph.node("Tanh", &format!("{name}.tanh"), &[x], &[])
}
