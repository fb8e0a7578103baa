//! Lowers `Layer::Conv` to a `Conv` between `DequantizeLinear`s, which runtimes fuse into a convolution of integers.
//! <https://onnx.ai/onnx/operators/onnx__Conv.html>, opset 11;
//! <https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html>, opset 13.
//!
//! Weights have a scale a filter. The bias is stored in 32 bits in units of the products, `scale of x · scale of the filter`,
//! as integer kernels add it.

use leitmotif_models::Conv;
use ndarray::{Array1, Array3};

use crate::ExportError;
use crate::graph::Attribute::Int;
use crate::graph::{Data, Graph, Value};
use crate::lower::conv::{attributes, flat_kernel};
use crate::lower::feature_map::Rounded;
use crate::lower::store;
use crate::quantize::{CONV_MOST, integer_bias, per_channel, scales_with_bias};

/// `[batch, in, rows, length]` → `[batch, filters, rows, (length + 2·padding − kernel) / stride + 1]`.
pub(crate) fn lower(
    graph: &mut Graph,
    name: &str,
    conv: Conv,
    weight: &Array3<f32>,
    bias: &Array1<f32>,
    x: Rounded,
) -> Result<Value, ExportError> {
    let (weight, bias) = (flat_kernel(weight), bias.to_vec());
    let scales = scales_with_bias(&weight, &bias, x.scale, CONV_MOST);
    let quantized = per_channel(&weight, 0, CONV_MOST, scales);
    let units: Vec<f32> = quantized.scales.iter().map(|scale| scale * x.scale).collect();

    let weight_name = format!("{name}.conv.weight");
    let stored = graph.tensor(&weight_name, weight.shape(), Data::I8(quantized.values));
    let w = store::dequantized(graph, &weight_name, stored, quantized.scales, 0)?;

    let (bias_name, filters) = (format!("{name}.conv.bias"), [conv.filters]);
    let stored = graph.tensor(&bias_name, &filters, Data::I32(integer_bias(&bias, &units)));
    let unit = graph.weights(&format!("{bias_name}.scale"), &filters, units);
    let inputs = [stored, unit];
    let floats = format!("{bias_name}.floats");
    let b = graph.node("DequantizeLinear", &floats, &inputs, &[("axis", Int(0))]);
    Ok(graph.node("Conv", &format!("{name}.conv"), &[x.floats, w, b], &attributes(conv)?))
}
