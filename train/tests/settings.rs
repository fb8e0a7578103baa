//! The files of settings, and `fit --dry-run`, as a user has them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod tones;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn fit(options: &str, folder: &Path) -> (Option<i32>, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_leitmotif-train"));
    let common = "fit data --split song-seed1 --device cpu --threads 1";
    program.args(common.split(' ')).args(options.split(' ')).current_dir(folder);
    let Output { status, stdout, stderr } = program.output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (status.code(), text(&stdout), text(&stderr))
}

fn music(folder: &Path) {
    tones::dataset(&folder.join("data"), 3, false);
    fs::write(folder.join("tiny.toml"), tones::TOML).unwrap();
}

#[test]
fn a_runs_settings_make_the_same_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    music(folder);
    let own = "--network tiny.toml --head lstm --segments 3 --epochs 1 --steps 3 --rate 2e-3 --gain 3 --polarity \
               --norm-momentum 0.9 --weight-average 0.9 --seed 7 --crop random --balance artists";
    let (code, _, stderr) = fit(&format!("{own} --out run"), folder);
    assert_eq!(code, Some(0), "{stderr}");
    // The settings hold wherever the run lies, without the file of its network.
    fs::rename(folder.join("run"), folder.join("kept")).unwrap();
    fs::remove_file(folder.join("tiny.toml")).unwrap();
    let (code, _, stderr) = fit("--config kept/config.toml --out again", folder);
    assert_eq!(code, Some(0), "{stderr}");
    let file = |run: &str, name: &str| fs::read(folder.join(run).join("last").join(name)).unwrap();
    for name in ["weights.safetensors", "optimizer.safetensors", "run.json"] {
        assert!(file("kept", name) == file("again", name), "{name}");
    }
    let (code, _, stderr) = fit("--config kept/config.toml --seed 8 --out other", folder);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(file("kept", "weights.safetensors") != file("other", "weights.safetensors"));
}

#[test]
fn wrong_settings_are_named_with_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    music(folder);
    for (text, message) in [
        ("bacth = 3", "did you mean `batch`?"),
        ("rate = 1\nrate = 2", "duplicate key"),
        ("rate = [1]", "`rate` is array"),
        ("out = \"elsewhere\"", "give --out on the command line"),
        ("rate = \"fast\"", "invalid value 'fast' for '--rate <RATE>'"),
        ("rate = nan", "--rate is NaN"),
        ("network = 5", "`network` is integer"),
        ("[fit]\nrate = 1", "without [fit]"),
        ("zzz = 1", "`fit --help` lists them"),
    ] {
        fs::write(folder.join("mine.toml"), text).unwrap();
        let (code, _, stderr) = fit("--config mine.toml --out run", folder);
        assert_eq!(code, Some(1), "{text}: {stderr}");
        assert!(stderr.contains("mine.toml") && stderr.contains(message), "{text}: {stderr}");
    }
    assert!(!folder.join("run").exists());
}

#[test]
fn a_dry_run_says_what_the_run_costs_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    music(folder);
    let before = fs::read_dir(folder).unwrap().count();
    // Three steps, with one before them, are all that there are.
    let (code, stdout, stderr) =
        fit("--network tiny.toml --epochs 2 --steps 2 --out run --dry-run", folder);
    assert_eq!(code, Some(0), "{stderr}");
    for part in [
        "a step",
        "median of 1",
        "2 epochs: ",
        "all can be read",
        "for each of 3 checkpoints",
        "--norm-momentum 0.22",
    ] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), before);

    fs::create_dir_all(folder.join("run/last")).unwrap();
    fs::write(folder.join("run/last/run.json"), "{}").unwrap();
    let (code, _, stderr) = fit("--network tiny.toml --out run --dry-run", folder);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("already holds a run"), "{stderr}");

    let shard = fs::read_dir(folder.join("data/shards")).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[..bytes.len() - 1000]).unwrap();
    let (code, _, stderr) = fit("--network tiny.toml --out cut --dry-run", folder);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("shards"), "{stderr}");
    let left = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().contains("cut")));
}
