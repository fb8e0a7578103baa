//! Lowers `Layer::Conv` with its folded batch norm to the ONNX `Conv` operator.
//! <https://onnx.ai/onnx/operators/onnx__Conv.html>, opset 11.
//!
//! Both torch and ONNX correlate (no flipped kernel) and keep weights as `[filters, in, kernel]`. Here the kernel is
//! `1×k`, because segments are the height; ONNX pads `[top, left, bottom, right]`.

use leitmotif_models::Conv;
use ndarray::{Array1, Array3};

use crate::ExportError;
use crate::graph::Attribute::{Int, Ints};
use crate::graph::{Graph, Value};
use crate::lower::size;

/// `[batch, in, rows, length]` → `[batch, filters, rows, (length + 2·padding − kernel) / stride + 1]`.
pub(crate) fn lower(
    graph: &mut Graph,
    name: &str,
    conv: Conv,
    weight: &Array3<f32>,
    bias: &Array1<f32>,
    x: Value,
) -> Result<Value, ExportError> {
    let kernel = size("a kernel", conv.kernel)?;
    let stride = size("a stride", conv.stride)?;
    let padding = size("a padding", conv.padding)?;
    let shape = [conv.filters, conv.in_channels, 1, conv.kernel];
    let w = graph.weights(&format!("{name}.conv.weight"), &shape, weight.iter().copied().collect());
    let b = graph.weights(&format!("{name}.conv.bias"), &[conv.filters], bias.to_vec());
    let attributes = [
        ("dilations", Ints(vec![1, 1])),
        ("group", Int(1)),
        ("kernel_shape", Ints(vec![1, kernel])),
        ("pads", Ints(vec![0, padding, 0, padding])),
        ("strides", Ints(vec![1, stride])),
    ];
    Ok(graph.node("Conv", &format!("{name}.conv"), &[x, w, b], &attributes))
}
