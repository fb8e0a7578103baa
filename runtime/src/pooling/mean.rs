//! The weighted mean of segments.

/// A weighted mean of rows, summed in `f64` so that rounding does not grow with the number of rows.
///
/// ```
/// let mut mean = leitmotif::pooling::Mean::new(2);
/// mean.add(&[1.0, 0.0], 1.0);
/// mean.add(&[0.0, 1.0], 3.0);
/// assert_eq!(mean.values(), [0.25, 0.75]);
/// ```
#[derive(Debug, Clone)]
pub struct Mean {
    sums: Vec<f64>,
    weight: f64,
}

impl Mean {
    /// A mean of rows of `len` values.
    pub fn new(len: usize) -> Self {
        Self { sums: vec![0.0; len], weight: 0.0 }
    }

    /// Adds a row with this weight. Of a row whose length differs from the mean's, the common values are added.
    pub fn add(&mut self, row: &[f32], weight: f64) {
        for (sum, value) in self.sums.iter_mut().zip(row) {
            *sum += weight * f64::from(*value);
        }
        self.weight += weight;
    }

    /// The mean; zeros if no row was added.
    pub fn values(&self) -> Vec<f32> {
        let weight = if self.weight > 0.0 { self.weight } else { 1.0 };
        self.sums.iter().map(|sum| (sum / weight) as f32).collect()
    }
}

/// The largest probability of a row; its mean over the rows is a recording's certainty.
pub fn largest(row: &[f32]) -> f32 {
    row.iter().copied().fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_a_million_equal_rows_is_the_row() {
        let mut mean = Mean::new(1);
        for _ in 0..1_000_000 {
            mean.add(&[0.1], 1.0);
        }
        assert_eq!(mean.values(), [0.1]);
    }

    #[test]
    fn the_mean_of_nothing_is_zero() {
        assert_eq!(Mean::new(3).values(), [0.0; 3]);
    }
}
