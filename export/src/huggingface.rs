//! The graph in the form of Hugging Face's libraries: `input_values` in, `logits` of the whole recording out.
//!
//! Those libraries take the softmax of the logits, so these are ln(p) / T, of the recording's probabilities p and the
//! card's temperature T: the softmax is the calibrated answer that the runtime gives. p is kept from zero, whose
//! logarithm would be infinite.
//!
//! An LSTM's windows are cut here, because those libraries know none: each is a row of a batch through the `sequence`
//! graph, from zero states. The last one may lack segments. They are computed from repetitions of the last sample, and its
//! answer is the one after its last whole segment, which those behind cannot change.
//!
//! Of `Less` and `Where` (<https://onnx.ai/onnx/operators/onnx__Less.html>, opset 9;
//! <https://onnx.ai/onnx/operators/onnx__Where.html>, opset 9) come the minima and maxima of integers, which `Min` and `Max`
//! have from opset 12 on only. A `Reshape` folds windows into the batch, which tract does not follow.

use leitmotif_models::{HeadKind, Network};

use crate::ExportError;
use crate::assemble::mean_over_segments;
use crate::fold::FoldedStep;
use crate::graph::Attribute::Int;
use crate::graph::Dim::{Fixed, Named};
use crate::graph::{Graph, Value};
use crate::lower::{self, Form, Plan, Rows, axes, size};
use crate::recipe::Recipe;

/// The least probability, as where a temperature is fitted: its logarithm is -87.
const LEAST: f32 = f32::MIN_POSITIVE;

/// The graph over folded layers.
///
/// # Errors
/// Those of the lowerings.
pub(crate) fn graph(
    network: &Network,
    classes: usize,
    layers: &[FoldedStep],
    temperature: Option<f64>,
    recipe: &Recipe,
) -> Result<Graph, ExportError> {
    let form = Form { target: recipe.target, precision: recipe.precision };
    let doc = "Takes a recording and gives the logarithms of its artists' probabilities.";
    let mut graph = Graph::new("leitmotif_huggingface", doc, form.opset());
    let dims = [Named("batch"), Named("samples")];
    let waveform = graph.input("input_values", &dims, "mono samples at 16 kHz in [-1, 1]");
    let is_lstm = network.head.kind == HeadKind::Lstm;
    let plan = Plan {
        network,
        layers,
        form,
        calibration: recipe.calibration.as_ref(),
        rows: Rows::Segments,
        segments: is_lstm.then_some(network.window),
        embedding_only: false,
        last_state: false,
    };
    let each = match is_lstm {
        true => {
            let windows = windows(&mut graph, network, waveform)?;
            let x = lower::network(&mut graph, &plan, windows.rows, None)?;
            answers(&mut graph, classes, &windows, x.probabilities)?
        }
        false => lower::network(&mut graph, &plan, waveform, None)?.probabilities,
    };
    let mean = mean_over_segments(&mut graph, "recording.probabilities", each);
    let least = graph.weights("recording.least", &[], vec![LEAST]);
    let positive = graph.node("Max", "recording.positive", &[mean, least], &[]);
    let mut logits = graph.node("Log", "recording.log", &[positive], &[]);
    if let Some(temperature) = temperature {
        let temperature = graph.weights("recording.temperature", &[], vec![temperature as f32]);
        logits = graph.node("Div", "recording.calibrated", &[logits, temperature], &[]);
    }
    let dims = [Named("batch"), Fixed(classes)];
    graph.output(logits, "logits", &dims, "logarithms of the recording's probabilities");
    Ok(graph)
}

/// The windows of recordings, side by side.
struct Windows {
    /// `[batch · windows, samples of a window]`.
    rows: Value,
    /// Number of the segment of each window after which its answer is, among the segments of all its windows: `[windows]`.
    last: Value,
    /// `[1]`.
    batch: Value,
}

