//! The command `leitmotif-train` as a process: exit codes, messages, Ctrl-C.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]
#![cfg(unix)]

mod tones;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use leitmotif_train::learn::checkpoint::{Checkpoint, read_record};

fn program(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leitmotif-train"));
    command.args(arguments).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ends(arguments: &[&str], folder: &Path) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = program(arguments, folder).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (status.code(), text(&stdout), text(&stderr))
}

/// What a process was last started with, on Linux.
fn environment(process: &Child) -> Vec<String> {
    let variables = std::fs::read_to_string(format!("/proc/{}/environ", process.id())).unwrap();
    variables.split('\0').map(str::to_owned).collect()
}

#[test]
fn ctrl_c_keeps_the_last_checkpoint_and_resuming_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tones::dataset(&folder.join("data"), 3, true);
    std::fs::write(folder.join("tiny.toml"), tones::TOML).unwrap();
    let fit = "fit data --split song-seed1 --network tiny.toml --device cpu --threads 1";
    let fit: Vec<&str> = fit.split(' ').collect();
    // Far more epochs than fit before the signal.
    let long = [&fit[..], &["--out", "run", "--epochs", "100000", "--steps", "5"]].concat();
    let mut child = program(&long, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env_remove("OMP_WAIT_POLICY")
        .spawn()
        .unwrap();
    let began = Instant::now();
    while read_record(&folder.join("run/last")).map_or(0, |r| r.epoch) < 2 {
        assert!(began.elapsed() < Duration::from_secs(120), "no checkpoint");
        std::thread::sleep(Duration::from_millis(20));
    }
    for set in ["OMP_WAIT_POLICY=passive", "MALLOC_MMAP_MAX_=0"] {
        assert!(environment(&child).contains(&set.to_owned()), "{set}");
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let kept = Checkpoint::read(&folder.join("run/last")).unwrap();
    assert!(kept.record.epoch >= 2 && kept.record.epoch < 100_000);

    // Resuming keeps to the run's own settings but for this: one epoch more than there are.
    let record = kept.record.clone();
    let epochs = (record.epoch + 1).to_string();
    let resume = ["fit", "data", "--split", "song-seed1", "--resume", "run", "--epochs", &epochs];
    let (code, stdout, stderr) = ends(&resume, folder);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("test part of song-seed1"), "{stdout}");
    assert_eq!(read_record(&folder.join("run/last")).unwrap().epoch, record.epoch + 1);

    let evaluate =
        ["evaluate", "run/best", "data", "--split", "song-seed1", "--json", "--device", "cpu"];
    let (code, stdout, stderr) = ends(&evaluate, folder);
    assert_eq!(code, Some(0), "{stderr}");
    let scores: leitmotif_models::Scores = serde_json::from_str(&stdout).unwrap();
    assert_eq!(Some(&scores), read_record(&folder.join("run/best")).unwrap().scores.as_ref());

    // Each of these is refused with its reason.
    for (arguments, message) in [
        ("evaluate run data --split song-seed1", "run is the folder of a run"),
        ("inspect run", "run is the folder of a run"),
        (
            "evaluate run/best data --split song-seed1 --device cpu --predictions nowhere/p.jsonl",
            "nowhere/p.jsonl: ",
        ),
        ("fit data --split song-seed1 --out run --device cpu", "already holds a run"),
    ] {
        let (code, _, stderr) = ends(&arguments.split(' ').collect::<Vec<_>>(), folder);
        assert_eq!(code, Some(1), "{arguments}: {stderr}");
        assert!(stderr.contains(message), "{arguments}: {stderr}");
    }
    another_split_is_refused_with_its_reason(folder);

    let (code, stdout, stderr) = ends(&["inspect", "run/best"], folder);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("243") && stdout.contains("16 units"), "{stdout}");
}

