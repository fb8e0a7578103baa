//! A run's folder after a kill, with a second process, with another split and with other settings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod tones;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use leitmotif_dataset::store::{Part, write_split};
use leitmotif_models::checkpoint::{BEST, LAST, PREDICTIONS};
use leitmotif_models::{HeadKind, Network};
use leitmotif_train::error::{CheckpointError, RunFolderError, SettingError, TrainError};
use leitmotif_train::learn::checkpoint::{Checkpoint, read_record, write_record};
use leitmotif_train::learn::config::FitConfig;
use leitmotif_train::learn::fit::{Outcome, fit};
use leitmotif_train::learn::schedule::Schedule;
use leitmotif_train::learn::start::{Changes, PretrainedBlocks, Start};
use leitmotif_train::learn::task::Task;
use tch::Device;
use tones::{SPLIT, config, network, task};

const UNCHANGED: Start = Start::Resume(Changes::NONE);

fn fresh(config: FitConfig) -> Start {
    start(network(HeadKind::Dense), config, None)
}

fn start(network: Network, config: FitConfig, pretrained: Option<PretrainedBlocks>) -> Start {
    Start::Fresh { network: Box::new(network), config: Box::new(config), pretrained }
}

fn run(folder: &Path, task: &Task, start: Start) -> Result<Outcome, TrainError> {
    fit(folder, task, start, Device::Cpu, &AtomicBool::new(false))
}

/// Sets the flag as Ctrl-C does, as soon as the checkpoint of epoch `epoch` is there; returns the epoch it holds then.
fn stopped_after(epoch: usize, out: &Path, task: &Task, start: Start) -> usize {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| fit(out, task, start, Device::Cpu, &stop));
        while !running.is_finished() && read_record(&out.join(LAST)).map_or(0, |r| r.epoch) < epoch
        {
            std::thread::sleep(Duration::from_micros(200));
        }
        stop.store(true, Ordering::SeqCst);
        assert!(matches!(running.join().unwrap(), Err(TrainError::Interrupted)));
    });
    read_record(&out.join(LAST)).unwrap().epoch
}

/// Every file of a run but the lock, which is empty; the history without its times.
fn content(run: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for name in [LAST, BEST] {
        for file in [
            "weights.safetensors",
            "optimizer.safetensors",
            "probe.safetensors",
            "run.json",
            PREDICTIONS,
        ] {
            files.push((format!("{name}/{file}"), fs::read(run.join(name).join(file)).unwrap()));
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

#[test]
fn a_run_killed_at_any_point_of_saving_an_epoch_ends_like_an_uninterrupted_one() {
    for validation in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let task = task(&at("data"), validation);
        // Enough epochs for both signals to come before the end.
        let config = FitConfig { epochs: 14, schedule: Schedule::Cosine, ..config() };
        run(&at("whole"), &task, fresh(config.clone())).unwrap();
        let first = stopped_after(2, &at("before"), &task, fresh(config.clone()));
        tones::copy(&at("before"), &at("after"));
        assert!(stopped_after(first + 1, &at("after"), &task, UNCHANGED) > first);

        // Saving goes from `before` to `after`: best checkpoint, history, last checkpoint; each folder in two renames.
        type Kill = (&'static str, &'static [(&'static str, &'static str)]);
        let kills: [Kill; 6] = [
            ("while the best is written", &[("best", ".best.new")]),
            ("between the best's renames", &[("best", ".best.new"), ("-best", ".best.old")]),
            ("before the history", &[("best", "best")]),
            ("before the last", &[("best", "best"), ("history.csv", "history.csv")]),
            (
                "between the last's renames",
                &[
                    ("best", "best"),
                    ("history.csv", "history.csv"),
                    ("last", ".last.new"),
                    ("-last", ".last.old"),
                ],
            ),
            (
                "before the old one is removed",
                &[
                    ("best", "best"),
                    ("history.csv", "history.csv"),
                    ("last", "last"),
                    ("+last", ".last.old"),
                ],
            ),
        ];
        for (what, steps) in kills {
            let killed = at(what);
            tones::copy(&at("before"), &killed);
            for (from, to) in steps {
                if let Some(own) = from.strip_prefix('-') {
                    fs::rename(killed.join(own), killed.join(to)).unwrap();
                } else if let Some(old) = from.strip_prefix('+') {
                    tones::copy(&at("before").join(old), &killed.join(to));
                } else {
                    let _ = fs::remove_dir_all(killed.join(to));
                    tones::copy(&at("after").join(from), &killed.join(to));
                }
            }
            run(&killed, &task, UNCHANGED).unwrap();
            assert_same(&killed, &at("whole"), what);
        }

        // In the first epoch there is no last checkpoint yet: the run starts again.
        let killed = at("first");
        fs::create_dir_all(&killed).unwrap();
        tones::copy(&at("after/best"), &killed.join(BEST));
        tones::copy(&at("after/history.csv"), &killed.join("history.csv"));
        run(&killed, &task, fresh(config)).unwrap();
        assert_same(&killed, &at("whole"), "in the first epoch");
    }
}

#[test]
fn an_epoch_is_written_with_its_last_checkpoint_last() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), false);
    let out = folder.path().join("run");
    // What cannot be written stops the run in the middle.
    fs::create_dir_all(out.join("history.csv/in the way")).unwrap();
    let error = run(&out, &task, fresh(FitConfig { epochs: 1, ..config() })).unwrap_err();
    assert!(error.to_string().contains("history.csv"), "{error}");
    assert!(out.join(BEST).exists() && !out.join(LAST).exists());
}

