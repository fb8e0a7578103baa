//! Where a model runs, what is said of it, and what memory its calls may take.
#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use leitmotif::session::runtime_info;
use leitmotif::{Device, DevicePolicy, Error, Recognizer, SessionOptions};
use support::{GRAPHS, SEGMENT, noise, tiny};

#[test]
fn onnx_runtime_itself_says_where_the_nodes_run() {
    for graph in GRAPHS {
        let options = SessionOptions::on(Device::Cpu).with_policy(DevicePolicy::Strict);
        let recognizer = Recognizer::open_with(tiny(graph), &options).unwrap();
        let placement = recognizer.placement();
        let operators = &placement.providers["CPUExecutionProvider"];
        assert_eq!(placement.providers.len(), 1, "{placement}");
        assert!(operators.keys().any(|operator| operator.contains("Conv")), "{operators:?}");
        assert!(placement.nodes("CPUExecutionProvider") >= operators.len());
        assert_eq!(recognizer.warning(), None);
    }
}

#[test]
fn a_policy_decides_whether_the_cpu_may_stand_in_for_cuda() {
    if runtime_info(None).unwrap().cuda_obstacle.is_none() {
        println!("skipped: CUDA can run here");
        return;
    }
    for policy in [DevicePolicy::Strict, DevicePolicy::Warn] {
        let options = SessionOptions::on(Device::Cuda(0)).with_policy(policy);
        let error = Recognizer::open_with(tiny("clip"), &options).unwrap_err();
        assert!(matches!(error, Error::CudaUnavailable { .. }), "{error:?}");
    }
    let options = SessionOptions::on(Device::Cuda(0)).with_policy(DevicePolicy::Allow);
    let recognizer = Recognizer::open_with(tiny("clip"), &options).unwrap();
    assert_eq!(recognizer.device().device, Device::Cpu);
    assert!(recognizer.device().why.starts_with("CUDA cannot run: "), "{}", recognizer.device());
    assert_eq!(recognizer.warning(), None);
}

#[test]
fn less_memory_changes_no_answer() {
    let song = noise(3, 60 * SEGMENT);
    let plain = Recognizer::open_with(tiny("clip"), &SessionOptions::on(Device::Cpu)).unwrap();
    let expected = plain.recognize_samples(&song).unwrap();
    for options in [
        SessionOptions::on(Device::Cpu).with_memory_limit(1),
        SessionOptions::on(Device::Cpu).with_memory_limit(100_000),
        SessionOptions::on(Device::Cpu).with_release_memory(true),
    ] {
        let recognizer = Recognizer::open_with(tiny("clip"), &options).unwrap();
        let answer = recognizer.recognize_samples(&song).unwrap();
        assert_eq!(answer.segments, expected.segments);
        for (a, b) in answer.uncalibrated.iter().zip(&expected.uncalibrated) {
            assert!((a - b).abs() < 1e-6, "{options:?}: {a} and {b}");
        }
    }
}
