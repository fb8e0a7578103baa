//! Dropout (Srivastava et al. 2014) whose masks follow from the run's seed and the step: a resumed run drops what the
//! uninterrupted one would have dropped, and a CUDA graph of a step draws anew at every repetition.

use leitmotif_models::Random;
use tch::{Device, Kind, Tensor};

use crate::error::TrainError;

/// What all masks of one step follow from, for a pass over the rows of its batch from `first_row` on: i64 `[2]` on the host.
/// A row's masks do not depend on which rows pass with it.
///
/// # Errors
///
/// Whatever libtorch refuses.
pub fn dropout_key(seed: u64, step: u64, first_row: usize) -> Result<Tensor, TrainError> {
    let key = Random::derive(seed, "dropout", &[step]).next_u64();
    // The same bits: libtorch's arithmetic of i64 wraps as that of u64 does.
    Ok(Tensor::f_from_slice(&[key as i64, first_row as i64])?)
}

/// Sets about a `share` of the values to zero and scales the others so that the mean stays. `layer` tells the masks of
/// one step apart; the first axis of `x` is that of the rows.
pub(crate) fn dropout(
    x: &Tensor,
    share: f32,
    key: &Tensor,
    layer: usize,
) -> Result<Tensor, TrainError> {
    let values = x.numel() as i64;
    let of_row = values / x.size().first().copied().unwrap_or(1).max(1);
    let first = key.f_narrow(0, 0, 1)?.f_add(&key.f_narrow(0, 1, 1)?.f_mul_scalar(of_row)?)?;
    let uniform = uniform(&first, layer, values, x.device())?;
    let kept = uniform.f_ge(f64::from(share))?.f_to_kind(x.kind())?.f_reshape(x.size())?;
    Ok(x.f_mul(&kept)?.f_mul_scalar(1.0 / (1.0 - f64::from(share)))?)
}

/// `count` values in [0, 1): the first draw of the generator (SplitMix64) of each state `key + (layer << 40) + index`.
fn uniform(key: &Tensor, layer: usize, count: i64, device: Device) -> Result<Tensor, TrainError> {
    const GAMMA: i64 = 0x9e37_79b9_7f4a_7c15_u64.cast_signed();
    const FIRST: i64 = 0xbf58_476d_1ce4_e5b9_u64.cast_signed();
    const SECOND: i64 = 0x94d0_49bb_1331_11eb_u64.cast_signed();
    let place = i64::try_from(layer).unwrap_or(0) << 40;
    let index = Tensor::f_arange(count, (Kind::Int64, device))?;
    let z = index.f_add(key)?.f_add_scalar(place.wrapping_add(GAMMA))?;
    let z = z.f_bitwise_xor_tensor(&shifted_right(&z, 30)?)?.f_mul_scalar(FIRST)?;
    let z = z.f_bitwise_xor_tensor(&shifted_right(&z, 27)?)?.f_mul_scalar(SECOND)?;
    let z = z.f_bitwise_xor_tensor(&shifted_right(&z, 31)?)?;
    // 24 bits, all that f32 holds.
    Ok(shifted_right(&z, 40)?.f_to_kind(Kind::Float)?.f_mul_scalar(1.0 / f64::from(1 << 24))?)
}

/// Zeros come in from the left, where libtorch's own shift repeats the sign.
fn shifted_right(x: &Tensor, bits: u32) -> Result<Tensor, TrainError> {
    let mask = i64::MAX >> (bits - 1);
    let bits = Tensor::f_scalar_tensor(i64::from(bits), (Kind::Int64, x.device()))?;
    Ok(x.f_bitwise_right_shift(&bits)?.f_bitwise_and(mask)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_those_of_the_projects_generator() {
        let key = dropout_key(7, 3, 0).unwrap().narrow(0, 0, 1);
        let state = i64::try_from(&key).unwrap().cast_unsigned();
        let drawn = Vec::<f32>::try_from(uniform(&key, 1, 100, Device::Cpu).unwrap()).unwrap();
        for (index, drawn) in drawn.iter().enumerate() {
            let place = state.wrapping_add(1 << 40).wrapping_add(index as u64);
            let expected = Random::from_state(place).next_u64() >> 40;
            assert_eq!(*drawn, expected as f32 / (1 << 24) as f32);
        }
    }

    #[test]
    fn a_share_is_dropped_and_the_mean_stays() {
        let ones = Tensor::ones([64, 1, 1024], (Kind::Float, Device::Cpu));
        let key = dropout_key(1, 1, 0).unwrap();
        let dropped = dropout(&ones, 0.25, &key, 0).unwrap();
        let zeros = f64::try_from(dropped.eq(0.0).to_kind(Kind::Double).mean(Kind::Double));
        let (zeros, mean) = (zeros.unwrap(), f64::try_from(dropped.mean(Kind::Double)).unwrap());
        assert!((zeros - 0.25).abs() < 0.01 && (mean - 1.0).abs() < 0.01, "{zeros} {mean}");
        assert_eq!(dropped, dropout(&ones, 0.25, &key, 0).unwrap());
        for (seed, step, row, layer) in [(1, 2, 0, 0), (2, 1, 0, 0), (1, 1, 0, 1), (1, 1, 1, 0)] {
            let key = dropout_key(seed, step, row).unwrap();
            assert_ne!(dropped, dropout(&ones, 0.25, &key, layer).unwrap());
        }
    }

    #[test]
    fn a_rows_masks_do_not_depend_on_the_rows_beside_it() {
        let x = Tensor::ones([6, 3, 50], (Kind::Float, Device::Cpu));
        let of = |first: i64, rows: i64| {
            let key = dropout_key(1, 1, first as usize).unwrap();
            dropout(&x.narrow(0, first, rows), 0.5, &key, 1).unwrap()
        };
        let whole = of(0, 6);
        for (first, rows) in [(0, 2), (2, 3), (5, 1)] {
            assert_eq!(of(first, rows), whole.narrow(0, first, rows));
        }
    }
}