#[test]
fn a_checkpoint_being_replaced_is_read_under_its_other_name_and_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), false);
    let out = folder.path().join("run");
    run(&out, &task, fresh(FitConfig { epochs: 1, ..config() })).unwrap();
    let whole = Checkpoint::read(&out.join(LAST)).unwrap();
    fs::rename(out.join(LAST), out.join(".last.old")).unwrap();
    assert_eq!(Checkpoint::read(&out.join(LAST)).unwrap(), whole);
    assert!(out.join(".last.old").exists(), "a reader moved what a run may be moving");
    let again = run(&out, &task, fresh(config())).unwrap_err();
    assert!(matches!(again, TrainError::Run(RunFolderError::Exists { .. })), "{again}");
    run(&out, &task, UNCHANGED).unwrap();
    assert!(out.join(LAST).exists() && !out.join(".last.old").exists());
    assert_eq!(Checkpoint::read(&out.join(LAST)).unwrap(), whole);
    let error = read_record(&out).unwrap_err().to_string();
    assert!(error.contains("run/last or ") && error.ends_with("run/best"), "{error}");
}

#[test]
fn two_processes_do_not_train_in_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), false);
    let out = folder.path().join("run");
    run(&out, &task, fresh(FitConfig { epochs: 1, ..config() })).unwrap();
    let lock = fs::File::create(out.join("lock")).unwrap();
    lock.lock().unwrap();
    for start in [UNCHANGED, fresh(config())] {
        let refused = run(&out, &task, start).unwrap_err();
        assert!(matches!(refused, TrainError::Run(RunFolderError::InUse { .. })), "{refused}");
    }
    lock.unlock().unwrap();
    run(&out, &task, UNCHANGED).unwrap();
}

#[test]
fn a_signal_during_validation_keeps_the_epoch_that_was_trained() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // Validation takes nearly all of the time, so that the signal comes during it, in one of three attempts at least.
    // Neighbours of different lengths go through the network one by one, and between them the flag would be read.
    tones::dataset_of(&data, 3, true, 150);
    let mut task = Task::open(&data, SPLIT).unwrap();
    task.validation.iter_mut().step_by(2).for_each(|example| example.samples = 3 * 243);
    let kept = (0..3).any(|attempt| {
        let out = folder.path().join(format!("run {attempt}"));
        let config = FitConfig { epochs: 1000, steps_per_epoch: Some(1), batch: 1, ..config() };
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let running = scope.spawn(|| fit(&out, &task, fresh(config), Device::Cpu, &stop));
            let epoch = || read_record(&out.join(LAST)).map_or(0, |r| r.epoch);
            while !running.is_finished() && epoch() < 1 {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(30));
            let seen = epoch();
            stop.store(true, Ordering::SeqCst);
            assert!(matches!(running.join().unwrap(), Err(TrainError::Interrupted)));
            epoch() == seen + 1
        })
    });
    assert!(kept, "the epoch in progress was lost");
}

