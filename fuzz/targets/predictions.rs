//! Accepted predictions can be scored, written and read.
#![no_main]

use leitmotif_models::{Predictions, Scores};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(predictions) = Predictions::from_lines(text) else { return };
    let _ = Scores::of(&predictions);
    let written = predictions.to_lines().expect("what was read can be written");
    assert_eq!(Predictions::from_lines(&written).expect("what was written can be read"), predictions);
});
