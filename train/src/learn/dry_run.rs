//! What a run will cost, from its own first steps; nothing of it is kept.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use leitmotif_models::checkpoint::{LAST, beside, locate};
use leitmotif_models::text::{count, thousands};
use serde::Serialize;

use crate::error::{RunFolderError, TrainError};
use crate::learn::checkpoint;
use crate::learn::clips::Example;
use crate::learn::evaluate::evaluate;
use crate::learn::feed::Feed;
use crate::learn::lag;
use crate::learn::probe::{self, Position, TrainedValues};
use crate::learn::start::{RunState, Start, begin};
use crate::learn::step::{Measured, StepResult, Steps};
use crate::learn::task::Task;
use crate::model::{cuda, device};

/// Steps before those that count: kernels are compiled, a GPU records its graph.
const WARM_UP: usize = 3;
/// Steps that count, at least and at most; between them they end with this time.
const FEWEST: usize = 5;
const MOST: usize = 1000;
const MEASURED: Duration = Duration::from_secs(5);
/// Clips whose evaluation is timed.
const EVALUATED: usize = 8;

/// What a run will cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Network, with its head.
    pub network: String,
    /// Parameters that are trained, auxiliary classes included.
    pub trainable_parameters: usize,
    /// Multiplications and additions of the forward pass of one segment.
    pub multiply_adds: u64,
    /// Artists to recognise.
    pub artists: usize,
    /// Clips of each part.
    pub training_clips: usize,
    /// See above.
    pub validation_clips: usize,
    /// See above.
    pub test_clips: usize,
    /// Device, as `--device` names it.
    pub device: String,
    /// Threads of libtorch.
    pub threads: usize,
    /// Clips in a step.
    pub clips_per_step: usize,
    /// Median of the steps that were taken.
    pub seconds_per_step: f64,
    /// How many that were.
    pub measured_steps: usize,
    /// Steps in an epoch.
    pub steps_per_epoch: usize,
    /// Evaluation after each epoch.
    pub evaluation_seconds_per_epoch: f64,
    /// Epochs.
    pub epochs: usize,
    /// All epochs, with evaluation.
    pub seconds: f64,
    /// The most memory that this process had, where the system says.
    pub memory_bytes: Option<u64>,
    /// Memory that it takes of the GPU.
    pub gpu_memory_bytes: Option<u64>,
    /// A checkpoint.
    pub checkpoint_bytes: u64,
    /// How many the run has at most: the last, the best, those that are kept, and one while it is written.
    pub checkpoints: u64,
    /// Free where the run's folder will be, where the system says.
    pub free_disk_bytes: Option<u64>,
    /// What should be looked at before it starts.
    pub warnings: Vec<String>,
}

