//! A run that is watched: by a program through lines of JSON, by TensorBoard through its event files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod tiny;
mod tones;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tiny::{ends, program};

const FIT: &str = "fit data --split song-seed1 --network tiny.toml --out run --epochs 3 --steps 10 --batch 6 \
                   --rate 0.01 --norm-momentum 0.8 --device cpu --threads 1";
const RESUME: &str = "fit data --split song-seed1 --resume run --epochs 5";

fn dataset(folder: &Path) {
    tones::dataset(&folder.join("data"), 3, true);
    fs::write(folder.join("tiny.toml"), tones::TOML).unwrap();
}

/// The lines of JSON of one kind.
fn events<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

fn lines(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_program_reads_a_run_from_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    dataset(folder);
    let (code, stdout, stderr) = ends(&format!("{FIT} --json"), folder);
    assert_eq!(code, Some(0), "{stderr}");
    let seen = lines(&stdout);
    let start = &seen[0];
    assert_eq!(start["event"], "start");
    assert_eq!((&start["network"], &start["device"]), (&"tiny".into(), &"cpu".into()));
    assert_eq!(start["clips"]["train"], 18);
    assert_eq!((&start["epochs"], &start["steps_per_epoch"]), (&3.into(), &10.into()));
    assert!(start["parameters"].as_u64().unwrap() > 100, "{start}");
    let step = events(&seen, "step")[0];
    assert_eq!((&step["epoch"], &step["step"]), (&1.into(), &1.into()));
    assert!(step["loss"].as_f64().unwrap() > 0.0 && step["rate"] == 0.01, "{step}");

    // The epochs are the history's lines.
    let epochs = events(&seen, "epoch");
    let mut history = csv::Reader::from_path(folder.join("run/history.csv")).unwrap();
    let header = history.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = history.records().map(Result::unwrap).collect();
    assert_eq!((epochs.len(), rows.len()), (3, 3));
    for (epoch, row) in epochs.iter().zip(&rows) {
        for (name, value) in header.iter().zip(row) {
            let number: Option<f64> = value.parse().ok();
            assert_eq!(epoch[name].as_f64(), number, "{name}");
        }
    }
    assert_eq!(epochs[0]["best"], true);
    let end = seen.last().unwrap();
    assert_eq!((&end["event"], &end["epochs"]), (&"end".into(), &3.into()));
    assert!(end["best"]["clip_accuracy"]["value"].is_f64() && end["last"].is_object(), "{end}");
    // People read the other stream.
    assert!(
        stderr.contains("epoch 3/3: loss") && stderr.contains("test part of song-seed1"),
        "{stderr}"
    );

    // A resumed run says where it goes on, and a failure is the last line.
    let (code, stdout, _) = ends(&format!("{RESUME} --json"), folder);
    assert_eq!(code, Some(0));
    let seen = lines(&stdout);
    assert_eq!((&seen[0]["epochs_done"], &seen[0]["steps_done"]), (&3.into(), &30.into()));
    assert_eq!(events(&seen, "epoch").len(), 2);
    let (code, stdout, _) = ends(&format!("{FIT} --json"), folder);
    let seen = lines(&stdout);
    assert_eq!((code, seen.len()), (Some(1), 1));
    assert!(seen[0]["reason"].as_str().unwrap().contains("already holds a run"), "{stdout}");
}

#[test]
fn a_reader_that_leaves_does_not_end_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    dataset(folder);
    let mut child = program(&format!("{FIT} --json --tensorboard --view"), folder).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(folder.join("run/last/run.json").exists());
}

#[test]
fn without_a_terminal_a_view_is_the_usual_lines() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    dataset(folder);
    let (code, stdout, stderr) = ends(&format!("{FIT} --view"), folder);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("epoch 3/3: loss") && !stderr.contains('\u{1b}'), "{stderr}");
    assert!(stdout.contains("test part of song-seed1"), "{stdout}");
}

/// `script` of util-linux runs a program on a terminal of its own.
#[cfg(target_os = "linux")]
#[test]
fn a_view_gives_the_terminal_back_at_the_end_and_before_an_error() {
    use std::process::{Command, Stdio};

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    dataset(folder);
    // What cannot be written ends the other run after an epoch.
    fs::create_dir_all(folder.join("other/history.csv/in the way")).unwrap();
    let program = env!("CARGO_BIN_EXE_leitmotif-train");
    for (more, code, last) in
        [("", 0, "test part of song-seed1"), ("--out other", 1, "error: other/history.csv")]
    {
        let command = format!("stty cols 100 rows 30; '{program}' {FIT} --view {more}");
        let mut script = Command::new("script");
        script.args(["-qec", &command, "/dev/null"]).current_dir(folder).stdin(Stdio::null());
        let Ok(output) = script.output() else {
            println!("skipped: there is no `script` here");
            return;
        };
        let shown = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{shown}");
        let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("{text}: {shown}"));
        let (enters, leaves) = (at("\u{1b}[?1049h"), at("\u{1b}[?1049l"));
        // Curves between the two, and after them what was logged meanwhile.
        assert!(enters < at("accuracy,") && at("accuracy,") < leaves, "{shown}");
        let after = &shown[leaves..];
        assert!(after.contains("tiny (dense head)") && after.contains(last), "{shown}");
        assert_eq!(after.contains("epoch 3/3: loss"), code == 0, "{shown}");
    }
}

