//! Lowers `Layer::Softmax` to the ONNX `Softmax` operator.
//! <https://onnx.ai/onnx/operators/onnx__Softmax.html>, opset 11.
//!
//! Up to opset 12 the operator flattens all axes from `axis` on; from 13 on it works along the one axis, as torch does. Along
//! the last axis, the only one here, both are the same.

use crate::ExportError;
use crate::graph::Attribute::Int;
use crate::graph::Graph;
use crate::lower::{Flow, Lower, Place};

/// Any shape, kept; the last axis sums to one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Softmax;

impl Lower for Softmax {
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        let name = format!("{}.softmax", at.name);
        let x = graph.node("Softmax", &name, &[flow.x], &[("axis", Int(-1))]);
        Ok(Flow { x, ..flow })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::tests::lowered;
    use crate::lower::{Form, Rows};

    #[test]
    fn it_goes_along_the_last_axis_alone() {
        let (graph, _) = lowered(&Softmax, Form::default(), Rows::Segments);
        let node = graph.nodes().next().unwrap();
        assert_eq!((node.operator, node.attributes), ("Softmax", vec![("axis", Int(-1))]));
    }
}
