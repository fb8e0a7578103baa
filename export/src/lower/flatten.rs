//! Lowers `Layer::Flatten`: the one position that the blocks leave goes away.
//! <https://onnx.ai/onnx/operators/onnx__Transpose.html>, opset 1.
//!
//! With many segments, channels come last afterwards, as matrix products want them.

use crate::ExportError;
use crate::graph::Attribute::Ints;
use crate::graph::{Graph, Value};
use crate::lower::{Flow, Lower, Place, Plan, Rows, axes, stored_weights};

/// `[batch, channels, segments, 1]` → `[batch, segments, channels]`, or `[batch, channels, 1, 1]` → `[batch, channels]`;
/// in 32-bit floats from here on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flatten;

impl Lower for Flatten {
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        let Place { plan, name, .. } = *at;
        let x = in_floats(graph, plan, name, flow.x);
        Ok(Flow { x: vectors(graph, plan.rows, name, x), ..flow })
    }
}

/// 32-bit floats, where the maps are of 16 bits.
pub(crate) fn in_floats(graph: &mut Graph, plan: &Plan<'_>, name: &str, x: Value) -> Value {
    match plan.form.computes_in_half() {
        true => stored_weights::cast(graph, &format!("{name}.floats"), x, stored_weights::FLOAT),
        false => x,
    }
}

/// Takes the axis of positions, of one, away, and puts the channels last.
pub(crate) fn vectors(graph: &mut Graph, rows: Rows, name: &str, x: Value) -> Value {
    match rows {
        Rows::Single => axes::squeeze(graph, name, x, &[2, 3]),
        Rows::Segments => {
            let squeezed = axes::squeeze(graph, &format!("{name}.squeeze"), x, &[3]);
            graph.node("Transpose", name, &[squeezed], &[("perm", Ints(vec![0, 2, 1]))])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::Form;
    use crate::lower::tests::{CUDA_HALF, lowered, operators};

    #[test]
    fn channels_come_last_where_there_are_many_segments() {
        let (graph, _) = lowered(&Flatten, Form::default(), Rows::Segments);
        assert_eq!(operators(&graph), ["Squeeze", "Transpose"]);
        let (graph, _) = lowered(&Flatten, Form::default(), Rows::Single);
        assert_eq!(graph.nodes().next().unwrap().attributes, [("axes", Ints(vec![2, 3]))]);
    }

    #[test]
    fn halves_end_here() {
        let (graph, _) = lowered(&Flatten, CUDA_HALF, Rows::Single);
        assert_eq!(operators(&graph), ["Cast", "Squeeze"]);
    }
}
