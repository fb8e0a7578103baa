//! Lowers `Layer::Add`, the end of a residual block, to `Add`, where the channels differ behind a `Conv` of kernel 1.
//! <https://onnx.ai/onnx/operators/onnx__Add.html>, opset 7.
//!
//! The sum is of floats, and quantized behind the block's last ReLU.

use ndarray::Array2;

use crate::graph::Graph;
use crate::lower::pointwise::pointwise;
use crate::lower::{Flow, Lower, Place};
use crate::{ExportError, LowerError};

/// Keeps what flows, for [`Add`]: no operator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fork;

impl Lower for Fork {
    fn lower(&self, _: &mut Graph, _: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        Ok(Flow { kept: Some(flow.x), ..flow })
    }
}

/// `[batch, channels, rows, length]`, kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Add<'a> {
    /// `[channels, channels of what was kept]`, where they differ.
    pub(crate) skip: Option<&'a Array2<f32>>,
}

impl Lower for Add<'_> {
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        let Place { plan, name, .. } = *at;
        let nothing = || LowerError::NothingKept { layer: name.to_owned() };
        let mut kept = flow.kept.ok_or_else(nothing)?;
        if let Some(skip) = self.skip {
            let form = (plan.form, plan.form.computes_in_half());
            kept = pointwise(graph, form, &format!("{name}.skip"), kept, skip, None)?;
        }
        let x = graph.node("Add", &format!("{name}.add"), &[flow.x, kept], &[]);
        Ok(Flow { x, scale: None, kept: None, ..flow })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::tests::{lowered_behind, operators};
    use crate::lower::{Form, Rows};

    #[test]
    fn what_was_kept_is_added_once() {
        let skip = Array2::ones((2, 3));
        let kept = |x| Flow { kept: Some(x), scale: Some(1.0), ..Flow::of(x) };
        for (skip, expected) in [(None, vec!["Add"]), (Some(&skip), vec!["Conv", "Add"])] {
            let (graph, flow) =
                lowered_behind(&Add { skip }, Form::default(), Rows::Segments, kept);
            assert_eq!(operators(&graph), expected);
            assert!(flow.kept.is_none() && flow.scale.is_none());
        }
    }
}