#[test]
fn ctrl_c_within_the_first_epoch_keeps_its_steps() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tones::dataset(&folder.join("data"), 3, true);
    std::fs::write(folder.join("tiny.toml"), tones::TOML).unwrap();
    let fit = "fit data --split song-seed1 --network tiny.toml --device cpu --threads 1 --out run --epochs 1";
    let more = "--steps 100000 --checkpoint-minutes 0.001";
    let arguments: Vec<&str> = fit.split(' ').chain(more.split(' ')).collect();
    let mut running = program(&arguments, folder).spawn().unwrap();
    let began = Instant::now();
    while read_record(&folder.join("run/last")).is_err() {
        assert!(began.elapsed() < Duration::from_secs(120), "no checkpoint");
        std::thread::sleep(Duration::from_millis(5));
    }
    let killed = Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let mut stderr = String::new();
    std::io::Read::read_to_string(&mut running.stderr.take().unwrap(), &mut stderr).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(130), "{stderr}");
    let record = read_record(&folder.join("run/last")).unwrap();
    let steps = record.unfinished.unwrap().steps;
    assert_eq!((record.epoch, record.step), (0, steps as u64));
    let held = format!("run holds epoch 0 and {steps} step");
    assert!(stderr.contains(&held) && stderr.contains("--resume run"), "{stderr}");
    let (code, stdout, stderr) = ends(&["inspect", "run/last"], folder);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.starts_with(&format!("epoch 0 and {steps} step")), "{stdout}");
}

/// Evaluates the run of `folder` on a split that it was not trained on.
fn another_split_is_refused_with_its_reason(folder: &Path) {
    let split = |more: &str| {
        let split = format!("split data --seed 1 --test 0.4 --validation 0 {more}");
        ends(&split.split_whitespace().collect::<Vec<_>>(), folder)
    };
    let file = || std::fs::read(folder.join("data/splits/song-seed1.csv")).unwrap();
    let before = file();
    let (code, _, stderr) = split("");
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("--force") && file() == before, "{stderr}");
    assert_eq!(split("--force").0, Some(0));
    let replaced = file();
    assert!(replaced != before);
    let (code, _, stderr) = split("");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("stays as it is") && file() == replaced, "{stderr}");

    let evaluate = "evaluate run/best data --split song-seed1 --device cpu --json";
    let evaluate: Vec<&str> = evaluate.split(' ').collect();
    let (code, stdout, stderr) = ends(&evaluate, folder);
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(
        stderr.contains("trained on another split") && stderr.contains("--other-split"),
        "{stderr}"
    );
    let (code, stdout, stderr) = ends(&[&evaluate[..], &["--other-split"]].concat(), folder);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("clip_accuracy"), "{stdout}");
}

#[test]
fn a_resumed_run_takes_no_settings_but_epochs_device_threads_and_those_of_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tones::dataset(&folder.join("data"), 3, false);
    let resume = "fit data --split song-seed1 --resume run";
    for setting in [
        "--rate 0.1",
        "--seed 1",
        "--batch 4",
        "--segments 2",
        "--polarity",
        "--schedule cosine",
        "--patience 3",
        "--network model3",
        "--head lstm",
        "--start-from run/last",
        "--clip-gradients 1",
        "--accumulate 2",
        "--out other",
    ] {
        let arguments = format!("{resume} {setting}");
        let (code, _, stderr) = ends(&arguments.split(' ').collect::<Vec<_>>(), folder);
        assert_eq!(code, Some(2), "{setting}: {stderr}");
        assert!(stderr.contains("cannot be used with"), "{setting}: {stderr}");
    }
    for setting in [
        "--epochs 3",
        "--device cpu",
        "--threads 1",
        "--checkpoint-minutes 2.5",
        "--keep-checkpoints 3",
    ] {
        let arguments = format!("{resume} {setting}");
        let (code, _, stderr) = ends(&arguments.split(' ').collect::<Vec<_>>(), folder);
        // There is no run yet.
        assert_eq!(code, Some(1), "{setting}: {stderr}");
        assert!(stderr.contains("run has no checkpoint to resume"), "{setting}: {stderr}");
    }
}