/// Cuts `[batch, samples]` into the windows that count, as `leitmotif::pooling::windows` does. Of a recording that is
/// shorter than a segment the `Gather` asks for samples beyond its end, which every runtime refuses.
fn windows(graph: &mut Graph, network: &Network, waveform: Value) -> Result<Windows, ExportError> {
    let segment = size("the segment", network.segment)?;
    let hop = size("the hop", network.hop)?;
    let window = size("the window", network.window)?;
    let samples = size("the window", network.samples_of(network.window))?;
    let [zero, one, minus_one] = [0, 1, -1].map(|n| graph.integer(n));
    let (first, second) = (graph.integers(&[0]), graph.integers(&[1]));

    let shape = graph.shape(waveform);
    let batch = graph.node("Gather", "window.batch", &[shape, first], &[]);
    let length = graph.node("Gather", "window.samples", &[shape, second], &[]);
    let length = axes::squeeze(graph, "window.length", length, &[0]);

    // Segments: as many hops as begin with a whole segment.
    let (hop_value, hop_less) = (graph.integer(hop), graph.integer(hop - segment));
    let spare = graph.node("Add", "window.spare", &[length, hop_less], &[]);
    let segments = graph.node("Div", "window.segments", &[spare, hop_value], &[]);

    // Windows: rounded, because the last one counts from half full, but at least one.
    let (window_value, half) = (graph.integer(window), graph.integer(window / 2));
    let rounded = graph.node("Add", "window.rounded", &[segments, half], &[]);
    let counted = graph.node("Div", "window.counted", &[rounded, window_value], &[]);
    let count = larger(graph, "window.count", counted, one);

    let hops = graph.integer(hop * window);
    let end = graph.node("Mul", "window.end", &[count, hops], &[]);
    let starts = graph.node("Range", "window.starts", &[zero, end, hops], &[]);
    let column = axes::unsqueeze(graph, "window.column", starts, &[1]);
    let samples_value = graph.integer(samples);
    let offsets = graph.node("Range", "window.offsets", &[zero, samples_value, one], &[]);
    let index = graph.node("Add", "window.index", &[column, offsets], &[]);
    // The last sample, but no less than the last of a segment, where a shorter recording has none.
    let end = graph.node("Add", "window.last_sample", &[length, minus_one], &[]);
    let least = graph.integer(segment - 1);
    let most = larger(graph, "window.most", end, least);
    let inside = smaller(graph, "window.inside", index, most);
    let cut = graph.node("Gather", "window.cut", &[waveform, inside], &[("axis", Int(1))]);
    let row = graph.integers(&[-1, samples]);
    let rows = graph.node("Reshape", "window.rows", &[cut, row], &[]);

    // The segments of windows 0 to k are k + 1 windows full, or all there are.
    let all = graph.node("Mul", "window.all", &[count, window_value], &[]);
    let beyond = graph.node("Add", "window.beyond", &[all, one], &[]);
    let full = graph.node("Range", "window.full", &[window_value, beyond, window_value], &[]);
    let there = smaller(graph, "window.there", full, segments);
    let last = graph.node("Add", "window.last", &[there, minus_one], &[]);
    Ok(Windows { rows, last, batch })
}

/// `[batch · windows, segments of a window, classes]` → the answer of each window, `[batch, windows, classes]`.
fn answers(
    graph: &mut Graph,
    classes: usize,
    windows: &Windows,
    each: Value,
) -> Result<Value, ExportError> {
    let tail = graph.integers(&[-1, size("the output", classes)?]);
    let axis = [("axis", Int(0))];
    let shape = graph.node("Concat", "window.shape", &[windows.batch, tail], &axis);
    let side_by_side = graph.node("Reshape", "window.each", &[each, shape], &[]);
    let inputs = [side_by_side, windows.last];
    Ok(graph.node("Gather", "window.answers", &inputs, &[("axis", Int(1))]))
}

fn smaller(graph: &mut Graph, name: &str, a: Value, b: Value) -> Value {
    let is_less = graph.node("Less", &format!("{name}.is_less"), &[a, b], &[]);
    graph.node("Where", name, &[is_less, a, b], &[])
}

fn larger(graph: &mut Graph, name: &str, a: Value, b: Value) -> Value {
    let is_less = graph.node("Less", &format!("{name}.is_less"), &[a, b], &[]);
    graph.node("Where", name, &[is_less, b, a], &[])
}
