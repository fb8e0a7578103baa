//! A run that is stopped in the middle of an epoch, at any step, ends like one that was not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod tones;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use leitmotif_models::checkpoint::{BEST, LAST, PREDICTIONS};
use leitmotif_models::{HeadKind, Network, RunRecord, TimePool};
use leitmotif_train::error::TrainError;
use leitmotif_train::learn::auxiliary::AuxiliaryConfig;
use leitmotif_train::learn::batches::{Balance, Crop};
use leitmotif_train::learn::checkpoint::{Checkpoint, read_record, write_record};
use leitmotif_train::learn::config::FitConfig;
use leitmotif_train::learn::fit::{Outcome, fit};
use leitmotif_train::learn::schedule::Schedule;
use leitmotif_train::learn::start::{Changes, Start};
use leitmotif_train::learn::task::Task;
use tch::Device;
use tones::{SPLIT, config, network, pooled_network, task};

/// A checkpoint after every step.
const ALWAYS: f64 = 1e-9;
/// None within an epoch.
const NEVER: f64 = 0.0;

fn fresh(network: Network, config: FitConfig) -> Start {
    Start::Fresh { network: Box::new(network), config: Box::new(config), pretrained: None }
}

fn resume(checkpoint_minutes: f64) -> Start {
    Start::Resume(Changes { checkpoint_minutes: Some(checkpoint_minutes), ..Changes::NONE })
}

fn run(folder: &Path, task: &Task, start: Start) -> Result<Outcome, TrainError> {
    fit(folder, task, start, Device::Cpu, &AtomicBool::new(false))
}

fn last(run: &Path) -> Option<RunRecord> {
    read_record(&run.join(LAST)).ok()
}

/// Sets the flag as Ctrl-C does, as soon as there is a checkpoint of step `step` or a later one; returns its record.
fn stopped_from(step: u64, out: &Path, task: &Task, start: Start) -> RunRecord {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| fit(out, task, start, Device::Cpu, &stop));
        while !running.is_finished() && last(out).is_none_or(|record| record.step < step) {
            std::thread::sleep(Duration::from_micros(200));
        }
        stop.store(true, Ordering::SeqCst);
        let ended = running.join().unwrap();
        assert!(matches!(ended, Err(TrainError::Interrupted)), "{ended:?}");
    });
    last(out).unwrap()
}

/// Every file of a run but the lock, which is empty; the history without its times, the record without the minutes
/// between checkpoints, in which the runs differ.
fn content(run: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for name in [LAST, BEST] {
        let folder = run.join(name);
        let mut record = read_record(&folder).unwrap();
        record.config.as_object_mut().unwrap().remove("checkpoint_minutes");
        files.push((format!("{name}/run.json"), record.to_json().unwrap().into_bytes()));
        for file in
            ["weights.safetensors", "optimizer.safetensors", "probe.safetensors", PREDICTIONS]
        {
            files.push((format!("{name}/{file}"), fs::read(folder.join(file)).unwrap()));
        }
    }
    files.extend(tones::history(run));
    files
}

fn assert_same(found: &Path, expected: &Path, what: &str) {
    assert_eq!(content(found).len(), content(expected).len(), "{what}: epochs in the history");
    for ((name, found), (_, expected)) in content(found).into_iter().zip(content(expected)) {
        assert!(found == expected, "{what}: {name} differs");
    }
}

/// Trains without a stop and with several, at different steps of three epochs, and compares.
fn ends_alike_when_stopped_within_epochs(task: &Task, network: &Network, config: &FitConfig) {
    const STEPS: u64 = 20;
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let of = |checkpoint_minutes| {
        let config = FitConfig { epochs: 3, checkpoint_minutes, ..config.clone() };
        fresh(network.clone(), FitConfig { steps_per_epoch: Some(STEPS as usize), ..config })
    };
    run(&whole, task, of(NEVER)).unwrap();
    let mut start = of(ALWAYS);
    let mut within = 0;
    // The flag is seen some steps later, on a busy machine perhaps at the end of the epoch.
    for step in [1, 6, STEPS + 2, 2 * STEPS + 5] {
        let record = stopped_from(step, &parts, task, start);
        let steps = record.unfinished.map_or(0, |epoch| epoch.steps as u64);
        assert_eq!(record.step, STEPS * record.epoch as u64 + steps);
        assert!(record.step >= step && record.scores.is_none());
        // Whoever reads checkpoints reads this one.
        assert_eq!(Checkpoint::read(&parts.join(LAST)).unwrap().record, record);
        let exported = leitmotif_export::Checkpoint::open(&parts.join(LAST)).unwrap();
        assert_eq!(exported.run().epoch, record.epoch);
        assert_eq!(parts.join(BEST).exists(), record.epoch > 0);
        within += usize::from(steps > 0);
        start = resume(ALWAYS);
    }
    assert!(within >= 2, "stopped within an epoch only {within} times");
    run(&parts, task, resume(NEVER)).unwrap();
    assert_same(&parts, &whole, &network.name);
}

