//! `Squeeze` and `Unsqueeze`: axes of one that go or come; `ReduceMean` and `ReduceSum`: axes that become one.
//! <https://onnx.ai/onnx/operators/onnx__Squeeze.html>, <https://onnx.ai/onnx/operators/onnx__Unsqueeze.html>: the axes
//! are an attribute up to opset 12 and an input from opset 13 on, and so are those of
//! <https://onnx.ai/onnx/operators/onnx__ReduceSum.html>; of <https://onnx.ai/onnx/operators/onnx__ReduceMean.html> not
//! before 18.

use crate::graph::Attribute::{Int, Ints};
use crate::graph::{Graph, Value};

/// The first opset with axes as an input.
const AS_INPUT: u32 = 13;

/// Takes `axes`, each of size one, out of the shape.
pub(crate) fn squeeze(graph: &mut Graph, name: &str, x: Value, axes: &[i64]) -> Value {
    lower(graph, "Squeeze", name, x, axes)
}

/// Puts `axes` of size one into the shape; they are counted in the output.
pub(crate) fn unsqueeze(graph: &mut Graph, name: &str, x: Value, axes: &[i64]) -> Value {
    lower(graph, "Unsqueeze", name, x, axes)
}

/// The positions of a feature map, behind batch, channels and segments.
const TIME: [i64; 1] = [3];

/// `[batch, channels, rows, length]` → `[batch, channels, rows, 1]`.
pub(crate) fn mean_over_time(graph: &mut Graph, name: &str, x: Value) -> Value {
    let attributes = [("axes", Ints(TIME.to_vec())), ("keepdims", Int(1))];
    graph.node("ReduceMean", name, &[x], &attributes)
}

/// `[batch, channels, rows, length]` → `[batch, channels, rows, 1]`.
pub(crate) fn sum_over_time(graph: &mut Graph, name: &str, x: Value) -> Value {
    if graph.opset < AS_INPUT {
        let attributes = [("axes", Ints(TIME.to_vec())), ("keepdims", Int(1))];
        return graph.node("ReduceSum", name, &[x], &attributes);
    }
    let axes = graph.integers(&TIME);
    graph.node("ReduceSum", name, &[x, axes], &[("keepdims", Int(1))])
}

fn lower(graph: &mut Graph, operator: &'static str, name: &str, x: Value, axes: &[i64]) -> Value {
    if graph.opset < AS_INPUT {
        return graph.node(operator, name, &[x], &[("axes", Ints(axes.to_vec()))]);
    }
    let axes = graph.integers(axes);
    graph.node(operator, name, &[x, axes], &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_an_attribute_until_opset_13_and_an_input_from_then_on() {
        let node = |opset| {
            let mut graph = Graph::new("test", "", opset);
            let x = graph.input("x", &[], "");
            squeeze(&mut graph, "y", x, &[2]);
            graph.nodes().next().unwrap()
        };
        assert_eq!(node(12).attributes, [("axes", Ints(vec![2]))]);
        assert_eq!((node(13).inputs.len(), node(13).attributes.len()), (2, 0));
    }
}
