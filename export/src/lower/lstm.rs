//! Lowers `Layer::Lstm` to the ONNX `LSTM` operator.
//! <https://onnx.ai/onnx/operators/onnx__LSTM.html>, opset 7.
//!
//! Torch stacks gates i,f,g,o; ONNX wants i,o,f,c: `gates.rs` has already reordered the weights. ONNX puts the sequence
//! first, `[segments, batch, features]` (ONNX Runtime lacks `layout=1`), and adds an axis for directions.
//! Initial states are always given: without them a dynamic batch aborts the process under ort-tract.

use ndarray::{Array1, Array2, Axis};

use crate::ExportError;
use crate::graph::Attribute::{Int, Ints, Text, Texts};
use crate::graph::{Graph, Value};
use crate::lower::{Flow, Form, Lower, Place, Rows, axes, size, stored_weights};

/// Hidden and cell state: `[batch, units]` each as inputs, `[1, batch, units]` as the operator takes them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    pub(crate) h: Value,
    pub(crate) c: Value,
}

/// Weights in ONNX's order of gates. Takes features `[batch, segments, inputs]`, or `[batch, inputs]` with one segment,
/// and gives h after each segment: `[batch, segments, units]` or `[batch, units]`. A graph that ends with the embedding
/// needs h after the last segment alone: `[batch, units]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lstm<'a> {
    pub(crate) units: usize,
    pub(crate) input: &'a Array2<f32>,
    pub(crate) recurrent: &'a Array2<f32>,
    pub(crate) bias: &'a Array1<f32>,
}

impl Lower for Lstm<'_> {
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        let Place { plan, name, .. } = *at;
        let initial = match at.state {
            Some(state) => given_state(graph, name, state),
            None => zero_state(graph, name, self.units, at.waveform)?,
        };
        let (w, r, b) = stored(graph, plan.form, name, self)?;
        let attributes = [
            ("activations", Texts(vec!["Sigmoid", "Tanh", "Tanh"])),
            ("direction", Text("forward")),
            ("hidden_size", Int(size("the LSTM", self.units)?)),
            ("input_forget", Int(0)),
        ];
        let inputs = |sequence| [sequence, w, r, b, Value::NONE, initial.h, initial.c];
        let (x, last_h, last_c) = match plan.rows {
            Rows::Segments if plan.embedding_only => {
                let perm = [("perm", Ints(vec![1, 0, 2]))];
                let sequence =
                    graph.node("Transpose", &format!("{name}.sequence"), &[flow.x], &perm);
                let outputs = ["", "y_h"];
                let [_, y_h] =
                    graph.node_with_outputs("LSTM", name, &inputs(sequence), outputs, &attributes);
                let h = axes::squeeze(graph, &format!("{name}.h"), y_h, &[0]);
                (h, Some(h), None)
            }
            Rows::Segments => {
                let perm = [("perm", Ints(vec![1, 0, 2]))];
                let sequence =
                    graph.node("Transpose", &format!("{name}.sequence"), &[flow.x], &perm);
                let outputs = ["y", if plan.last_state { "y_h" } else { "" }];
                let [y, y_h] =
                    graph.node_with_outputs("LSTM", name, &inputs(sequence), outputs, &attributes);
                let last_h = match plan.last_state {
                    true => Some(axes::squeeze(graph, &format!("{name}.h"), y_h, &[0])),
                    false => None,
                };
                let squeezed = axes::squeeze(graph, &format!("{name}.directions"), y, &[1]);
                let each = graph.node("Transpose", &format!("{name}.each"), &[squeezed], &perm);
                (each, last_h, None)
            }
            Rows::Single => {
                let sequence = axes::unsqueeze(graph, &format!("{name}.sequence"), flow.x, &[0]);
                let outputs = ["", "y_h", "y_c"];
                let [_, y_h, y_c] =
                    graph.node_with_outputs("LSTM", name, &inputs(sequence), outputs, &attributes);
                let h = axes::squeeze(graph, &format!("{name}.h"), y_h, &[0]);
                let c = axes::squeeze(graph, &format!("{name}.c"), y_c, &[0]);
                (h, Some(h), Some(c))
            }
        };
        Ok(Flow { x, last_h, last_c, ..flow })
    }
}

