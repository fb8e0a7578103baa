//! Turns folded layers into ONNX operators, one layer a file, each an implementation of [`Lower`].
//!
//! A graph either cuts a whole recording and treats its segments side by side, or takes one segment per call.
//! The two differ only in axes: [`Rows`] says which.

mod add;
pub(crate) mod axes;
mod conv;
mod energy;
mod feature_map;
mod flatten;
mod frame;
mod image;
mod integer_conv;
mod linear;
mod lstm;
mod max_pool;
mod patches;
mod pointwise;
mod relu;
mod softmax;
mod squeeze_excite;
mod stored_weights;
mod tanh;
mod time_pool;

use leitmotif_models::{Calibration, Network, Precision, Target};

use crate::fold::{FoldedLayer, FoldedStep};
use crate::graph::{Graph, Value};
use crate::{ExportError, LowerError};

pub(crate) use lstm::State;
pub(crate) use stored_weights::FLOAT;

/// How a layer becomes operators.
///
/// A new operator needs:
///
/// 1. a file here whose heading names the operator's page, the opset from which its form is used, and where ONNX's
///    convention differs from torch's; [`Form::opset`] raised where the form needs it;
/// 2. a type with the layer's weights that implements this trait, and its line in [`network`];
/// 3. names that begin with the layer's: the last node is found by [`tapped`](crate::tapped), weights by
///    [`Summary`](crate::Summary);
/// 4. both [`Rows`]; shapes that follow from the input, since batch, samples and segments may be free or fixed;
/// 5. every precision: weights through `stored_weights`, and in int8 the output through `feature_map` where it is a map;
/// 6. a test beside it of its attributes and of what it stores, the layer in `reference.rs`, and a network that has it
///    in `tests/parity.rs`, which compares every form with the reference.
pub(crate) trait Lower {
    /// Adds the operators behind `flow` and returns their output.
    ///
    /// # Errors
    /// [`ExportError::TooLarge`] for a size beyond ONNX's 64-bit signed integers, [`LowerError::BeyondHalf`] for a weight
    /// beyond 16 bits, [`LowerError::NotCalibrated`] for int8 without a range.
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError>;
}

/// Where in which graph a layer is lowered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) plan: &'a Plan<'a>,
    /// The layer's name, with which the names of its nodes and weights begin.
    pub(crate) name: &'a str,
    /// The graph's input, `[batch, samples]`.
    pub(crate) waveform: Value,
    /// What an LSTM starts from; zeros where there is none.
    pub(crate) state: Option<State>,
}

/// What flows from layer to layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) x: Value,
    /// In int8, once the map is quantized: the scale of its integers.
    pub(crate) scale: Option<f32>,
    /// Whether the convolution before was quantized together with its ReLU.
    pub(crate) past_relu: bool,
    /// Whether it is an image, with an axis of bands.
    pub(crate) in_image: bool,
    /// The bias of the convolution before, `[1, filters, 1, 1]`, where it is still to be added.
    pub(crate) bias: Option<Value>,
    /// The input of a residual block, until it is added.
    pub(crate) kept: Option<Value>,
    /// An LSTM's h after the last segment, `[batch, units]`.
    pub(crate) last_h: Option<Value>,
    /// Its c, where one segment is taken per call.
    pub(crate) last_c: Option<Value>,
}

impl Flow {
    /// Floats, of which nothing else is known.
    pub(crate) fn of(x: Value) -> Self {
        Flow {
            x,
            scale: None,
            past_relu: false,
            in_image: false,
            bias: None,
            kept: None,
            last_h: None,
            last_c: None,
        }
    }
}

/// For which runtime, and in which numbers.
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
    /// Whether an LSTM's state after the last of many segments is needed.
    pub(crate) last_state: bool,
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
    /// The feature maps that int8 holds in eight bits, by [`Network::map_names`].
    pub(crate) maps: Vec<(String, Value)>,
}

/// Lowers the layers behind `waveform`: `[batch, samples]` for many segments, `[batch, segment]` for one.
///
/// `state` is h and c before the first segment; without it an LSTM starts from zeros.
///
/// # Errors
/// Those of [`Lower::lower`].
pub(crate) fn network(
    graph: &mut Graph,
    plan: &Plan<'_>,
    waveform: Value,
    state: Option<State>,
) -> Result<Lowered, ExportError> {
    let mut x = match plan.rows {
        Rows::Segments => frame::cut(graph, plan, waveform)?,
        Rows::Single => frame::single(graph, waveform),
    };
    let begins_in_floats =
        matches!(plan.layers.first().map(|step| &step.layer), Some(FoldedLayer::Energy { .. }));
    if plan.form.computes_in_half() && !begins_in_floats {
        x = stored_weights::cast(graph, "frame.half", x, stored_weights::FLOAT16);
    }
    let mut flow = Flow::of(x);
    let mut lowered = Lowered {
        embedding: x,
        logits: x,
        probabilities: x,
        last_h: None,
        last_c: None,
        maps: Vec::new(),
    };
    let layers = match plan.embedding_only {
        true => plan.layers.get(..embedding_end(plan.layers)).unwrap_or_default(),
        false => plan.layers,
    };
    let layers = in_order(layers, plan.form.target);
    for (i, step) in layers.iter().enumerate() {
        let at = Place { plan, name: &step.name, waveform, state };
        let next = layers.get(i + 1).map(|step| &step.layer);
        flow = lowering(&step.layer, next, plan, flow).lower(graph, &at, flow)?;
        lowered.keep(plan.network, step, flow);
    }
    Ok(lowered)
}

