//! What a network costs: parameters, multiply-adds and activations, layer by layer.

use serde::Serialize;

use crate::{Layer, Network, ParamKind, Shape, Step};

/// Cost of one layer on one segment.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// Prefix of the layer's parameters, e.g. `block1`.
    pub step: String,
    /// Learnt values: no bias where a batch norm follows, scale and shift counted, an LSTM with torch's two biases.
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
    /// Learnt values in all.
    pub fn trainable(&self) -> u64 {
        self.layers.iter().map(|c| c.trainable).sum()
    }

    /// Multiply-adds of one segment in all.
    pub fn multiply_adds(&self) -> u64 {
        self.layers.iter().map(|c| c.multiply_adds).sum()
    }

    /// Bytes of all layers' outputs of one segment: what training keeps for the way back.
    pub fn activation_bytes(&self) -> u64 {
        self.layers.iter().map(|c| c.activation_bytes).sum()
    }

    /// Bytes of the two largest neighbouring outputs of one segment: what serving holds at once.
    pub fn peak_bytes(&self) -> u64 {
        let bytes: Vec<u64> = self.layers.iter().map(|c| c.activation_bytes).collect();
        bytes.windows(2).map(|pair| pair.iter().sum()).max().unwrap_or(0)
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
        params
            .iter()
            .filter(|p| has_params && p.kind == kind && p.name.starts_with(&prefix))
            // `dense.` also begins the names of the norm that follows.
            .filter(|p| !part.is_empty() || !p.name.contains(".norm."))
            .map(|p| p.values() as u64)
            .sum()
    };
    Cost {
        step: step.name.clone(),
        trainable: count(ParamKind::Trainable),
        statistics: count(ParamKind::Statistic),
        multiply_adds: multiply_adds(step.layer, step.output),
        activation_bytes: 4 * step.output.values() as u64,
    }
}

fn multiply_adds(layer: Layer, output: Shape) -> u64 {
    match layer {
        Layer::Conv(c) => (output.length() * c.kernel * c.in_channels) as u64 * c.filters as u64,
        Layer::Dense { inputs, units } => (inputs * units) as u64,
        Layer::Lstm { inputs, units } => 4 * ((inputs + units) * units) as u64,
        Layer::Output { inputs, classes } => (inputs * classes) as u64,
        Layer::BatchNorm(_)
        | Layer::Relu
        | Layer::MaxPool { .. }
        | Layer::Flatten
        | Layer::Tanh
        | Layer::Softmax => 0,
    }
}
