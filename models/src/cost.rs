//! What a network costs: parameters, multiply-adds and activations, layer by layer.

use serde::Serialize;

use crate::{Layer, Network, ParamKind, Shape, Step};

/// Cost of one layer on one segment.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// Prefix of the layer's parameters, e.g. `block1`.
    pub step: String,
    /// Trainable values: no bias where a batch norm follows, scale and shift counted, an LSTM with torch's two biases.
    pub trainable: u64,
    /// Running statistics kept beside them.
    pub statistics: u64,
    /// Multiply-adds of convolutions and matrix products; norms, activations and pools are not counted.
    pub multiply_adds: u64,
    /// Bytes of its output in f32.
    pub activation_bytes: u64,
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
        let params = self.params(classes);
        let layers = self.steps(classes).iter().map(|step| cost(step, &params)).collect();
        Costs { layers }
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

    /// Bytes of the two largest neighbouring outputs of one segment: what serving holds at once.
    pub fn peak_bytes(&self) -> u64 {
        let bytes: Vec<u64> = self.layers.iter().map(|c| c.activation_bytes).collect();
        bytes.windows(2).map(|pair| saturating_sum(pair.iter().copied())).max().unwrap_or(0)
    }
}

fn cost(step: &Step, params: &[crate::Param]) -> Cost {
    let part = match step.layer {
        Layer::Conv(_) => "conv.",
        Layer::BatchNorm(_) => "norm.",
        _ => "",
    };
    let prefix = format!("{}.{part}", step.name);
    let has_params = matches!(
        step.layer,
        Layer::Conv(_)
            | Layer::BatchNorm(_)
            | Layer::Dense { .. }
            | Layer::Lstm { .. }
            | Layer::Output { .. }
    );
    let count = |kind| {
        let own = params
            .iter()
            .filter(|p| has_params && p.kind == kind && p.name.starts_with(&prefix))
            // `dense.` also begins the names of the norm that follows.
            .filter(|p| !part.is_empty() || !p.name.contains(".norm."));
        saturating_sum(own.map(|p| p.values() as u64))
    };
    Cost {
        step: step.name.clone(),
        trainable: count(ParamKind::Trainable),
        statistics: count(ParamKind::Statistic),
        multiply_adds: multiply_adds(step.layer, step.output),
        activation_bytes: product(&[4, step.output.values()]),
    }
}

/// Costs of an absurd description saturate instead of wrapping to a small number.
pub(crate) fn saturating_sum(values: impl Iterator<Item = u64>) -> u64 {
    values.fold(0, u64::saturating_add)
}

fn product(factors: &[usize]) -> u64 {
    factors.iter().fold(1, |product, factor| product.saturating_mul(*factor as u64))
}

fn multiply_adds(layer: Layer, output: Shape) -> u64 {
    match layer {
        Layer::Conv(c) => product(&[output.length(), c.kernel, c.in_channels, c.filters]),
        Layer::Dense { inputs, units } => product(&[inputs, units]),
        Layer::Lstm { inputs, units } => product(&[4, inputs.saturating_add(units), units]),
        Layer::Output { inputs, classes } => product(&[inputs, classes]),
        Layer::BatchNorm(_)
        | Layer::Relu
        | Layer::MaxPool { .. }
        | Layer::Flatten
        | Layer::Tanh
        | Layer::Softmax => 0,
    }
}
