//! Turns folded layers into ONNX operators, one layer a file.
//!
//! A graph either cuts a whole recording and treats its segments side by side, or takes one segment per call.
//! The two differ only in axes, so each lowering gets a [`Rows`] where that matters.

mod conv;
mod flatten;
mod frame;
mod linear;
mod lstm;
mod max_pool;
mod relu;
mod softmax;
mod tanh;

use leitmotif_models::Network;

use crate::ExportError;
use crate::fold::{FoldedLayer, FoldedStep};
use crate::graph::{Graph, Value};

pub(crate) use lstm::State;
use lstm::Weights;

/// What the rows of the feature maps are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// All segments of a recording: maps are `[batch, filters, segments, positions]`, features `[batch, segments, …]`.
    Segments,
    /// One segment a call: maps are `[batch, filters, 1, positions]`, features `[batch, …]`.
    Single,
}

/// The values of a lowered network that can be outputs.
#[derive(Debug)]
pub(crate) struct Lowered {
    /// Tanh layer, or h of the LSTM: `[batch, units]` or `[batch, segments, units]`.
    pub(crate) embedding: Value,
    /// Before the softmax, `[batch, classes]` or `[batch, segments, classes]`.
    pub(crate) logits: Value,
    /// Same shape as the logits.
    pub(crate) probabilities: Value,
    /// An LSTM's h after the last segment, `[batch, units]`.
    pub(crate) last_h: Option<Value>,
    /// Its c, where one segment is taken per call.
    pub(crate) last_c: Option<Value>,
}

/// Lowers the whole network behind `waveform`: `[batch, samples]` for many segments, `[batch, segment]` for one.
///
/// `state` is h and c before the first segment; without it an LSTM starts from zeros.
///
/// # Errors
/// [`ExportError::TooLarge`] for a size beyond ONNX's 64-bit signed integers.
pub(crate) fn network(
    graph: &mut Graph,
    network: &Network,
    layers: &[FoldedStep],
    rows: Rows,
    waveform: Value,
    state: Option<State>,
) -> Result<Lowered, ExportError> {
    let mut x = match rows {
        Rows::Segments => frame::cut(graph, waveform, network.segment, network.hop)?,
        Rows::Single => frame::single(graph, waveform),
    };
    let mut lowered =
        Lowered { embedding: x, logits: x, probabilities: x, last_h: None, last_c: None };
    for step in layers {
        let name = &step.name;
        x = match &step.layer {
            FoldedLayer::Conv { conv, weight, bias } => {
                conv::lower(graph, name, *conv, weight, bias, x)?
            }
            FoldedLayer::Relu => relu::lower(graph, name, x),
            FoldedLayer::MaxPool { size } => max_pool::lower(graph, name, *size, x)?,
            FoldedLayer::Flatten => flatten::lower(graph, name, rows, x),
            FoldedLayer::Linear { weight, bias } => {
                lowered.logits = linear::lower(graph, name, weight, bias, x);
                lowered.logits
            }
            FoldedLayer::Tanh => {
                lowered.embedding = tanh::lower(graph, name, x);
                lowered.embedding
            }
            FoldedLayer::Lstm { units, input, recurrent, bias } => {
                let initial = match state {
                    Some(state) => lstm::given_state(graph, name, state),
                    None => lstm::zero_state(graph, name, *units, waveform)?,
                };
                let weights = Weights { units: *units, input, recurrent, bias };
                let after = lstm::lower(graph, name, &weights, rows, x, initial)?;
                (lowered.last_h, lowered.last_c) = (Some(after.last_h), after.last_c);
                lowered.embedding = after.each;
                after.each
            }
            FoldedLayer::Softmax => {
                lowered.probabilities = softmax::lower(graph, name, x);
                lowered.probabilities
            }
        };
    }
    Ok(lowered)
}

/// A size as ONNX stores it.
pub(crate) fn size(what: &'static str, value: usize) -> Result<i64, ExportError> {
    i64::try_from(value).map_err(|_| ExportError::TooLarge { what })
}
