//! A number over several runs.

/// Mean, extremes and standard deviation of at least one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    /// Number of values.
    pub(super) runs: usize,
    /// Their mean.
    pub(super) mean: f64,
    /// The smallest.
    pub(super) low: f64,
    /// The largest.
    pub(super) high: f64,
    /// Standard deviation of a sample; none of one value.
    pub(super) deviation: Option<f64>,
}

impl Spread {
    /// Of these values; none without any.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Some(Spread {
            runs: values.len(),
            mean,
            low: values.iter().copied().fold(f64::INFINITY, f64::min),
            high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            deviation: (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_of_a_sample() {
        let spread = Spread::of(&[1.0, 2.0, 6.0]).unwrap();
        assert_eq!((spread.mean, spread.low, spread.high), (3.0, 1.0, 6.0));
        assert!((spread.deviation.unwrap() - 7f64.sqrt()).abs() < 1e-12);
        assert_eq!(Spread::of(&[4.0]).unwrap().deviation, None);
        assert_eq!(Spread::of(&[]), None);
    }
}
