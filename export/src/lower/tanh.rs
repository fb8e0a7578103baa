//! Lowers `Layer::Tanh` to the ONNX `Tanh` operator; the conventions agree.
//! <https://onnx.ai/onnx/operators/onnx__Tanh.html>, opset 6.

use crate::ExportError;
use crate::graph::Graph;
use crate::lower::{Flow, Lower, Place};

/// Any shape, kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tanh;

impl Lower for Tanh {
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        let x = graph.node("Tanh", &format!("{}.tanh", at.name), &[flow.x], &[]);
        Ok(Flow { x, ..flow })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::tests::{INT8, lowered, operators};
    use crate::lower::{Form, Rows};

    #[test]
    fn it_is_one_operator_in_every_precision() {
        for form in [Form::default(), INT8] {
            assert_eq!(operators(&lowered(&Tanh, form, Rows::Single).0), ["Tanh"]);
        }
    }
}
