//! Lowers `Layer::MaxPool` to the ONNX `MaxPool` operator.
//! <https://onnx.ai/onnx/operators/onnx__MaxPool.html>, opset 12; on a GPU with an `Add` of the convolution's
//! bias behind it, <https://onnx.ai/onnx/operators/onnx__Add.html>, opset 7.
//!
//! The window is `1×size`, because segments are the height. Nothing is padded. Where a pooling over time follows,
//! positions may be left over, and both drop them; other networks whose lengths do not divide are refused when they are
//! described.

use crate::ExportError;
use crate::graph::Attribute::{Int, Ints};
use crate::graph::Graph;
use crate::lower::{Flow, Lower, Place, feature_map, size};

/// `[batch, channels, rows, length]` → `[batch, channels, rows, length / window]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaxPool {
    pub(crate) window: usize,
    /// Whether the block's ReLU is still to come, with which its map ends.
    pub(crate) before_relu: bool,
}

impl Lower for MaxPool {
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        let window = size("a pool", self.window)?;
        let attributes = [
            ("ceil_mode", Int(0)),
            ("dilations", Ints(vec![1, 1])),
            ("kernel_shape", Ints(vec![1, window])),
            ("pads", Ints(vec![0, 0, 0, 0])),
            ("strides", Ints(vec![1, window])),
        ];
        let name = format!("{}.{}", at.name, if self.before_relu { "largest" } else { "pool" });
        let mut x = graph.node("MaxPool", &name, &[flow.x], &attributes);
        if let Some(bias) = flow.bias {
            x = graph.node("Add", &format!("{}.bias", at.name), &[x, bias], &[]);
        }
        feature_map::quantized(graph, at, &name, Flow { x, bias: None, ..flow })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::tests::{INT8, lowered, lowered_behind, operators};
    use crate::lower::{Form, Rows};

    const POOL: MaxPool = MaxPool { window: 3, before_relu: false };

    #[test]
    fn windows_lie_side_by_side_in_one_row() {
        let (graph, _) = lowered(&POOL, Form::default(), Rows::Segments);
        let attributes = graph.nodes().next().unwrap().attributes;
        assert_eq!(attributes[2], ("kernel_shape", Ints(vec![1, 3])));
        assert_eq!(attributes[4], ("strides", Ints(vec![1, 3])));
    }

    #[test]
    fn its_map_is_quantized_again() {
        let (graph, flow) = lowered(&POOL, INT8, Rows::Segments);
        assert_eq!(operators(&graph), ["MaxPool", "QuantizeLinear", "DequantizeLinear"]);
        assert_eq!(flow.scale, Some(1.0));
    }

    #[test]
    fn the_bias_that_a_convolution_left_to_it_is_added_once() {
        let pool = MaxPool { window: 3, before_relu: true };
        let before = |x| Flow { bias: Some(x), ..Flow::of(x) };
        let (graph, flow) = lowered_behind(&pool, Form::default(), Rows::Segments, before);
        assert_eq!((operators(&graph), flow.bias), (vec!["MaxPool", "Add"], None));
    }
}