/// Begins the run in a folder beside `run` that is removed again, takes its first steps, evaluates a few clips and writes a
/// checkpoint.
///
/// # Errors
///
/// Whatever [`begin`] refuses, a clip that cannot be read to its end, and `Interrupted` once `stop` is set.
pub fn dry_run(
    run: &Path,
    task: &Task,
    start: Start,
    device: tch::Device,
    stop: &AtomicBool,
) -> Result<Estimate, TrainError> {
    if locate(&run.join(LAST)).exists() {
        return Err(RunFolderError::Exists { path: run.to_owned() }.into());
    }
    read_ends(task)?;
    let free_before = cuda::free_memory();
    let folder = Temporary::beside(run);
    folder.remove()?;
    let RunState { model, mut adam, average, config, .. } = begin(&folder.0, task, start, device)?;
    let batches = probe::batches(task, model.network(), &config)?;
    let steps = batches.steps_per_epoch();
    let per_step = config.accumulate.max(1);
    let all_steps = (config.epochs as u64).saturating_mul(steps as u64);
    let mut feed = Feed::new(&batches, 0..config.epochs, 0, device)?;
    let mut training = Steps::new(device, &config);
    let mut times = Vec::new();
    let began = Instant::now();
    for step in 0..config.epochs.saturating_mul(steps).min(MOST) {
        if stop.load(Ordering::Relaxed) {
            return Err(TrainError::Interrupted);
        }
        let each = Instant::now();
        let (epoch, first) = (step / steps.max(1), step % steps.max(1) * per_step);
        let batch = |part| feed.take(epoch, first + part);
        let factor = config.schedule.factor(step as u64, all_steps, config.warm_up);
        let rate = config.learning_rate * factor;
        let measured = training.take(&model, &mut adam, batch, rate, false);
        let measured = measured.map_err(|error| error.in_step(config.batch, per_step))?;
        // Waits for the device.
        let results = Measured::read(&[measured])?;
        if let Some(what) = results.iter().find_map(StepResult::not_finite) {
            let clips = batches.names(epoch, step % steps.max(1));
            let (epoch, step) = (epoch + 1, step as u64 + 1);
            return Err(TrainError::Diverged { what, epoch, step, clips });
        }
        times.push(each.elapsed().as_secs_f64());
        if times.len() >= WARM_UP + FEWEST && began.elapsed() > MEASURED {
            break;
        }
    }
    drop(feed);
    // A run of very few steps has no others.
    let mut counted = times.split_off(if times.len() > WARM_UP { WARM_UP } else { 0 });
    counted.sort_by(f64::total_cmp);
    let seconds_per_step = counted.get(counted.len() / 2).copied().unwrap_or(0.0);

    let watched = if config.watch_test { task.test.as_slice() } else { &[] };
    let parts = [task.validation.as_slice(), watched];
    let evaluated: usize = parts.iter().map(|part| part.len()).sum();
    let some: Vec<Example> = parts.concat().into_iter().take(EVALUATED).collect();
    let began = Instant::now();
    evaluate(&model, task, &some, stop, |_| ())?;
    let evaluation = began.elapsed().as_secs_f64() / some.len().max(1) as f64 * evaluated as f64;

    let probe = probe::probe_input(task, model.network())?;
    let at = Position { epoch: 0, step: adam.steps(), unfinished: None };
    let values = TrainedValues::of(&model, &adam, average.as_ref())?;
    let checkpoint = values.checkpoint(task, model.network(), &config, at, &probe)?;
    let last = folder.0.join(LAST);
    checkpoint.write(&last)?;
    let checkpoint_bytes = size(&last).map_err(|e| TrainError::file(&last, e))?;
    let free_disk_bytes = leitmotif_dataset::fs::available_space(&folder.0).ok();
    let mut warnings: Vec<String> =
        lag::warning(&config, steps.saturating_mul(per_step)).into_iter().collect();
    let kept = if config.keep_checkpoints > 0 { config.keep_checkpoints as u64 + 1 } else { 0 };
    let checkpoints = kept.saturating_add(3);
    let needed = checkpoints.saturating_mul(checkpoint_bytes);
    if let Some(free) = free_disk_bytes.filter(|free| *free < needed) {
        warnings.push(format!(
            "warning: {} are free where the run will be, and its checkpoints take {}",
            bytes(free),
            bytes(needed)
        ));
    }
    folder.remove()?;
    let gpu = (device != tch::Device::Cpu).then(|| free_before.saturating_sub(cuda::free_memory()));
    Ok(Estimate {
        network: format!("{} ({} head)", model.network().name, model.network().head.kind),
        trainable_parameters: model.trainable_values(),
        multiply_adds: model.network().costs(model.classes()).multiply_adds(),
        artists: model.classes(),
        training_clips: task.train.len(),
        validation_clips: task.validation.len(),
        test_clips: task.test.len(),
        device: device::name(device),
        threads: config.threads,
        clips_per_step: batches.clips_per_step(),
        seconds_per_step,
        measured_steps: counted.len(),
        steps_per_epoch: steps,
        evaluation_seconds_per_epoch: evaluation,
        epochs: config.epochs,
        seconds: config.epochs as f64 * (steps as f64 * seconds_per_step + evaluation),
        memory_bytes: peak_memory(),
        gpu_memory_bytes: gpu,
        checkpoint_bytes,
        checkpoints,
        free_disk_bytes,
        warnings,
    })
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Estimate { seconds_per_step: step, steps_per_epoch: steps, .. } = self;
        writeln!(
            f,
            "network     {}: {} trainable parameters, {} multiply-adds a segment",
            self.network,
            thousands(self.trainable_parameters as u64),
            thousands(self.multiply_adds)
        )?;
        writeln!(
            f,
            "music       {} artists: {} for training, {} for validation, {} for test; all can be read",
            self.artists,
            count(self.training_clips, "clip"),
            self.validation_clips,
            self.test_clips
        )?;
        writeln!(f, "device      {}, {}", self.device, count(self.threads, "thread"))?;
        writeln!(
            f,
            "a step      {:.3} s (median of {}), {:.1} clips/s",
            step,
            self.measured_steps,
            self.clips_per_step as f64 / step.max(1e-9)
        )?;
        writeln!(
            f,
            "an epoch    {} of {}: {}, evaluation {}",
            count(*steps, "step"),
            count(self.clips_per_step, "clip"),
            duration(*steps as f64 * step),
            duration(self.evaluation_seconds_per_epoch)
        )?;
        writeln!(f, "the run     {}: {}", count(self.epochs, "epoch"), duration(self.seconds))?;
        if let Some(memory) = self.memory_bytes {
            writeln!(f, "memory      {}", bytes(memory))?;
        }
        if let Some(memory) = self.gpu_memory_bytes {
            writeln!(f, "GPU memory  {}", bytes(memory))?;
        }
        write!(
            f,
            "disk        {} for each of {} checkpoints",
            bytes(self.checkpoint_bytes),
            self.checkpoints
        )?;
        match self.free_disk_bytes {
            Some(free) => writeln!(f, "; {} are free", bytes(free))?,
            None => writeln!(f)?,
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "{warning}"))
    }
}

