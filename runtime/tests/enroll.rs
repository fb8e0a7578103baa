//! The commands `leitmotif enroll` and `leitmotif recognize --gallery`, run from another folder.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{SEGMENT, edited, noise, tiny, wav};

fn leitmotif(command: &str, model: &Path, gallery: &Path) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_leitmotif"));
    program.env_clear().current_dir(std::env::temp_dir());
    program.arg(command).arg("--model").arg(model).arg("--gallery").arg(gallery);
    program
}

fn enroll(gallery: &Path, arguments: &[&Path]) -> Output {
    leitmotif("enroll", &tiny("clip"), gallery).args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A folder of noise by Ada (five songs, one in a folder of its own), and by Bo (six).
fn music(root: &Path) -> PathBuf {
    let music = root.join("music");
    fs::create_dir_all(music.join("Ada/album")).unwrap();
    fs::create_dir_all(music.join("Bo")).unwrap();
    for song in 0..11 {
        let path = match song {
            0 => "Ada/album/0.wav".to_owned(),
            1..5 => format!("Ada/{song}.wav"),
            _ => format!("Bo/{song}.wav"),
        };
        wav(&music.join(path), 16_000, &noise(song, 12 * SEGMENT));
    }
    music
}

#[test]
fn a_folder_of_artists_is_enrolled_and_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let (music, gallery) = (music(folder.path()), folder.path().join("friends.gallery"));
    let output = enroll(&gallery, &[&music]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let lines: Vec<String> = out(&output).lines().map(str::to_owned).collect();
    assert_eq!(lines[..2], ["Ada: 5 songs", "Bo: 6 songs"]);
    assert!(lines[2].starts_with("none of these artists: below a similarity of "), "{lines:?}");

    let song = music.join("Bo/7.wav");
    let mut recognize = leitmotif("recognize", &tiny("segment"), &gallery);
    let output = recognize.arg(&song).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let shown = out(&output);
    let ranking = shown.lines().filter(|line| line.ends_with("  Ada") || line.ends_with("  Bo"));
    assert_eq!(ranking.count(), 2, "{shown}");
    assert!(!shown.contains('%'), "{shown}");

    let output = recognize.args(["--json", "--top=1"]).output().unwrap();
    let row: Value = serde_json::from_str(&out(&output)).unwrap();
    let answer = &row["gallery"];
    assert_eq!(answer["artists"].as_array().unwrap().len(), 1);
    let (best, least) = (&answer["artists"][0]["similarity"], &answer["min_similarity"]);
    let below = best.as_f64().unwrap() < least.as_f64().unwrap();
    assert_eq!(answer["unknown"], below, "{answer}");

    // csv has no columns for it, and must not show the network's artists instead.
    let refused = leitmotif("recognize", &tiny("segment"), &gallery)
        .arg(&song)
        .arg("--format=csv")
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", out(&refused));
}

#[test]
fn songs_are_added_and_none_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (music, gallery) = (music(folder.path()), folder.path().join("friends.gallery"));
    let named = ["--artist".as_ref(), "Cy".as_ref()];
    let songs = [music.join("Bo/5.wav"), music.join("Bo/6.wav")];
    let output = enroll(&gallery, &[named[0], named[1], &songs[0]]);
    assert!(out(&output).starts_with("Cy: 1 song\nnone of these artists: too few songs"));
    let first = fs::read(&gallery).unwrap();

    let output = enroll(&gallery, &[named[0], named[1], &songs[0], &songs[1]]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).contains("5.wav is enrolled already"), "{}", err(&output));
    assert!(out(&output).starts_with("Cy: 2 songs\n"));
    assert_ne!(fs::read(&gallery).unwrap(), first);

    // The same recordings cannot be of somebody else.
    let output = enroll(&gallery, &[&music]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(err(&output).matches("is the same recording as").count(), 2, "{}", err(&output));
    assert!(out(&output).starts_with("Ada: 5 songs\nBo: 4 songs\nCy: 2 songs\n"));
}