#[test]
fn how_threads_wait_is_left_to_whoever_chose_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tones::dataset(&folder.join("data"), 3, false);
    std::fs::write(folder.join("tiny.toml"), tones::TOML).unwrap();
    let fit = "fit data --split song-seed1 --out run --network tiny.toml --device cpu --threads 1 --epochs 100000 --steps 2";
    let mut fit = program(&fit.split(' ').collect::<Vec<_>>(), folder);
    fit.stdout(Stdio::null()).stderr(Stdio::null()).env("GOMP_SPINCOUNT", "1000");
    let mut child = fit.env_remove("OMP_WAIT_POLICY").spawn().unwrap();
    let began = Instant::now();
    while !folder.join("run/history.csv").exists() {
        assert!(began.elapsed() < Duration::from_secs(120), "no epoch");
        std::thread::sleep(Duration::from_millis(20));
    }
    let variables = environment(&child);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!variables.iter().any(|one| one.starts_with("OMP_WAIT_POLICY=")), "{variables:?}");
}

#[test]
fn closed_pipes_end_neither_training_nor_success() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tones::dataset(&folder.join("data"), 3, false);
    std::fs::write(folder.join("tiny.toml"), tones::TOML).unwrap();
    let fit = "fit data --split song-seed1 --out run --network tiny.toml --device cpu --threads 1 --epochs 2 --steps 2";
    let inspect = "inspect model1 --json";
    let split = "split data --seed 2 --validation 0";
    for arguments in [fit, inspect, split] {
        let mut child = program(&arguments.split(' ').collect::<Vec<_>>(), folder).spawn().unwrap();
        // Both pipes are closed before anything is written.
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments}");
    }
    assert_eq!(read_record(&folder.join("run/last")).unwrap().epoch, 2);
}

#[test]
fn wrong_use_is_an_error_with_its_reason_on_standard_error() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tones::dataset(&folder.join("data"), 3, false);
    for (arguments, message) in [
        ("fit data --split song-seed9 --out run --device cpu", "song-seed9"),
        ("fit nowhere --split song-seed1 --out run --device cpu", "nowhere"),
        ("fit data --split song-seed1 --out run --device cpu --network model9", "model9"),
        ("fit data --split song-seed1 --out run --device cpu --rate 0", "--rate is 0"),
        ("fit data --split song-seed1 --out run --device cuda:77", "cannot run on cuda:77"),
        ("fit data --split song-seed1 --out run --device cpu --network model1", "59049 are needed"),
        ("evaluate nowhere data --split song-seed1", "nowhere"),
        ("inspect model9", "there is no preset `model9`"),
    ] {
        let (code, stdout, stderr) = ends(&arguments.split(' ').collect::<Vec<_>>(), folder);
        assert_eq!(code, Some(1), "{arguments}: {stdout}{stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains(message), "{arguments}: {stderr}");
        assert!(stdout.is_empty());
    }
}

#[test]
fn a_preset_is_printed_as_the_paper_prints_it() {
    let folder = tempfile::tempdir().unwrap();
    let (code, stdout, _) = ends(&["inspect", "model1", "--head", "lstm"], folder.path());
    assert_eq!(code, Some(0));
    assert!(stdout.contains("2,271,390"), "{stdout}");
    let (code, stdout, _) = ends(&["inspect", "model1", "--json"], folder.path());
    assert_eq!(code, Some(0));
    assert!(serde_json::from_str::<serde_json::Value>(&stdout).unwrap().is_array());
}

#[test]
fn devices_are_printed_as_json_and_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = ends(&["devices", "--json"], folder.path());
    assert_eq!(code, Some(0), "{stderr}");
    let devices: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    // Either GPUs, or the reason why none can be used.
    assert_eq!(devices["gpus"].as_i64().unwrap() > 0, devices["obstacle"].is_null(), "{devices}");
    assert_eq!(devices["has_cudart"], !devices["cudnn"].is_null(), "{devices}");
    let (_, stdout, _) = ends(&["devices"], folder.path());
    assert!(stdout.starts_with("cpu           yes\ncuda          "), "{stdout}");
}
