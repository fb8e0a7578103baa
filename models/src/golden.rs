//! An input that every runtime can make for itself: a recipe instead of megabytes.

use serde::{Deserialize, Serialize};

/// Noise of a linear congruential generator, by which a model carries its own test.
///
/// `s ← 1664525·s + 1013904223 mod 2³²` starting from `seed`, and each sample is `0.1 · int32(s) / 2³¹`
/// (the constants are those of Numerical Recipes, chapter 7.1). The product is taken in f64, then rounded to f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenInput {
    /// Start of the generator.
    pub seed: u32,
    /// Number of samples at 16 kHz.
    pub samples: usize,
}

impl GoldenInput {
    /// The samples, mono, in [-0.1, 0.1].
    pub fn samples(&self) -> Vec<f32> {
        let mut state = self.seed;
        (0..self.samples)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (0.1 * f64::from(state as i32) / 2f64.powi(31)) as f32
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_starts_as_computed_by_hand() {
        let made = GoldenInput { seed: 1, samples: 2 }.samples();
        // 1664525 + 1013904223 = 1015568748; times 1664525 plus 1013904223 mod 2^32 = 1586005467.
        let by_hand = [1_015_568_748i64, 1_586_005_467];
        for (sample, s) in made.iter().zip(by_hand) {
            assert_eq!(*sample, (0.1 * s as f64 / 2_147_483_648.0) as f32);
        }
    }

    #[test]
    fn the_golden_input_is_quiet_noise_around_zero() {
        let made = GoldenInput { seed: 7, samples: 100_000 }.samples();
        let mean = made.iter().map(|x| f64::from(*x)).sum::<f64>() / made.len() as f64;
        assert!(mean.abs() < 1e-3, "mean {mean}");
        assert!(made.iter().all(|x| x.abs() <= 0.1));
    }
}
