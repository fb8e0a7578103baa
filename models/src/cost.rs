//! What a network costs: parameters, multiply-adds and activations, layer by layer.

use serde::Serialize;

use crate::params::layer_params;
use crate::{Energy, Layer, Network, ParamKind, Shape, SqueezeExcite, Step, TimePool};

/// Cost of one layer on one segment.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// Prefix of the layer's parameters, e.g. `block1`.
    pub step: String,
    /// Trainable values: no bias where a batch norm follows, scale and shift counted, an LSTM with torch's two biases.
    pub trainable: u64,
    /// Values kept beside them that are not trained: running statistics, fixed filters.
    pub statistics: u64,
    /// Multiply-adds of convolutions and matrix products; norms, activations and pools are not counted.
    pub multiply_adds: u64,
    /// Bytes of its output in f32.
    pub activation_bytes: u64,
    /// Bytes that are held besides: the input of a residual block until it is added, an energy layer's filters'
    /// outputs.
    #[serde(skip_serializing_if = "is_zero")]
    pub working_bytes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

/// Costs of all layers, in the order of [`Network::steps`].
#[derive(Clone, Debug, Serialize)]
pub struct Costs {
    /// One entry a layer.
    pub layers: Vec<Cost>,
}

impl Network {
    /// What one segment costs, for `classes` classes.
    pub fn costs(&self, classes: usize) -> Costs {
        let mut kept_bytes = 0;
        let layers = self.steps(classes).into_iter().map(|step| {
            match step.layer {
                Layer::Fork => kept_bytes = bytes(step.input),
                Layer::Relu | Layer::MaxPool { .. } | Layer::MaxPool2d { .. }
                    if !step.name.contains('.') =>
                {
                    kept_bytes = 0
                }
                _ => {}
            }
            cost(&step, kept_bytes)
        });
        Costs { layers: layers.collect() }
    }
}

impl Costs {
    /// Trainable values in all.
    pub fn trainable(&self) -> u64 {
        saturating_sum(self.layers.iter().map(|c| c.trainable))
    }

    /// Multiply-adds of one segment in all.
    pub fn multiply_adds(&self) -> u64 {
        saturating_sum(self.layers.iter().map(|c| c.multiply_adds))
    }

    /// Bytes of the two largest neighbouring outputs of one segment, with what is held besides: what serving holds at
    /// once.
    pub fn peak_bytes(&self) -> u64 {
        let pairs = self.layers.windows(2).map(|pair| {
            let outputs = saturating_sum(pair.iter().map(|c| c.activation_bytes));
            let working = pair.iter().map(|c| c.working_bytes).max().unwrap_or(0);
            outputs.saturating_add(working)
        });
        pairs.max().unwrap_or(0)
    }
}

fn cost(step: &Step, kept_bytes: u64) -> Cost {
    let params = layer_params(&step.name, step.layer);
    let count = |kind| {
        let of_kind = params.iter().filter(|p| p.kind == kind);
        saturating_sum(of_kind.map(|p| p.values() as u64))
    };
    let working_bytes = match step.layer {
        // Its filters' outputs, two for each channel.
        Layer::Energy(energy) => product(&[8, energy.pool, step.output.values()]),
        _ => 0,
    };
    Cost {
        step: step.name.clone(),
        trainable: count(ParamKind::Trainable),
        statistics: count(ParamKind::Untrained),
        multiply_adds: multiply_adds(step.layer, step.input, step.output),
        activation_bytes: bytes(step.output),
        working_bytes: kept_bytes.saturating_add(working_bytes),
    }
}

/// In f32.
fn bytes(shape: Shape) -> u64 {
    product(&[4, shape.values()])
}

/// Costs of an absurd description saturate instead of wrapping to a small number.
pub(crate) fn saturating_sum(values: impl Iterator<Item = u64>) -> u64 {
    values.fold(0, u64::saturating_add)
}

fn product(factors: &[usize]) -> u64 {
    factors.iter().fold(1, |product, factor| product.saturating_mul(*factor as u64))
}

fn multiply_adds(layer: Layer, input: Shape, output: Shape) -> u64 {
    match layer {
        Layer::Conv(c) => product(&[output.length(), c.kernel, c.in_channels, c.filters]),
        Layer::Conv2d(c) => {
            let taps = c.kernel.saturating_mul(c.kernel);
            product(&[input.values(), taps, c.filters])
        }
        Layer::Dense { inputs, units } => product(&[inputs, units]),
        Layer::Lstm { inputs, units } => product(&[4, inputs.saturating_add(units), units]),
        Layer::Output { inputs, classes } => product(&[inputs, classes]),
        Layer::Energy(Energy { conv: c, pool, .. }) => {
            product(&[output.length(), pool, c.kernel, c.in_channels, c.filters])
        }
        Layer::SqueezeExcite(SqueezeExcite { channels, squeezed }) => {
            product(&[2, channels, squeezed])
        }
        Layer::Add { kept, channels } if kept != channels => {
            product(&[output.length(), kept, channels])
        }
        Layer::TimePool { pool: TimePool::Attention, channels } => {
            let units = TimePool::attention_units(channels);
            product(&[input.length(), units, channels.saturating_add(1)])
        }
        Layer::BatchNorm(_)
        | Layer::Relu
        | Layer::MaxPool { .. }
        | Layer::Bands
        | Layer::MaxPool2d { .. }
        | Layer::Positions
        | Layer::Fork
        | Layer::Add { .. }
        | Layer::Flatten
        | Layer::TimePool { pool: TimePool::Mean | TimePool::Statistics, .. }
        | Layer::Dropout { .. }
        | Layer::Tanh
        | Layer::Softmax => 0,
    }
}