/// A state `[batch, units]` with the operator's axis of directions before it.
fn given_state(graph: &mut Graph, name: &str, state: State) -> State {
    let mut unsqueezed =
        |part: &str, value| axes::unsqueeze(graph, &format!("{name}.initial_{part}"), value, &[0]);
    State { h: unsqueezed("h", state.h), c: unsqueezed("c", state.c) }
}

/// Zeros `[1, batch, units]`, with the batch of `waveform` `[batch, samples]`.
fn zero_state(
    graph: &mut Graph,
    name: &str,
    units: usize,
    waveform: Value,
) -> Result<State, ExportError> {
    let zero = graph.weights(&format!("{name}.zero"), &[1, 1, 1], vec![0.0]);
    let units = graph.integers(&[size("the LSTM", units)?]);
    let (first, one) = (graph.integers(&[0]), graph.integers(&[1]));
    let shape = graph.shape(waveform);
    let batch = graph.node("Gather", &format!("{name}.batch"), &[shape, first], &[]);
    let axis = [("axis", Int(0))];
    let shape = graph.node("Concat", &format!("{name}.state_shape"), &[one, batch, units], &axis);
    let zeros = graph.node("Expand", &format!("{name}.zero_state"), &[zero, shape], &[]);
    Ok(State { h: zeros, c: zeros })
}

/// W, R and B; in int8 with a scale for each unit of each gate. The cell itself always computes in 32 bits: its state is
/// carried through a whole window, and so would be its rounding errors.
fn stored(
    graph: &mut Graph,
    form: Form,
    name: &str,
    weights: &Lstm<'_>,
) -> Result<(Value, Value, Value), ExportError> {
    let mut matrix = |part: &str, matrix: &Array2<f32>| {
        let with_direction = matrix.clone().insert_axis(Axis(0)).into_dyn();
        stored_weights::floats(graph, form, &format!("{name}.{part}"), &with_direction, 1)
    };
    let w = matrix("weight", weights.input)?;
    let r = matrix("recurrent_weight", weights.recurrent)?;
    let shape = [1, weights.bias.len()];
    Ok((w, r, graph.weights(&format!("{name}.bias"), &shape, weights.bias.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::tests::{INT8, lowered, operators};

    fn graph(form: Form, rows: Rows) -> (Graph, Flow) {
        let (input, recurrent) = (Array2::ones((8, 3)), Array2::ones((8, 2)));
        let bias = Array1::zeros(16);
        let layer = Lstm { units: 2, input: &input, recurrent: &recurrent, bias: &bias };
        lowered(&layer, form, rows)
    }

    #[test]
    fn an_axis_of_directions_is_put_before_weights_and_states() {
        let (graph, flow) = graph(Form::default(), Rows::Segments);
        let shapes: Vec<(String, Vec<usize>)> =
            graph.constants().map(|(name, tensor)| (name, tensor.shape.clone())).collect();
        for (name, shape) in [
            ("layer.weight", vec![1, 8, 3]),
            ("layer.recurrent_weight", vec![1, 8, 2]),
            ("layer.bias", vec![1, 16]),
        ] {
            assert!(shapes.contains(&(name.to_owned(), shape)), "{name}: {shapes:?}");
        }
        assert!(flow.last_h.is_some() && flow.last_c.is_none());
    }

    #[test]
    fn one_segment_at_a_time_gives_both_states() {
        let (graph, flow) = graph(Form::default(), Rows::Single);
        let lstm = graph.nodes().find(|node| node.operator == "LSTM").unwrap();
        assert_eq!(lstm.outputs, ["", "layer.y_h", "layer.y_c"]);
        assert!(flow.last_h == Some(flow.x) && flow.last_c.is_some());
    }

    #[test]
    fn the_cell_computes_in_floats() {
        let operators = operators(&graph(INT8, Rows::Segments).0);
        assert_eq!(operators.iter().filter(|name| **name == "DequantizeLinear").count(), 2);
        assert!(!operators.contains(&"QuantizeLinear"));
    }
}
