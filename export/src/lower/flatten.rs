//! Lowers `Layer::Flatten`: the one position that the blocks leave goes away.
//! <https://onnx.ai/onnx/operators/onnx__Squeeze.html>, opset 13;
//! <https://onnx.ai/onnx/operators/onnx__Transpose.html>, opset 13.
//!
//! With many segments, channels come last afterwards, as matrix products want them.

use crate::graph::Attribute::Ints;
use crate::graph::{Graph, Value};
use crate::lower::Rows;

/// `[batch, channels, segments, 1]` → `[batch, segments, channels]`, or `[batch, channels, 1, 1]` → `[batch, channels]`.
pub(crate) fn lower(graph: &mut Graph, name: &str, rows: Rows, x: Value) -> Value {
    match rows {
        Rows::Single => {
            let axes = graph.integers(&[2, 3]);
            graph.node("Squeeze", name, &[x, axes], &[])
        }
        Rows::Segments => {
            let axes = graph.integers(&[3]);
            let squeezed = graph.node("Squeeze", &format!("{name}.squeeze"), &[x, axes], &[]);
            graph.node("Transpose", name, &[squeezed], &[("perm", Ints(vec![0, 2, 1]))])
        }
    }
}
