//! A disk that becomes full while `prepare` writes, for each file that it writes, and while `fit` writes a checkpoint.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../dataset/tests/music/mod.rs"]
mod music;
mod tones;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use leitmotif_dataset::prepare::{Options, PrepareError, Report, plan, prepare};
use leitmotif_dataset::sources::tagged;
use leitmotif_dataset::store::Dataset;
use music::{Wave, bytes, wave, write_wave};

/// The files of a finished data set.
const FINISHED: [&str; 6] =
    ["clips.csv", "dataset.toml", "damaged.csv", "left-out.csv", "notes.csv", "shards/00000.pcm"];
/// Files that are written song by song and can be incomplete.
const GROWING: [&str; 3] = ["journal.csv", "prepare.journal", "shards/00000.pcm"];

type Files = BTreeMap<String, Vec<u8>>;

/// Two artists whose clips, rows and decisions take a few memory pages each, and songs that are left out.
fn songs(clip: usize) -> tempfile::TempDir {
    let music = tempfile::tempdir().unwrap();
    for (number, artist) in ["Ann", "Bob"].into_iter().enumerate() {
        let folder = music.path().join(artist).join("A long name of an album fills the rows");
        fs::create_dir_all(&folder).unwrap();
        for song in 0..10 {
            let wave = Wave((100 * number + song) as u32).samples(2 * clip + 7);
            write_wave(&folder.join(format!("song {song}.wav")), &wave);
            write_wave(&folder.join(format!("part of song {song}.wav")), &wave[..clip / 2]);
        }
        fs::write(folder.join("broken.wav"), &wave(&[0; 9])[..30]).unwrap();
    }
    music
}

fn run(music: &Path, out: &Path, clip: usize) -> Result<Report, PrepareError> {
    let options = Options { clip_samples: clip, min_songs: 2, ..Options::default() };
    let found = tagged::find(music, tagged::TagsPolicy::Read, &mut |_| {}, &|| false).unwrap();
    prepare(&plan(found, out, &options)?, out, &mut |_| {}, &|| false)
}

/// The files that an uninterrupted run makes.
fn uninterrupted(music: &Path, clip: usize) -> Files {
    let out = tempfile::tempdir().unwrap();
    run(music, out.path(), clip).unwrap();
    bytes(out.path())
}

/// Checks that no other file is incomplete and that the folder does not open as a data set. Returns the number of
/// recorded decisions.
fn check_unfinished(out: &Path, expected: &Files, what: &str) -> usize {
    let files = bytes(out);
    for (name, content) in &files {
        let whole = expected.get(name).is_some_and(|whole| whole == content);
        assert!(whole || GROWING.contains(&name.as_str()), "{what}: {name} is left behind");
    }
    assert!(Dataset::open(out).is_err(), "{what}");
    // The first line holds the settings.
    let lines = files.get("prepare.journal").map_or(0, |text| text.split(|c| *c == b'\n').count());
    lines.saturating_sub(2)
}

fn check_finished(out: &Path, expected: &Files, what: &str) {
    let files = bytes(out);
    for name in FINISHED {
        assert!(files[name] == expected[name], "{what}: {name} differs");
    }
    assert!(Dataset::open(out).is_ok(), "{what}");
}

/// The file of the data set in `out` that an error names, after checking its advice.
fn failed_file(error: &str, out: &Path) -> String {
    let file = error.strip_prefix(out.to_str().unwrap()).and_then(|rest| rest.strip_prefix('/'));
    let (file, advice) =
        file.unwrap_or_default().split_once(" cannot be written (").unwrap_or_default();
    assert!(advice.contains("make room") && advice.contains("run the same command"), "{error}");
    file.to_owned()
}

/// Set where this test runs in a user namespace of its own, in which it may mount file systems.
const MAY_MOUNT: &str = "LEITMOTIF_TEST_MAY_MOUNT";

#[test]
fn a_full_disk_loses_no_finished_song() {
    if std::env::var_os(MAY_MOUNT).is_some() {
        return fill_a_small_disk();
    }
    let disk = tempfile::tempdir().unwrap();
    let unshare = || {
        let mut command = Command::new("unshare");
        command.arg("-Urm");
        command
    };
    if !unshare()
        .args(["mount", "-t", "tmpfs", "none"])
        .arg(disk.path())
        .status()
        .is_ok_and(|s| s.success())
    {
        println!(
            "skipped: a_full_disk_loses_no_finished_song: `unshare -Urm` may not mount a file system here"
        );
        return;
    }
    let mut inner = unshare();
    inner.arg(std::env::current_exe().unwrap()).args(["--exact", "--nocapture"]);
    inner.arg("a_full_disk_loses_no_finished_song").env(MAY_MOUNT, "yes");
    assert!(inner.status().unwrap().success());
}

