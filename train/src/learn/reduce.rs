//! One sum over all ranks for each step: gradients, running statistics, loss, right answers, and whether to stop.

use tch::{Kind, Tensor};

use crate::error::TrainError;
use crate::model::host::to_device;
use crate::ranks::group::Ranks;

/// What a rank's own rows gave, on its device.
#[derive(Debug)]
pub(crate) struct Local {
    /// As `Adam::gather` makes it: a mean over the rows.
    pub(crate) gradient: Tensor,
    /// Mean over the rows, a scalar.
    pub(crate) loss: Tensor,
    /// Right answers, a scalar.
    pub(crate) correct: Tensor,
    /// Of batch norms, which get the mean over all ranks.
    pub(crate) statistics: Vec<Tensor>,
}

/// What all ranks together gave, equal to the bit on each.
#[derive(Debug)]
pub(crate) struct Reduced {
    /// Mean over all rows.
    pub(crate) gradient: Tensor,
    /// Mean over all rows, a scalar.
    pub(crate) loss: Tensor,
    /// Right answers, a scalar.
    pub(crate) correct: Tensor,
    /// Whether any rank wanted to stop.
    pub(crate) stopped: bool,
    /// Bytes that this rank gave into the sum.
    pub(crate) bytes: u64,
}

/// Exchanges what all ranks computed, in one sum of one buffer. `weight` is this rank's rows over the mean number of rows of
/// a rank: where all have as many, each value is just added to the others and then divided.
pub(crate) fn reduce(
    ranks: &Ranks,
    local: Local,
    weight: f64,
    stop: bool,
) -> Result<Reduced, TrainError> {
    let Local { gradient, loss, correct, statistics } = local;
    tch::no_grad(|| {
        let flat = |tensor: &Tensor| tensor.f_to_kind(Kind::Float)?.f_reshape([-1]);
        let mut means = vec![gradient.shallow_clone()];
        for tensor in statistics.iter().chain([&loss]) {
            means.push(flat(tensor)?);
        }
        let counted: i64 = means.iter().map(|tensor| tensor.numel() as i64).sum();
        let wish = Tensor::f_from_slice(&[f32::from(u8::from(stop))])?;
        let others = [flat(&correct)?, to_device(&wish, gradient.device())?];
        let buffer = Tensor::f_cat(&means.iter().chain(&others).collect::<Vec<_>>(), 0)?;
        let mut part = buffer.f_narrow(0, 0, counted)?;
        if weight != 1.0 {
            // An operation in place returns the same tensor.
            let _ = part.f_mul_scalar_(weight)?;
        }
        ranks.sum(&buffer)?;
        let _ = part.f_mul_scalar_(1.0 / ranks.share().size as f64)?;
        let mut position = gradient.numel() as i64;
        let gradient = part.f_narrow(0, 0, position)?;
        for statistic in statistics {
            let count = statistic.numel() as i64;
            let mean = part.f_narrow(0, position, count)?.f_reshape(statistic.size())?;
            statistic.f_detach()?.f_copy_(&mean)?;
            position += count;
        }
        let scalar = |index| buffer.f_get(index);
        let stopped = f64::try_from(&scalar(counted + 1)?)? > 0.0;
        let (loss, correct) = (scalar(counted - 1)?, scalar(counted)?);
        let bytes = (buffer.numel() * size_of::<f32>()) as u64;
        Ok(Reduced { gradient, loss, correct, stopped, bytes })
    })
}
