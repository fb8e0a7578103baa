//! Lowers `Layer::TimePool`: `ReduceMean` over the positions, for deviations `Sub`, `Mul`, `ReduceMean`, `Sqrt` and
//! `Concat`; attention's scores are two `Conv` of kernel 1, `Tanh` and `Softmax`, and its means `Mul` and `ReduceSum`.
//! <https://onnx.ai/onnx/operators/onnx__ReduceMean.html>, opset 1;
//! <https://onnx.ai/onnx/operators/onnx__ReduceSum.html>, opset 1: the axes are an attribute until opset 18 and 13;
//! <https://onnx.ai/onnx/operators/onnx__Softmax.html>, opset 11.
//!
//! The height is the segments, so nothing reduces over it. In every precision it computes in 32-bit floats: squares and
//! sums over time would leave the range of 16 bits.

use leitmotif_models::TimePool;

use crate::ExportError;
use crate::fold::Attention;
use crate::graph::Attribute::Int;
use crate::graph::{Graph, Value};
use crate::lower::pointwise::pointwise;
use crate::lower::{Flow, Lower, Place, axes, flatten};

/// `[batch, channels, segments, length]` → `[batch, segments, features]`, or `[batch, channels, 1, length]` → `[batch,
/// features]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pooling<'a> {
    pub(crate) pool: TimePool,
    /// Of attention alone.
    pub(crate) attention: Option<&'a Attention>,
}

impl Lower for Pooling<'_> {
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        let Place { plan, name, .. } = *at;
        let x = flatten::in_floats(graph, plan, name, flow.x);
        let weights = match self.attention {
            Some(attention) => Some(weights(graph, at, x, attention)?),
            None => None,
        };
        let mean = |graph: &mut Graph, part: &str, x| match weights {
            None => axes::mean_over_time(graph, &format!("{name}.{part}"), x),
            Some(weights) => {
                let weighted = format!("{name}.{part}.weighted");
                let weighted = graph.node("Mul", &weighted, &[x, weights], &[]);
                axes::sum_over_time(graph, &format!("{name}.{part}"), weighted)
            }
        };
        let means = mean(graph, "mean", x);
        let features = match self.pool {
            TimePool::Mean => means,
            TimePool::Statistics | TimePool::Attention => {
                let gaps = graph.node("Sub", &format!("{name}.gaps"), &[x, means], &[]);
                let squares = graph.node("Mul", &format!("{name}.squares"), &[gaps, gaps], &[]);
                let variance = mean(graph, "variance", squares);
                let epsilon =
                    graph.weights(&format!("{name}.epsilon"), &[], vec![TimePool::EPSILON]);
                let floored = format!("{name}.floored");
                let floored = graph.node("Add", &floored, &[variance, epsilon], &[]);
                let deviations = graph.node("Sqrt", &format!("{name}.deviation"), &[floored], &[]);
                let channels = [("axis", Int(1))];
                graph.node("Concat", &format!("{name}.both"), &[means, deviations], &channels)
            }
        };
        let x = flatten::vectors(graph, plan.rows, &format!("{name}.features"), features);
        Ok(Flow { x, scale: None, ..flow })
    }
}

/// The weights of the positions, `[batch, 1, rows, length]`.
fn weights(
    graph: &mut Graph,
    at: &Place<'_>,
    x: Value,
    attention: &Attention,
) -> Result<Value, ExportError> {
    let (form, name) = ((at.plan.form, false), at.name);
    let Attention { hidden, bias, score } = attention;
    let hidden = pointwise(graph, form, &format!("{name}.hidden"), x, hidden, Some(bias))?;
    let bounded = graph.node("Tanh", &format!("{name}.bounded"), &[hidden], &[]);
    let scores = pointwise(graph, form, &format!("{name}.score"), bounded, score, None)?;
    Ok(graph.node("Softmax", &format!("{name}.weights"), &[scores], &[("axis", Int(-1))]))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2};

    use super::*;
    use crate::lower::tests::{CUDA_HALF, lowered, operators};
    use crate::lower::{Form, Rows};

    #[test]
    fn each_pool_is_what_its_name_says() {
        let of = |pool, attention| {
            let layer = Pooling { pool, attention };
            operators(&lowered(&layer, Form::default(), Rows::Segments).0)
        };
        let last = ["Squeeze", "Transpose"];
        assert_eq!(of(TimePool::Mean, None), [&["ReduceMean"][..], &last].concat());
        let deviation = ["ReduceMean", "Sub", "Mul", "ReduceMean", "Add", "Sqrt", "Concat"];
        assert_eq!(of(TimePool::Statistics, None), [&deviation[..], &last].concat());
        let (hidden, bias) = (Array2::ones((1, 2)), Array1::ones(1));
        let attention = Attention { hidden, bias, score: Array2::ones((1, 1)) };
        let found = of(TimePool::Attention, Some(&attention));
        assert_eq!(found[..6], ["Conv", "Tanh", "Conv", "Softmax", "Mul", "ReduceSum"]);
        assert_eq!(found.iter().filter(|operator| **operator == "ReduceSum").count(), 2);
    }

    #[test]
    fn halves_end_here() {
        let layer = Pooling { pool: TimePool::Statistics, attention: None };
        let operators = operators(&lowered(&layer, CUDA_HALF, Rows::Single).0);
        assert_eq!((operators[0], operators.len()), ("Cast", 9));
    }
}
