//! Lowers the layers of 2-D convolution, in which bands and positions are the two axes of an image and segments one
//! before them: `[batch, channels, segments, bands, positions]`. Kernels and pools are `1×k×k`, so that segments never mix.
//! <https://onnx.ai/onnx/operators/onnx__Conv.html>, opset 11; <https://onnx.ai/onnx/operators/onnx__MaxPool.html>, opset
//! 12; <https://onnx.ai/onnx/operators/onnx__Transpose.html>, opset 1;
//! <https://onnx.ai/onnx/operators/onnx__Reshape.html>, opset 5.
//!
//! Five axes and not four, with the segments in the batch, because the way back would need a `Reshape` of two lengths
//! that are free; of five, all but the last two are copied. In int8 the weights have eight bits and the maps none.

use leitmotif_models::Conv2d;
use ndarray::{Array1, Array4, Axis};

use crate::ExportError;
use crate::graph::Attribute::{Int, Ints};
use crate::graph::Graph;
use crate::lower::{Flow, Lower, Place, axes, size, stored_weights};

/// `[batch, bands, rows, length]` → `[batch, 1, rows, bands, length]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bands;

impl Lower for Bands {
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        let rows = format!("{}.rows", at.name);
        let swapped =
            graph.node("Transpose", &rows, &[flow.x], &[("perm", Ints(vec![0, 2, 1, 3]))]);
        let x = axes::unsqueeze(graph, &format!("{}.image", at.name), swapped, &[1]);
        Ok(Flow { x, scale: None, in_image: true, ..flow })
    }
}

/// `[batch, in, rows, bands, length]` → `[batch, filters, rows, bands, length]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Convolution2d<'a> {
    pub(crate) conv: Conv2d,
    /// `[filters, in, kernel, kernel]`.
    pub(crate) weight: &'a Array4<f32>,
    /// `[filters]`.
    pub(crate) bias: &'a Array1<f32>,
}

impl Lower for Convolution2d<'_> {
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        let Place { plan, name, .. } = *at;
        let weight = self.weight.clone().insert_axis(Axis(2)).into_dyn();
        let (weight_name, bias_name) = (format!("{name}.conv.weight"), format!("{name}.conv.bias"));
        let (w, b) = if plan.form.computes_in_half() {
            let bias = self.bias.clone().into_dyn();
            (
                stored_weights::half(graph, &weight_name, &weight)?,
                stored_weights::half(graph, &bias_name, &bias)?,
            )
        } else {
            let w = stored_weights::floats(graph, plan.form, &weight_name, &weight, 0)?;
            (w, graph.weights(&bias_name, &[self.conv.filters], self.bias.to_vec()))
        };
        let kernel = size("a kernel", self.conv.kernel)?;
        let padding = size("a padding", self.conv.padding())?;
        let attributes = [
            ("dilations", Ints(vec![1, 1, 1])),
            ("group", Int(1)),
            ("kernel_shape", Ints(vec![1, kernel, kernel])),
            ("pads", Ints(vec![0, padding, padding, 0, padding, padding])),
            ("strides", Ints(vec![1, 1, 1])),
        ];
        let x = graph.node("Conv", &format!("{name}.conv"), &[flow.x, w, b], &attributes);
        Ok(Flow { x, scale: None, past_relu: false, ..flow })
    }
}

/// `[batch, channels, rows, bands, length]` → `[batch, channels, rows, bands / window, length / window]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaxPool2d {
    pub(crate) window: usize,
}

impl Lower for MaxPool2d {
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        let window = size("a pool", self.window)?;
        let attributes = [
            ("ceil_mode", Int(0)),
            ("dilations", Ints(vec![1, 1, 1])),
            ("kernel_shape", Ints(vec![1, window, window])),
            ("pads", Ints(vec![0; 6])),
            ("strides", Ints(vec![1, window, window])),
        ];
        let x = graph.node("MaxPool", &format!("{}.pool", at.name), &[flow.x], &attributes);
        Ok(Flow { x, ..flow })
    }
}

/// `[batch, channels, rows, bands, length]` → `[batch, channels, rows, bands · length]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Positions {
    /// Bands times length.
    pub(crate) count: usize,
}

impl Lower for Positions {
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        // Zeros copy.
        let shape = graph.integers(&[0, 0, 0, size("the positions", self.count)?]);
        let x = graph.node("Reshape", at.name, &[flow.x, shape], &[]);
        Ok(Flow { x, in_image: false, ..flow })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Data;
    use crate::lower::tests::{CUDA_HALF, INT8, lowered, operators};
    use crate::lower::{Form, Rows};

    const CONV: Conv2d = Conv2d { in_channels: 1, filters: 2, kernel: 3 };

    fn graph(form: Form) -> Graph {
        let (weight, bias) = (Array4::ones((2, 1, 3, 3)), Array1::zeros(2));
        let layer = Convolution2d { conv: CONV, weight: &weight, bias: &bias };
        lowered(&layer, form, Rows::Segments).0
    }

    #[test]
    fn kernels_and_pools_leave_the_segments_alone() {
        let graph = graph(Form::default());
        let node = graph.nodes().last().unwrap();
        assert_eq!(node.attributes[2], ("kernel_shape", Ints(vec![1, 3, 3])));
        assert_eq!(node.attributes[3], ("pads", Ints(vec![0, 1, 1, 0, 1, 1])));
        let (_, weight) = graph.constants().next().unwrap();
        assert_eq!(weight.shape, [2, 1, 1, 3, 3]);
        let (graph, _) = lowered(&MaxPool2d { window: 2 }, INT8, Rows::Segments);
        assert_eq!(operators(&graph), ["MaxPool"]);
        let attributes = graph.nodes().next().unwrap().attributes;
        assert_eq!(attributes[4], ("strides", Ints(vec![1, 2, 2])));
    }

    #[test]
    fn weights_are_stored_as_the_form_computes_them() {
        assert_eq!(operators(&graph(INT8)), ["DequantizeLinear", "Conv"]);
        assert!(graph(CUDA_HALF).constants().all(|(_, of)| matches!(of.data, Data::F16(_))));
    }

    #[test]
    fn bands_come_behind_the_segments_and_back() {
        let (graph, _) = lowered(&Bands, Form::default(), Rows::Segments);
        assert_eq!(operators(&graph), ["Transpose", "Unsqueeze"]);
        let (graph, _) = lowered(&Positions { count: 24 }, Form::default(), Rows::Segments);
        let (_, shape) = graph.constants().next().unwrap();
        assert!(matches!(&shape.data, Data::I64(values) if values[..] == [0, 0, 0, 24]));
    }
}
