//! Live audio against the same samples at once.
#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use leitmotif::{
    Answer, Device, Error, Listener, RecognizeOptions, Recognizer, SampleRate, SessionOptions,
};
use proptest::prelude::*;
use support::{SEGMENT, WINDOW, largest_difference, noise, tiny};

/// ONNX Runtime may add in another order when a graph gets more segments at a time.
const ROUNDING: f32 = 1e-6;

fn open(graph: &str) -> Recognizer {
    let options = SessionOptions::on(Device::Cpu).with_threads(1);
    Recognizer::open_with(tiny(graph), &options).unwrap()
}

fn listen(recognizer: &Recognizer, rate: u32) -> Listener {
    recognizer.listen(SampleRate(rate), &RecognizeOptions::new()).unwrap()
}

fn assert_same(live: &Answer, at_once: &Answer) {
    assert!(largest_difference(&live.uncalibrated, &at_once.uncalibrated) < ROUNDING);
    assert!(largest_difference(&live.embedding, &at_once.embedding) < ROUNDING);
    assert!((live.certainty - at_once.certainty).abs() < ROUNDING);
    assert_eq!((live.segments, live.windows), (at_once.segments, at_once.windows));
    assert_eq!((live.seconds, live.peak), (at_once.seconds, at_once.peak));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    /// Every answer on the way, and the last, is that of all samples so far.
    #[test]
    fn live_audio_has_the_answer_of_its_samples_at_once(
        graph in prop::sample::select(vec!["clip", "segment", "step"]),
        segments in 1..3 * WINDOW + 2,
        chunks in prop::collection::vec(1..3 * SEGMENT, 1..40),
    ) {
        let recognizer = open(graph);
        let samples = noise(segments as u32, segments * SEGMENT + 55);
        let mut listener = listen(&recognizer, 16_000);
        let (mut taken, mut timeline) = (0, Vec::new());
        for chunk in chunks.iter().cycle() {
            let end = (taken + chunk).min(samples.len());
            let given = end - taken;
            let answer = listener.push(&samples[taken..end]).unwrap();
            taken = end;
            if let Some(answer) = answer {
                assert_same(&answer, &recognizer.recognize_samples(&samples[..taken]).unwrap());
                timeline.extend(answer.timeline);
            } else {
                prop_assert!(given < SEGMENT);
            }
            if taken == samples.len() {
                break;
            }
        }
        let at_once = recognizer.recognize_samples(&samples).unwrap();
        for (live, at_once) in timeline.iter().zip(&at_once.timeline) {
            prop_assert!(largest_difference(&live.probabilities, &at_once.probabilities) < ROUNDING);
            prop_assert_eq!((live.start_seconds, live.window), (at_once.start_seconds, at_once.window));
        }
        prop_assert!(timeline.len() >= at_once.timeline.len());
        assert_same(&listener.finish().unwrap(), &at_once);
    }
}

#[test]
fn another_rate_is_resampled_as_at_once() {
    for graph in ["clip", "step"] {
        let recognizer = open(graph);
        let samples = noise(5, 60_000);
        let mut listener = listen(&recognizer, 44_100);
        for chunk in samples.chunks(441) {
            listener.push(chunk).unwrap();
        }
        assert_eq!(listener.seconds(), 60_000.0 / 44_100.0);
        let at_once = recognizer.recognize_samples_at(&samples, SampleRate(44_100)).unwrap();
        assert_same(&listener.finish().unwrap(), &at_once);
        assert_eq!(listener.seconds(), 0.0);
    }
}

#[test]
fn a_reset_begins_anew() {
    for graph in ["clip", "step"] {
        let recognizer = open(graph);
        let mut listener = listen(&recognizer, 16_000);
        listener.push(&noise(1, 5 * SEGMENT + 9)).unwrap();
        listener.reset().unwrap();
        let samples = noise(2, 7 * SEGMENT);
        let answer = listener.push(&samples).unwrap().unwrap();
        assert_same(&answer, &recognizer.recognize_samples(&samples).unwrap());
    }
}

#[test]
fn bad_samples_are_refused_and_not_taken() {
    let recognizer = open("step");
    let mut listener = listen(&recognizer, 16_000);
    let samples = noise(3, 4 * SEGMENT);
    listener.push(&samples[..500]).unwrap();
    let bad = listener.push(&[0.0, f32::NAN]);
    assert!(matches!(bad, Err(Error::NotFinite { index: 1, .. })), "{bad:?}");
    let bad = listener.push(&[20_000.0]);
    assert!(matches!(bad, Err(Error::OutOfScale { .. })), "{bad:?}");
    let answer = listener.push(&samples[500..]).unwrap().unwrap();
    assert_same(&answer, &recognizer.recognize_samples(&samples).unwrap());
}

#[test]
fn too_little_audio_is_too_short() {
    let mut listener = listen(&open("clip"), 16_000);
    assert!(listener.push(&noise(1, SEGMENT - 1)).unwrap().is_none());
    assert!(matches!(listener.finish(), Err(Error::TooShort { .. })));
}

#[test]
fn whole_windows_are_no_live_audio() {
    let listener = open("sequence").listen(SampleRate::NETWORK, &RecognizeOptions::new());
    assert!(matches!(listener, Err(Error::NeedsStep { .. })));
}
