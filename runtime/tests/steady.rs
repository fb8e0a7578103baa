//! Memory of recognising for long, in a process of its own so that no other test affects it.
#![cfg(all(feature = "onnx", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use leitmotif::{Device, Recognizer, SessionOptions};
use support::{SEGMENT, noise, tiny};

/// Resident memory of the process, in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn memory_does_not_grow_with_the_number_of_calls() {
    let options = SessionOptions::on(Device::Cpu).with_threads(1);
    let recognizer = Recognizer::open_with(tiny("segment"), &options).unwrap();
    let samples = noise(1, 1_000 * SEGMENT);
    let recognize = |times| {
        for _ in 0..times {
            recognizer.recognize_samples(&samples).unwrap();
        }
        resident()
    };
    let before = recognize(2);
    let after = recognize(20);
    // 20,000 calls; ort's leak in `Session::run` would be 18,000 KiB.
    assert!(after < before + 4_000, "{before} KiB before, {after} KiB after");
}
