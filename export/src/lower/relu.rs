//! Lowers `Layer::Relu` to the ONNX `Relu` operator; the conventions agree.
//! <https://onnx.ai/onnx/operators/onnx__Relu.html>, opset 6.

use crate::graph::{Graph, Value};

/// Any shape, kept.
pub(crate) fn lower(graph: &mut Graph, name: &str, x: Value) -> Value {
    graph.node("Relu", &format!("{name}.relu"), &[x], &[])
}
