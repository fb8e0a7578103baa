//! The learning rate as a function of progress.

use serde::{Deserialize, Serialize};

/// How the learning rate changes over a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// The same learning rate throughout, as in the paper.
    Constant,
    /// Half a cosine from the full learning rate down to zero (Loshchilov and Hutter 2016).
    Cosine,
}

impl Schedule {
    /// Factor on the learning rate at `step` (from 0) of `steps`; it rises linearly over the first `warm_up` share.
    pub fn factor(self, step: u64, steps: u64, warm_up: f64) -> f64 {
        let warm_steps = warm_up * steps as f64;
        let done = step as f64;
        if done < warm_steps {
            return (done + 1.0) / warm_steps.max(1.0);
        }
        match self {
            Schedule::Constant => 1.0,
            Schedule::Cosine => {
                let share = (done - warm_steps) / (steps as f64 - warm_steps).max(1.0);
                0.5 * (1.0 + (std::f64::consts::PI * share.clamp(0.0, 1.0)).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_rises_then_falls_to_almost_nothing() {
        let factors: Vec<f64> = (0..100).map(|s| Schedule::Cosine.factor(s, 100, 0.1)).collect();
        assert_eq!(factors[0], 0.1);
        assert_eq!(factors[9], 1.0);
        assert_eq!(factors[10], 1.0);
        assert!((factors[55] - 0.5).abs() < 1e-12);
        assert!(factors[99] < 1e-3);
        assert!(factors[10..].windows(2).all(|w| w[1] < w[0]));
    }

    #[test]
    fn constant_stays_after_its_warm_up() {
        assert_eq!(Schedule::Constant.factor(0, 10, 0.0), 1.0);
        assert_eq!(Schedule::Constant.factor(0, 10, 0.2), 0.5);
        assert_eq!(Schedule::Constant.factor(99, 10, 0.2), 1.0);
    }
}