#[test]
fn an_lstm_keeps_the_window_that_it_was_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), false);
    for (head, window) in [(HeadKind::Lstm, 2), (HeadKind::Dense, 4)] {
        let out = folder.path().join(head.to_string());
        let config = FitConfig { epochs: 1, segments: Some(2), ..config() };
        run(&out, &task, start(network(head), config, None)).unwrap();
        let Checkpoint { record, probe, .. } = Checkpoint::read(&out.join(LAST)).unwrap();
        assert_eq!(record.network.window, window, "{head}");
        assert_eq!(probe["waveform"].shape[1], window * 243);
        assert_eq!(probe["logits"].shape[1], window);
        assert_eq!(record.golden.samples, window * 243);
    }
}

/// Writes a split of the same name and shares with other test songs.
fn swap(data: &Path, task: &Task) {
    let part = |song: &str| match song.split_once('/').unwrap().1 {
        "0" | "1" => Part::Test,
        _ => Part::Train,
    };
    let clips = task.dataset.clips();
    let parts: Vec<Option<Part>> = clips.iter().map(|row| Some(part(row.song))).collect();
    write_split(data, SPLIT, clips, &parts).unwrap();
}

#[test]
fn another_split_of_the_same_name_and_shares_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let task = task(&data, false);
    let out = folder.path().join("run");
    run(&out, &task, fresh(FitConfig { epochs: 1, ..config() })).unwrap();
    swap(&data, &task);
    let other = Task::open(&data, SPLIT).unwrap();
    assert_eq!(other.split_note().test_share, task.split_note().test_share);

    let refused = run(&out, &other, UNCHANGED).unwrap_err().to_string();
    assert!(refused.contains("cannot resume: another split"), "{refused}");
    let from = |other_split| {
        let pretrained = PretrainedBlocks { checkpoint: out.join(LAST), other_split };
        start(network(HeadKind::Lstm), FitConfig { epochs: 1, ..config() }, Some(pretrained))
    };
    let (lstm, allowed) = (folder.path().join("lstm"), folder.path().join("allowed"));
    let refused = run(&lstm, &other, from(false)).unwrap_err();
    assert!(
        matches!(&refused, TrainError::Checkpoint(CheckpointError::OtherSplit { .. })),
        "{refused}"
    );
    assert!(refused.to_string().contains("--other-split"), "{refused}");
    assert!(!lstm.exists(), "a run that was refused leaves a folder");
    run(&allowed, &other, from(true)).unwrap();
    let from = read_record(&allowed.join(LAST)).unwrap().config["started_from"].clone();
    assert!(
        from.as_str().unwrap().contains(task.split_note().digest.as_deref().unwrap()),
        "{from}"
    );

    // A record without a digest is compared by its other fields.
    let old = leitmotif_models::SplitNote { digest: None, ..task.split_note() };
    assert_eq!(other.difference_to(&old), None);
    let old = leitmotif_models::SplitNote { test_share: 0.5, ..old };
    assert!(other.difference_to(&old).is_some());
}

