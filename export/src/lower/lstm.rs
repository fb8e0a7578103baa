//! Lowers `Layer::Lstm` to the ONNX `LSTM` operator.
//! <https://onnx.ai/onnx/operators/onnx__LSTM.html>, opset 7.
//!
//! Torch stacks gates i,f,g,o; ONNX wants i,o,f,c: `gates.rs` has already reordered the weights. ONNX puts the sequence
//! first, `[segments, batch, features]` (ONNX Runtime lacks `layout=1`), and adds an axis for directions.
//! Initial states are always given: without them a dynamic batch aborts the process under ort-tract.

use ndarray::{Array1, Array2};

use crate::ExportError;
use crate::graph::Attribute::{Int, Ints, Text, Texts};
use crate::graph::{Graph, Value};
use crate::lower::{Rows, size};

/// Hidden and cell state, `[batch, units]` each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    pub(crate) h: Value,
    pub(crate) c: Value,
}

/// Weights in ONNX's order of gates.
#[derive(Debug)]
pub(crate) struct Weights<'a> {
    pub(crate) units: usize,
    pub(crate) input: &'a Array2<f32>,
    pub(crate) recurrent: &'a Array2<f32>,
    pub(crate) bias: &'a Array1<f32>,
}

/// Features `[batch, segments, inputs]` → h after each segment `[batch, segments, units]` and the last state; or, with
/// one segment, `[batch, inputs]` → `[batch, units]`.
pub(crate) fn lower(
    graph: &mut Graph,
    name: &str,
    weights: &Weights<'_>,
    rows: Rows,
    x: Value,
    initial: State,
) -> Result<(Value, State), ExportError> {
    let first = graph.integers(&[0]);
    let sequence = match rows {
        Rows::Segments => {
            let perm = [("perm", Ints(vec![1, 0, 2]))];
            graph.node("Transpose", &format!("{name}.sequence"), &[x], &perm)
        }
        Rows::Single => graph.node("Unsqueeze", &format!("{name}.sequence"), &[x, first], &[]),
    };
    let initial_h = graph.node("Unsqueeze", &format!("{name}.initial_h"), &[initial.h, first], &[]);
    let initial_c = graph.node("Unsqueeze", &format!("{name}.initial_c"), &[initial.c, first], &[]);
    let (w, r, b) = store(graph, name, weights);
    let attributes = [
        ("activations", Texts(vec!["Sigmoid", "Tanh", "Tanh"])),
        ("direction", Text("forward")),
        ("hidden_size", Int(size("the LSTM", weights.units)?)),
        ("input_forget", Int(0)),
    ];
    let inputs = [sequence, w, r, b, Value::NONE, initial_h, initial_c];
    let [y, last_h, last_c] =
        graph.node_with_outputs("LSTM", name, &inputs, ["y", "y_h", "y_c"], &attributes);
    let h = graph.node("Squeeze", &format!("{name}.h"), &[last_h, first], &[]);
    let c = graph.node("Squeeze", &format!("{name}.c"), &[last_c, first], &[]);
    let each = match rows {
        Rows::Single => h,
        Rows::Segments => {
            let second = graph.integers(&[1]);
            let squeezed = graph.node("Squeeze", &format!("{name}.directions"), &[y, second], &[]);
            let perm = [("perm", Ints(vec![1, 0, 2]))];
            graph.node("Transpose", &format!("{name}.each"), &[squeezed], &perm)
        }
    };
    Ok((each, State { h, c }))
}

/// Zeros `[batch, units]`, with the batch of `waveform` `[batch, samples]`.
pub(crate) fn zero_state(
    graph: &mut Graph,
    name: &str,
    units: usize,
    waveform: Value,
) -> Result<State, ExportError> {
    let zero = graph.weights(&format!("{name}.zero"), &[1, 1], vec![0.0]);
    let (first, units) = (graph.integers(&[0]), graph.integers(&[size("the LSTM", units)?]));
    let shape = graph.node("Shape", &format!("{name}.waveform_shape"), &[waveform], &[]);
    let batch = graph.node("Gather", &format!("{name}.batch"), &[shape, first], &[]);
    let axis = [("axis", Int(0))];
    let shape = graph.node("Concat", &format!("{name}.state_shape"), &[batch, units], &axis);
    let zeros = graph.node("Expand", &format!("{name}.zero_state"), &[zero, shape], &[]);
    Ok(State { h: zeros, c: zeros })
}

fn store(graph: &mut Graph, name: &str, weights: &Weights<'_>) -> (Value, Value, Value) {
    let mut matrix = |part: &str, matrix: &Array2<f32>| {
        let shape = [1, matrix.nrows(), matrix.ncols()];
        graph.weights(&format!("{name}.{part}"), &shape, matrix.iter().copied().collect())
    };
    let w = matrix("weight", weights.input);
    let r = matrix("recurrent_weight", weights.recurrent);
    let shape = [1, weights.bias.len()];
    (w, r, graph.weights(&format!("{name}.bias"), &shape, weights.bias.to_vec()))
}
