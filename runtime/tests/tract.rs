//! Models run in tract, without ONNX Runtime's library.
#![cfg(feature = "tract")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use leitmotif::session::Session;
use leitmotif::{Device, Engine, Error, RecognizeOptions, Recognizer, SampleRate, SessionOptions};
use support::tiny;

fn in_tract() -> SessionOptions {
    SessionOptions::default().with_engine(Engine::Tract)
}

/// A sound that changes from segment to segment.
fn sweep(samples: usize) -> Vec<f32> {
    (0..samples).map(|i| 0.5 * (i as f32 * i as f32 * 1e-6).sin()).collect()
}

#[test]
fn every_graph_has_onnx_runtimes_answer_at_every_length() {
    for kind in ["clip", "segment", "sequence", "step"] {
        let ours = Recognizer::open_with(tiny(kind), &in_tract()).unwrap();
        let theirs = Recognizer::open_with(tiny(kind), &SessionOptions::on(Device::Cpu)).unwrap();
        assert!(ours.device().why.contains("tract"), "{}", ours.device());
        assert!(ours.placement().nodes("tract") > 0);
        for seconds in [2, 9, 31] {
            let samples = sweep(seconds * 16_000 + 77);
            let (ours, theirs) =
                (ours.recognize_samples(&samples), theirs.recognize_samples(&samples));
            match (ours, theirs) {
                (Ok(ours), Ok(theirs)) => {
                    assert_eq!(ours.segments, theirs.segments);
                    let values = |answer: &leitmotif::Answer| {
                        [answer.uncalibrated.clone(), answer.embedding.clone()].concat()
                    };
                    for (a, b) in values(&ours).iter().zip(values(&theirs)) {
                        assert!((a - b).abs() < 1e-5, "{kind}, {seconds} s: {a} and {b}");
                    }
                }
                (Err(Error::TooShort { .. }), Err(Error::TooShort { .. })) => {}
                (ours, theirs) => panic!("{kind}, {seconds} s: {ours:?} and {theirs:?}"),
            }
        }
        assert!(ours.self_test().unwrap().passed());
    }
}

#[test]
fn live_audio_and_several_callers_are_served() {
    let recognizer = Recognizer::open_with(tiny("step"), &in_tract().with_sessions(2)).unwrap();
    let samples = sweep(160_000);
    let expected = recognizer.recognize_samples(&samples).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let answer = recognizer.recognize_samples(&samples).unwrap();
                assert_eq!(answer.uncalibrated, expected.uncalibrated);
            });
        }
    });
    let mut listener = recognizer.listen(SampleRate(16_000), &RecognizeOptions::new()).unwrap();
    for chunk in samples.chunks(1_111) {
        listener.push(chunk).unwrap();
    }
    let answer = listener.finish().unwrap();
    for (a, b) in answer.uncalibrated.iter().zip(&expected.uncalibrated) {
        assert!((a - b).abs() < 1e-5, "{a} and {b}");
    }
}

#[test]
fn what_tract_cannot_do_is_an_error_that_says_so() {
    let cuda = SessionOptions::on(Device::Cuda(0)).with_engine(Engine::Tract);
    let error = Recognizer::open_with(tiny("clip"), &cuda).unwrap_err();
    assert!(matches!(error, Error::CudaUnavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("tract"), "{error}");
    let error = Session::from_bytes(b"no network", &in_tract()).unwrap_err();
    assert!(matches!(error, Error::TractRefused { .. }), "{error:?}");
    let model = std::fs::read(tiny("segment")).unwrap();
    for length in (0..model.len()).step_by(97) {
        assert!(Recognizer::from_bytes(&model[..length], &in_tract()).is_err(), "{length}");
    }
}

#[test]
fn wrong_inputs_are_errors() {
    let mut session = Session::open(&tiny("segment"), &in_tract()).unwrap();
    let segment = session.inputs()[0].dims.as_ref().unwrap()[1].unwrap();
    let samples = vec![0.1; 2 * segment];
    let shape = [1, segment];
    assert!(session.run(&[("waveform", &shape, &samples[..segment])]).is_ok());
    let wrong: [(&str, &[usize], &[f32]); 5] = [
        ("waveform", &shape, &samples),
        ("waveform", &[1, 2 * segment], &samples),
        ("waveform", &[segment], &samples[..segment]),
        ("sound", &shape, &samples[..segment]),
        ("waveform", &[usize::MAX, 2], &samples),
    ];
    for input in wrong {
        let error = session.run(&[input]).unwrap_err();
        assert!(matches!(error, Error::Run { .. }), "{error:?}");
        assert!(error.to_string().starts_with("tract could not"), "{error}");
    }
    assert!(session.run(&[]).is_err());
}

#[test]
fn a_library_that_is_named_and_missing_is_an_error_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let options = SessionOptions::default().with_onnx_runtime(folder.path().join("missing.so"));
    let error = Recognizer::open_with(tiny("clip"), &options).unwrap_err();
    assert!(matches!(error, Error::OnnxRuntimeMissing { .. }), "{error:?}");
}
