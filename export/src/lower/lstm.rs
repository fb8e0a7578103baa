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
use crate::lower::{Form, Rows, axes, size, store};

/// Hidden and cell state: `[batch, units]` each as inputs, `[1, batch, units]` as the operator takes them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    pub(crate) h: Value,
    pub(crate) c: Value,
}

/// What an LSTM gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct After {
    /// h after each segment: `[batch, segments, units]`, or `[batch, units]` with one segment.
    pub(crate) each: Value,
    /// h after the last segment, `[batch, units]`.
    pub(crate) last_h: Value,
    /// c likewise, where one segment is taken per call: nobody asks for it otherwise.
    pub(crate) last_c: Option<Value>,
}

/// Weights in ONNX's order of gates.
#[derive(Debug)]
pub(crate) struct Weights<'a> {
    pub(crate) units: usize,
    pub(crate) input: &'a Array2<f32>,
    pub(crate) recurrent: &'a Array2<f32>,
    pub(crate) bias: &'a Array1<f32>,
}

/// Features `[batch, segments, inputs]`, or `[batch, inputs]` with one segment, and the state before them. Without `each`
/// nobody asks for h after any segment but the last, and it is not given.
pub(crate) fn lower(
    graph: &mut Graph,
    form: Form,
    name: &str,
    weights: &Weights<'_>,
    (rows, each): (Rows, bool),
    x: Value,
    initial: State,
) -> Result<After, ExportError> {
    let (w, r, b) = stored(graph, form, name, weights)?;
    let attributes = [
        ("activations", Texts(vec!["Sigmoid", "Tanh", "Tanh"])),
        ("direction", Text("forward")),
        ("hidden_size", Int(size("the LSTM", weights.units)?)),
        ("input_forget", Int(0)),
    ];
    let inputs = |sequence| [sequence, w, r, b, Value::NONE, initial.h, initial.c];
    Ok(match rows {
        Rows::Segments if !each => {
            let perm = [("perm", Ints(vec![1, 0, 2]))];
            let sequence = graph.node("Transpose", &format!("{name}.sequence"), &[x], &perm);
            let outputs = ["", "y_h"];
            let [_, y_h] =
                graph.node_with_outputs("LSTM", name, &inputs(sequence), outputs, &attributes);
            let h = axes::squeeze(graph, &format!("{name}.h"), y_h, &[0]);
            After { each: h, last_h: h, last_c: None }
        }
        Rows::Segments => {
            let perm = [("perm", Ints(vec![1, 0, 2]))];
            let sequence = graph.node("Transpose", &format!("{name}.sequence"), &[x], &perm);
            let outputs = ["y", "y_h"];
            let [y, y_h] =
                graph.node_with_outputs("LSTM", name, &inputs(sequence), outputs, &attributes);
            let last_h = axes::squeeze(graph, &format!("{name}.h"), y_h, &[0]);
            let squeezed = axes::squeeze(graph, &format!("{name}.directions"), y, &[1]);
            let each = graph.node("Transpose", &format!("{name}.each"), &[squeezed], &perm);
            After { each, last_h, last_c: None }
        }
        Rows::Single => {
            let sequence = axes::unsqueeze(graph, &format!("{name}.sequence"), x, &[0]);
            let outputs = ["", "y_h", "y_c"];
            let [_, y_h, y_c] =
                graph.node_with_outputs("LSTM", name, &inputs(sequence), outputs, &attributes);
            let h = axes::squeeze(graph, &format!("{name}.h"), y_h, &[0]);
            let c = axes::squeeze(graph, &format!("{name}.c"), y_c, &[0]);
            After { each: h, last_h: h, last_c: Some(c) }
        }
    })
}

/// A state `[batch, units]` with the operator's axis of directions before it.
pub(crate) fn given_state(graph: &mut Graph, name: &str, state: State) -> State {
    let mut unsqueezed =
        |part: &str, value| axes::unsqueeze(graph, &format!("{name}.initial_{part}"), value, &[0]);
    State { h: unsqueezed("h", state.h), c: unsqueezed("c", state.c) }
}

/// Zeros `[1, batch, units]`, with the batch of `waveform` `[batch, samples]`.
pub(crate) fn zero_state(
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
/// carried through a whole window, and so would be its roundings.
fn stored(
    graph: &mut Graph,
    form: Form,
    name: &str,
    weights: &Weights<'_>,
) -> Result<(Value, Value, Value), ExportError> {
    let mut matrix = |part: &str, matrix: &Array2<f32>| {
        let with_direction = matrix.clone().insert_axis(Axis(0)).into_dyn();
        store::floats(graph, form, &format!("{name}.{part}"), &with_direction, 1)
    };
    let w = matrix("weight", weights.input)?;
    let r = matrix("recurrent_weight", weights.recurrent)?;
    let shape = [1, weights.bias.len()];
    Ok((w, r, graph.weights(&format!("{name}.bias"), &shape, weights.bias.to_vec())))
}
