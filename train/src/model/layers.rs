//! Layers that are more than one operation of libtorch, on tensors `[batch, channels, segments, length]`. Segments
//! never mix: means and sums over time are over the last axis alone.

use leitmotif_models::{Energy, TimePool};
use tch::{Kind, Tensor};

use crate::error::TrainError;
use crate::model::native::Norm;

/// The last axis.
const TIME: &[i64] = &[3];

/// `log(mean(a² + b²) + ε)` of each pair of filters, in f32: near silence 16-bit floats would hold neither squares nor ε.
///
/// # Shapes
/// Outputs of the filters `[batch, 2 · pairs, segments, length]` → `[batch, pairs, segments, length / pool]`.
pub(crate) fn log_energy(filtered: &Tensor, energy: Energy) -> Result<Tensor, TrainError> {
    let squares = filtered.f_square()?;
    let pairs = energy.pairs() as i64;
    let (a, b) = (squares.f_narrow(1, 0, pairs)?, squares.f_narrow(1, pairs, pairs)?);
    let sums = a.f_add(&b)?;
    let energies = match energy.pool {
        1 => sums,
        pool => {
            let window = [1, pool as i64];
            sums.f_avg_pool2d(window, window, [0, 0], false, true, None::<i64>)?
        }
    };
    Ok(energies.f_add_scalar(f64::from(energy.epsilon))?.f_log()?)
}

/// Batch norm, with the batch's own statistics in training.
///
/// # Shapes
/// `[batch, channels, segments, length]`, or `[batch, segments, channels]` after the flattening; kept.
pub(crate) fn batch_norm(x: &Tensor, norm: Norm<'_>, train: bool) -> Result<Tensor, TrainError> {
    let Norm { gamma, beta, running_mean, running_var, momentum, epsilon } = norm;
    let size = x.size();
    let rows = match size.as_slice() {
        [_, _, channels] => x.f_reshape([-1, *channels])?,
        _ => x.shallow_clone(),
    };
    let normed = rows.f_batch_norm(
        Some(gamma),
        Some(beta),
        Some(running_mean),
        Some(running_var),
        train,
        momentum,
        epsilon,
        true,
    )?;
    if size.len() == 3 { Ok(normed.f_reshape(size)?) } else { Ok(normed) }
}

/// The largest value of each window.
///
/// # Shapes
/// `[batch, channels, segments, length]` or `[images, channels, bands, length]`; what is left after the last whole
/// window is dropped.
pub(crate) fn max_pool(x: &Tensor, size: [usize; 2]) -> Result<Tensor, TrainError> {
    let size = size.map(|size| size as i64);
    Ok(x.f_max_pool2d(size, size, [0, 0], [1, 1], false)?)
}

/// Every segment as an image of one channel, whose rows are the bands.
///
/// # Shapes
/// `[batch, bands, segments, length]` → `[batch · segments, 1, bands, length]`.
pub(crate) fn image(x: &Tensor) -> Result<Tensor, TrainError> {
    Ok(x.f_permute([0, 2, 1, 3])?.f_flatten(0, 1)?.f_unsqueeze(1)?)
}

/// Back to maps of `clips` clips, band after band.
///
/// # Shapes
/// `[clips · segments, channels, bands, length]` → `[clips, channels, segments, bands · length]`.
pub(crate) fn map_of(x: &Tensor, clips: i64) -> Result<Tensor, TrainError> {
    let channels = x.size().get(1).copied().unwrap_or(0);
    let positions = x.f_flatten(2, 3)?;
    let length = positions.size().get(2).copied().unwrap_or(0);
    Ok(positions.f_reshape([clips, -1, channels, length])?.f_permute([0, 2, 1, 3])?)
}

/// Weights and biases of squeeze and excitation.
#[derive(Debug)]
pub(crate) struct Excitation<'a> {
    pub(crate) squeeze: [&'a Tensor; 2],
    pub(crate) excite: [&'a Tensor; 2],
}

/// Scales the channels of each segment by what their means give; the factors are f32.
///
/// # Shapes
/// `[batch, channels, segments, length]`, kept.
pub(crate) fn squeeze_excite(x: &Tensor, tensors: &Excitation<'_>) -> Result<Tensor, TrainError> {
    let Excitation { squeeze: [w1, b1], excite: [w2, b2] } = *tensors;
    let means = x.f_mean_dim(TIME, true, Kind::Float)?.f_permute([0, 2, 3, 1])?;
    let squeezed = means.f_linear(w1, Some(b1))?.f_relu()?;
    let factors = squeezed.f_linear(w2, Some(b2))?.f_sigmoid()?.f_permute([0, 3, 1, 2])?;
    Ok(x.f_mul(&factors.f_to_kind(x.kind())?)?)
}

/// Weights of the scores of [`TimePool::Attention`]: of the hidden layer with its bias, and of the score.
#[derive(Debug)]
pub(crate) struct Scores<'a> {
    pub(crate) hidden: [&'a Tensor; 2],
    pub(crate) score: &'a Tensor,
}

/// The summary over time, in f32; `scores` for attention alone.
///
/// # Shapes
/// `[batch, channels, segments, length]` → `[batch, segments, features]`.
pub(crate) fn time_pool(
    x: &Tensor,
    pool: TimePool,
    scores: Option<Scores<'_>>,
) -> Result<Tensor, TrainError> {
    let x = x.f_to_kind(Kind::Float)?;
    let weights = scores.map(|scores| attention(&x, &scores)).transpose()?;
    let mean = |x: &Tensor| match &weights {
        Some(weights) => x.f_mul(weights)?.f_sum_dim_intlist(TIME, true, Kind::Float),
        None => x.f_mean_dim(TIME, true, Kind::Float),
    };
    let means = mean(&x)?;
    let features = match pool {
        TimePool::Mean => means,
        TimePool::Statistics | TimePool::Attention => {
            // Not the mean of squares less the square of the mean, which cancels where a channel hardly varies.
            let variances = mean(&x.f_sub(&means)?.f_square()?)?;
            let deviations = variances.f_add_scalar(f64::from(TimePool::EPSILON))?.f_sqrt()?;
            Tensor::f_cat(&[means, deviations], 1)?
        }
    };
    Ok(features.f_squeeze_dim(3)?.f_permute([0, 2, 1])?)
}

/// Weights of the positions of each segment, `[batch, 1, segments, length]`; those of a segment sum to one.
fn attention(x: &Tensor, scores: &Scores<'_>) -> Result<Tensor, TrainError> {
    let Scores { hidden: [weight, bias], score } = *scores;
    let hidden = x.f_permute([0, 2, 3, 1])?.f_linear(weight, Some(bias))?.f_tanh()?;
    let scores = hidden.f_linear(score, None::<&Tensor>)?;
    Ok(scores.f_softmax(2, Kind::Float)?.f_permute([0, 3, 1, 2])?)
}
