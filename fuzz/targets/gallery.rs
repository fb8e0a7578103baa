//! An accepted gallery is the same after writing and reading, and answers.
#![no_main]

use std::sync::LazyLock;

use leitmotif::{Card, Gallery};
use libfuzzer_sys::fuzz_target;

/// The card of a tiny model, the last text of its file.
static CARD: LazyLock<Card> = LazyLock::new(|| {
    let model = String::from_utf8_lossy(include_bytes!("../../runtime/tests/data/tiny.clip.onnx"));
    let start = model.find("{\"version\"").expect("a card begins");
    let end = model.rfind('}').expect("a card ends");
    Card::from_json(&model[start..=end]).expect("the card of a fixture")
});

fuzz_target!(|text: &[u8]| {
    let Ok(gallery) = Gallery::from_json(text, &CARD) else { return };
    let written = gallery.to_json().expect("what was read can be written");
    let again = Gallery::from_json(written.as_bytes(), &CARD).expect("what was written can be read");
    assert_eq!(again.to_json().expect("and written again"), written);
    let asked = vec![1.0; CARD.embedding_units];
    assert_eq!(gallery.recognize(&asked).is_ok(), gallery.songs() > 0);
    assert!(gallery.min_similarity().is_none_or(|least| (-1.001..=1.001).contains(&least)));
});
