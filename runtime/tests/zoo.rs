//! The committed model answers the README's first question as the README says.
#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use leitmotif::Recognizer;
use support::zoo;

#[test]
fn the_committed_model_identifies_the_artist_of_the_committed_song() {
    let recognizer = Recognizer::open(zoo("game-music.clip.onnx")).unwrap();
    let test = recognizer.self_test().unwrap();
    assert!(test.passed(), "{test:?}");
    let answer = recognizer.recognize_file(zoo("tt1.ogg")).unwrap();
    let best = answer.best().unwrap();
    assert_eq!(best.artist, "Kenta Cho (ABA Games)");
    assert!(best.probability > 0.8, "{}", best.probability);
    assert_eq!(answer.artists.len(), 9);
}

#[test]
fn the_committed_model_names_its_data_and_licences() {
    let recognizer = Recognizer::open(zoo("game-music.clip.onnx")).unwrap();
    let card = recognizer.card();
    assert_eq!(card.classes.len(), 9);
    for licence in ["CC-BY-SA-3.0", "GPL-2+", "BSD-2-Clause"] {
        assert!(card.dataset.licence.contains(licence), "{}", card.dataset.licence);
    }
}
