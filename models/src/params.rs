//! Name, shape and first value of every tensor of a network: trainer and exporter both ask here.

use crate::{Layer, Network, SqueezeExcite, TimePool};

/// One tensor of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Name in `weights.safetensors`, e.g. `block3.conv.weight`; torch's names within a layer.
    pub name: String,
    /// Shape, e.g. `[filters, in_channels, kernel]`.
    pub shape: Vec<usize>,
    /// Trained by gradient descent or a running statistic.
    pub kind: ParamKind,
    /// First value.
    pub init: Init,
}

impl Param {
    /// Number of values; saturates where a description is absurd.
    pub fn values(&self) -> usize {
        self.shape.iter().fold(1, |n, d| n.saturating_mul(*d))
    }
}

/// How a tensor gets its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// Trained by gradient descent.
    Trainable,
    /// Not trained by gradient descent: running statistic of a batch norm, filters that stay as they begin.
    Untrained,
}

/// First value of a tensor, after Keras 2.1's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// Uniform in ±√(6 / (fan_in + fan_out)), Glorot and Bengio 2010.
    GlorotUniform {
        /// Inputs that one output sees.
        fan_in: usize,
        /// Outputs that one input feeds.
        fan_out: usize,
    },
    /// Random matrix with orthonormal rows or columns, whichever are fewer (Saxe et al. 2013).
    Orthogonal,
    /// Hann-windowed cosines, then sines of the same frequencies, which are spaced evenly in mel.
    MelPairs,
    /// As `MelPairs`, in the bands of a log-mel spectrogram: windows as long as a band's width asks, at most the filter.
    MelBank,
    /// All zero.
    Zeros,
    /// All one.
    Ones,
    /// Zeros but ones for the forget gate (Jozefowicz et al. 2015), gates in torch's order i, f, g, o.
    ForgetBias {
        /// Units of the LSTM; the tensor holds four times as many.
        units: usize,
    },
}

impl Network {
    /// Every tensor of this network with `classes` classes, in the order of its layers.
    pub fn params(&self, classes: usize) -> Vec<Param> {
        self.steps(classes).iter().flat_map(|step| layer_params(&step.name, step.layer)).collect()
    }
}

