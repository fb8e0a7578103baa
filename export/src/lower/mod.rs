//! Turns folded layers into ONNX operators, one layer a file.
//!
//! A graph either cuts a whole recording and treats its segments side by side, or takes one segment per call.
//! The two differ only in axes, so each lowering gets a [`Rows`] where that matters.

mod axes;
mod conv;
mod feature_map;
mod flatten;
mod frame;
mod integer_conv;
mod linear;
mod lstm;
mod max_pool;
mod patches;
mod relu;
mod softmax;
mod store;
mod tanh;

use leitmotif_models::{Calibration, Conv, Network, Precision, Target};
use ndarray::{Array1, Array3};

use crate::ExportError;
use crate::fold::{FoldedLayer, FoldedStep};
use crate::graph::{Graph, Value};

use feature_map::Rounded;
pub(crate) use lstm::State;
use lstm::Weights;
pub(crate) use store::FLOAT;

/// For whom, and in which numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) target: Target,
    pub(crate) precision: Precision,
}

impl Form {
    /// Operator set of its graphs: the least that their operators need.
    ///
    /// 11 is the first with `Range`, which cuts recordings of any length, and old enough for readers of 2019. A scale a
    /// channel in `DequantizeLinear` came with 13. The targets that name a current ONNX Runtime take `Squeeze` in the form
    /// of 13, which its optimiser has no need to rewrite.
    pub(crate) fn opset(self) -> u32 {
        match (self.target, self.precision) {
            (Target::Portable, Precision::Fp32 | Precision::Fp16) => 11,
            (Target::Portable, Precision::Int8) | (Target::Cpu | Target::Cuda, _) => 13,
        }
    }

    /// Version of the file format: 4 is the first whose stored tensors are no inputs, 7 came with opset 13.
    pub(crate) fn ir_version(self) -> i64 {
        if self.opset() < 13 { 4 } else { 7 }
    }

    /// Whether the convolutions themselves are of 16-bit floats. On a CPU ONNX Runtime has no such kernels and would cast
    /// there and back around each.
    pub(crate) fn computes_in_half(self) -> bool {
        self.precision == Precision::Fp16 && self.target == Target::Cuda
    }
}

/// What is lowered, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) network: &'a Network,
    pub(crate) layers: &'a [FoldedStep],
    pub(crate) form: Form,
    /// Of the feature maps, in int8.
    pub(crate) calibration: Option<&'a Calibration>,
    pub(crate) rows: Rows,
    /// Segments of a recording where their number is fixed.
    pub(crate) segments: Option<usize>,
    /// Whether to stop where the embedding is.
    pub(crate) embedding_only: bool,
}

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
    /// What leaves each block, by the block's name.
    pub(crate) blocks: Vec<(String, Value)>,
}

/// A feature map on its way through the blocks.
#[derive(Clone, Copy, Debug)]
struct Flow {
    x: Value,
    /// In int8, once it is rounded: the scale of its integers.
    scale: Option<f32>,
    /// Whether the convolution before was rounded together with its ReLU.
    past_relu: bool,
}

