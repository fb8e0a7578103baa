//! The command `leitmotif-train` from outside: exit codes, messages, Ctrl-C.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]
#![cfg(unix)]

mod tones;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use leitmotif_train::checkpoint::{Checkpoint, read_record};

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
    let mut child =
        program(&long, folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while read_record(&folder.join("run/last")).map_or(0, |r| r.epoch) < 2 {
        assert!(began.elapsed() < Duration::from_secs(120), "no checkpoint");
        std::thread::sleep(Duration::from_millis(20));
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let kept = Checkpoint::read(&folder.join("run/last")).unwrap();
    assert!(kept.record.epoch >= 2 && kept.record.epoch < 100_000);

    // The same run with few enough epochs to end: resuming keeps to the run's own settings, so shorten those.
    let mut record = kept.record.clone();
    record.config["epochs"] = (record.epoch + 1).into();
    leitmotif_train::checkpoint::write_record(&folder.join("run/last"), &record).unwrap();
    let resume = ["fit", "data", "--split", "song-seed1", "--resume", "run", "--device", "cpu"];
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

    let (code, stdout, stderr) = ends(&["inspect", "run/best"], folder);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("243") && stdout.contains("16 units"), "{stdout}");
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
