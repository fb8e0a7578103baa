//! Lowers `Layer::Relu` to the ONNX `Relu` operator; the conventions agree.
//! <https://onnx.ai/onnx/operators/onnx__Relu.html>, opset 6.

use crate::ExportError;
use crate::graph::Graph;
use crate::lower::{Flow, Lower, Place, feature_map};

/// Any shape, kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relu;

impl Lower for Relu {
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        if flow.past_relu {
            return Ok(flow);
        }
        let name = format!("{}.relu", at.name);
        let x = graph.node("Relu", &name, &[flow.x], &[]);
        feature_map::quantized(graph, at, &name, Flow { x, ..flow })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::tests::{INT8, lowered, lowered_behind, operators};
    use crate::lower::{Form, Rows};

    #[test]
    fn a_map_is_quantized_behind_its_relu_and_one_that_is_past_it_is_left_alone() {
        let (graph, flow) = lowered(&Relu, Form::default(), Rows::Single);
        assert_eq!((operators(&graph), flow.scale), (vec!["Relu"], None));
        let (graph, flow) = lowered(&Relu, INT8, Rows::Single);
        assert_eq!(operators(&graph), ["Relu", "QuantizeLinear", "DequantizeLinear"]);
        assert_eq!(flow.scale, Some(1.0));
        let past = |x| Flow { past_relu: true, scale: Some(2.0), ..Flow::of(x) };
        let (graph, flow) = lowered_behind(&Relu, INT8, Rows::Single, past);
        assert_eq!((operators(&graph), flow.scale), (Vec::new(), Some(2.0)));
    }
}
