//! Lowers the first `Layer::Conv` of an int8 network, where its stride is its kernel, to a product of matrices.
//! <https://onnx.ai/onnx/operators/onnx__MatMul.html>, opset 1; <https://onnx.ai/onnx/operators/onnx__Concat.html>, opset 4;
//! <https://onnx.ai/onnx/operators/onnx__Expand.html>, opset 8; <https://onnx.ai/onnx/operators/onnx__Reshape.html>, opset 5.
//!
//! The waveform stays in floats: eight bits of it are what nobody would listen to. Such a convolution cuts it into patches
//! that do not overlap, so it is one product, and its result has the channels last, as ONNX Runtime's integer kernels want
//! them; a `Conv` leaves them in blocks that are exchanged twice. The bias is a last row of the matrix, met by a one behind
//! each patch, which spares another walk through the largest map of all (ONNX Runtime's `Pad` takes four times as long as
//! `Concat` to put it there). Model 1 as a whole runs 1.2 times as fast.

use leitmotif_models::Conv;
use ndarray::{Array1, Array3, Axis};

use crate::ExportError;
use crate::graph::Attribute::Int;
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
    let last = [("axis", Int(-1))];
    let ones = ones(graph, name, patches);
    let patches = graph.node("Concat", &format!("{name}.patches_and_one"), &[patches, ones], &last);

    let matrix = weight.index_axis(Axis(1), 0).t().to_owned().into_dyn();
    let w = store::floats(graph, form, &format!("{name}.conv.weight"), &matrix, 1)?;
    let b = graph.weights(&format!("{name}.conv.bias"), &[1, conv.filters], bias.to_vec());
    let rows = [("axis", Int(0))];
    let both = graph.node("Concat", &format!("{name}.conv.matrix"), &[w, b], &rows);
    Ok(graph.node("MatMul", &format!("{name}.conv"), &[patches, both], &[]))
}

/// `[batch, rows, positions, kernel]` → ones, `[batch, rows, positions, 1]`.
fn ones(graph: &mut Graph, name: &str, patches: Value) -> Value {
    let (zero, three, one) = (graph.integers(&[0]), graph.integers(&[3]), graph.integers(&[1]));
    let shape = graph.shape(patches);
    let places = graph.node("Slice", &format!("{name}.places"), &[shape, zero, three], &[]);
    let axis = [("axis", Int(0))];
    let shape = graph.node("Concat", &format!("{name}.ones.shape"), &[places, one], &axis);
    let value = graph.weights(&format!("{name}.one"), &[1], vec![1.0]);
    graph.node("Expand", &format!("{name}.ones"), &[value, shape], &[])
}
