//! From floats to eight bits and to sixteen: pure arithmetic on plain arrays.

use half::f16;
use ndarray::{ArrayD, Axis};

/// Largest weight of an integer convolution. A kernel without VNNI adds two products of an activation (up to 255) and a
/// weight in 16 bits, and cuts what does not fit: 2·255·64 fits and 2·255·127 does not. So an eighth bit of the weights
/// would silently change answers on older processors.
pub(crate) const CONV_MOST: i8 = 64;

/// Largest weight that is turned back into a float before it is multiplied: all of eight bits, but symmetric.
pub(crate) const STORED_MOST: i8 = 127;

/// Largest value of a feature map, which begins at zero.
pub(crate) const ACTIVATION_MOST: f32 = 255.0;

/// Largest bias in units of its scale. A factor of two is left for the sums that are added to it in 32 bits.
const BIAS_MOST: f64 = (1 << 30) as f64;

/// Weights in integers with one scale a channel: `value ≈ scale · integer`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PerChannel {
    /// In the order of the weights.
    pub(crate) values: Vec<i8>,
    /// One for each index of the channels' axis, above zero.
    pub(crate) scales: Vec<f32>,
}

/// The scale of each channel along `axis`, such that its largest weight becomes `most`; 0 where all weights are 0.
pub(crate) fn scales(weight: &ArrayD<f32>, axis: usize, most: i8) -> Vec<f32> {
    let largest = |channel: ndarray::ArrayViewD<'_, f32>| {
        channel.iter().fold(0f32, |largest, value| largest.max(value.abs()))
    };
    weight.axis_iter(Axis(axis)).map(|channel| largest(channel) / f32::from(most)).collect()
}

/// Rounds `weight` to multiples of its channels' scales.
pub(crate) fn per_channel(
    weight: &ArrayD<f32>,
    axis: usize,
    most: i8,
    scales: Vec<f32>,
) -> PerChannel {
    // A channel of zeros has no scale of its own, and a quotient by zero would be no number.
    let scales: Vec<f32> = scales.into_iter().map(|s| s.max(f32::MIN_POSITIVE)).collect();
    let limit = f64::from(most);
    let values = weight.indexed_iter().map(|(index, value)| {
        let scale = scales.get(index[axis]).copied().unwrap_or(1.0);
        // A float-to-integer `as` clamps; what is clamped here is at most a rounding error above `most`.
        (f64::from(*value) / f64::from(scale)).round_ties_even().clamp(-limit, limit) as i8
    });
    PerChannel { values: values.collect(), scales }
}

/// Scales of a convolution's weights, widened where its bias would not fit into 32 bits beside them: the bias is stored
/// in units of `input_scale · scale`.
pub(crate) fn scales_with_bias(
    weight: &ArrayD<f32>,
    bias: &[f32],
    input_scale: f32,
    most: i8,
) -> Vec<f32> {
    let scales = scales(weight, 0, most);
    let least = |bias: &f32| f64::from(bias.abs()) / f64::from(input_scale) / BIAS_MOST;
    scales.into_iter().zip(bias).map(|(scale, bias)| scale.max(least(bias) as f32)).collect()
}

/// The bias in units of `scales`, one a channel.
pub(crate) fn integer_bias(bias: &[f32], scales: &[f32]) -> Vec<i32> {
    let unit = |(bias, scale): (&f32, &f32)| {
        (f64::from(*bias) / f64::from(*scale)).round_ties_even() as i32
    };
    bias.iter().zip(scales).map(unit).collect()
}

/// The nearest 16-bit floats, as bits; `None` where one is beyond their largest, 65,504.
pub(crate) fn halves(values: &[f32]) -> Option<Vec<u16>> {
    let half = |value: &f32| Some(f16::from_f32(*value)).filter(|half| half.is_finite());
    values.iter().map(|value| half(value).map(f16::to_bits)).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn each_channel_uses_its_whole_range() {
        let weight = array![[1.0f32, -2.0], [0.5, 0.25]].into_dyn();
        let by_row = per_channel(&weight, 0, 127, scales(&weight, 0, 127));
        assert_eq!(by_row.values, [64, -127, 127, 64]);
        assert_eq!(by_row.scales, [2.0 / 127.0, 0.5 / 127.0]);
        let by_column = per_channel(&weight, 1, 64, scales(&weight, 1, 64));
        assert_eq!(by_column.values, [64, -64, 32, 8]);
    }

    #[test]
    fn no_pair_of_products_overflows_sixteen_bits() {
        let worst = 2 * ACTIVATION_MOST as i32 * i32::from(CONV_MOST);
        assert!(worst <= i32::from(i16::MAX), "{worst}");
    }

    #[test]
    fn a_channel_of_zeros_stays_one() {
        let weight = array![[0.0f32, 0.0], [0.0, 3.0]].into_dyn();
        let zeros = per_channel(&weight, 0, 127, scales(&weight, 0, 127));
        assert_eq!(zeros.values, [0, 0, 0, 127]);
        assert!(zeros.scales.iter().all(|scale| *scale > 0.0 && scale.is_finite()));
    }

    #[test]
    fn a_bias_beyond_32_bits_widens_its_channels_scale() {
        let weight = array![[1e-9f32], [1.0]].into_dyn();
        let (bias, input_scale) = ([100.0f32, 100.0], 0.01f32);
        let scales = scales_with_bias(&weight, &bias, input_scale, 64);
        assert_eq!(scales[1], 1.0 / 64.0);
        let units: Vec<f32> = scales.iter().map(|scale| scale * input_scale).collect();
        for (integer, unit) in integer_bias(&bias, &units).iter().zip(&units) {
            assert!((*integer as f32 * unit - 100.0).abs() < 1e-2, "{integer} of {unit}");
        }
    }

    #[test]
    fn halves_round_to_nearest_and_never_to_infinity() {
        assert_eq!(halves(&[1.0, -2.0, 0.1]), Some(vec![0x3C00, 0xC000, 0x2E66]));
        assert_eq!(halves(&[65_504.0]), Some(vec![0x7BFF]));
        assert_eq!(halves(&[1.0, 65_520.0]), None);
    }
}
