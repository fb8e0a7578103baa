//! Cuts the waveform into segments inside the graph.
//! <https://onnx.ai/onnx/operators/onnx__Range.html>, opset 11; <https://onnx.ai/onnx/operators/onnx__Gather.html>, opset 13.
//!
//! Starts are `Range(0, T − L + 1, hop)`, a column; plus `Range(0, L, 1)`, a row, they are the index of every sample of
//! every segment. No table is stored, T and the batch stay free, and what is left after the last whole segment drops
//! out by the range's own end.
//!
//! Segments become the height of an image of one channel, `[batch, 1, segments, L]`: convolutions and pools of height
//! one never mix them, and no Reshape has to fold them into the batch (tract refuses the way back).

use crate::ExportError;
use crate::graph::{Graph, Value};
use crate::lower::size;

/// `[batch, samples]` → `[batch, 1, segments, segment]`.
pub(crate) fn cut(
    graph: &mut Graph,
    waveform: Value,
    segment: usize,
    hop: usize,
) -> Result<Value, ExportError> {
    let segment = size("the segment", segment)?;
    let hop = graph.integer(size("the hop", hop)?);
    let (zero, one) = (graph.integer(0), graph.integer(1));
    let last_start = graph.integer(1 - segment);
    let segment = graph.integer(segment);

    let shape = graph.shape(waveform);
    let samples = graph.node("Gather", "frame.samples", &[shape, one], &[]);
    let end = graph.node("Add", "frame.end", &[samples, last_start], &[]);
    let starts = graph.node("Range", "frame.starts", &[zero, end, hop], &[]);
    let offsets = graph.node("Range", "frame.offsets", &[zero, segment, one], &[]);
    let second = graph.integers(&[1]);
    let column = graph.node("Unsqueeze", "frame.column", &[starts, second], &[]);
    let index = graph.node("Add", "frame.index", &[column, offsets], &[]);
    let axis = [("axis", crate::graph::Attribute::Int(1))];
    let segments = graph.node("Gather", "frame.segments", &[waveform, index], &axis);
    Ok(graph.node("Unsqueeze", "frame", &[segments, second], &[]))
}

/// `[batch, segment]` → `[batch, 1, 1, segment]`.
pub(crate) fn single(graph: &mut Graph, waveform: Value) -> Value {
    let axes = graph.integers(&[1, 2]);
    graph.node("Unsqueeze", "frame", &[waveform, axes], &[])
}