#[test]
fn a_run_stopped_within_epochs_ends_like_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), true);
    let config = FitConfig { schedule: Schedule::Cosine, warm_up: 0.1, ..config() };
    ends_alike_when_stopped_within_epochs(&task, &network(HeadKind::Dense), &config);
}

#[test]
fn so_does_an_lstm_with_averaged_weights_accumulated_clipped_gradients_and_augmentation() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), true);
    let network = pooled_network(TimePool::Statistics, HeadKind::Lstm);
    let mut config = FitConfig {
        crop: Crop::Random,
        balance: Balance::Artists,
        weight_average: Some(0.9),
        watch_test: true,
        accumulate: 2,
        batch: 3,
        ..config()
    };
    config.adam.clip_gradients = Some(0.5);
    config.augmentation.mixup = 0.4;
    config.augmentation.gain = 3.0;
    ends_alike_when_stopped_within_epochs(&task, &network, &config);
}

#[test]
fn so_does_a_run_with_auxiliary_music() {
    let root = tempfile::tempdir().unwrap();
    let (two, three) = (root.path().join("two"), root.path().join("three"));
    tones::dataset(&two, 2, false);
    tones::dataset(&three, 3, false);
    let task = Task::open(&two, SPLIT).unwrap().with_auxiliary(&[three]).unwrap();
    let auxiliary = AuxiliaryConfig { share: 0.4, outlier_exposure: 0.5 };
    let config = FitConfig { auxiliary, weight_average: Some(0.8), ..config() };
    ends_alike_when_stopped_within_epochs(&task, &network(HeadKind::Dense), &config);
}

#[test]
fn a_flag_that_is_set_before_the_first_step_takes_none() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), false);
    let out = folder.path().join("run");
    let stop = AtomicBool::new(true);
    let start = fresh(network(HeadKind::Dense), config());
    assert!(matches!(fit(&out, &task, start, Device::Cpu, &stop), Err(TrainError::Interrupted)));
    assert!(!out.join(LAST).exists());
    let stopped = stopped_from(1, &out, &task, fresh(network(HeadKind::Dense), always(config())));
    assert!(matches!(
        fit(&out, &task, resume(ALWAYS), Device::Cpu, &stop),
        Err(TrainError::Interrupted)
    ));
    assert_eq!(last(&out).unwrap(), stopped);
}

fn always(config: FitConfig) -> FitConfig {
    FitConfig { checkpoint_minutes: ALWAYS, steps_per_epoch: Some(30), ..config }
}

#[test]
fn an_epoch_that_has_begun_counts_where_epochs_are_changed() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), false);
    let out = folder.path().join("run");
    let start = fresh(network(HeadKind::Dense), always(config()));
    let stopped = stopped_from(32, &out, &task, start);
    assert!(stopped.unfinished.is_some() && stopped.epoch == 1);
    let to = |epochs| Start::Resume(Changes { epochs: Some(epochs), ..Changes::NONE });
    let refused = run(&out, &task, to(1)).unwrap_err().to_string();
    assert!(
        refused.contains("--epochs is 1, but 1 epochs are done and the next has begun"),
        "{refused}"
    );

    // More steps than the epoch has, as if the music had changed.
    let mut spoilt = stopped.clone();
    spoilt.unfinished.as_mut().unwrap().steps = 30;
    write_record(&out.join(LAST), &spoilt).unwrap();
    let refused = run(&out, &task, to(2)).unwrap_err().to_string();
    assert!(refused.contains("30 steps of an epoch are done, which has only 30"), "{refused}");
    write_record(&out.join(LAST), &stopped).unwrap();

    assert_eq!(run(&out, &task, to(2)).unwrap().epochs, 2);
    let changes = &last(&out).unwrap().config["changes"];
    let steps = stopped.unfinished.unwrap().steps;
    let s = if steps == 1 { "" } else { "s" };
    assert_eq!(changes[0], format!("epochs 4 to 2 after epoch 1 and {steps} step{s} of the next"));
    // When checkpoints are written is no change of the run.
    assert_eq!(changes.as_array().unwrap().len(), 1);
}

