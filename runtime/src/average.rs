//! The mean by which segments become a song: the same sums in training and in serving.

/// A weighted mean of rows, summed in `f64` so that the number of rows does not matter.
///
/// ```
/// let mut mean = leitmotif::average::Mean::new(2);
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

    /// Adds a row that counts `weight` times. A row of another length than the mean's counts as far as it goes.
    pub fn add(&mut self, row: &[f32], weight: f64) {
        for (sum, value) in self.sums.iter_mut().zip(row) {
            *sum += weight * f64::from(*value);
        }
        self.weight += weight;
    }

    /// The mean; zeros where nothing was added.
    pub fn values(&self) -> Vec<f32> {
        let weight = if self.weight > 0.0 { self.weight } else { 1.0 };
        self.sums.iter().map(|sum| (sum / weight) as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_equal_rows_have_themselves_as_mean() {
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
