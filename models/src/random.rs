//! Pseudo-random numbers that follow from where they are used.
//!
//! Every draw of a run is derived from (seed, purpose, place), never from a generator that would have to be saved:
//! a resumed run then draws exactly what the uninterrupted one would have drawn.

/// SplitMix64 (Steele, Lea and Flood 2014): one addition and two multiplications per draw.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Generator that begins at `state`; for a new purpose take [`derive`](Random::derive).
    pub fn from_state(state: u64) -> Self {
        Random { state }
    }

    /// Generator for one purpose and place, e.g. `("crop", &[epoch, step, item])`, within the run of `seed`.
    pub fn derive(seed: u64, purpose: &str, place: &[u64]) -> Self {
        // FNV-1a keeps purposes apart; each word is then mixed in by a full SplitMix64 step.
        let name = purpose.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
        });
        let mut random = Random { state: seed };
        for word in std::iter::once(&name).chain(place) {
            random.state = random.next_u64() ^ word;
        }
        random
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1), 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [low, high).
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in 0..n; zero where `n` is zero. Biased by less than n / 2⁶⁴.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    /// Standard normal (Box and Muller 1958; the second value of each pair is not kept).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Beta(alpha, alpha) in [0, 1] by Jöhnk's method, which suits the small alphas of mixup.
    pub fn beta(&mut self, alpha: f64) -> f64 {
        loop {
            let (x, y) = (self.unit().powf(1.0 / alpha), self.unit().powf(1.0 / alpha));
            if x + y <= 1.0 && x + y > 0.0 {
                return x / (x + y);
            }
        }
    }

    /// Shuffles in place (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // First outputs for state 0 of the reference implementation by Vigna.
        let mut random = Random::from_state(0);
        assert_eq!(random.next_u64(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(random.next_u64(), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn places_and_purposes_draw_apart_and_repeat() {
        let draw = |purpose, place: &[u64]| Random::derive(7, purpose, place).next_u64();
        assert_eq!(draw("crop", &[1, 2]), draw("crop", &[1, 2]));
        assert_ne!(draw("crop", &[1, 2]), draw("crop", &[2, 1]));
        assert_ne!(draw("crop", &[1, 2]), draw("gain", &[1, 2]));
        assert_ne!(draw("crop", &[1]), draw("crop", &[1, 0]));
    }

    #[test]
    fn moments_are_those_of_the_named_distributions() {
        let mut random = Random::derive(1, "moments", &[]);
        let n = 100_000;
        let mean_and_variance = |mut draw: Box<dyn FnMut() -> f64 + '_>| {
            let values: Vec<f64> = (0..n).map(|_| draw()).collect();
            let mean = values.iter().sum::<f64>() / f64::from(n);
            (mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / f64::from(n))
        };
        let (mean, variance) = mean_and_variance(Box::new(|| random.normal()));
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        let mut random = Random::derive(1, "beta", &[]);
        // Beta(a, a) has mean 1/2 and variance 1 / (4 (2a + 1)).
        let (mean, variance) = mean_and_variance(Box::new(|| random.beta(0.4)));
        assert!((mean - 0.5).abs() < 0.01 && (variance - 1.0 / 7.2).abs() < 0.005);
        let mut random = Random::derive(1, "below", &[]);
        let (mean, _) = mean_and_variance(Box::new(|| random.below(11) as f64));
        assert!((mean - 5.0).abs() < 0.05);
    }

    #[test]
    fn a_shuffle_is_a_permutation() {
        let mut items: Vec<usize> = (0..50).collect();
        Random::derive(3, "shuffle", &[]).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
