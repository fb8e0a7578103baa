//! Training on a data set of tones: that the loss falls, that runs resume exactly, that errors stop them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod tones;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use leitmotif_models::checkpoint::{BEST, LAST, PREDICTIONS};
use leitmotif_models::{HeadKind, Network, Predictions, RunRecord, Scores, TimePool};
use leitmotif_train::error::{DataError, TrainError};
use leitmotif_train::learn::batches::{Balance, Crop};
use leitmotif_train::learn::checkpoint::{Checkpoint, read_record};
use leitmotif_train::learn::config::FitConfig;
use leitmotif_train::learn::evaluate::evaluate;
use leitmotif_train::learn::fit::{Outcome, fit};
use leitmotif_train::learn::history::{EpochRow, History};
use leitmotif_train::learn::probe;
use leitmotif_train::learn::schedule::Schedule;
use leitmotif_train::learn::start::{Changes, PretrainedBlocks, Start, begin};
use leitmotif_train::learn::task::Task;
use leitmotif_train::model::device;
use leitmotif_train::model::init::FirstFilters;
use leitmotif_train::model::network::Model;
use leitmotif_train::model::tensors::{self, Values};
use tch::{Device, Tensor};
use tones::{SPLIT, config, image_network, network, pooled_network, task};

static GO_ON: AtomicBool = AtomicBool::new(false);

fn fresh(head: HeadKind, config: FitConfig) -> Start {
    fresh_of(network(head), config)
}

fn fresh_of(network: Network, config: FitConfig) -> Start {
    Start::Fresh { network: Box::new(network), config: Box::new(config), pretrained: None }
}

fn run(folder: &Path, task: &Task, start: Start) -> Result<Outcome, TrainError> {
    fit(folder, task, start, Device::Cpu, &GO_ON)
}

