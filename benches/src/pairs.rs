//! Two commands timed alternately: the lines of a `.jsonl` file of results.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::machine::Machine;

/// Two commands and their times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pairs {
    /// What is compared.
    pub name: String,
    /// Our command.
    pub ours: String,
    /// The command that it is compared with.
    pub theirs: String,
    /// Seconds of each of our runs, in order, without warm-up.
    pub our_seconds: Vec<f64>,
    /// The same for the other command.
    pub their_seconds: Vec<f64>,
    /// Median of `our_seconds`.
    pub our_median: f64,
    /// Median of `their_seconds`.
    pub their_median: f64,
    /// Median over the pairs of theirs / ours: above 1 we are faster.
    pub ratio: f64,
    /// Lowest ratio of a pair.
    pub least_ratio: f64,
    /// Highest ratio of a pair.
    pub largest_ratio: f64,
    /// Peak memory of our command in bytes, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub our_peak_bytes: Option<u64>,
    /// What it was measured on.
    pub machine: Machine,
}

impl Pairs {
    /// All lines of a file.
    ///
    /// # Errors
    ///
    /// A file or line that cannot be read.
    pub fn read(path: &Path) -> anyhow::Result<Vec<Self>> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let lines = text.lines().zip(1..);
        let pairs = lines.map(|(line, number)| {
            serde_json::from_str(line).with_context(|| format!("{}:{number}", path.display()))
        });
        pairs.collect()
    }
}

/// The middle value, or the mean of the two in the middle; NaN of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), middle.checked_sub(1).and_then(|before| sorted.get(before))) {
        (Some(&high), Some(&low)) if sorted.len().is_multiple_of(2) => (low + high) / 2.0,
        (Some(&value), _) => value,
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }
}
