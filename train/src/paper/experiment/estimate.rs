//! How long runs will take: from finished epochs, else from a few training steps.

use std::path::Path;
use std::time::{Duration, Instant};

use leitmotif_models::checkpoint::LAST;
use leitmotif_models::{Network, Random};
use tch::Device;

use super::error::ExperimentError;
use super::plan::{Plan, PlannedRun};
use super::results_dir::run_folder;
use crate::error::TrainError;
use crate::learn::adam::Adam;
use crate::learn::batches::Batch;
use crate::learn::checkpoint::{is_checkpoint, read_record};
use crate::learn::feed::DeviceBatch;
use crate::learn::history::History;
use crate::learn::start::configured;
use crate::learn::start::recorded_config;
use crate::learn::step::{Measured, Steps};
use crate::model::device;
use crate::model::network::Model;

/// Most samples in a training step that is made to measure the speed.
const SAMPLES_ON_CPU: usize = 1 << 21;
/// Steps before those that count, of which a GPU records one as a CUDA graph, and steps that are read at once.
const WARM_UP: usize = 3;
const AT_ONCE: usize = 4;
/// Shortest time to measure.
const MEASURED: Duration = Duration::from_secs(1);

/// Clips per second of each distinct network and number of segments of a clip, and how that was found.
#[derive(Debug, Default)]
pub struct Speeds {
    known: Vec<(Network, Option<usize>, f64, Basis)>,
}

/// What a speed was measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Epochs of a run.
    Epochs,
    /// Training steps on noise.
    Steps,
}

impl Speeds {
    /// The speed of a run's network.
    ///
    /// # Errors
    ///
    /// Results that cannot be read; whatever libtorch refuses.
    pub fn of(
        &mut self,
        run: &PlannedRun,
        plan: &Plan,
        results: &Path,
        classes: usize,
        device: Device,
    ) -> Result<(f64, Basis), ExperimentError> {
        let same = |network: &Network, segments| {
            *network == run.network && segments == run.config.segments
        };
        if let Some((.., speed, basis)) = self.known.iter().find(|k| same(&k.0, k.1)) {
            return Ok((*speed, *basis));
        }
        let mut measured = Vec::new();
        for other in plan.runs.iter().filter(|of| same(&of.network, of.config.segments)) {
            measured.extend(epoch_speeds(results, &other.key, device)?);
        }
        measured.sort_by(f64::total_cmp);
        let (speed, basis) = match measured.get(measured.len() / 2) {
            Some(median) => (*median, Basis::Epochs),
            None => (step_speed(run, classes, device)?, Basis::Steps),
        };
        self.known.push((run.network.clone(), run.config.segments, speed, basis));
        Ok((speed, basis))
    }
}

/// Seconds of so many epochs with these numbers of clips: evaluation costs about a third of training.
pub fn seconds(epochs: usize, training: usize, evaluated: usize, speed: f64) -> f64 {
    epochs as f64 * (training as f64 + evaluated as f64 / 3.0) / speed.max(1e-9)
}

/// The speeds of a run's epochs on the same kind of device.
fn epoch_speeds(results: &Path, key: &str, on: Device) -> Result<Vec<f64>, ExperimentError> {
    let run = run_folder(results, key);
    let last = run.join(LAST);
    if !is_checkpoint(&last) {
        return Ok(Vec::new());
    }
    let record = read_record(&last)?;
    if recorded_config(&last, &record)?.device != device::kind(on) {
        return Ok(Vec::new());
    }
    let history = History::read(&run, record.epoch)?;
    Ok(history.rows().iter().map(|row| row.clips_per_second).collect())
}

/// Trains on noise: one step to warm up, then steps for about a second.
fn step_speed(run: &PlannedRun, classes: usize, device: Device) -> Result<f64, TrainError> {
    let network = run.network.clone();
    let segments = run.config.segments.unwrap_or(network.window);
    let samples = segments * network.segment;
    // A batch as large as the paper's takes a CPU a minute; the speed per clip is the same in a smaller one.
    let at_once = if device == Device::Cpu { SAMPLES_ON_CPU / samples } else { usize::MAX };
    let clips = at_once.clamp(1, run.config.batch);
    let shape = [clips, segments, network.segment];
    let mut random = Random::derive(1, "estimate", &[]);
    let segments = (0..clips * samples).map(|_| random.uniform(-0.1, 0.1) as f32).collect();
    let mut targets = vec![0.0; clips * classes];
    targets.iter_mut().step_by(classes.max(1)).for_each(|target| *target = 1.0);
    let batch = Batch { segments, shape, targets };
    let model = configured(Model::new(network, classes, 1, device)?, &run.config)?;
    let mut adam = Adam::new(run.config.adam, &model.trainable()?)?;
    let batch = DeviceBatch::upload(&batch, device)?;
    let mut training = Steps::new(device, &run.config);
    let mut take = || training.take(&model, &mut adam, |_| Ok(batch.again()), 1e-3, false);
    // Kernels are compiled and libraries set up in the first steps; reading waits for the device.
    let (warm_up, at_once) = if device == Device::Cpu { (1, 1) } else { (WARM_UP, AT_ONCE) };
    let first = (0..warm_up).map(|_| take()).collect::<Result<Vec<_>, _>>()?;
    Measured::read(&first)?;
    let began = Instant::now();
    let mut trained = 0;
    while trained == 0 || began.elapsed() < MEASURED {
        let some = (0..at_once).map(|_| take()).collect::<Result<Vec<_>, _>>()?;
        Measured::read(&some)?;
        trained += at_once * clips * run.config.accumulate;
    }
    Ok(trained as f64 / began.elapsed().as_secs_f64().max(1e-9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluation_costs_a_third_of_training() {
        assert_eq!(seconds(10, 80, 60, 4.0), 250.0);
        assert_eq!(seconds(0, 80, 60, 4.0), 0.0);
    }
}
