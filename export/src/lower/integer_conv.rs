//! Lowers `Layer::Conv` to a `Conv` between `DequantizeLinear`s, which runtimes fuse into a convolution of integers.
//! <https://onnx.ai/onnx/operators/onnx__Conv.html>, opset 11;
//! <https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html>, opset 13.
//!
//! Weights have a scale a filter. The bias is stored in 32 bits in units of the products, `scale of x · scale of the filter`,
//! as integer kernels add it.

use crate::ExportError;
use crate::graph::Attribute::Int;
use crate::graph::{Data, Graph};
use crate::lower::conv::{Convolution, attributes, flat_kernel};
use crate::lower::{Flow, Lower, Place, feature_map, stored_weights};
use crate::quantize::{CONV_MOST, integer_bias, per_channel, scales_with_bias};

/// As [`Convolution`], over a quantized map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IntegerConvolution<'a> {
    pub(crate) convolution: Convolution<'a>,
    /// Of the map's integers.
    pub(crate) scale: f32,
    /// Whether a ReLU follows, which quantizes; otherwise the output is quantized here.
    pub(crate) before_relu: bool,
}

impl Lower for IntegerConvolution<'_> {
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        let Convolution { conv, weight, bias, .. } = self.convolution;
        let (weight, bias) = (flat_kernel(weight), bias.to_vec());
        let scales = scales_with_bias(&weight, &bias, self.scale, CONV_MOST);
        let quantized = per_channel(&weight, 0, CONV_MOST, scales);
        let units: Vec<f32> = quantized.scales.iter().map(|scale| scale * self.scale).collect();

        let weight_name = format!("{}.conv.weight", at.name);
        let stored = graph.tensor(&weight_name, weight.shape(), Data::I8(quantized.values));
        let w = stored_weights::dequantized(graph, &weight_name, stored, quantized.scales, 0)?;

        let (bias_name, filters) = (format!("{}.conv.bias", at.name), [conv.filters]);
        let stored = graph.tensor(&bias_name, &filters, Data::I32(integer_bias(&bias, &units)));
        let unit = graph.weights(&format!("{bias_name}.scale"), &filters, units);
        let inputs = [stored, unit];
        let floats = format!("{bias_name}.floats");
        let b = graph.node("DequantizeLinear", &floats, &inputs, &[("axis", Int(0))]);
        let inputs = [flow.x, w, b];
        let name = format!("{}.conv", at.name);
        let x = graph.node("Conv", &name, &inputs, &attributes(conv)?);
        let flow = Flow { x, scale: Some(self.scale), past_relu: false, ..flow };
        match self.before_relu {
            true => Ok(flow),
            false => feature_map::quantized_around_zero(graph, at, &name, flow),
        }
    }
}

#[cfg(test)]
mod tests {
    use leitmotif_models::Conv;
    use ndarray::array;

    use super::*;
    use crate::lower::Rows;
    use crate::lower::tests::{INT8, lowered, operators};

    #[test]
    fn weights_have_a_scale_a_filter_and_the_bias_the_unit_of_the_products() {
        let conv = Conv { in_channels: 1, filters: 2, kernel: 1, stride: 1, padding: 0 };
        let (weight, bias) = (array![[[64.0]], [[-128.0]]], array![3.0, 4.0]);
        let convolution = Convolution { conv, weight: &weight, bias: &bias, before_pool: false };
        let layer = IntegerConvolution { convolution, scale: 0.5, before_relu: true };
        let (graph, flow) = lowered(&layer, INT8, Rows::Segments);
        assert_eq!(operators(&graph), ["DequantizeLinear", "DequantizeLinear", "Conv"]);
        assert_eq!(flow.scale, Some(0.5));
        let (alone, flow) =
            lowered(&IntegerConvolution { before_relu: false, ..layer }, INT8, Rows::Segments);
        assert!(operators(&alone).ends_with(&["Conv", "QuantizeLinear", "DequantizeLinear"]));
        assert_eq!(flow.scale, None);
        let stored = |name: &str| {
            graph.constants().find(|(other, _)| other == name).map(|(_, t)| t.data.clone())
        };
        assert_eq!(stored("layer.conv.weight"), Some(Data::I8(vec![64, -64])));
        assert_eq!(stored("layer.conv.weight.scale"), Some(Data::F32(vec![1.0, 2.0])));
        // In units of 0.5·1 and 0.5·2.
        assert_eq!(stored("layer.conv.bias"), Some(Data::I32(vec![6, 4])));
    }
}