#[test]
fn a_data_set_whose_audio_changed_is_refused_and_its_damage_found() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("run"));
    let task = task(&data, false);
    run(&out, &task, fresh(FitConfig { epochs: 1, ..config() })).unwrap();
    let check = || {
        let program = env!("CARGO_BIN_EXE_leitmotif-train");
        let arguments = ["dataset", "check", data.to_str().unwrap()];
        let output = std::process::Command::new(program).args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), text)
    };
    let (code, text) = check();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.ends_with("36 of 36 clips have the samples that were stored\n"), "{text}");

    // A sample of the second clip.
    let shard = data.join("shards/00000.pcm");
    let mut bytes = std::fs::read(&shard).unwrap();
    bytes[2 * (tones::CLIP + 7)] ^= 1;
    std::fs::write(&shard, bytes).unwrap();
    let (code, text) = check();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("damaged: 0/0#1\n35 of 36 clips"), "{text}");

    // Prepared anew, with other music under the same names.
    let clips = data.join("clips.csv");
    let text = std::fs::read_to_string(&clips).unwrap();
    let (row, rest) = text.split_once('\n').and_then(|(_, rest)| rest.split_once('\n')).unwrap();
    let (unchanged, _) = row.rsplit_once(',').unwrap();
    let header = text.lines().next().unwrap();
    std::fs::write(&clips, format!("{header}\n{unchanged},0123abcd\n{rest}")).unwrap();
    let other = Task::open(&data, SPLIT).unwrap();
    let refused = run(&out, &other, UNCHANGED).unwrap_err().to_string();
    assert!(refused.contains("the same clips with other audio"), "{refused}");

    // Without a digest nothing is known of them.
    std::fs::write(&clips, format!("{header}\n{unchanged},\n{rest}")).unwrap();
    let old = Task::open(&data, SPLIT).unwrap();
    run(&out, &old, UNCHANGED).unwrap();
    std::fs::write(&clips, format!("{header}\n{unchanged},0123abc\n{rest}")).unwrap();
    let refused = Task::open(&data, SPLIT).unwrap_err().to_string();
    assert!(refused.contains("clips.csv, line 2") && refused.contains("0123abc"), "{refused}");
}

#[test]
fn convolutions_of_another_stride_or_pool_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), false);
    let out = folder.path().join("run");
    run(&out, &task, fresh(FitConfig { epochs: 1, ..config() })).unwrap();
    // Tensors of the same shapes: the second block strides where it pooled.
    let toml = tones::TOML.replacen(
        "{ filters = 8, pool = 3 }",
        "{ filters = 8, stride = 3, padding = 0 }",
        1,
    );
    let other = Network::from_toml(&toml).unwrap();
    let pretrained = PretrainedBlocks { checkpoint: out.join(LAST), other_split: false };
    let start = start(other, config(), Some(pretrained));
    let refused = run(&folder.path().join("other"), &task, start).unwrap_err();
    assert!(refused.to_string().contains("block 2 is"), "{refused}");
    assert!(matches!(refused, TrainError::Checkpoint(CheckpointError::OtherConvolutions { .. })));
}

#[test]
fn changed_epochs_threads_and_device_are_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), false);
    let out = folder.path().join("run");
    run(&out, &task, fresh(FitConfig { epochs: 2, ..config() })).unwrap();
    let change = |epochs, threads| Start::Resume(Changes { epochs, threads, ..Changes::NONE });
    let outcome = run(&out, &task, change(Some(4), Some(2))).unwrap();
    assert_eq!(outcome.epochs, 4);
    let config = read_record(&out.join(LAST)).unwrap().config;
    assert_eq!((&config["epochs"], &config["threads"]), (&4.into(), &2.into()));
    let changes = ["epochs 2 to 4 after epoch 2", "threads 1 to 2 after epoch 2"];
    assert_eq!(config["changes"], serde_json::json!(changes));
    // As if it had run on a GPU so far.
    let mut record = read_record(&out.join(LAST)).unwrap();
    record.config["device"] = "cuda".into();
    write_record(&out.join(LAST), &record).unwrap();
    run(&out, &task, UNCHANGED).unwrap();
    let config = read_record(&out.join(LAST)).unwrap().config;
    assert_eq!(config["device"], "cpu");
    assert_eq!(config["changes"][2], "device cuda to cpu after epoch 4");
    // What stays is no change.
    run(&out, &task, change(Some(4), Some(2))).unwrap();
    assert_eq!(read_record(&out.join(LAST)).unwrap().config, config);
    let refused = run(&out, &task, change(Some(3), None)).unwrap_err().to_string();
    assert!(refused.contains("--epochs is 3, but 4 epochs are done"), "{refused}");
    let refused = run(&out, &task, change(None, Some(0))).unwrap_err().to_string();
    assert!(refused.contains("--threads is 0"), "{refused}");

    // Killed while an epoch was being saved: repeating it with changes would leave a best checkpoint of no epoch.
    let mut best = Checkpoint::read(&out.join(BEST)).unwrap();
    best.record.epoch = 5;
    best.write(&out.join(BEST)).unwrap();
    let refused = run(&out, &task, change(Some(6), None)).unwrap_err().to_string();
    assert!(refused.contains("resume it once without changes"), "{refused}");
}

