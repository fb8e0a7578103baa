//! Cuts the waveform into segments inside the graph.
//! <https://onnx.ai/onnx/operators/onnx__Range.html>, opset 11; <https://onnx.ai/onnx/operators/onnx__Gather.html>, opset 1;
//! <https://onnx.ai/onnx/operators/onnx__Slice.html>, opset 10; <https://onnx.ai/onnx/operators/onnx__Reshape.html>, opset 5.
//!
//! In general starts are `Range(0, T − L + 1, hop)`, a column; plus `Range(0, L, 1)`, a row, they are the index of every
//! sample of every segment. No table is stored, T and the batch stay free, and what is left after the last whole segment
//! drops out by the range's own end.
//!
//! Segments that adjoin need no index: the recording is cut off after the last whole one and reshaped to rows. ONNX
//! Runtime copies nothing for that, and on CUDA no index has to be sent there. tract cannot follow the division of a free
//! length, so the `portable` target has this only where the number of segments is fixed.
//!
//! Segments become the height of an image of one channel, `[batch, 1, segments, L]`: convolutions and pools of height
//! one never mix them, and no Reshape has to fold them into the batch (tract refuses the way back).

use leitmotif_models::Target;

use crate::ExportError;
use crate::graph::{Graph, Value};
use crate::lower::{Plan, axes, size};

/// `[batch, samples]` → `[batch, 1, segments, segment]`.
pub(crate) fn cut(
    graph: &mut Graph,
    plan: &Plan<'_>,
    waveform: Value,
) -> Result<Value, ExportError> {
    let adjoin = plan.network.hop == plan.network.segment;
    let segment = size("the segment", plan.network.segment)?;
    let hop = size("the hop", plan.network.hop)?;
    match (plan.form.target, plan.segments) {
        (_, Some(segments)) if adjoin => {
            Ok(in_rows(graph, waveform, size("the segments", segments)?, segment))
        }
        (Target::Cpu | Target::Cuda, None) if adjoin => {
            let whole = whole_segments(graph, waveform, segment);
            Ok(in_rows(graph, whole, -1, segment))
        }
        _ => Ok(gathered(graph, waveform, segment, hop)),
    }
}

/// `[batch, segments · segment]` → `[batch, 1, segments, segment]`; a number of -1 follows from the samples.
fn in_rows(graph: &mut Graph, waveform: Value, segments: i64, segment: i64) -> Value {
    let shape = graph.integers(&[0, 1, segments, segment]);
    graph.node("Reshape", "frame", &[waveform, shape], &[])
}

/// Drops what is left after the last whole segment.
fn whole_segments(graph: &mut Graph, waveform: Value, segment: i64) -> Value {
    let (zero, one) = (graph.integers(&[0]), graph.integers(&[1]));
    let length = graph.integers(&[segment]);
    let shape = graph.shape(waveform);
    let samples = graph.node("Gather", "frame.samples", &[shape, one], &[]);
    let segments = graph.node("Div", "frame.count", &[samples, length], &[]);
    let end = graph.node("Mul", "frame.end", &[segments, length], &[]);
    graph.node("Slice", "frame.whole", &[waveform, zero, end, one], &[])
}

fn gathered(graph: &mut Graph, waveform: Value, segment: i64, hop: i64) -> Value {
    let hop = graph.integer(hop);
    let (zero, one) = (graph.integer(0), graph.integer(1));
    let last_start = graph.integer(1 - segment);
    let segment = graph.integer(segment);

    let shape = graph.shape(waveform);
    let samples = graph.node("Gather", "frame.samples", &[shape, one], &[]);
    let end = graph.node("Add", "frame.end", &[samples, last_start], &[]);
    let starts = graph.node("Range", "frame.starts", &[zero, end, hop], &[]);
    let offsets = graph.node("Range", "frame.offsets", &[zero, segment, one], &[]);
    let column = axes::unsqueeze(graph, "frame.column", starts, &[1]);
    let index = graph.node("Add", "frame.index", &[column, offsets], &[]);
    let axis = [("axis", crate::graph::Attribute::Int(1))];
    let segments = graph.node("Gather", "frame.segments", &[waveform, index], &axis);
    axes::unsqueeze(graph, "frame", segments, &[1])
}

/// `[batch, segment]` → `[batch, 1, 1, segment]`.
pub(crate) fn single(graph: &mut Graph, waveform: Value) -> Value {
    axes::unsqueeze(graph, "frame", waveform, &[1, 2])
}

#[cfg(test)]
mod tests {
    use leitmotif_models::Network;

    use super::*;
    use crate::lower::tests::operators;
    use crate::lower::{Form, Rows};

    fn cut_by(target: Target, hop: usize, segments: Option<usize>) -> Vec<&'static str> {
        let network = Network { hop, ..Network::preset("example").unwrap() };
        let form = Form { target, ..Form::default() };
        let plan = Plan {
            network: &network,
            layers: &[],
            form,
            calibration: None,
            rows: Rows::Segments,
            segments,
            embedding_only: false,
            last_state: true,
        };
        let mut graph = Graph::new("test", "", form.opset());
        let waveform = graph.input("waveform", &[], "");
        cut(&mut graph, &plan, waveform).unwrap();
        operators(&graph)
    }

    #[test]
    fn segments_that_adjoin_need_no_index_where_the_target_can_follow() {
        let segment = Network::preset("example").unwrap().segment;
        assert_eq!(cut_by(Target::Portable, segment, Some(5)), ["Reshape"]);
        assert!(cut_by(Target::Cpu, segment, None).ends_with(&["Slice", "Reshape"]));
        for (target, hop) in [(Target::Portable, segment), (Target::Cpu, segment / 2)] {
            assert!(cut_by(target, hop, None).contains(&"Range"), "{target} {hop}");
        }
    }
}