/// Lowers the layers behind `waveform`: `[batch, samples]` for many segments, `[batch, segment]` for one.
///
/// `state` is h and c before the first segment; without it an LSTM starts from zeros.
///
/// # Errors
/// [`ExportError::TooLarge`] for a size beyond ONNX's 64-bit signed integers, [`ExportError::BeyondHalf`] for a weight beyond
/// 16 bits, [`ExportError::NotCalibrated`] for int8 without a range.
pub(crate) fn network(
    graph: &mut Graph,
    plan: &Plan<'_>,
    waveform: Value,
    state: Option<State>,
) -> Result<Lowered, ExportError> {
    let Plan { form, rows, .. } = *plan;
    let mut x = match rows {
        Rows::Segments => frame::cut(graph, plan, waveform)?,
        Rows::Single => frame::single(graph, waveform),
    };
    if form.computes_in_half() {
        x = store::cast(graph, "frame.half", x, store::FLOAT16);
    }
    let mut flow = Flow { x, scale: None, past_relu: false };
    let mut lowered = Lowered {
        embedding: x,
        logits: x,
        probabilities: x,
        last_h: None,
        last_c: None,
        blocks: Vec::new(),
    };
    let layers = match plan.embedding_only {
        true => plan.layers.get(..embedding_end(plan.layers)).unwrap_or_default(),
        false => plan.layers,
    };
    for step in layers {
        let name = &step.name;
        flow.x = match &step.layer {
            FoldedLayer::Conv { conv, weight, bias } => {
                flow = convolution(graph, plan, name, (*conv, weight, bias), flow)?;
                continue;
            }
            FoldedLayer::Relu => {
                if !flow.past_relu {
                    let x = relu::lower(graph, name, flow.x);
                    flow = rounded(graph, plan, &format!("{name}.relu"), name, Flow { x, ..flow })?;
                }
                lowered.blocks.push((name.clone(), flow.x));
                continue;
            }
            FoldedLayer::MaxPool { size } => {
                let x = max_pool::lower(graph, name, *size, flow.x)?;
                flow = rounded(graph, plan, &format!("{name}.pool"), name, Flow { x, ..flow })?;
                lowered.blocks.pop();
                lowered.blocks.push((name.clone(), flow.x));
                continue;
            }
            FoldedLayer::Flatten => {
                let x = match form.computes_in_half() {
                    true => store::cast(graph, "flatten.floats", flow.x, store::FLOAT),
                    false => flow.x,
                };
                flatten::lower(graph, name, rows, x)
            }
            FoldedLayer::Linear { weight, bias } => {
                lowered.logits = linear::lower(graph, form, name, (weight, bias), rows, flow.x)?;
                lowered.logits
            }
            FoldedLayer::Tanh => {
                lowered.embedding = tanh::lower(graph, name, flow.x);
                lowered.embedding
            }
            FoldedLayer::Lstm { units, input, recurrent, bias } => {
                let initial = match state {
                    Some(state) => lstm::given_state(graph, name, state),
                    None => lstm::zero_state(graph, name, *units, waveform)?,
                };
                let weights = Weights { units: *units, input, recurrent, bias };
                let each = !plan.embedding_only;
                let after =
                    lstm::lower(graph, form, name, &weights, (rows, each), flow.x, initial)?;
                (lowered.last_h, lowered.last_c) = (Some(after.last_h), after.last_c);
                lowered.embedding = after.each;
                after.each
            }
            FoldedLayer::Softmax => {
                lowered.probabilities = softmax::lower(graph, name, flow.x);
                lowered.probabilities
            }
        };
    }
    Ok(lowered)
}

/// How many layers there are until the embedding is: the tanh layer or the LSTM, whichever comes.
fn embedding_end(layers: &[FoldedStep]) -> usize {
    let is = |step: &FoldedStep| matches!(step.layer, FoldedLayer::Tanh | FoldedLayer::Lstm { .. });
    layers.iter().position(is).map_or(layers.len(), |at| at + 1)
}

fn convolution(
    graph: &mut Graph,
    plan: &Plan<'_>,
    name: &str,
    (conv, weight, bias): (Conv, &Array3<f32>, &Array1<f32>),
    Flow { x, scale, .. }: Flow,
) -> Result<Flow, ExportError> {
    let Plan { network, form, .. } = *plan;
    if let Some(scale) = scale {
        let x = Rounded { floats: x, scale };
        let x = integer_conv::lower(graph, name, conv, weight, bias, x)?;
        return Ok(Flow { x, scale: Some(scale), past_relu: false });
    }
    if form.precision == Precision::Int8 && form.target == Target::Cpu && patches::fits(conv) {
        let (most, length) = (range(plan, name)?, network.segment);
        let first = patches::First { conv, weight, bias, most, length };
        let Rounded { floats, scale } = patches::lower(graph, form, name, first, x)?;
        return Ok(Flow { x: floats, scale: Some(scale), past_relu: true });
    }
    let x = conv::lower(graph, form, name, conv, weight, bias, x)?;
    Ok(Flow { x, scale: None, past_relu: false })
}

/// In int8, rounds the output of a layer of `block`; `name` is for what that adds.
fn rounded(
    graph: &mut Graph,
    plan: &Plan<'_>,
    name: &str,
    block: &str,
    flow: Flow,
) -> Result<Flow, ExportError> {
    if plan.form.precision != Precision::Int8 {
        return Ok(flow);
    }
    let Rounded { floats, scale } = feature_map::lower(graph, name, range(plan, block)?, flow.x);
    Ok(Flow { x: floats, scale: Some(scale), ..flow })
}

/// The largest value that a block's maps are rounded for.
fn range(plan: &Plan<'_>, block: &str) -> Result<f32, ExportError> {
    let range = plan.calibration.and_then(|calibration| calibration.ranges.get(block));
    range.copied().ok_or_else(|| ExportError::NotCalibrated { block: block.to_owned() })
}

/// A size as ONNX stores it.
pub(crate) fn size(what: &'static str, value: usize) -> Result<i64, ExportError> {
    i64::try_from(value).map_err(|_| ExportError::TooLarge { what })
}
