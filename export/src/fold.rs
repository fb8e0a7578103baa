//! Folds each batch norm into the convolution or dense layer before it.
//!
//! Once trained, a batch norm is `y·scale + shift` per channel, and a linear map absorbs both; the graph then has
//! one operator where the trainer had two.

use leitmotif_models::{BatchNorm, Conv, Conv2d, Energy, Layer, Step, TimePool};
use ndarray::{Array, Array1, Array2, Array3, Array4, Axis, RemoveAxis, Zip};

use crate::gates::{onnx_bias, onnx_gate_order};
use crate::weights::Tensors;
use crate::{CheckpointError, ExportError, LowerError};

/// One layer with its weights, as the lowerings want it; no batch norm is left.
#[derive(Debug)]
pub(crate) struct FoldedStep {
    pub(crate) name: String,
    pub(crate) layer: FoldedLayer,
}

/// A closed set, matched exhaustively by `lower`.
#[derive(Debug)]
pub(crate) enum FoldedLayer {
    /// `weight` is `[filters, in, kernel]`, `bias` `[filters]`.
    Conv { conv: Conv, weight: Array3<f32>, bias: Array1<f32> },
    /// `max(x, 0)`.
    Relu,
    /// Window and stride `size`.
    MaxPool { size: usize },
    /// `weight` is `[2 · pairs, 1, kernel]`, `bias` `[2 · pairs]`; `scale` and `shift` are those of the norm,
    /// `[pairs]`.
    Energy {
        energy: Energy,
        weight: Array3<f32>,
        bias: Array1<f32>,
        scale: Array1<f32>,
        shift: Array1<f32>,
    },
    /// Channels become the bands of an image.
    Bands,
    /// `weight` is `[filters, in, kernel, kernel]`, `bias` `[filters]`.
    Conv2d { conv: Conv2d, weight: Array4<f32>, bias: Array1<f32> },
    /// Window and stride `size` in bands and in positions.
    MaxPool2d { size: usize },
    /// Bands and positions become so many positions.
    Positions { count: usize },
    /// Keeps what flows.
    Fork,
    /// Matrix `[squeezed, channels]` and bias, then `[channels, squeezed]` and bias.
    SqueezeExcite { squeeze: (Array2<f32>, Array1<f32>), excite: (Array2<f32>, Array1<f32>) },
    /// Adds what was kept; `skip` is `[channels, kept]`.
    Add { skip: Option<Array2<f32>> },
    /// Summary over time.
    TimePool { pool: TimePool, attention: Option<Attention> },
    /// Drops the time axis.
    Flatten,
    /// Dense and output layers alike: `weight` is `[outputs, inputs]`, `bias` `[outputs]`.
    Linear { weight: Array2<f32>, bias: Array1<f32> },
    /// Hyperbolic tangent.
    Tanh,
    /// Gates in ONNX's order: `input` `[4u, inputs]`, `recurrent` `[4u, u]`, `bias` `[8u]`.
    Lstm { units: usize, input: Array2<f32>, recurrent: Array2<f32>, bias: Array1<f32> },
    /// Probabilities.
    Softmax,
}

/// What the scores of positions are made with.
#[derive(Clone, Debug)]
pub(crate) struct Attention {
    /// `[units, channels]`.
    pub(crate) hidden: Array2<f32>,
    /// `[units]`.
    pub(crate) bias: Array1<f32>,
    /// `[1, units]`.
    pub(crate) score: Array2<f32>,
}

/// The four tensors of a batch norm, per channel, and its ε.
#[derive(Debug)]
struct Norm {
    weight: Array1<f32>,
    bias: Array1<f32>,
    mean: Array1<f32>,
    variance: Array1<f32>,
    epsilon: f32,
}

impl Norm {
    /// A norm of one channel as one of so many.
    fn for_each_of(&self, channels: usize) -> Norm {
        let repeated = |values: &Array1<f32>| {
            Array1::from_elem(channels, values.first().copied().unwrap_or(f32::NAN))
        };
        Norm {
            weight: repeated(&self.weight),
            bias: repeated(&self.bias),
            mean: repeated(&self.mean),
            variance: repeated(&self.variance),
            epsilon: self.epsilon,
        }
    }
}

