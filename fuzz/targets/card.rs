//! An accepted card is the same after writing and reading.
#![no_main]

use leitmotif_models::Card;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(card) = Card::from_json(text) else { return };
    let written = card.to_json().expect("what was read can be written");
    assert_eq!(Card::from_json(&written).expect("what was written can be read"), card);
    let _ = (card.max_samples_per_call(), card.network.costs(card.classes.len()));
});
