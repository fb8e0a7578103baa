//! Lowers `Layer::MaxPool` to the ONNX `MaxPool` operator.
//! <https://onnx.ai/onnx/operators/onnx__MaxPool.html>, opset 12.
//!
//! The window is `1×size`, because segments are the height. Nothing is padded and nothing is left over: a network
//! whose lengths do not divide is refused when it is described.

use crate::ExportError;
use crate::graph::Attribute::{Int, Ints};
use crate::graph::{Graph, Value};
use crate::lower::size;

/// `[batch, channels, rows, length]` → `[batch, channels, rows, length / size]`.
pub(crate) fn lower(
    graph: &mut Graph,
    name: &str,
    window: usize,
    x: Value,
) -> Result<Value, ExportError> {
    let window = size("a pool", window)?;
    let attributes = [
        ("ceil_mode", Int(0)),
        ("dilations", Ints(vec![1, 1])),
        ("kernel_shape", Ints(vec![1, window])),
        ("pads", Ints(vec![0, 0, 0, 0])),
        ("strides", Ints(vec![1, window])),
    ];
    Ok(graph.node("MaxPool", &format!("{name}.pool"), &[x], &attributes))
}
