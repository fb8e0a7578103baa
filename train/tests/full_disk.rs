//! A disk that fills up while `prepare` writes, at every place that it writes to.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "../dataset/tests/music/mod.rs"]
mod music;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use leitmotif_dataset::prepare::{Options, PrepareError, Report, plan, prepare};
use leitmotif_dataset::sources::tagged;
use leitmotif_dataset::store::Dataset;
use music::{Wave, bytes, wave, write_wave};

/// What a data set consists of, and what tells what is not in it.
const MADE: [&str; 4] = ["clips.csv", "dataset.toml", "left-out.csv", "shards/00000.pcm"];
/// What is written song by song, and so may stop anywhere.
const GROWING: [&str; 3] = ["journal.csv", "prepare.journal", "shards/00000.pcm"];

type Files = BTreeMap<String, Vec<u8>>;

/// Two artists whose clips, rows and decisions take a few pages each, and songs that are left out.
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
    let found = tagged::find(music, &mut |_| {}, &|| false).unwrap();
    prepare(&plan(found, out, &options)?, out, &mut |_| {}, &|| false)
}

/// What an undisturbed run makes.
fn undisturbed(music: &Path, clip: usize) -> Files {
    let out = tempfile::tempdir().unwrap();
    run(music, out.path(), clip).unwrap();
    bytes(out.path())
}

/// Nothing half-written lies under any name, and nobody takes what lies there for a data set. Gives the decisions that are noted.
fn check_unfinished(out: &Path, expected: &Files, what: &str) -> usize {
    let files = bytes(out);
    for (name, content) in &files {
        let whole = expected.get(name).is_some_and(|whole| whole == content);
        assert!(whole || GROWING.contains(&name.as_str()), "{what}: {name} is left behind");
    }
    assert!(Dataset::open(out).is_err(), "{what}");
    // The first line names the settings.
    let lines = files.get("prepare.journal").map_or(0, |text| text.split(|c| *c == b'\n').count());
    lines.saturating_sub(2)
}

fn check_finished(out: &Path, expected: &Files, what: &str) {
    let files = bytes(out);
    for name in MADE {
        assert!(files[name] == expected[name], "{what}: {name} differs");
    }
    assert!(Dataset::open(out).is_ok(), "{what}");
}

/// The file of the data set in `out` that an error names, which also says what to do.
fn struck(error: &str, out: &Path) -> String {
    let file = error.strip_prefix(out.to_str().unwrap()).and_then(|rest| rest.strip_prefix('/'));
    let (file, advice) =
        file.unwrap_or_default().split_once(" cannot be written (").unwrap_or_default();
    assert!(advice.contains("make room") && advice.contains("run the same again"), "{error}");
    file.to_owned()
}

/// Set where this test already runs as a user of its own, who may mount what only this process sees.
const MAY_MOUNT: &str = "LEITMOTIF_TEST_MAY_MOUNT";

#[test]
fn a_disk_that_fills_up_anywhere_costs_nothing_that_is_done() {
    if std::env::var_os(MAY_MOUNT).is_some() {
        return fill_a_small_disk();
    }
    let disk = tempfile::tempdir().unwrap();
    let alone = || {
        let mut command = Command::new("unshare");
        command.arg("-Urm");
        command
    };
    if !alone()
        .args(["mount", "-t", "tmpfs", "none"])
        .arg(disk.path())
        .status()
        .is_ok_and(|s| s.success())
    {
        println!(
            "skipped: a_disk_that_fills_up_anywhere: `unshare -Urm` may not mount a file system here"
        );
        return;
    }
    let mut again = alone();
    again.arg(std::env::current_exe().unwrap()).args(["--exact", "--nocapture"]);
    again.arg("a_disk_that_fills_up_anywhere_costs_nothing_that_is_done").env(MAY_MOUNT, "yes");
    assert!(again.status().unwrap().success());
}

fn fill_a_small_disk() {
    const CLIP: usize = 150;
    let music = songs(CLIP);
    let expected = undisturbed(music.path(), CLIP);
    let page = Command::new("getconf").arg("PAGESIZE").output().unwrap().stdout;
    let page: usize = String::from_utf8(page).unwrap().trim().parse().unwrap();
    let (mut all, mut most) = (BTreeSet::new(), 0);
    // Each page more lets the next write that needs one fail, so that in the end every write has failed once.
    for pages in 0.. {
        let disk = tempfile::tempdir().unwrap();
        let mount = |options: String| {
            let mut command = Command::new("mount");
            command.args(["-t", "tmpfs", "-o", &options, "none"]).arg(disk.path());
            assert!(command.status().unwrap().success(), "{options}");
        };
        mount(format!("size={}", (pages + 1) * page));
        // A file system of no pages would be one without limit.
        fs::write(disk.path().join("filler"), vec![1; page]).unwrap();
        let out = disk.path().join("out");
        let failed = match run(music.path(), &out, CLIP) {
            Ok(_) => break,
            Err(error) => error.to_string(),
        };
        let what = format!("room of {pages} pages: {failed}");
        assert!(failed.contains("No space left on device"), "{what}");
        all.insert(struck(&failed, &out));
        let decided = check_unfinished(&out, &expected, &what);
        assert!(decided >= most, "{what}: more room, less done");
        most = decided;

        mount("remount,size=16m".to_owned());
        assert_eq!(run(music.path(), &out, CLIP).unwrap().resumed, decided, "{what}");
        check_finished(&out, &expected, &what);
    }
    let names: BTreeSet<String> = MADE.into_iter().chain(GROWING).map(str::to_owned).collect();
    assert_eq!(all, names);
}

/// Runs the program where no file may be longer than so many blocks; gives its exit code and what it complains of.
fn limited(blocks: &str, music: &Path, out: &Path, clip: usize) -> (Option<i32>, String) {
    // The program hears of it by an error, as of a full disk, and not by a signal.
    let script = r#"trap "" XFSZ; ulimit -f "$0"; exec "$@""#;
    let mut command = Command::new("sh");
    command.args([
        "-c",
        script,
        blocks,
        env!("CARGO_BIN_EXE_leitmotif-train"),
        "prepare",
        "folder",
    ]);
    command.arg(music).arg("--out").arg(out).args(["--min-songs=2", "--clip-samples"]);
    let output = command.arg(clip.to_string()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let errors: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    (output.status.code(), errors.join("\n"))
}

#[test]
fn a_file_that_may_not_grow_costs_nothing_that_is_done() {
    // Where clips are long, their samples fill the room; where they are short, what is written about them.
    for (clip, name) in [(300, "shards/00000.pcm"), (20, "prepare.journal")] {
        let music = songs(clip);
        let expected = undisturbed(music.path(), clip);
        let out = tempfile::tempdir().unwrap();
        let (code, error) = limited("4", music.path(), out.path(), clip);
        assert_eq!((code, struck(&error, out.path()).as_str()), (Some(1), name), "{error}");
        assert!(check_unfinished(out.path(), &expected, name) > 0);
        let (code, error) = limited("unlimited", music.path(), out.path(), clip);
        assert_eq!((code, error.as_str()), (Some(0), ""));
        check_finished(out.path(), &expected, name);
    }
}
