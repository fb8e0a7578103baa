//! `prepare --part` and `dataset merge` as processes: a part that is killed, repeated and merged.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(unix)]

#[path = "../dataset/tests/music/mod.rs"]
mod music;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use music::{Wave, bytes, write_wave};

const PROGRAM: &str = env!("CARGO_BIN_EXE_leitmotif-train");

/// 32 songs of four artists and a copy of one of them, each of 30 seconds, and one that is no music.
fn songs(folder: &Path) {
    for artist in 0..4 {
        let album = folder.join(format!("artist {artist}/album"));
        fs::create_dir_all(&album).unwrap();
        for song in 0..8 {
            let wave = Wave(100 * artist + song).samples(480_000);
            write_wave(&album.join(format!("{song}.wav")), &wave);
        }
    }
    let first = folder.join("artist 0/album/0.wav");
    fs::copy(first, folder.join("artist 3/album/copy.wav")).unwrap();
    fs::write(folder.join("artist 2/album/broken.wav"), b"RIFF").unwrap();
}

/// The command line of `prepare` in a folder with the music, with further words.
fn prepare(folder: &Path, words: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["prepare", "folder", "the music", "--clip-samples", "16000", "--threads", "1"]);
    command.args(words.split(' ')).current_dir(folder).stdin(Stdio::null());
    command
}

/// Exit code, standard output and standard error.
fn ends(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn merge(folder: &Path, out: &str) -> (Option<i32>, String, String) {
    let arguments = ["dataset", "merge", "parts", "--out", out];
    ends(Command::new(PROGRAM).args(arguments).current_dir(folder))
}

/// The last line of standard error: the error.
fn error(stderr: &str) -> &str {
    let line = stderr.lines().last().unwrap_or_default();
    assert!(line.starts_with("error: "), "{stderr}");
    line
}

/// Runs the command that an error names.
fn run_again(error: &str, folder: &Path) {
    let command = error.rsplit_once("run again: ").or_else(|| error.rsplit_once("run: "));
    let (_, command) = command.unwrap();
    let (code, stdout, stderr) = ends(Command::new("sh").args(["-c", command]).current_dir(folder));
    assert_eq!(code, Some(0), "{command}: {stderr}");
    assert!(stdout.contains("leitmotif-train dataset merge parts --out DATASET"), "{stdout}");
}

#[test]
fn a_killed_part_is_repeated_by_the_command_in_the_message_and_merged_to_the_bytes_of_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    songs(&folder.join("the music"));
    let (code, _, stderr) = ends(&mut prepare(folder, "--out whole"));
    assert_eq!(code, Some(0), "{stderr}");
    let whole = bytes(&folder.join("whole"));

    for part in ["1/3", "3/3"] {
        let words = format!("--out parts --part {part}");
        let (code, _, stderr) = ends(&mut prepare(folder, &words));
        assert_eq!(code, Some(0), "{stderr}");
    }
    let (code, _, stderr) = merge(folder, "merged");
    assert_eq!(code, Some(1));
    assert!(error(&stderr).contains("part 2 of 3 is missing; run: "), "{stderr}");

    // SIGKILL in the middle.
    let mut killed = prepare(folder, "--out parts --part=2/3")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let journal = folder.join("parts/part-2-of-3/part.journal");
    let lines = || fs::read_to_string(&journal).map_or(0, |text| text.lines().count());
    let began = Instant::now();
    while lines() < 3 {
        assert!(began.elapsed() < Duration::from_secs(60), "no song is done");
        std::thread::sleep(Duration::from_millis(1));
    }
    killed.kill().unwrap();
    assert_eq!(killed.wait().unwrap().signal(), Some(9), "it ended before it was killed");
    let (code, _, stderr) = merge(folder, "merged");
    assert_eq!(code, Some(1));
    let message = error(&stderr);
    assert!(message.contains("parts/part-2-of-3 is not finished: "), "{message}");
    assert!(!folder.join("merged").exists());
    run_again(message, folder);

    let (code, stdout, stderr) = merge(folder, "merged");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("3 parts merged in "), "{stdout}");
    assert!(bytes(&folder.join("merged")) == whole);
    let (code, _, stderr) =
        ends(Command::new(PROGRAM).args(["split", "merged", "--by", "song"]).current_dir(folder));
    assert_eq!(code, Some(0), "{stderr}");

    // A part of other settings is left in its place.
    fs::remove_dir_all(folder.join("parts/part-3-of-3")).unwrap();
    let (code, _, stderr) = ends(&mut prepare(folder, "--out parts --part 3/3 --min-songs 2"));
    assert_eq!(code, Some(0), "{stderr}");
    let (code, _, stderr) = merge(folder, "other");
    assert_eq!(code, Some(1));
    let message = error(&stderr);
    assert!(message.contains("--min-songs is `2`, not `4`"), "{message}");
    fs::remove_dir_all(folder.join("parts/part-3-of-3")).unwrap();
    run_again(message, folder);
    let (code, _, stderr) = merge(folder, "other");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(bytes(&folder.join("other")) == whole);
}