#[test]
fn an_extended_run_equals_one_with_all_epochs_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), false);
    let (whole, extended) = (folder.path().join("whole"), folder.path().join("extended"));
    run(&whole, &task, fresh(FitConfig { epochs: 4, ..config() })).unwrap();
    run(&extended, &task, fresh(FitConfig { epochs: 2, ..config() })).unwrap();
    let more = Start::Resume(Changes { epochs: Some(4), ..Changes::NONE });
    run(&extended, &task, more).unwrap();
    let weights = |run: &Path| fs::read(run.join(LAST).join("weights.safetensors")).unwrap();
    assert!(weights(&whole) == weights(&extended));
}

#[test]
fn patience_without_validation_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), false);
    let config = FitConfig { patience: Some(2), ..config() };
    let refused = run(&folder.path().join("run"), &task, fresh(config)).unwrap_err();
    assert!(
        matches!(&refused, TrainError::Setting(SettingError::NoValidation { .. })),
        "{refused}"
    );
}

#[test]
fn a_history_that_lacks_epochs_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(&folder.path().join("data"), false);
    let out = folder.path().join("run");
    run(&out, &task, fresh(FitConfig { epochs: 2, ..config() })).unwrap();
    let history = fs::read_to_string(out.join("history.csv")).unwrap();
    let shorter: Vec<&str> = history.lines().take(2).collect();
    fs::write(out.join("history.csv"), shorter.join("\n")).unwrap();
    let refused = run(&out, &task, UNCHANGED).unwrap_err().to_string();
    assert!(refused.contains("history.csv ends with epoch 1, but 2 are done"), "{refused}");
}

#[test]
fn artists_without_a_training_clip_are_no_classes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let whole = task(&data, false);
    let clips = whole.dataset.clips();
    // Artist 0 has test clips only.
    let part = |song: &str| match song.split_once('/').unwrap() {
        ("0", "0") | (_, "5") => Some(Part::Test),
        ("0", _) => None,
        _ => Some(Part::Train),
    };
    let parts: Vec<Option<Part>> = clips.iter().map(|row| part(row.song)).collect();
    write_split(&data, "album-seed1", clips, &parts).unwrap();
    let album = Task::open(&data, "album-seed1").unwrap();
    assert_eq!(album.classes, whole.classes[1..]);
    let left_out = |part| {
        let (clips, artists) = album.left_out(part);
        (clips, artists.into_iter().collect::<Vec<_>>())
    };
    assert_eq!(left_out(None), (4, vec![&whole.classes[0]]));
    assert_eq!(left_out(Some("test")), left_out(None));
    assert_eq!(left_out(Some("train")), (0, Vec::new()));
    assert!(album.test.len() == 4 && album.test.iter().all(|e| e.class < 2));
    let out = folder.path().join("run");
    run(&out, &album, fresh(FitConfig { epochs: 1, ..config() })).unwrap();
    let record = read_record(&out.join(LAST)).unwrap();
    assert_eq!((record.classes, record.scores.unwrap().clips), (album.classes, 4));
}