/// An error with its causes, as the command prints it.
fn printed(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

fn scores(outcome: Outcome) -> Scores {
    outcome.last.unwrap()
}

#[test]
fn both_heads_recognise_the_tones_and_a_checkpoint_describes_itself() {
    for head in [HeadKind::Dense, HeadKind::Lstm] {
        let folder = tempfile::tempdir().unwrap();
        let task = task(&folder.path().join("data"), true);
        let out = folder.path().join("run");
        let outcome = run(&out, &task, fresh(head, FitConfig { epochs: 8, ..config() })).unwrap();
        let scores = scores(outcome);
        assert!(scores.clip_accuracy.value > 0.9, "{head}: {:?}", scores.clip_accuracy);
        assert_eq!(scores.clips, 12);

        let history = History::read(&out, 8).unwrap();
        let losses: Vec<f64> = history.rows().iter().map(|row| row.loss).collect();
        assert_eq!(losses.len(), 8);
        assert!(losses[7] < losses[0] / 2.0, "{losses:?}");
        let validation: Vec<f64> =
            history.rows().iter().map(|row| row.validation_loss.unwrap()).collect();
        assert!(validation[7] < validation[0] / 2.0, "{validation:?}");
        assert!(history.rows().iter().all(|row| row.gradient_norm.unwrap() > 0.0));

        for folder in [LAST, BEST] {
            let folder = out.join(folder);
            let read = Checkpoint::read(&folder).unwrap();
            assert_eq!(read.record.classes.len(), 3);
            assert_eq!((read.record.split.protocol.as_str(), read.record.split.seed), ("song", 1));
            assert!(read.record.scores.is_some());
            let text = std::fs::read_to_string(folder.join(PREDICTIONS)).unwrap();
            let predictions = Predictions::from_lines(&text).unwrap();
            assert_eq!(Scores::of(&predictions), read.record.scores);
            probe_holds_the_outputs_of_the_weights(&read, task.dataset.clips().len());
        }
    }
}

fn probe_holds_the_outputs_of_the_weights(checkpoint: &Checkpoint, most_rows: usize) {
    let RunRecord { network, classes, golden, .. } = &checkpoint.record;
    let waveform = &checkpoint.probe["waveform"];
    let rows = waveform.shape[0];
    assert_eq!(waveform.shape, [rows, network.clip_samples()]);
    assert!(rows == 4 && rows <= most_rows, "golden and a clip of each artist, not {rows}");
    assert_eq!(waveform.data[..golden.samples], golden.samples());
    let model =
        Model::from_values(network.clone(), classes.len(), &checkpoint.weights, Device::Cpu)
            .unwrap();
    let input = Tensor::from_slice(&waveform.data).reshape([rows as i64, -1]);
    let output = tch::no_grad(|| model.forward(&input, None)).unwrap();
    for (name, tensor, last) in [
        ("logits", &output.logits, classes.len()),
        ("embedding", &output.embedding, network.head.units),
    ] {
        let Values { shape, data } = &checkpoint.probe[name];
        assert_eq!(*shape, [rows, network.window, last]);
        let given = Vec::<f32>::try_from(tensor.reshape([-1])).unwrap();
        let most = given.iter().zip(data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(most < 1e-5, "{name}: {most}");
    }
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one_bit_for_bit() {
    let of = [HeadKind::Dense, HeadKind::Lstm].map(network);
    // With dropout.
    let pooled = [
        pooled_network(TimePool::Attention, HeadKind::Dense),
        pooled_network(TimePool::Statistics, HeadKind::Lstm),
    ];
    for network in of.into_iter().chain(pooled) {
        let head = network.head.kind;
        let folder = tempfile::tempdir().unwrap();
        let task = task(&folder.path().join("data"), true);
        let mut config = FitConfig {
            // Enough for the signal to come before the end.
            epochs: 12,
            crop: Crop::Random,
            balance: Balance::Artists,
            schedule: Schedule::Cosine,
            warm_up: 0.1,
            label_smoothing: 0.05,
            weight_average: (head == HeadKind::Lstm).then_some(0.9),
            ..config()
        };
        config.augmentation.mixup = 0.4;
        config.augmentation.mixup_share = 0.5;
        config.augmentation.gain = 3.0;
        config.augmentation.speed = 1.0;
        config.augmentation.colour = 0.3;
        config.adam.weight_decay = 0.01;
        let whole = folder.path().join("whole");
        run(&whole, &task, fresh_of(network.clone(), config.clone())).unwrap();

        let halves = folder.path().join("halves");
        stopped_after_two_epochs(&halves, &task, fresh_of(network, config));
        assert!((2..12).contains(&read_record(&halves.join(LAST)).unwrap().epoch));
        run(&halves, &task, Start::Resume(Changes::default())).unwrap();

        for file in [
            "weights.safetensors",
            "optimizer.safetensors",
            "probe.safetensors",
            "run.json",
            PREDICTIONS,
        ] {
            let read = |run: &Path| std::fs::read(run.join(LAST).join(file)).unwrap();
            assert!(read(&whole) == read(&halves), "{head}: {file} differs");
        }
        let without_times = |run: &Path| -> Vec<EpochRow> {
            let history = History::read(run, usize::MAX).unwrap();
            let rows = history.rows().iter().cloned();
            rows.map(|row| EpochRow { seconds: 0.0, clips_per_second: 0.0, ..row }).collect()
        };
        assert_eq!(without_times(&whole), without_times(&halves));
        assert_eq!(without_times(&whole).len(), 12);
    }
}

/// Sets the flag as Ctrl-C does, as soon as the second epoch's checkpoint is there.
fn stopped_after_two_epochs(out: &Path, task: &Task, start: Start) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| fit(out, task, start, Device::Cpu, &stop));
        while !running.is_finished() && read_record(&out.join(LAST)).map_or(0, |r| r.epoch) < 2 {
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
        stop.store(true, Ordering::SeqCst);
        assert!(matches!(running.join().unwrap(), Err(TrainError::Interrupted)));
    });
}

#[test]
fn two_clips_are_overfitted() {
    let folder = tempfile::tempdir().unwrap();
    let mut task = task(&folder.path().join("data"), false);
    task.train.retain(|e| e.clip == 0 || e.clip == 12);
    assert_eq!(task.train.len(), 2);
    let config = FitConfig { epochs: 6, batch: 2, ..config() };
    let out = folder.path().join("run");
    run(&out, &task, fresh(HeadKind::Dense, config)).unwrap();
    let history = std::fs::read_to_string(out.join("history.csv")).unwrap();
    let last: Vec<&str> = history.lines().last().unwrap().split(',').collect();
    assert!(last[3].parse::<f64>().unwrap() < 0.05 && last[4] == "1.0", "{last:?}");
}

