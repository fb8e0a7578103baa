//! Lowers `Layer::Flatten`: the one position that the blocks leave goes away.
//! <https://onnx.ai/onnx/operators/onnx__Transpose.html>, opset 1.
//!
//! With many segments, channels come last afterwards, as matrix products want them.

use crate::graph::Attribute::Ints;
use crate::graph::{Graph, Value};
use crate::lower::{Rows, axes};

/// `[batch, channels, segments, 1]` → `[batch, segments, channels]`, or `[batch, channels, 1, 1]` → `[batch, channels]`.
pub(crate) fn lower(graph: &mut Graph, name: &str, rows: Rows, x: Value) -> Value {
    match rows {
        Rows::Single => axes::squeeze(graph, name, x, &[2, 3]),
        Rows::Segments => {
            let squeezed = axes::squeeze(graph, &format!("{name}.squeeze"), x, &[3]);
            graph.node("Transpose", name, &[squeezed], &[("perm", Ints(vec![0, 2, 1]))])
        }
    }
}