/// A folder that is removed in the end, even after an error.
struct Temporary(PathBuf);

impl Temporary {
    /// Of this process alone.
    fn beside(run: &Path) -> Self {
        Temporary(beside(run, &format!("{}.dry-run", std::process::id())))
    }

    fn remove(&self) -> Result<(), TrainError> {
        checkpoint::remove(&self.0)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // An error was reported where the folder is removed in time.
        let _ = self.remove();
    }
}

/// Reads the last sample of every clip: a shard that was cut has none.
fn read_ends(task: &Task) -> Result<(), TrainError> {
    for example in task.train.iter().chain(&task.validation).chain(&task.test) {
        task.dataset.read_pcm(example.clip, example.samples.saturating_sub(1), &mut [0])?;
    }
    Ok(())
}

/// Bytes of all files in a folder without folders.
fn size(folder: &Path) -> std::io::Result<u64> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

/// The most memory that this process had resident, as Linux counts it.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| 1024 * kibibytes)
}

fn bytes(number: u64) -> String {
    let mebibytes = number as f64 / f64::from(1 << 20);
    match mebibytes {
        small if small < 10.0 => format!("{small:.1} MiB"),
        medium if medium < 10_240.0 => format!("{medium:.0} MiB"),
        large => format!("{:.0} GiB", large / 1024.0),
    }
}

fn duration(seconds: f64) -> String {
    match seconds {
        short if short < 100.0 => format!("{short:.1} s"),
        medium if medium < 6000.0 => format!("{:.1} min", medium / 60.0),
        long if long < 360_000.0 => format!("{:.1} hours", long / 3600.0),
        days => format!("{:.1} days", days / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units_that_fit() {
        assert_eq!(
            (bytes(1 << 20), bytes(600 << 20), bytes(60 << 30)),
            ("1.0 MiB".into(), "600 MiB".into(), "60 GiB".into())
        );
        assert_eq!((duration(3.25), duration(300.0)), ("3.2 s".into(), "5.0 min".into()));
        assert_eq!(
            (duration(7200.0), duration(864_000.0)),
            ("2.0 hours".into(), "10.0 days".into())
        );
    }
}