/// The tensors of one layer.
pub(crate) fn layer_params(step: &str, layer: Layer) -> Vec<Param> {
    let param = |name: &str, shape: &[usize], kind, init| Param {
        name: format!("{step}.{name}"),
        shape: shape.to_vec(),
        kind,
        init,
    };
    use ParamKind::{Trainable, Untrained};
    match layer {
        Layer::Conv(c) => {
            let init = Init::GlorotUniform {
                fan_in: c.kernel * c.in_channels,
                fan_out: c.kernel * c.filters,
            };
            vec![param("conv.weight", &[c.filters, c.in_channels, c.kernel], Trainable, init)]
        }
        Layer::Conv2d(c) => {
            let taps = c.kernel * c.kernel;
            let init =
                Init::GlorotUniform { fan_in: taps * c.in_channels, fan_out: taps * c.filters };
            let shape = [c.filters, c.in_channels, c.kernel, c.kernel];
            vec![param("conv.weight", &shape, Trainable, init)]
        }
        Layer::Energy(energy) => {
            let c = energy.conv;
            let shape = [c.filters, c.in_channels, c.kernel];
            // Short windows leave gaps from one position to the next; a mean over several fills them.
            let init = if energy.averages() { Init::MelBank } else { Init::MelPairs };
            let kind = if energy.trainable { Trainable } else { Untrained };
            vec![param("conv.weight", &shape, kind, init)]
        }
        Layer::SqueezeExcite(SqueezeExcite { channels, squeezed }) => {
            let squeeze = Init::GlorotUniform { fan_in: channels, fan_out: squeezed };
            let excite = Init::GlorotUniform { fan_in: squeezed, fan_out: channels };
            vec![
                param("squeeze.weight", &[squeezed, channels], Trainable, squeeze),
                param("squeeze.bias", &[squeezed], Trainable, Init::Zeros),
                param("excite.weight", &[channels, squeezed], Trainable, excite),
                param("excite.bias", &[channels], Trainable, Init::Zeros),
            ]
        }
        Layer::Add { kept, channels } if kept != channels => {
            let init = Init::GlorotUniform { fan_in: kept, fan_out: channels };
            vec![param("skip.weight", &[channels, kept, 1], Trainable, init)]
        }
        Layer::TimePool { pool: TimePool::Attention, channels } => {
            let units = TimePool::attention_units(channels);
            let hidden = Init::GlorotUniform { fan_in: channels, fan_out: units };
            let score = Init::GlorotUniform { fan_in: units, fan_out: 1 };
            vec![
                param("hidden.weight", &[units, channels], Trainable, hidden),
                param("hidden.bias", &[units], Trainable, Init::Zeros),
                // A bias would move all scores alike, and the softmax would take it out again.
                param("score.weight", &[1, units], Trainable, score),
            ]
        }
        Layer::BatchNorm(n) => vec![
            param("norm.weight", &[n.channels], Trainable, Init::Ones),
            param("norm.bias", &[n.channels], Trainable, Init::Zeros),
            param("norm.running_mean", &[n.channels], Untrained, Init::Zeros),
            param("norm.running_var", &[n.channels], Untrained, Init::Ones),
        ],
        Layer::Dense { inputs, units } => {
            let init = Init::GlorotUniform { fan_in: inputs, fan_out: units };
            vec![param("weight", &[units, inputs], Trainable, init)]
        }
        Layer::Lstm { inputs, units } => {
            let gates = 4 * units;
            // Keras keeps one kernel for all four gates, so its fan-out counts all of them.
            let input_init = Init::GlorotUniform { fan_in: inputs, fan_out: gates };
            vec![
                param("weight_ih", &[gates, inputs], Trainable, input_init),
                param("weight_hh", &[gates, units], Trainable, Init::Orthogonal),
                param("bias_ih", &[gates], Trainable, Init::ForgetBias { units }),
                param("bias_hh", &[gates], Trainable, Init::Zeros),
            ]
        }
        Layer::Output { inputs, classes } => {
            let init = Init::GlorotUniform { fan_in: inputs, fan_out: classes };
            vec![
                param("weight", &[classes, inputs], Trainable, init),
                param("bias", &[classes], Trainable, Init::Zeros),
            ]
        }
        Layer::Relu
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
        | Layer::Softmax => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::HeadKind;

    #[test]
    fn names_are_unique_and_stable() {
        let network = Network::preset("example").unwrap();
        let dense: Vec<_> = network.params(64).into_iter().map(|p| p.name).collect();
        assert_eq!(
            dense[..6],
            [
                "block1.conv.weight",
                "block1.norm.weight",
                "block1.norm.bias",
                "block1.norm.running_mean",
                "block1.norm.running_var",
                "block2.conv.weight"
            ]
        );
        assert_eq!(
            dense[dense.len() - 7..],
            [
                "dense.weight",
                "dense.norm.weight",
                "dense.norm.bias",
                "dense.norm.running_mean",
                "dense.norm.running_var",
                "output.weight",
                "output.bias"
            ]
        );
        assert_eq!(dense.iter().collect::<BTreeSet<_>>().len(), dense.len());
    }

    #[test]
    fn a_residual_block_names_its_two_convolutions_and_what_is_beside_them() {
        let network = Network::preset("compact").unwrap();
        let params = network.params(3);
        let of = |prefix: &str| -> Vec<(String, Vec<usize>)> {
            let own = params.iter().filter(|p| p.name.starts_with(prefix));
            own.filter(|p| !p.name.contains("norm"))
                .map(|p| (p.name.clone(), p.shape.clone()))
                .collect()
        };
        let named = |name: &str, shape: &[usize]| (name.to_owned(), shape.to_vec());
        assert_eq!(of("block1."), [named("block1.conv.weight", &[96, 1, 400])]);
        assert_eq!(
            of("block3."),
            [
                named("block3.first.conv.weight", &[128, 64, 3]),
                named("block3.second.conv.weight", &[128, 128, 3]),
                named("block3.squeeze.weight", &[32, 128]),
                named("block3.squeeze.bias", &[32]),
                named("block3.excite.weight", &[128, 32]),
                named("block3.excite.bias", &[128]),
                named("block3.skip.weight", &[128, 64, 1]),
            ]
        );
        // As many channels leave this block as enter it.
        assert!(!params.iter().any(|p| p.name == "block4.skip.weight"));
    }

    #[test]
    fn an_lstm_has_torchs_four_tensors() {
        let network = Network::preset("example").unwrap().with_head(HeadKind::Lstm);
        let lstm: Vec<_> =
            network.params(64).into_iter().filter(|p| p.name.starts_with("lstm.")).collect();
        let shapes: Vec<_> = lstm.iter().map(|p| (p.name.as_str(), p.shape.clone())).collect();
        assert_eq!(
            shapes,
            [
                ("lstm.weight_ih", vec![512, 128]),
                ("lstm.weight_hh", vec![512, 128]),
                ("lstm.bias_ih", vec![512]),
                ("lstm.bias_hh", vec![512])
            ]
        );
    }
}
