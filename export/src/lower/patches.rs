//! Lowers the first `Layer::Conv` of an int8 network, where its stride is its kernel, to a product of matrices.
//! <https://onnx.ai/onnx/operators/onnx__MatMul.html>, opset 1; <https://onnx.ai/onnx/operators/onnx__Pad.html>, opset 11;
//! <https://onnx.ai/onnx/operators/onnx__Reshape.html>, opset 5.
//!
//! The waveform stays in floats: eight bits of it are what nobody would listen to. Such a convolution cuts it into patches
//! that do not overlap, so it is one product, and its result has the channels last, as ONNX Runtime's integer kernels want
//! them; a `Conv` leaves them in blocks that are exchanged twice. The bias is a last row of the matrix, met by a one behind
//! each patch, which spares another walk through the largest map of all. Model 1 as a whole runs 1.2 times as fast.

use leitmotif_models::Conv;
use ndarray::{Array1, Array3, Axis};

use crate::ExportError;
use crate::graph::Attribute::{Int, Text};
use crate::graph::{Graph, Value};
use crate::lower::{Form, size, store};

/// Whether a convolution cuts one channel into patches side by side.
pub(crate) fn fits(conv: Conv) -> bool {
    conv.in_channels == 1 && conv.stride == conv.kernel && conv.padding == 0
}

/// `[batch, 1, rows, length]` → `[batch, rows, length / kernel, filters]`, where `length` is a segment's.
#[expect(clippy::too_many_arguments, reason = "a convolution, its weights and where they go")]
pub(crate) fn lower(
    graph: &mut Graph,
    form: Form,
    name: &str,
    conv: Conv,
    length: usize,
    weight: &Array3<f32>,
    bias: &Array1<f32>,
    x: Value,
) -> Result<Value, ExportError> {
    let (kernel, positions) = (size("a kernel", conv.kernel)?, length / conv.kernel.max(1));
    // A zero keeps the batch; the rows take the place of the one channel.
    let shape = graph.integers(&[0, -1, size("a segment", positions)?, kernel]);
    let patches = graph.node("Reshape", &format!("{name}.patches"), &[x, shape], &[]);
    let one_behind = graph.integers(&[0, 0, 0, 0, 0, 0, 0, 1]);
    let one = graph.weights(&format!("{name}.one"), &[], vec![1.0]);
    let padded = [patches, one_behind, one];
    let mode = [("mode", Text("constant"))];
    let patches = graph.node("Pad", &format!("{name}.patches_and_one"), &padded, &mode);

    let matrix = weight.index_axis(Axis(1), 0).t().to_owned().into_dyn();
    let w = store::floats(graph, form, &format!("{name}.conv.weight"), &matrix, 1)?;
    let b = graph.weights(&format!("{name}.conv.bias"), &[1, conv.filters], bias.to_vec());
    let rows = [("axis", Int(0))];
    let both = graph.node("Concat", &format!("{name}.conv.matrix"), &[w, b], &rows);
    Ok(graph.node("MatMul", &format!("{name}.conv"), &[patches, both], &[]))
}
