//! How long runs will take: by those that are done, else by a step or two.

use std::path::Path;
use std::time::{Duration, Instant};

use leitmotif_models::Network;
use tch::Device;

use super::error::ExperimentError;
use super::plan::{Plan, State, Wanted, state};
use super::results_dir;
use crate::error::TrainError;
use crate::learn::adam::Adam;
use crate::learn::batches::Batch;
use crate::learn::checkpoint::read_record;
use crate::learn::history::History;
use crate::learn::start::recorded_config;
use crate::learn::step::train_step;
use crate::model::device;
use crate::model::network::Model;
use leitmotif_models::Random;
use leitmotif_models::checkpoint::LAST;

/// Samples that a step made for the purpose learns from at the most.
const SAMPLES_ON_CPU: usize = 1 << 21;
/// How long it is measured, at least.
const ENOUGH: Duration = Duration::from_secs(1);

/// Clips per second of each distinct network, and where that is from.
#[derive(Debug, Default)]
pub struct Speeds {
    known: Vec<(Network, f64, Basis)>,
}

/// What a speed was found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Epochs of a run.
    Epochs,
    /// A step made for the purpose.
    Step,
}

impl Speeds {
    /// The speed of a wanted run's network.
    ///
    /// # Errors
    ///
    /// Results that cannot be read; whatever a step can meet.
    pub fn of(
        &mut self,
        wanted: &Wanted,
        plan: &Plan,
        results: &Path,
        classes: usize,
        device: Device,
    ) -> Result<(f64, Basis), ExperimentError> {
        if let Some((_, speed, basis)) = self.known.iter().find(|k| k.0 == wanted.network) {
            return Ok((*speed, *basis));
        }
        let alike = plan.runs.iter().filter(|run| run.network == wanted.network);
        let mut measured = Vec::new();
        for run in alike {
            measured.extend(of_run(results, &run.key, device)?);
        }
        measured.sort_by(f64::total_cmp);
        let (speed, basis) = match measured.get(measured.len() / 2) {
            Some(median) => (*median, Basis::Epochs),
            None => (of_step(wanted, classes, device)?, Basis::Step),
        };
        self.known.push((wanted.network.clone(), speed, basis));
        Ok((speed, basis))
    }
}

/// Seconds of so many epochs over these parts: judging costs about a third of learning.
pub fn seconds(epochs: usize, learnt: usize, judged: usize, speed: f64) -> f64 {
    epochs as f64 * (learnt as f64 + judged as f64 / 3.0) / speed.max(1e-9)
}

/// The speeds of a run's epochs on the same kind of device.
fn of_run(results: &Path, key: &str, on: Device) -> Result<Vec<f64>, ExperimentError> {
    if state(results, key)? == State::Waiting {
        return Ok(Vec::new());
    }
    let run = results_dir::run(results, key);
    let last = run.join(LAST);
    let record = read_record(&last)?;
    if recorded_config(&last, &record)?.device != device::kind(on) {
        return Ok(Vec::new());
    }
    let history = History::read(&run, record.epoch)?;
    Ok(history.rows().iter().map(|row| row.clips_per_second).collect())
}

/// Learns from noise, once to get going, then for about a second.
fn of_step(wanted: &Wanted, classes: usize, device: Device) -> Result<f64, TrainError> {
    let network = wanted.network.clone();
    let samples = network.window * network.segment;
    // A whole batch of the paper's takes a CPU a minute; it is as fast per clip on one.
    let at_once = if device == Device::Cpu { SAMPLES_ON_CPU / samples } else { usize::MAX };
    let clips = at_once.clamp(1, wanted.config.batch);
    let shape = [clips, network.window, network.segment];
    let mut random = Random::derive(1, "estimate", &[]);
    let segments = (0..clips * samples).map(|_| random.uniform(-0.1, 0.1) as f32).collect();
    let mut targets = vec![0.0; clips * classes];
    targets.iter_mut().step_by(classes.max(1)).for_each(|target| *target = 1.0);
    let batch = Batch { segments, shape, targets };
    let model = Model::new(network, classes, 1, device)?;
    let mut adam = Adam::new(wanted.config.adam, &model.trainable()?)?;
    train_step(&model, &mut adam, &batch, 1e-3)?;
    let began = Instant::now();
    let mut learnt = 0;
    while learnt == 0 || began.elapsed() < ENOUGH {
        train_step(&model, &mut adam, &batch, 1e-3)?;
        learnt += clips;
    }
    Ok(learnt as f64 / began.elapsed().as_secs_f64().max(1e-9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judging_costs_a_third_of_learning() {
        assert_eq!(seconds(10, 80, 60, 4.0), 250.0);
        assert_eq!(seconds(0, 80, 60, 4.0), 0.0);
    }
}
