//! Lowers `Layer::Relu` to the ONNX `Relu` operator; the conventions agree.
//! <https://onnx.ai/onnx/operators/onnx__Relu.html>, opset 6.

use crate::ExportError;
use crate::graph::Graph;
use crate::lower::{Flow, Lower, Place, feature_map};

/// Any shape, kept.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Relu {
    /// Whether its map is of floats in int8, too: of an image.
    pub(crate) in_floats: bool,
}

impl Lower for Relu {
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        if flow.past_relu {
            return Ok(flow);
        }
        let name = format!("{}.relu", at.name);
        let x = graph.node("Relu", &name, &[flow.x], &[]);
        let flow = Flow { x, ..flow };
        match self.in_floats {
            true => Ok(flow),
            false => feature_map::quantized(graph, at, &name, flow),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::tests::{INT8, lowered, lowered_behind, operators};
    use crate::lower::{Form, Rows};

    #[test]
    fn a_map_is_quantized_behind_its_relu_and_one_that_is_past_it_is_left_alone() {
        let (graph, flow) = lowered(&Relu::default(), Form::default(), Rows::Single);
        assert_eq!((operators(&graph), flow.scale), (vec!["Relu"], None));
        let (graph, flow) = lowered(&Relu::default(), INT8, Rows::Single);
        assert_eq!(operators(&graph), ["Relu", "QuantizeLinear", "DequantizeLinear"]);
        assert_eq!(flow.scale, Some(1.0));
        let image = Relu { in_floats: true };
        assert_eq!(operators(&lowered(&image, INT8, Rows::Single).0), ["Relu"]);
        let past = |x| Flow { past_relu: true, scale: Some(2.0), ..Flow::of(x) };
        let (graph, flow) = lowered_behind(&Relu::default(), INT8, Rows::Single, past);
        assert_eq!((operators(&graph), flow.scale), (Vec::new(), Some(2.0)));
    }
}
