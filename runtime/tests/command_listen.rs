//! `leitmotif listen` as a user runs it: samples through a pipe.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use leitmotif::Recognizer;
use serde_json::Value;
use support::{SEGMENT, noise, tiny};

fn start(model: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_leitmotif"))
        .args(["listen", "--device=cpu", "--threads=1", "--model"])
        .arg(model)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn listen(model: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = start(model, arguments);
    // A refused model or option closes the pipe early.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn rows(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn s16(samples: &[f32]) -> Vec<u8> {
    samples.iter().flat_map(|sample| ((sample * 32_768.0) as i16).to_le_bytes()).collect()
}

#[test]
fn the_last_line_is_the_answer_for_all_samples() {
    let samples = noise(1, 20 * SEGMENT + 5);
    let ints: Vec<f32> =
        samples.iter().map(|sample| f32::from((sample * 32_768.0) as i16) / 32_768.0).collect();
    for graph in ["clip", "segment", "step"] {
        let recognizer = Recognizer::open(tiny(graph)).unwrap();
        let expected = recognizer.recognize_samples(&ints).unwrap();
        let rows = rows(&listen(&tiny(graph), &["--json"], &s16(&samples)));
        let last = rows.last().unwrap();
        let best = &last["artists"][0];
        assert_eq!(best["artist"], expected.best().unwrap().artist.as_str(), "{graph}");
        let difference =
            best["probability"].as_f64().unwrap() - f64::from(expected.best().unwrap().probability);
        assert!(difference.abs() < 1e-6, "{graph}: {difference}");
        assert_eq!(last["segments"], expected.segments);
        assert_eq!(last["seconds"], expected.seconds);
    }
}

#[test]
#[cfg(unix)]
fn an_interrupt_ends_it_with_the_answer_so_far_though_no_samples_come() {
    let mut child = start(&tiny("clip"), &["--json"]);
    let mut input = child.stdin.take().unwrap();
    // The odd byte is half a sample, which is no error here.
    input.write_all(&s16(&noise(1, 9 * SEGMENT + 300))).unwrap();
    input.write_all(&[0]).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut row =
        || lines.next().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    while row().unwrap()["segments"] != 9 {}

    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > Duration::from_secs(5) {
            child.kill().unwrap();
            panic!("it waits for samples");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let last = row().unwrap();
    assert_eq!((&last["segments"], row()), (&Value::from(9), None));
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    drop(input);
}

#[test]
fn floats_channels_and_restarts() {
    let samples = noise(2, 40 * SEGMENT);
    let stereo: Vec<u8> =
        samples.iter().flat_map(|sample| [*sample, 0.0]).flat_map(f32::to_le_bytes).collect();
    let model = tiny("clip");
    let all = rows(&listen(&model, &["--json", "--samples=f32le", "--channels=2"], &stereo));
    let halved: Vec<f32> = samples.iter().map(|sample| sample / 2.0).collect();
    let expected = Recognizer::open(&model).unwrap().recognize_samples(&halved).unwrap();
    let last = all.last().unwrap();
    let probability = last["artists"][0]["probability"].as_f64().unwrap();
    assert!((probability - f64::from(expected.best().unwrap().probability)).abs() < 1e-6);

    // Chunks are of 4,096 frames: a restart comes with the first chunk from 0.3 s on.
    let restarted = rows(&listen(
        &model,
        &["--json", "--samples=f32le", "--channels=2", "--restart=0.3"],
        &stereo,
    ));
    let segments = |row: &Value| row["segments"].as_u64().unwrap();
    assert!(restarted.iter().all(|row| segments(row) < 20), "{restarted:?}");
    let times: Vec<f64> = restarted.iter().map(|row| row["seconds"].as_f64().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "{times:?}");
    assert!((times.last().unwrap() - 40.0 * SEGMENT as f64 / 16_000.0).abs() < 1e-6, "{times:?}");
}

#[test]
fn bad_input_is_one_clear_error() {
    let samples = s16(&noise(1, 3 * SEGMENT));
    let half = samples.get(..samples.len() - 1).unwrap();
    for (graph, arguments, input, expected) in [
        ("clip", &[][..], half, "ends within a sample"),
        ("clip", &[], &samples[..8], "the network needs"),
        ("sequence", &[], &samples[..], "step"),
        ("clip", &["--restart=0.01"], &samples[..], "--restart"),
        ("clip", &["--samples=f32le"], &f32::NAN.to_le_bytes()[..], "not a number between"),
    ] {
        let output = listen(&tiny(graph), arguments, input);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(expected), "{expected}: {error}");
    }
}
