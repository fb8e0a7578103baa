//! Lowers `Layer::SqueezeExcite`: `ReduceMean` over the positions, two `Conv` of kernel 1, `Sigmoid`, `Mul`.
//! <https://onnx.ai/onnx/operators/onnx__ReduceMean.html>, opset 1: the axes are an attribute until opset 18;
//! <https://onnx.ai/onnx/operators/onnx__Sigmoid.html>, opset 6.
//!
//! `GlobalAveragePool` would take the mean over the height as well, where the segments are. It computes in floats: int8
//! takes its input from integers, and quantizes what the whole block gives.

use ndarray::{Array1, Array2};

use crate::ExportError;
use crate::graph::Graph;
use crate::lower::pointwise::pointwise;
use crate::lower::{Flow, Lower, Place, axes};

/// `[batch, channels, rows, length]`, kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SqueezeExcite<'a> {
    /// `[squeezed, channels]` and `[squeezed]`.
    pub(crate) squeeze: (&'a Array2<f32>, &'a Array1<f32>),
    /// `[channels, squeezed]` and `[channels]`.
    pub(crate) excite: (&'a Array2<f32>, &'a Array1<f32>),
}

impl Lower for SqueezeExcite<'_> {
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        let Place { plan, name, .. } = *at;
        let form = (plan.form, plan.form.computes_in_half());
        let dense = |graph: &mut Graph, part: &str, x, layer: (&Array2<f32>, &Array1<f32>)| {
            pointwise(graph, form, &format!("{name}.{part}"), x, layer.0, Some(layer.1))
        };
        let means = axes::mean_over_time(graph, &format!("{name}.means"), flow.x);
        let squeezed = dense(graph, "squeeze", means, self.squeeze)?;
        let positive = graph.node("Relu", &format!("{name}.squeezed"), &[squeezed], &[]);
        let excited = dense(graph, "excite", positive, self.excite)?;
        let factors = graph.node("Sigmoid", &format!("{name}.factors"), &[excited], &[]);
        let x = graph.node("Mul", &format!("{name}.excited"), &[flow.x, factors], &[]);
        Ok(Flow { x, scale: None, ..flow })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Attribute::{Int, Ints};
    use crate::lower::tests::{lowered, operators};
    use crate::lower::{Form, Rows};

    #[test]
    fn means_are_over_the_positions_of_each_segment_alone() {
        let (one, two) = (Array2::ones((1, 2)), Array2::ones((2, 1)));
        let (bias, biases) = (Array1::ones(1), Array1::ones(2));
        let layer = SqueezeExcite { squeeze: (&one, &bias), excite: (&two, &biases) };
        let (graph, _) = lowered(&layer, Form::default(), Rows::Segments);
        assert_eq!(operators(&graph), ["ReduceMean", "Conv", "Relu", "Conv", "Sigmoid", "Mul"]);
        let attributes = graph.nodes().next().unwrap().attributes;
        assert_eq!(attributes, [("axes", Ints(vec![3])), ("keepdims", Int(1))]);
    }
}
