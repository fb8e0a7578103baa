//! Lowers `Layer::Conv` with its folded batch norm to the ONNX `Conv` operator.
//! <https://onnx.ai/onnx/operators/onnx__Conv.html>, opset 11.
//!
//! Both torch and ONNX correlate (no flipped kernel) and keep weights as `[filters, in, kernel]`. Here the kernel is
//! `1×k`, because segments are the height; ONNX pads `[top, left, bottom, right]`.

use leitmotif_models::Conv;
use ndarray::{Array1, Array3, ArrayD, Axis};

use crate::ExportError;
use crate::graph::Attribute::{Int, Ints};
use crate::graph::{Attribute, Graph};
use crate::lower::{Flow, Lower, Place, size, stored_weights};

/// `[batch, in, rows, length]` → `[batch, filters, rows, (length + 2·padding − kernel) / stride + 1]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Convolution<'a> {
    pub(crate) conv: Conv,
    /// `[filters, in, kernel]`.
    pub(crate) weight: &'a Array3<f32>,
    /// `[filters]`.
    pub(crate) bias: &'a Array1<f32>,
    /// Whether the maximum that follows adds the bias: to fewer values, and the largest is the same one.
    pub(crate) before_pool: bool,
}

impl Lower for Convolution<'_> {
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        let Place { plan, name, .. } = *at;
        let weight = flat_kernel(self.weight);
        let (weight_name, bias_name) = (format!("{name}.conv.weight"), format!("{name}.conv.bias"));
        let bias = self.bias.view();
        let bias = match self.before_pool {
            // One value for each channel of a map.
            true => bias.insert_axis(Axis(0)).insert_axis(Axis(2)).insert_axis(Axis(3)).into_dyn(),
            false => bias.into_dyn(),
        };
        let (w, b) = if plan.form.computes_in_half() {
            let w = stored_weights::half(graph, &weight_name, &weight)?;
            (w, stored_weights::half(graph, &bias_name, &bias.to_owned())?)
        } else {
            let w = stored_weights::floats(graph, plan.form, &weight_name, &weight, 0)?;
            (w, graph.weights(&bias_name, bias.shape(), self.bias.to_vec()))
        };
        let (inputs, bias) = match self.before_pool {
            true => (vec![flow.x, w], Some(b)),
            false => (vec![flow.x, w, b], None),
        };
        let x = graph.node("Conv", &format!("{name}.conv"), &inputs, &attributes(self.conv)?);
        Ok(Flow { x, scale: None, past_relu: false, bias, ..flow })
    }
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

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array3};

    use super::*;
    use crate::graph::Data;
    use crate::lower::tests::{CUDA_HALF, INT8, lowered, operators};
    use crate::lower::{Form, Rows};

    const CONV: Conv = Conv { in_channels: 1, filters: 2, kernel: 3, stride: 2, padding: 1 };

    fn graph_and_flow(form: Form, before_pool: bool) -> (Graph, Flow) {
        let (weight, bias) = (Array3::ones((2, 1, 3)), Array1::zeros(2));
        let convolution = Convolution { conv: CONV, weight: &weight, bias: &bias, before_pool };
        lowered(&convolution, form, Rows::Segments)
    }

    fn graph(form: Form) -> Graph {
        graph_and_flow(form, false).0
    }

    #[test]
    fn kernels_are_flat_and_pad_left_and_right_alone() {
        let graph = graph(Form::default());
        let node = graph.nodes().last().unwrap();
        assert_eq!(node.attributes, attributes(CONV).unwrap());
        assert_eq!(node.attributes[3], ("pads", Ints(vec![0, 1, 0, 1])));
        assert_eq!(node.attributes[4], ("strides", Ints(vec![1, 2])));
        let (name, weight) = graph.constants().next().unwrap();
        assert_eq!((name.as_str(), &weight.shape[..]), ("layer.conv.weight", &[2, 1, 1, 3][..]));
    }

    #[test]
    fn weights_are_stored_as_the_form_computes_them() {
        assert_eq!(operators(&graph(INT8)), ["DequantizeLinear", "Conv"]);
        let half = graph(CUDA_HALF);
        assert_eq!(operators(&half), ["Conv"]);
        assert!(half.constants().all(|(_, tensor)| matches!(tensor.data, Data::F16(_))));
    }

    #[test]
    fn before_a_pool_the_bias_is_left_to_it() {
        for form in [Form::default(), CUDA_HALF] {
            let inputs = |graph: &Graph| graph.nodes().last().unwrap().inputs.len();
            let (own, flow) = graph_and_flow(form, false);
            assert_eq!((inputs(&own), flow.bias), (3, None));
            let (without, flow) = graph_and_flow(form, true);
            assert_eq!(inputs(&without), 2);
            assert!(flow.bias.is_some());
            let bias = without.constants().find(|(name, _)| name == "layer.conv.bias").unwrap().1;
            assert_eq!(bias.shape, [1, 2, 1, 1]);
        }
    }
}