#[test]
fn an_lstm_is_trained_on_the_frozen_convolutions_of_a_dense_network() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), false);
    let (dense, lstm) = (folder.path().join("dense"), folder.path().join("lstm"));
    run(&dense, &task, fresh(HeadKind::Dense, FitConfig { epochs: 6, ..config() })).unwrap();
    let start = Start::Fresh {
        network: Box::new(network(HeadKind::Lstm)),
        config: Box::new(FitConfig { freeze_convolutions: true, ..config() }),
        pretrained: Some(PretrainedBlocks { checkpoint: dense.join(LAST), other_split: false }),
    };
    let outcome = run(&lstm, &task, start).unwrap();
    assert!(scores(outcome).clip_accuracy.value > 0.9);
    let weights = |run: &Path| Checkpoint::read(&run.join(LAST)).unwrap();
    let (from, to) = (weights(&dense), weights(&lstm));
    for (name, values) in from.weights.iter().filter(|(name, _)| name.starts_with("block")) {
        assert_eq!(to.weights[name], *values, "{name} moved");
    }
    assert!(to.optimizer.keys().all(|name| !name.starts_with("block")));
    let digest = to.record.split.digest.as_deref().unwrap();
    let from = format!(
        "tiny (dense head), epoch 6, trained on tones, split song-seed1 with 33.3 % of the clips to test, digest {digest}"
    );
    assert_eq!(to.record.config["started_from"], from);
}

#[test]
fn a_crops_and_speeds_stay_within_the_clip() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), false);
    for head in [HeadKind::Dense, HeadKind::Lstm] {
        let mut config = FitConfig { crop: Crop::Random, segments: Some(2), ..config() };
        config.augmentation.speed = 12.0;
        let batches = probe::batches(&task, &network(head), &config).unwrap();
        for step in 0..30 {
            let batch = batches.batch(0, step).unwrap();
            assert_eq!(batch.shape, [6, 2, 243]);
            assert_eq!(batch, batches.batch(0, step).unwrap());
        }
        assert_ne!(batches.batch(0, 0).unwrap(), batches.batch(1, 0).unwrap());
    }
}

#[test]
fn an_epoch_has_every_clip_or_every_artist_equally_often() {
    let folder = tempfile::tempdir().unwrap();
    let mut task = task(&folder.path().join("data"), false);
    // The first artist keeps one clip only.
    task.train.retain(|e| e.class != 0 || e.clip == 0);
    let clips = task.train.len();
    let seen = |balance, steps| {
        let config = FitConfig { balance, steps_per_epoch: None, batch: 4, ..config() };
        let batches = probe::batches(&task, &network(HeadKind::Dense), &config).unwrap();
        assert_eq!(batches.steps_per_epoch(), clips.div_ceil(4));
        let mut artists = [0.0; 3];
        let mut waveforms = std::collections::BTreeSet::new();
        for step in 0..steps {
            let batch = batches.batch(0, step).unwrap();
            for (clip, target) in batch.segments.chunks(4 * 243).zip(batch.targets.chunks(3)) {
                waveforms.insert(clip.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
                artists.iter_mut().zip(target).for_each(|(sum, t)| *sum += t);
            }
        }
        (waveforms.len(), artists)
    };
    assert_eq!(seen(Balance::Clips, clips.div_ceil(4)).0, clips);
    let (_, artists) = seen(Balance::Artists, 30);
    assert!(artists.iter().all(|n| (35.0..=45.0).contains(n)), "{artists:?}");
}

#[test]
fn a_clips_prediction_is_the_mean_of_its_segments_or_the_last_output() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), false);
    for head in [HeadKind::Dense, HeadKind::Lstm] {
        let model = Model::new(network(head), 3, 1, Device::Cpu).unwrap();
        let evaluation = evaluate(&model, &task, &task.test, &GO_ON, |_| {}).unwrap();
        let clips = evaluation.predictions.clips();
        assert_eq!(clips.len(), task.test.len());
        let mut losses = Vec::new();
        for (example, prediction) in task.test.iter().zip(clips) {
            let mut clip = vec![0.0; 4 * 243];
            task.dataset.read(example.clip, 0, &mut clip).unwrap();
            let input = Tensor::from_slice(&clip).reshape([1, -1]);
            let logits = tch::no_grad(|| model.forward(&input, None)).unwrap().logits;
            let each = logits.softmax(-1, tch::Kind::Float).squeeze_dim(0);
            let (counted, expected) = match head {
                HeadKind::Dense => (0..4, each.mean_dim(0i64, false, tch::Kind::Float)),
                HeadKind::Lstm => (3..4, each.get(3)),
            };
            let expected = Vec::<f32>::try_from(expected).unwrap();
            assert_eq!(prediction.segments, 4);
            for (a, b) in prediction.probabilities.iter().zip(&expected) {
                assert!((a - b).abs() < 1e-6, "{head}: {prediction:?} {expected:?}");
            }
            losses.extend(counted.map(|s| -each.double_value(&[s, example.class as i64]).ln()));
        }
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        assert!((evaluation.loss - mean).abs() < 1e-5, "{head}: {} {mean}", evaluation.loss);
    }
}