#[test]
fn the_last_finished_epochs_are_kept_and_older_ones_removed() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), false);
    let out = folder.path().join("run");
    let names = || {
        let entries = fs::read_dir(&out).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.contains("epoch")).collect();
        names.sort();
        names
    };
    let config = FitConfig { epochs: 3, keep_checkpoints: 2, ..config() };
    run(&out, &task, fresh(network(HeadKind::Dense), config)).unwrap();
    assert_eq!(names(), ["epoch-0002", "epoch-0003"]);
    let kept = Checkpoint::read(&out.join("epoch-0003")).unwrap();
    assert_eq!(kept.weights, Checkpoint::read(&out.join(LAST)).unwrap().weights);
    assert_eq!(Checkpoint::read(&out.join("epoch-0002")).unwrap().record.epoch, 2);

    // What a kill left while one was being removed, and a folder of the user's.
    fs::create_dir_all(out.join(".epoch-0001.going/left")).unwrap();
    fs::create_dir(out.join("epoch-1 of mine")).unwrap();
    let change = |keep| Changes { epochs: Some(4), keep_checkpoints: Some(keep), ..Changes::NONE };
    run(&out, &task, Start::Resume(change(1))).unwrap();
    assert_eq!(names(), ["epoch-0004", "epoch-1 of mine"]);
    // As if killed before an older one was removed, with no epoch left.
    fs::create_dir(out.join("epoch-0003")).unwrap();
    run(&out, &task, Start::Resume(Changes::NONE)).unwrap();
    assert_eq!(names(), ["epoch-0004", "epoch-1 of mine"]);
    // With none to keep, none is made and none removed.
    let change = Changes { epochs: Some(5), ..change(0) };
    run(&out, &task, Start::Resume(change)).unwrap();
    assert_eq!(names(), ["epoch-0004", "epoch-1 of mine"]);
}

#[test]
fn values_that_are_not_finite_are_never_saved() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), false);
    let out = folder.path().join("run");
    let config = FitConfig { epochs: 2, ..config() };
    run(&out, &task, fresh(network(HeadKind::Dense), FitConfig { epochs: 1, ..config })).unwrap();
    let mut record = last(&out).unwrap();
    // Larger than any f32, so that the first step gives infinite weights, after a loss that is finite.
    record.config["rate"] = 1e39.into();
    let before = Checkpoint::read(&out.join(LAST)).unwrap();
    for (steps, minutes, message) in [
        (
            10,
            ALWAYS,
            "` has values that are no finite numbers in epoch 2, step 11, with the clips `",
        ),
        (1, NEVER, "` has values that are no finite numbers in epoch 2, step 11, with the clips `"),
        (10, NEVER, "the loss became NaN in epoch 2, step 12, with the clips `"),
    ] {
        record.config["steps_per_epoch"] = steps.into();
        write_record(&out.join(LAST), &record).unwrap();
        let changes =
            Changes { epochs: Some(2), checkpoint_minutes: Some(minutes), ..Changes::NONE };
        let error = run(&out, &task, Start::Resume(changes)).unwrap_err();
        assert!(matches!(&error, TrainError::Diverged { epoch: 2, .. }), "{error}");
        assert!(error.to_string().contains(message), "{error}");
        // Clips have names of this form; four of six are named.
        assert!(
            error.to_string().contains("#") && error.to_string().contains("and 2 more"),
            "{error}"
        );
        let after = Checkpoint::read(&out.join(LAST)).unwrap();
        assert_eq!((&after.weights, &after.optimizer), (&before.weights, &before.optimizer));
        assert_eq!(after.record.step, 10);
    }
}
