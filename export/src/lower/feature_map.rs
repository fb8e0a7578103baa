//! Rounds a feature map to eight bits: `QuantizeLinear` and `DequantizeLinear`, which runtimes fuse into their neighbours.
//! <https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html>, opset 10;
//! <https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html>, opset 10.
//!
//! Behind a ReLU nothing is below zero, so all 256 steps lie above it: unsigned, with the zero point 0. That zero point
//! also cuts what a ReLU cuts, and runtimes drop the ReLU before it.

use crate::graph::Attribute::Ints;
use crate::graph::{Data, Graph, Value};
use crate::quantize::ACTIVATION_MOST;

/// A feature map with the scale of its integers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounded {
    /// The map in floats that are multiples of the scale: `[batch, channels, rows, length]`.
    pub(crate) floats: Value,
    /// Of its integers.
    pub(crate) scale: f32,
}

/// Any shape, kept; `most` becomes 255. With `channels_last` from `[batch, rows, length, channels]`: the axes are exchanged
/// while the map is a quarter as large.
pub(crate) fn lower(
    graph: &mut Graph,
    name: &str,
    most: f32,
    channels_last: bool,
    x: Value,
) -> Rounded {
    let scale = most / ACTIVATION_MOST;
    let stored = graph.weights(&format!("{name}.scale"), &[], vec![scale]);
    let zero = graph.tensor(&format!("{name}.zero"), &[], Data::U8(vec![0]));
    let mut integers =
        graph.node("QuantizeLinear", &format!("{name}.integers"), &[x, stored, zero], &[]);
    if channels_last {
        let perm = [("perm", Ints(vec![0, 3, 1, 2]))];
        integers = graph.node("Transpose", &format!("{name}.exchanged"), &[integers], &perm);
    }
    let inputs = [integers, stored, zero];
    let floats = graph.node("DequantizeLinear", &format!("{name}.floats"), &inputs, &[]);
    Rounded { floats, scale }
}