/// Gives each layer its weights and folds the batch norms away.
///
/// # Errors
/// [`LowerError::Unfoldable`] for a batch norm that follows no linear map, [`LowerError::Overflow`] where folding made a
/// weight infinite.
pub(crate) fn fold(steps: &[Step], weights: &Tensors) -> Result<Vec<FoldedStep>, ExportError> {
    let mut folded: Vec<FoldedStep> = Vec::new();
    for step in steps {
        let tensor = |part: &str| format!("{}.{part}", step.name);
        let layer = match step.layer {
            Layer::Conv(conv) => FoldedLayer::Conv {
                conv,
                weight: weights.get(&tensor("conv.weight"))?,
                bias: bias_or_zeros(weights, &tensor("conv.bias"), conv.filters)?,
            },
            Layer::BatchNorm(config) => {
                let norm = read_norm(weights, &step.name, config)?;
                fold_into_last(&mut folded, &norm, &step.name)?;
                continue;
            }
            Layer::Energy(energy) => FoldedLayer::Energy {
                energy,
                weight: weights.get(&tensor("conv.weight"))?,
                bias: bias_or_zeros(weights, &tensor("conv.bias"), energy.conv.filters)?,
                scale: Array1::ones(energy.pairs()),
                shift: Array1::zeros(energy.pairs()),
            },
            Layer::Bands => FoldedLayer::Bands,
            Layer::Conv2d(conv) => FoldedLayer::Conv2d {
                conv,
                weight: weights.get(&tensor("conv.weight"))?,
                bias: bias_or_zeros(weights, &tensor("conv.bias"), conv.filters)?,
            },
            Layer::MaxPool2d { size } => FoldedLayer::MaxPool2d { size },
            Layer::Positions => FoldedLayer::Positions { count: step.output.length() },
            Layer::Fork => FoldedLayer::Fork,
            Layer::SqueezeExcite(_) => FoldedLayer::SqueezeExcite {
                squeeze: (
                    weights.get(&tensor("squeeze.weight"))?,
                    weights.get(&tensor("squeeze.bias"))?,
                ),
                excite: (
                    weights.get(&tensor("excite.weight"))?,
                    weights.get(&tensor("excite.bias"))?,
                ),
            },
            Layer::Add { kept, channels } => FoldedLayer::Add {
                skip: match kept == channels {
                    true => None,
                    false => {
                        let filters: Array3<f32> = weights.get(&tensor("skip.weight"))?;
                        Some(filters.index_axis_move(Axis(2), 0))
                    }
                },
            },
            Layer::TimePool { pool, .. } => FoldedLayer::TimePool {
                pool,
                attention: match pool {
                    TimePool::Mean | TimePool::Statistics => None,
                    TimePool::Attention => Some(Attention {
                        hidden: weights.get(&tensor("hidden.weight"))?,
                        bias: weights.get(&tensor("hidden.bias"))?,
                        score: weights.get(&tensor("score.weight"))?,
                    }),
                },
            },
            // It drops nothing outside of training.
            Layer::Dropout { .. } => continue,
            Layer::Relu => FoldedLayer::Relu,
            Layer::MaxPool { size } => FoldedLayer::MaxPool { size },
            Layer::Flatten => FoldedLayer::Flatten,
            Layer::Dense { units, .. } => FoldedLayer::Linear {
                weight: weights.get(&tensor("weight"))?,
                bias: bias_or_zeros(weights, &tensor("bias"), units)?,
            },
            Layer::Tanh => FoldedLayer::Tanh,
            Layer::Lstm { units, .. } => FoldedLayer::Lstm {
                units,
                input: onnx_gate_order(&weights.get(&tensor("weight_ih"))?),
                recurrent: onnx_gate_order(&weights.get(&tensor("weight_hh"))?),
                bias: onnx_bias(
                    &weights.get(&tensor("bias_ih"))?,
                    &weights.get(&tensor("bias_hh"))?,
                ),
            },
            Layer::Output { .. } => FoldedLayer::Linear {
                weight: weights.get(&tensor("weight"))?,
                bias: weights.get(&tensor("bias"))?,
            },
            Layer::Softmax => FoldedLayer::Softmax,
        };
        folded.push(FoldedStep { name: step.name.clone(), layer });
    }
    Ok(folded)
}

/// A bias that another program's layer may have before its norm; ours has none.
fn bias_or_zeros(
    weights: &Tensors,
    name: &str,
    length: usize,
) -> Result<Array1<f32>, CheckpointError> {
    if weights.has(name) { weights.get(name) } else { Ok(Array1::zeros(length)) }
}

fn read_norm(weights: &Tensors, step: &str, config: BatchNorm) -> Result<Norm, CheckpointError> {
    Ok(Norm {
        weight: weights.get(&format!("{step}.norm.weight"))?,
        bias: weights.get(&format!("{step}.norm.bias"))?,
        mean: weights.get(&format!("{step}.norm.running_mean"))?,
        variance: weights.get(&format!("{step}.norm.running_var"))?,
        epsilon: config.epsilon,
    })
}

fn fold_into_last(folded: &mut [FoldedStep], norm: &Norm, step: &str) -> Result<(), LowerError> {
    let finite = match folded {
        // That of an image is one norm for all bands of the energies before.
        [
            ..,
            FoldedStep { layer: FoldedLayer::Energy { scale, shift, .. }, .. },
            FoldedStep { layer: FoldedLayer::Bands, .. },
        ] => fold_batch_norm(scale, shift, &norm.for_each_of(scale.len())),
        [.., last] => fold_into(&mut last.layer, norm, step)?,
        [] => return Err(LowerError::Unfoldable { layer: step.to_owned() }),
    };
    if finite { Ok(()) } else { Err(LowerError::Overflow { layer: step.to_owned() }) }
}