#[test]
fn what_cannot_be_resumed_or_started_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let task = task(&data, false);
    let out = folder.path().join("run");
    let refused = printed(run(&out, &task, Start::Resume(Changes::default())).unwrap_err());
    assert!(refused.contains("start the run with --out"), "{refused}");
    assert!(!out.exists(), "nothing is created for a run that is not there");
    run(&out, &task, fresh(HeadKind::Dense, FitConfig { epochs: 1, ..config() })).unwrap();
    let again = run(&out, &task, fresh(HeadKind::Dense, config())).unwrap_err();
    assert!(again.to_string().contains("--resume"), "{again}");

    // A missing, a surplus, a misshapen and a non-finite tensor, all named at once.
    let weights = out.join(LAST).join("weights.safetensors");
    let mut spoiled = tensors::read(&weights).unwrap();
    spoiled.remove("block1.conv.weight").unwrap();
    spoiled.insert("extra".to_owned(), Values { shape: vec![1], data: vec![0.0] });
    spoiled.insert("output.bias".to_owned(), Values { shape: vec![4], data: vec![0.0; 4] });
    spoiled.get_mut("dense.weight").unwrap().data[0] = f32::NAN;
    tensors::write(&weights, &spoiled).unwrap();
    let start_from = Start::Fresh {
        network: Box::new(network(HeadKind::Dense)),
        config: Box::new(config()),
        pretrained: Some(PretrainedBlocks { checkpoint: out.join(LAST), other_split: false }),
    };
    let refused = printed(run(&out, &task, Start::Resume(Changes::default())).unwrap_err());
    for part in ["block1.conv.weight", "extra", "output.bias", "dense.weight"] {
        assert!(refused.contains(part), "{part} is not in: {refused}");
    }
    let refused = printed(run(&folder.path().join("other"), &task, start_from).unwrap_err());
    assert!(
        refused.contains("`block1.conv.weight`") && refused.contains("is missing"),
        "{refused}"
    );

    let lonely = folder.path().join("lonely");
    tones::dataset(&lonely, 1, false);
    let refused = Task::open(&lonely, SPLIT).unwrap_err().to_string();
    assert!(refused.contains("1 artist"), "{refused}");

    let mut long = network(HeadKind::Lstm);
    long.window = 5;
    let start =
        Start::Fresh { network: Box::new(long), config: Box::new(config()), pretrained: None };
    let refused = run(&folder.path().join("long"), &task, start).unwrap_err();
    assert!(matches!(refused, TrainError::Data(DataError::ClipTooShort { needed: 1215, .. })));
    let cuda = printed(device::resolve(leitmotif_models::Device::Cuda(99)).unwrap_err());
    assert!(cuda.starts_with("cannot run on cuda:99: "), "{cuda}");
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), false);
    let config = FitConfig { learning_rate: 1e38, ..config() };
    let stopped =
        run(&folder.path().join("run"), &task, fresh(HeadKind::Lstm, config)).unwrap_err();
    assert!(matches!(&stopped, TrainError::Diverged { .. }), "{stopped}");
}

#[test]
fn the_pairs_of_an_energy_block_begin_as_described_whatever_first_filters_says() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), false);
    let first = |name: &str, filters| {
        let network = pooled_network(TimePool::Mean, HeadKind::Dense);
        let start = fresh_of(network, FitConfig { first_filters: filters, ..config() });
        let state = begin(&folder.path().join(name), &task, start, Device::Cpu).unwrap();
        state.model.values().unwrap()["block1.conv.weight"].data.clone()
    };
    assert_eq!(first("described", FirstFilters::Described), first("mel", FirstFilters::Mel));
}

#[test]
fn filters_that_are_not_trained_stay_as_they_begin() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), false);
    let trained = image_network(HeadKind::Dense);
    let mut fixed = trained.clone();
    fixed.blocks[0].trainable = false;
    for (name, network, moves) in [("trained", trained, true), ("fixed", fixed, false)] {
        let settings = FitConfig { weight_average: Some(0.9), epochs: 1, ..config() };
        let start = fresh_of(network, settings);
        let first = "block1.conv.weight";
        let state = begin(&folder.path().join("begin"), &task, start.clone(), Device::Cpu).unwrap();
        let before = state.model.values().unwrap();
        let out = folder.path().join(name);
        run(&out, &task, start).unwrap();
        let after = Checkpoint::read(&out.join(LAST)).unwrap().weights;
        assert_eq!(before[first].data != after[first].data, moves, "{name}");
        assert!(before["block2.conv.weight"].data != after["block2.conv.weight"].data);
    }
}
