//! `leitmotif-train prepare mtat`: what the command adds to the library, whose tests are in `train/dataset/tests`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

#[path = "../dataset/tests/miniature/mod.rs"]
mod miniature;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use leitmotif_dataset::store::Dataset;
use miniature::{CLIP, list, mp3, paths_of};

/// Writes MP3s under the paths of some clips of two artists to the folder `audio`; returns the paths.
fn miniature(folder: &Path) -> Vec<String> {
    let of = paths_of(folder, &["the_rajdhani_quartet", "barbara_leoni"]);
    let paths: Vec<String> =
        of.values().flat_map(|paths| paths.iter().step_by(9)).cloned().collect();
    let sound = folder.join("sound.mp3");
    mp3("anoisesrc=d=3:c=pink:seed=5:r=16000:a=0.3", &[], &sound);
    for path in &paths {
        let path = folder.join("audio").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(&sound, path).unwrap();
    }
    paths
}

/// Exit code, standard output and standard error.
fn prepare(folder: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let clip = CLIP.to_string();
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_leitmotif-train"))
        .args(["prepare", "mtat", "--clip-samples", &clip, "--threads", "2"])
        .args(more)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn a_folder_of_mp3s_becomes_a_data_set_and_missing_files_are_an_error_unless_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let paths = miniature(folder);
    fs::write(folder.join("genres.tsv"), "other\talbum\tRock\n").unwrap();
    let run = ["--audio", "audio", "--out", "data", "--genres", "genres.tsv"];
    let (code, out, err) = prepare(folder, &run);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("GB in data, about"), "{err}");
    assert!(out.contains("1 albums in the list of genres have no clips"), "{out}");
    let clips = |out: &str| Dataset::open(&folder.join(out)).unwrap().clips().len();
    assert_eq!(clips("data"), paths.len());
    let (code, out, _) = prepare(folder, &run);
    assert!(code == Some(0) && out.contains("nothing was left to decode"), "{out}");

    let lines: String =
        paths.iter().enumerate().map(|(id, path)| format!("{id}\t{path}\n")).collect();
    fs::write(folder.join("some.tsv"), lines).unwrap();
    fs::remove_file(folder.join("audio").join(&paths[1])).unwrap();
    let run = ["--audio", "audio", "--paths", "some.tsv", "--out", "incomplete"];
    let (code, _, err) = prepare(folder, &run);
    let message = format!("1 of {} clips are missing, for example", paths.len());
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains(&message) && err.contains("unpack the whole archive"), "{err}");
    assert!(!folder.join("incomplete").exists());
    let (code, _, err) = prepare(folder, &[&run[..], &["--allow-missing"]].concat());
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(clips("incomplete"), paths.len() - 1);
}

#[test]
fn the_list_alone_is_counted_without_audio() {
    let folder = tempfile::tempdir().unwrap();
    list(folder.path());
    let (code, out, _) = prepare(folder.path(), &["--list-only", "--paths", "paths.tsv", "--json"]);
    let summary: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &summary["kept"]["clips"]), (Some(0), &24_847.into()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is written");
    let (code, _, err) = prepare(folder.path(), &["--list-only"]);
    assert!(code == Some(1) && err.contains("needs a list"), "{err}");
    let (code, _, err) = prepare(folder.path(), &["--audio", "nowhere", "--out", "data"]);
    assert!(code == Some(1) && err.contains("nowhere is not a folder"), "{err}");
    let twice = ["--audio", "audio", "--out", "data", "--clip-samples", "50000"];
    let (code, _, err) = prepare(folder.path(), &twice);
    assert_eq!(code, Some(2), "an option twice: {err}");
}