/// The layers as the target computes them. On a GPU a block is convolution, pool, bias, ReLU: whatever is not part of
/// the convolution there is one more pass over its map, which the pool makes smaller. The result is the same, since
/// neither the same summand for all nor a ReLU changes which value of a window is the largest.
/// Model 1 in fp16, 64 clips on an H200: 9.1 ms and not 11.4 (`benches/results/2026-11-27-h200/first`).
fn in_order(layers: &[FoldedStep], target: Target) -> Vec<&FoldedStep> {
    let mut ordered: Vec<&FoldedStep> = layers.iter().collect();
    for second in (1..ordered.len()).filter(|_| target == Target::Cuda) {
        if let Some([a, b]) = ordered.get_mut(second - 1..=second)
            && matches!((&a.layer, &b.layer), (FoldedLayer::Relu, FoldedLayer::MaxPool { .. }))
        {
            std::mem::swap(a, b);
        }
    }
    ordered
}

/// How a layer is lowered. A convolution has three ways: of floats, of integers, and in int8 the first one of patches.
fn lowering<'a>(
    layer: &'a FoldedLayer,
    next: Option<&FoldedLayer>,
    plan: &Plan<'_>,
    before: Flow,
) -> Box<dyn Lower + 'a> {
    match layer {
        FoldedLayer::Conv { conv, weight, bias } => {
            // As `in_order` has it, for a GPU alone.
            let before_pool = matches!(next, Some(FoldedLayer::MaxPool { .. }));
            let convolution = conv::Convolution { conv: *conv, weight, bias, before_pool };
            match before.scale {
                Some(scale) => {
                    let before_relu = matches!(next, Some(FoldedLayer::Relu));
                    Box::new(integer_conv::IntegerConvolution { convolution, scale, before_relu })
                }
                None if patches::fits(*conv, plan.form) => {
                    Box::new(patches::FirstConvolution(convolution))
                }
                None => Box::new(convolution),
            }
        }
        FoldedLayer::Relu => Box::new(relu::Relu { in_floats: before.in_image }),
        FoldedLayer::MaxPool { size } => {
            let before_relu = matches!(next, Some(FoldedLayer::Relu));
            Box::new(max_pool::MaxPool { window: *size, before_relu })
        }
        FoldedLayer::Energy { energy, weight, bias, scale, shift } => {
            Box::new(energy::LogEnergy { energy: *energy, weight, bias, scale, shift })
        }
        FoldedLayer::Bands => Box::new(image::Bands),
        FoldedLayer::Conv2d { conv, weight, bias } => {
            Box::new(image::Convolution2d { conv: *conv, weight, bias })
        }
        FoldedLayer::MaxPool2d { size } => Box::new(image::MaxPool2d { window: *size }),
        FoldedLayer::Positions { count } => Box::new(image::Positions { count: *count }),
        FoldedLayer::Fork => Box::new(add::Fork),
        FoldedLayer::SqueezeExcite { squeeze, excite } => Box::new(squeeze_excite::SqueezeExcite {
            squeeze: (&squeeze.0, &squeeze.1),
            excite: (&excite.0, &excite.1),
        }),
        FoldedLayer::Add { skip } => Box::new(add::Add { skip: skip.as_ref() }),
        FoldedLayer::TimePool { pool, attention } => {
            Box::new(time_pool::Pooling { pool: *pool, attention: attention.as_ref() })
        }
        FoldedLayer::Flatten => Box::new(flatten::Flatten),
        FoldedLayer::Linear { weight, bias } => Box::new(linear::Linear { weight, bias }),
        FoldedLayer::Tanh => Box::new(tanh::Tanh),
        FoldedLayer::Lstm { units, input, recurrent, bias } => {
            Box::new(lstm::Lstm { units: *units, input, recurrent, bias })
        }
        FoldedLayer::Softmax => Box::new(softmax::Softmax),
    }
}

