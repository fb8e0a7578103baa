//! Rounds a feature map to eight bits: `QuantizeLinear` and `DequantizeLinear`, which runtimes fuse into their neighbours.
//! <https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html>, opset 10;
//! <https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html>, opset 10.
//!
//! Behind a ReLU nothing is below zero, so all 256 steps lie above it: unsigned, with the zero point 0. That zero point
//! also cuts what a ReLU cuts, and runtimes drop the ReLU before it.

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

/// How the values of a map become integers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    /// What one step is worth.
    pub(crate) scale: f32,
    /// The same, stored.
    pub(crate) stored: Value,
    /// The integer of a zero, stored.
    pub(crate) zero: Value,
}

impl Steps {
    /// Stores the steps of a map called `name`, in which `most` becomes 255.
    pub(crate) fn of(graph: &mut Graph, name: &str, most: f32) -> Self {
        let scale = most / ACTIVATION_MOST;
        let stored = graph.weights(&format!("{name}.scale"), &[], vec![scale]);
        let zero = graph.tensor(&format!("{name}.zero"), &[], Data::U8(vec![0]));
        Steps { scale, stored, zero }
    }

    /// Floats to integers.
    pub(crate) fn integers(self, graph: &mut Graph, name: &str, x: Value) -> Value {
        let inputs = [x, self.stored, self.zero];
        graph.node("QuantizeLinear", &format!("{name}.integers"), &inputs, &[])
    }

    /// Integers to floats.
    pub(crate) fn floats(self, graph: &mut Graph, name: &str, integers: Value) -> Rounded {
        let inputs = [integers, self.stored, self.zero];
        let floats = graph.node("DequantizeLinear", &format!("{name}.floats"), &inputs, &[]);
        Rounded { floats, scale: self.scale }
    }
}

/// Any shape, kept; `most` becomes 255.
pub(crate) fn lower(graph: &mut Graph, name: &str, most: f32, x: Value) -> Rounded {
    let steps = Steps::of(graph, name, most);
    let integers = steps.integers(graph, name, x);
    steps.floats(graph, name, integers)
}