#[test]
fn tensorboard_finds_every_epoch_once_in_a_run_that_was_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    dataset(folder);
    for fit in [FIT, RESUME] {
        let (code, _, stderr) = ends(&format!("{fit} --tensorboard"), folder);
        assert_eq!(code, Some(0), "{stderr}");
    }
    let files = event_files(&folder.join("run"));
    assert_eq!(files.len(), 2, "{files:?}");
    let [first, second] = [&files[0], &files[1]].map(|file| read_events(&fs::read(file).unwrap()));
    assert_eq!(first[0].file_version.as_deref(), Some("brain.Event:2"));
    // What a killed process wrote of these steps and later ones is forgotten.
    let starts = [&first, &second].map(|events| events.iter().find(|e| e.starts).unwrap().step);
    assert_eq!(starts, [1, 31]);

    let mut scalars: BTreeMap<&str, Vec<(u64, f32)>> = BTreeMap::new();
    for event in first.iter().chain(&second) {
        for (tag, value) in &event.scalars {
            scalars.entry(tag).or_default().push((event.step, *value));
        }
    }
    let mut history = csv::Reader::from_path(folder.join("run/history.csv")).unwrap();
    let rows: Vec<BTreeMap<String, String>> = history.deserialize().map(Result::unwrap).collect();
    let names = [
        ("train/loss", "loss"),
        ("train/accuracy", "accuracy"),
        ("train/rate", "rate"),
        ("train/clips_per_second", "clips_per_second"),
        ("train/gradient_norm", "gradient_norm"),
        ("validation/loss", "validation_loss"),
        ("validation/clips", "validation_clips"),
        ("validation/songs", "validation_songs"),
    ];
    for (tag, column) in names {
        let number = |row: &BTreeMap<String, String>| {
            (row["step"].parse().unwrap(), row[column].parse::<f64>().unwrap() as f32)
        };
        assert_eq!(scalars[tag], rows.iter().map(number).collect::<Vec<_>>(), "{tag}");
    }
    assert!(!scalars.contains_key("test/clips"));
    let steps: Vec<u64> = scalars["step/loss"].iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [20, 40]);
}

fn event_files(run: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(run).unwrap().map(|entry| entry.unwrap().path());
    let is_events =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().contains(".tfevents.");
    let mut files: Vec<PathBuf> = paths.filter(is_events).collect();
    files.sort();
    files
}

#[derive(Debug, Default)]
struct Event {
    step: u64,
    file_version: Option<String>,
    starts: bool,
    scalars: Vec<(String, f32)>,
}

/// Reads an event file, without a line of what writes it.
fn read_events(mut bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    while !bytes.is_empty() {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let (data, rest) = bytes[12..].split_at(length);
        assert_eq!(bytes[8..12], masked_crc(&bytes[..8]).to_le_bytes());
        assert_eq!(rest[..4], masked_crc(data).to_le_bytes());
        bytes = &rest[4..];
        let mut event = Event::default();
        for (field, value) in fields(data) {
            match (field, value) {
                (1, Field::Fixed64(bits)) => assert!(f64::from_bits(bits) > 1.7e9),
                (2, Field::Varint(step)) => event.step = step,
                (3, Field::Bytes(text)) => {
                    event.file_version = Some(String::from_utf8(text.to_vec()).unwrap())
                }
                (5, Field::Bytes(summary)) => {
                    event.scalars.extend(fields(summary).into_iter().map(scalar))
                }
                (7, Field::Bytes(log)) => {
                    event.starts = matches!(fields(log)[..], [(1, Field::Varint(1))])
                }
                other => panic!("{other:?}"),
            }
        }
        events.push(event);
    }
    events
}

fn scalar((field, value): (u64, Field<'_>)) -> (String, f32) {
    let Field::Bytes(value) = value else { panic!("{value:?}") };
    assert_eq!(field, 1);
    match fields(value)[..] {
        [(1, Field::Bytes(tag)), (2, Field::Fixed32(bits))] => {
            (String::from_utf8(tag.to_vec()).unwrap(), f32::from_bits(bits))
        }
        ref other => panic!("{other:?}"),
    }
}

#[derive(Debug)]
enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// The fields of a protobuf message: number and value.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Field::Varint(varint(&mut bytes)),
            1 => Field::Fixed64(u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
            2 => {
                let length = varint(&mut bytes) as usize;
                Field::Bytes(take(&mut bytes, length))
            }
            5 => Field::Fixed32(u32::from_le_bytes(take(&mut bytes, 4).try_into().unwrap())),
            other => panic!("wire type {other}"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// Bit by bit.
fn masked_crc(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 };
        }
    }
    (!crc).rotate_right(15).wrapping_add(0xa282_ead8)
}
