//! What the steps of an epoch measured: read late from a GPU, and summed up.

use std::time::{Duration, Instant};

use leitmotif_models::UnfinishedEpoch;
use tch::Device;

use crate::error::TrainError;
use crate::learn::history::EpochRow;
use crate::learn::step::{Measured, StepResult};

/// Results of steps that have not been read: reading waits for the device, and a GPU would then wait for the next step.
#[derive(Debug)]
pub(crate) struct Unread {
    steps: Vec<Measured>,
    at_once: bool,
    since: Instant,
}

impl Unread {
    /// Progress is shown, and a loss that is not finite is noticed, after so long.
    const LONGEST: Duration = Duration::from_millis(250);

    /// Several ranks read each step `together`, so that all find out at the same one.
    pub(crate) fn new(device: Device, together: bool) -> Self {
        // A CPU's steps have ended when they return.
        let at_once = device == Device::Cpu || together;
        Unread { steps: Vec::new(), at_once, since: Instant::now() }
    }

    /// Adds a step; returns the results that are due, each with the number of steps after it.
    pub(crate) fn push(
        &mut self,
        step: Measured,
        all: bool,
    ) -> Result<Vec<(StepResult, usize)>, TrainError> {
        self.steps.push(step);
        if !(all || self.at_once || self.since.elapsed() > Self::LONGEST) {
            return Ok(Vec::new());
        }
        let results = Measured::read(&self.steps)?;
        self.steps.clear();
        self.since = Instant::now();
        let after = (0..results.len()).rev();
        Ok(results.into_iter().zip(after).collect())
    }
}

/// Sums over the steps of an epoch, which may have been begun by an earlier process.
#[derive(Debug, Default)]
pub(crate) struct EpochTotals(UnfinishedEpoch);

impl From<UnfinishedEpoch> for EpochTotals {
    fn from(so_far: UnfinishedEpoch) -> Self {
        EpochTotals(so_far)
    }
}

impl EpochTotals {
    /// Adds a step of so many clips.
    pub(crate) fn add(&mut self, step: &StepResult, clips: usize) {
        self.0.loss += step.loss;
        self.0.gradient_norm += step.gradient_norm;
        self.0.steps += 1;
        self.0.correct += step.correct;
        self.0.outputs += step.outputs;
        self.0.clips += clips;
    }

    /// Adds time of training.
    pub(crate) fn add_time(&mut self, time: Duration) {
        self.0.seconds += time.as_secs_f64();
    }

    /// As a checkpoint records them.
    pub(crate) fn so_far(&self) -> UnfinishedEpoch {
        self.0
    }

    /// Steps so far.
    pub(crate) fn steps(&self) -> usize {
        self.0.steps
    }

    pub(crate) fn mean_loss(&self) -> f64 {
        self.0.loss / self.0.steps.max(1) as f64
    }

    pub(crate) fn accuracy(&self) -> f64 {
        self.0.correct as f64 / self.0.outputs.max(1) as f64
    }

    /// The line of the history for this epoch, once it is finished.
    pub(crate) fn row(&self, epoch: usize, step: u64, learning_rate: f64) -> EpochRow {
        let UnfinishedEpoch { gradient_norm, steps, clips, seconds, .. } = self.0;
        EpochRow {
            epoch,
            step,
            learning_rate,
            loss: self.mean_loss(),
            accuracy: self.accuracy(),
            seconds,
            clips_per_second: clips as f64 / seconds.max(1e-9),
            gradient_norm: Some(gradient_norm / steps.max(1) as f64),
            ..EpochRow::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_due_at_once_on_a_cpu_and_else_when_all_are_wanted() {
        let step = |loss: f64| Measured::of(&[loss, 0.5, 3.0], 4);
        let losses = |due: Vec<(StepResult, usize)>| {
            due.iter().map(|(result, after)| (result.loss, *after)).collect::<Vec<_>>()
        };
        let mut unread = Unread::new(Device::Cpu, false);
        assert_eq!(losses(unread.push(step(1.0), false).unwrap()), [(1.0, 0)]);
        let mut unread = Unread::new(Device::Cuda(0), false);
        unread.since = Instant::now() + Duration::from_secs(3600);
        assert!(unread.push(step(1.0), false).unwrap().is_empty());
        assert!(unread.push(step(2.0), false).unwrap().is_empty());
        let due = losses(unread.push(step(3.0), true).unwrap());
        assert_eq!(due, [(1.0, 2), (2.0, 1), (3.0, 0)]);
        assert!(unread.steps.is_empty());
    }
}
