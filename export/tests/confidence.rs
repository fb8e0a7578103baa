//! A checkpoint's temperature and threshold in the card, and what a recognizer makes of them.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use leitmotif::session::SessionOptions;
use leitmotif::{Device, Recognizer};
use leitmotif_export::{Checkpoint, Recipe, compile_as};
use leitmotif_models::{Confidence, GraphKind, HeadKind};
use support::{TINY, Tiny, noise};

const SEGMENT: usize = 729;

fn confidence(threshold: f64) -> Confidence {
    Confidence {
        temperature: 0.25,
        threshold,
        keep: 0.8,
        source: "made up".to_owned(),
        songs: 20,
        kept: 16,
        kept_right: 15,
        loss_before: 1.0,
        loss_after: 0.9,
        reliability: Vec::new(),
        unknown: None,
    }
}

/// The recognizer of a graph whose checkpoint holds this.
fn recognizer(kind: GraphKind, confidence: Option<Confidence>) -> Recognizer {
    let folder = tempfile::tempdir().unwrap();
    let mut tiny = Tiny::new(TINY, kind.head(), 3, 3);
    tiny.run.confidence = confidence;
    tiny.save(folder.path());
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let artifact = compile_as(&checkpoint, kind, &Recipe::named("x")).unwrap();
    Recognizer::from_bytes(artifact.bytes(), &SessionOptions::on(Device::Cpu)).unwrap()
}

#[test]
fn every_graph_applies_the_temperature_to_the_recording_and_refuses_noise_below_the_threshold() {
    let samples = noise(20 * SEGMENT, 5);
    for kind in [HeadKind::Dense, HeadKind::Lstm].into_iter().flat_map(GraphKind::of_head) {
        let plain = recognizer(kind, None).recognize_samples(&samples).unwrap();
        assert_eq!(plain.unknown(), None);
        let best = |answer: &leitmotif::Answer| answer.best().unwrap().clone();
        assert_eq!(best(&plain).probability, plain.uncalibrated[best(&plain).class]);

        let loose = recognizer(kind, Some(confidence(0.0)));
        let answer = loose.recognize_samples(&samples).unwrap();
        assert_eq!(answer.uncalibrated, plain.uncalibrated);
        assert_eq!(answer.timeline, plain.timeline);
        assert_eq!(answer.unknown(), Some(false));
        // T = 1/4: fourth powers.
        let powers: Vec<f64> = plain.uncalibrated.iter().map(|p| f64::from(*p).powi(4)).collect();
        let sum: f64 = powers.iter().sum();
        for artist in &answer.artists {
            let expected = powers[artist.class] / sum;
            assert!((f64::from(artist.probability) - expected).abs() < 1e-6, "{kind:?}");
        }
        assert!(best(&answer).probability > best(&plain).probability + 0.01);
        // The golden probabilities are the network's own.
        assert!(loose.self_test().unwrap().passed());

        assert_eq!(answer.certainty, plain.certainty);
        let of =
            |moment: &leitmotif::Moment| moment.probabilities.iter().copied().fold(0.0, f32::max);
        // A dense head's certainty is of segments; here an LSTM has windows of three.
        if kind.head() == HeadKind::Dense {
            let mean = plain.timeline.iter().map(of).sum::<f32>() / plain.segments as f32;
            assert!((plain.certainty - mean).abs() < 1e-6, "{mean} {}", plain.certainty);
        }
        let top = f64::from(plain.certainty);
        for (threshold, unknown) in [(top + 1e-4, true), (top - 1e-4, false)] {
            let strict = recognizer(kind, Some(confidence(threshold)));
            assert_eq!(strict.recognize_samples(&samples).unwrap().unknown(), Some(unknown));
            let silence = strict.recognize_samples(&[0.0; 9 * SEGMENT]).unwrap();
            assert_eq!(silence.unknown(), Some(true));
        }
    }
}