#[test]
#[cfg(unix)]
fn what_is_enrolled_outlives_an_interrupt_and_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let (music, gallery) = (folder.path().join("music"), folder.path().join("friends.gallery"));
    fs::create_dir_all(music.join("Ada")).unwrap();
    for song in 0..30 {
        wav(&music.join(format!("Ada/{song:02}.wav")), 16_000, &noise(song, 2_000 * SEGMENT));
    }
    let songs = || {
        let gallery = fs::read_to_string(&gallery).unwrap_or_default();
        gallery.matches("\"song\":").count()
    };
    for (signal, code) in [("-KILL", None), ("-INT", Some(130))] {
        let before = songs();
        let mut command = leitmotif("enroll", &tiny("clip"), &gallery);
        let running = command.arg(&music).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let running = running.unwrap();
        let began = Instant::now();
        while songs() == before {
            assert!(began.elapsed() < Duration::from_secs(60), "nothing was enrolled");
            std::thread::sleep(Duration::from_millis(2));
        }
        let kill = Command::new("kill").args([signal, &running.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let output = running.wait_with_output().unwrap();
        assert_eq!(output.status.code(), code, "{}", err(&output));
        assert!((before + 1..30).contains(&songs()), "{before} to {}", songs());
        assert_eq!(err(&output).contains("stopped after"), code.is_some(), "{}", err(&output));
        assert_eq!(err(&output).matches("is enrolled already").count(), before);
    }
    let before = songs();
    let output = enroll(&gallery, &[&music]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(err(&output).matches("is enrolled already").count(), before);
    assert!(out(&output).starts_with("Ada: 30 songs\n"), "{}", out(&output));
    assert_eq!(songs(), 30);
}

#[test]
fn one_bad_file_keeps_no_other_out() {
    let folder = tempfile::tempdir().unwrap();
    let (music, gallery) = (music(folder.path()), folder.path().join("friends.gallery"));
    fs::write(music.join("Ada/text.mp3"), "no music").unwrap();
    wav(&music.join("Ada/silence.wav"), 16_000, &[0.0; 20 * SEGMENT]);
    wav(&music.join("loose.wav"), 16_000, &noise(99, 12 * SEGMENT));
    let output = enroll(&gallery, &[&music, &music.join("Bo/6.wav"), "missing".as_ref()]);
    assert_eq!(output.status.code(), Some(1));
    let lines = err(&output);
    for part in ["text.mp3", "silence.wav: it is silent", "loose.wav: it is in no artist's folder"]
    {
        assert!(lines.contains(part), "{part}: {lines}");
    }
    assert_eq!(lines.matches("whose song is it?").count(), 2, "{lines}");
    assert!(out(&output).starts_with("Ada: 5 songs\nBo: 6 songs\n"), "{}", out(&output));
}

#[test]
fn nothing_enrolled_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let gallery = folder.path().join("friends.gallery");
    let output = enroll(&gallery, &["--artist".as_ref(), "Cy".as_ref(), "missing.mp3".as_ref()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!gallery.exists());
}

#[test]
fn a_gallery_that_does_not_fit_is_refused_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (music, gallery) = (music(folder.path()), folder.path().join("friends.gallery"));
    enroll(&gallery, &[&music]);
    let text = fs::read_to_string(&gallery).unwrap();
    let digest = text.split('"').find(|part| part.len() == 64).unwrap();
    let other = folder.path().join("other.onnx");
    fs::write(&other, edited("clip", &[(digest, &"0".repeat(64))])).unwrap();
    let song = music.join("Bo/7.wav");
    for command in ["enroll", "recognize"] {
        let output = leitmotif(command, &other, &gallery).arg(&song).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains("made with another model"), "{}", err(&output));
    }
    assert_eq!(fs::read_to_string(&gallery).unwrap(), text);

    fs::write(&gallery, "no gallery").unwrap();
    let output = enroll(&gallery, &[&music]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains("friends.gallery: it is not a whole gallery"),
        "{}",
        err(&output)
    );
    assert_eq!(fs::read_to_string(&gallery).unwrap(), "no gallery");

    let missing = folder.path().join("missing.gallery");
    let output = leitmotif("recognize", &tiny("clip"), &missing).arg(&song).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("missing.gallery\" cannot be read"), "{}", err(&output));
}