fn fill_a_small_disk() {
    const CLIP: usize = 150;
    let music = songs(CLIP);
    let expected = uninterrupted(music.path(), CLIP);
    let page = Command::new("getconf").arg("PAGESIZE").output().unwrap().stdout;
    let page: usize = String::from_utf8(page).unwrap().trim().parse().unwrap();
    let (mut all, mut most) = (BTreeSet::new(), 0);
    // With each additional page a later write fails, so that in the end each write has failed once.
    for pages in 0.. {
        let disk = tempfile::tempdir().unwrap();
        let mount = |options: String| {
            let mut command = Command::new("mount");
            command.args(["-t", "tmpfs", "-o", &options, "none"]).arg(disk.path());
            assert!(command.status().unwrap().success(), "{options}");
        };
        mount(format!("size={}", (pages + 1) * page));
        // A size of 0 means no limit, so one page is filled.
        fs::write(disk.path().join("filler"), vec![1; page]).unwrap();
        let out = disk.path().join("out");
        let failed = match run(music.path(), &out, CLIP) {
            Ok(_) => break,
            Err(error) => error,
        };
        let what = format!("room of {pages} pages: {failed}");
        let cause = std::error::Error::source(&failed).unwrap().to_string();
        assert!(cause.contains("No space left on device"), "{what}: {cause}");
        all.insert(failed_file(&failed.to_string(), &out));
        let decided = check_unfinished(&out, &expected, &what);
        assert!(decided >= most, "{what}: more room, less done");
        most = decided;

        mount("remount,size=16m".to_owned());
        assert_eq!(run(music.path(), &out, CLIP).unwrap().resumed, decided, "{what}");
        check_finished(&out, &expected, &what);
    }
    let names: BTreeSet<String> = FINISHED.into_iter().chain(GROWING).map(str::to_owned).collect();
    assert_eq!(all, names);
}

/// The program with a limit on the size of files, in blocks.
fn program(blocks: &str) -> Command {
    // With SIGXFSZ ignored, exceeding the limit is a write error, as on a full disk.
    let script = r#"trap "" XFSZ; ulimit -f "$0"; exec "$@""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, blocks, env!("CARGO_BIN_EXE_leitmotif-train")]);
    command
}

/// Runs `prepare` with such a limit; returns its exit code and error messages.
fn limited(blocks: &str, music: &Path, out: &Path, clip: usize) -> (Option<i32>, String) {
    let mut command = program(blocks);
    command.args(["prepare", "folder"]);
    command.arg(music).arg("--out").arg(out).args(["--min-songs=2", "--clip-samples"]);
    let output = command.arg(clip.to_string()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let errors: Vec<&str> =
        stderr.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    (output.status.code(), errors.join("\n"))
}

#[test]
fn a_limit_on_file_size_loses_no_finished_song() {
    // With long clips the shard reaches the limit first, with short clips the journal.
    for (clip, name) in [(300, "shards/00000.pcm"), (20, "prepare.journal")] {
        let music = songs(clip);
        let expected = uninterrupted(music.path(), clip);
        let out = tempfile::tempdir().unwrap();
        let (code, error) = limited("4", music.path(), out.path(), clip);
        assert_eq!((code, failed_file(&error, out.path()).as_str()), (Some(1), name), "{error}");
        assert!(error.contains("File too large"), "{error}");
        assert!(check_unfinished(out.path(), &expected, name) > 0);
        let (code, error) = limited("unlimited", music.path(), out.path(), clip);
        assert_eq!((code, error.as_str()), (Some(0), ""));
        check_finished(out.path(), &expected, name);
    }
}

#[test]
fn a_checkpoint_that_cannot_be_written_leaves_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tones::dataset(&folder.join("data"), 3, false);
    fs::write(folder.join("tiny.toml"), tones::TOML).unwrap();
    let fit = |blocks: &str, more: &str| {
        let mut command = program(blocks);
        command.args("fit data --split song-seed1 --device cpu --threads 1".split(' '));
        let output = command.args(more.split(' ')).current_dir(folder).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let new = "--network tiny.toml --steps 20 --epochs 1 --out run --checkpoint-minutes 0.00001";
    let (code, error) = fit("unlimited", new);
    assert_eq!(code, Some(0), "{error}");
    let before = bytes(&folder.join("run"));
    // Within the next epoch; the probe is too long.
    let (code, error) = fit("24", "--resume run --epochs 2");
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("probe.safetensors: File too large"), "{error}");
    assert!(error.contains("run holds epoch 1: resume it with --resume run"), "{error}");
    let after = bytes(&folder.join("run"));
    let tensors = |files: &Files| {
        let tensors = files.iter().filter(|(name, _)| name.ends_with(".safetensors"));
        tensors.map(|(name, content)| (name.clone(), content.clone())).collect::<Files>()
    };
    assert!(tensors(&after) == tensors(&before), "{:?}", after.keys());
    let (code, error) = fit("unlimited", "--resume run");
    assert_eq!(code, Some(0), "{error}");
}