/// Returns whether all folded numbers are finite.
fn fold_into(layer: &mut FoldedLayer, norm: &Norm, step: &str) -> Result<bool, LowerError> {
    Ok(match layer {
        FoldedLayer::Conv { weight, bias, .. } => fold_batch_norm(weight, bias, norm),
        FoldedLayer::Conv2d { weight, bias, .. } => fold_batch_norm(weight, bias, norm),
        FoldedLayer::Linear { weight, bias } => fold_batch_norm(weight, bias, norm),
        // The logarithm is between: it stays a scale and a shift.
        FoldedLayer::Energy { scale, shift, .. } => fold_batch_norm(scale, shift, norm),
        _ => return Err(LowerError::Unfoldable { layer: step.to_owned() }),
    })
}

/// Makes `norm(weight·x + bias)` one linear map; the first axis of `weight` counts the outputs.
///
/// With `scale = γ / √(σ² + ε)`: `weight ← weight·scale`, `bias ← (bias − μ)·scale + β`. The arithmetic is in f64,
/// so that each folded number is rounded only once. Returns whether all of them are finite in f32.
fn fold_batch_norm<D: RemoveAxis>(
    weight: &mut Array<f32, D>,
    bias: &mut Array1<f32>,
    norm: &Norm,
) -> bool {
    let scale: Array1<f64> = Zip::from(&norm.weight)
        .and(&norm.variance)
        .map_collect(|g, v| f64::from(*g) / (f64::from(*v) + f64::from(norm.epsilon)).sqrt());
    for (mut row, s) in weight.axis_iter_mut(Axis(0)).zip(&scale) {
        row.mapv_inplace(|w| (f64::from(w) * s) as f32);
    }
    Zip::from(&mut *bias).and(&scale).and(&norm.mean).and(&norm.bias).for_each(
        |b, s, mean, shift| {
            *b = ((f64::from(*b) - f64::from(*mean)) * s + f64::from(*shift)) as f32;
        },
    );
    weight.iter().chain(bias.iter()).all(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    /// γ 3, β 5, μ 2, σ² 4 with ε 0: scale 3/2, shift 5 − 2·3/2 = 2.
    fn norm(channels: usize) -> Norm {
        let full = |value| Array1::from_elem(channels, value);
        Norm {
            weight: full(3.0),
            bias: full(5.0),
            mean: full(2.0),
            variance: full(4.0),
            epsilon: 0.0,
        }
    }

    #[test]
    fn four_numbers_fold_as_by_hand() {
        let (mut weight, mut bias) = (array![[1.0, -2.0]], array![0.0]);
        fold_batch_norm(&mut weight, &mut bias, &norm(1));
        assert_eq!((weight, bias), (array![[1.5, -3.0]], array![2.0]));
    }

    #[test]
    fn a_bias_before_the_norm_is_scaled_too() {
        let (mut weight, mut bias) = (array![[1.0]], array![4.0]);
        fold_batch_norm(&mut weight, &mut bias, &norm(1));
        assert_eq!(bias, array![8.0]);
    }

    #[test]
    fn behind_a_logarithm_a_norm_is_a_scale_and_a_shift() {
        let (mut scale, mut shift) = (Array1::ones(1), Array1::zeros(1));
        fold_batch_norm(&mut scale, &mut shift, &norm(1));
        assert_eq!((scale, shift), (array![1.5], array![2.0]));
    }

    #[test]
    fn an_overflow_is_reported() {
        let mut norm = norm(1);
        norm.weight = array![1e38];
        let fold = |w: f32, b: f32| fold_batch_norm(&mut array![[w]], &mut array![b], &norm);
        assert!(fold(1.0, 2.0));
        assert!(!fold(10.0, 2.0), "the weight overflows");
        assert!(!fold(1.0, 100.0), "the bias overflows");
    }

    #[test]
    fn each_filter_has_its_own_channel() {
        let mut norm = norm(2);
        norm.weight = array![1.0, 10.0];
        norm.variance = array![1.0, 1.0];
        let (mut weight, mut bias) = (array![[[1.0, 2.0]], [[3.0, 4.0]]], array![0.0, 0.0]);
        fold_batch_norm(&mut weight, &mut bias, &norm);
        assert_eq!(weight, array![[[1.0, 2.0]], [[30.0, 40.0]]]);
        assert_eq!(bias, array![3.0, -15.0]);
    }

    #[test]
    fn epsilon_keeps_a_dead_channel_finite() {
        let mut norm = norm(1);
        norm.variance = array![0.0];
        norm.epsilon = 0.25;
        let (mut weight, mut bias) = (array![[1.0]], array![2.0]);
        fold_batch_norm(&mut weight, &mut bias, &norm);
        assert_eq!((weight, bias), (array![[6.0]], array![5.0]));
    }
}
