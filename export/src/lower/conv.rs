//! Lowers `Layer::Conv` with its folded batch norm to the ONNX `Conv` operator.
//! <https://onnx.ai/onnx/operators/onnx__Conv.html>, opset 11.
//!
//! Both torch and ONNX correlate (no flipped kernel) and keep weights as `[filters, in, kernel]`. Here the kernel is
//! `1×k`, because segments are the height; ONNX pads `[top, left, bottom, right]`.

use leitmotif_models::Conv;
use ndarray::{Array1, Array3, ArrayD, Axis};

use crate::ExportError;
use crate::graph::Attribute::{Int, Ints};
use crate::graph::{Attribute, Graph, Value};
use crate::lower::{Form, size, store};

/// `[batch, in, rows, length]` → `[batch, filters, rows, (length + 2·padding − kernel) / stride + 1]`.
pub(crate) fn lower(
    graph: &mut Graph,
    form: Form,
    name: &str,
    conv: Conv,
    weight: &Array3<f32>,
    bias: &Array1<f32>,
    x: Value,
) -> Result<Value, ExportError> {
    let weight = flat_kernel(weight);
    let (weight_name, bias_name) = (format!("{name}.conv.weight"), format!("{name}.conv.bias"));
    let (w, b) = if form.computes_in_half() {
        let bias = bias.clone().into_dyn();
        (store::half(graph, &weight_name, &weight)?, store::half(graph, &bias_name, &bias)?)
    } else {
        let w = store::floats(graph, form, &weight_name, &weight, 0)?;
        (w, graph.weights(&bias_name, &[conv.filters], bias.to_vec()))
    };
    Ok(graph.node("Conv", &format!("{name}.conv"), &[x, w, b], &attributes(conv)?))
}

/// `[filters, in, kernel]` → `[filters, in, 1, kernel]`.
pub(crate) fn flat_kernel(weight: &Array3<f32>) -> ArrayD<f32> {
    weight.clone().insert_axis(Axis(2)).into_dyn()
}

pub(crate) fn attributes(conv: Conv) -> Result<[(&'static str, Attribute); 5], ExportError> {
    let kernel = size("a kernel", conv.kernel)?;
    let stride = size("a stride", conv.stride)?;
    let padding = size("a padding", conv.padding)?;
    Ok([
        ("dilations", Ints(vec![1, 1])),
        ("group", Int(1)),
        ("kernel_shape", Ints(vec![1, kernel])),
        ("pads", Ints(vec![0, padding, 0, padding])),
        ("strides", Ints(vec![1, stride])),
    ])
}