impl Lowered {
    /// Keeps the output of a layer that can be an output of the graph.
    fn keep(&mut self, network: &Network, step: &FoldedStep, flow: Flow) {
        match &step.layer {
            // Where a ReLU or a pool follows, the map ends with it.
            FoldedLayer::Conv { .. } | FoldedLayer::Relu | FoldedLayer::MaxPool { .. }
                if network.map_names().any(|name| name == step.name) =>
            {
                self.maps.retain(|(map, _)| *map != step.name);
                self.maps.push((step.name.clone(), flow.x));
            }
            FoldedLayer::Linear { .. } => self.logits = flow.x,
            FoldedLayer::Tanh => self.embedding = flow.x,
            FoldedLayer::Lstm { .. } => {
                self.embedding = flow.x;
                (self.last_h, self.last_c) = (flow.last_h, flow.last_c);
            }
            FoldedLayer::Softmax => self.probabilities = flow.x,
            FoldedLayer::Energy { .. }
            | FoldedLayer::Conv { .. }
            | FoldedLayer::Relu
            | FoldedLayer::MaxPool { .. }
            | FoldedLayer::Bands
            | FoldedLayer::Conv2d { .. }
            | FoldedLayer::MaxPool2d { .. }
            | FoldedLayer::Positions { .. }
            | FoldedLayer::Fork
            | FoldedLayer::SqueezeExcite { .. }
            | FoldedLayer::Add { .. }
            | FoldedLayer::TimePool { .. }
            | FoldedLayer::Flatten => {}
        }
    }
}

/// How many layers there are until the embedding is: the tanh layer or the LSTM, whichever comes.
fn embedding_end(layers: &[FoldedStep]) -> usize {
    let is = |step: &FoldedStep| matches!(step.layer, FoldedLayer::Tanh | FoldedLayer::Lstm { .. });
    layers.iter().position(is).map_or(layers.len(), |at| at + 1)
}

/// The largest value of a map, which becomes 255 in int8.
fn range(plan: &Plan<'_>, map: &str) -> Result<f32, LowerError> {
    let range = plan.calibration.and_then(|calibration| calibration.ranges.get(map));
    range.copied().ok_or_else(|| LowerError::NotCalibrated { block: map.to_owned() })
}

/// A size as ONNX stores it.
pub(crate) fn size(what: &'static str, value: usize) -> Result<i64, ExportError> {
    i64::try_from(value).map_err(|_| ExportError::TooLarge { what })
}

#[cfg(test)]
pub(crate) mod tests {
    use leitmotif_models::RangeRule;

    use super::*;

    /// A layer called `layer`, lowered behind an input of floats: the graph and the flow behind it. In int8 the range is 255.
    pub(crate) fn lowered(layer: &dyn Lower, form: Form, rows: Rows) -> (Graph, Flow) {
        lowered_behind(layer, form, rows, Flow::of)
    }

    /// The same behind another flow than plain floats.
    pub(crate) fn lowered_behind(
        layer: &dyn Lower,
        form: Form,
        rows: Rows,
        before: impl Fn(Value) -> Flow,
    ) -> (Graph, Flow) {
        let network = Network::preset("example").unwrap();
        let ranges = [("layer".to_owned(), 255.0)].into();
        let source = String::new();
        let calibration =
            Calibration { rule: RangeRule::MinMax, source, clips: 1, segments: 1, ranges };
        let plan = Plan {
            network: &network,
            layers: &[],
            form,
            calibration: Some(&calibration),
            rows,
            segments: None,
            embedding_only: false,
            last_state: true,
        };
        let mut graph = Graph::new("test", "", form.opset());
        let waveform = graph.input("x", &[], "");
        let at = Place { plan: &plan, name: "layer", waveform, state: None };
        let flow = layer.lower(&mut graph, &at, before(waveform)).unwrap();
        (graph, flow)
    }

    /// The operators of a graph in order.
    pub(crate) fn operators(graph: &Graph) -> Vec<&'static str> {
        graph.nodes().map(|node| node.operator).collect()
    }

    pub(crate) const INT8: Form = Form { target: Target::Portable, precision: Precision::Int8 };
    pub(crate) const CUDA_HALF: Form = Form { target: Target::Cuda, precision: Precision::Fp16 };

    #[test]
    fn on_a_gpu_a_pool_comes_before_its_relu() {
        let layers = [FoldedLayer::Relu, FoldedLayer::MaxPool { size: 3 }, FoldedLayer::Tanh];
        let layers = layers.map(|layer| FoldedStep { name: "layer".to_owned(), layer });
        let kinds = |target| -> Vec<String> {
            let ordered = in_order(&layers, target);
            ordered.iter().map(|step| format!("{:?}", step.layer)).collect()
        };
        assert_eq!(kinds(Target::Cpu), ["Relu", "MaxPool { size: 3 }", "Tanh"]);
        assert_eq!(kinds(Target::Portable), kinds(Target::Cpu));
        assert_eq!(kinds(Target::Cuda), ["MaxPool { size: 3 }", "Relu", "Tanh"]);
    }

    #[test]
    fn each_form_has_the_least_opset_that_it_needs() {
        assert_eq!((Form::default().opset(), Form::default().ir_version()), (11, 4));
        assert_eq!((INT8.opset(), INT8.ir_version()), (13, 7));
    }
}