#[test]
fn wrong_parts_are_wrong_usage_with_their_reason() {
    let folder = tempfile::tempdir().unwrap();
    for (part, reason) in [
        ("0/16", "parts are counted from 1"),
        ("17/16", "larger than the number of parts"),
        ("x", "write it like 3/16"),
    ] {
        let (code, _, stderr) =
            ends(&mut prepare(folder.path(), &format!("--out parts --part {part}")));
        assert_eq!(code, Some(2));
        assert!(stderr.contains(reason), "{stderr}");
    }
    // A list that names a song twice is refused before anything is written.
    let list = folder.path().join("list.csv");
    fs::write(&list, "path,artist\na.wav,A\nb.wav,B\na.wav,A\n").unwrap();
    let arguments = ["prepare", "manifest", "list.csv", "--out", "parts", "--part", "1/2"];
    let (code, _, stderr) = ends(Command::new(PROGRAM).args(arguments).current_dir(folder.path()));
    assert_eq!(code, Some(1), "{stderr}");
    assert!(error(&stderr).contains("a.wav"), "{stderr}");
    assert!(!folder.path().join("parts").exists());
    let (code, _, stderr) = merge(folder.path(), "out");
    assert_eq!(code, Some(1));
    assert!(error(&stderr).contains("parts cannot be read"), "{stderr}");
}

/// Runs a program with a limit on the size of files, in blocks, which is a write error as on a full disk.
fn limited(blocks: &str, arguments: &[&str], folder: &Path) -> (Option<i32>, String, String) {
    let script = r#"trap "" XFSZ; ulimit -f "$0"; exec "$@""#;
    let mut command = Command::new("sh");
    ends(command.args(["-c", script, blocks, PROGRAM]).args(arguments).current_dir(folder))
}

#[test]
#[cfg(target_os = "linux")]
fn a_disk_that_is_full_for_a_part_or_the_data_set_loses_no_song() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for number in 0..24 {
        let album = folder.join(format!("the music/artist {}/album", number % 2));
        fs::create_dir_all(&album).unwrap();
        write_wave(&album.join(format!("{number}.wav")), &Wave(number).samples(700));
    }
    let prepare = ["prepare", "folder", "the music", "--clip-samples", "300", "--out"];
    let whole = [&prepare[..], &["whole"]].concat();
    assert_eq!(limited("unlimited", &whole, folder).0, Some(0));
    let part = [&prepare[..], &["parts", "--part", "1/1"]].concat();
    let merge = ["dataset", "merge", "parts", "--out", "merged"];
    for (arguments, file) in
        [(&part[..], "parts/part-1-of-1/shards/00000.pcm"), (&merge, "merged/shards/00000.pcm")]
    {
        // The list of the music is shorter than all samples.
        let (code, _, stderr) = limited("20", arguments, folder);
        assert_eq!(code, Some(1), "{stderr}");
        let message = error(&stderr);
        assert!(message.starts_with(&format!("error: {file} cannot be written (")), "{message}");
        assert!(message.contains("run the same command again: it resumes"), "{message}");
        let (code, stdout, stderr) = limited("unlimited", arguments, folder);
        assert_eq!(code, Some(0), "{stdout}{stderr}");
    }
    assert!(bytes(&folder.join("merged")) == bytes(&folder.join("whole")));
}
