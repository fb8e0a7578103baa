//! An accepted run record is the same after writing and reading.
#![no_main]

use leitmotif_models::RunRecord;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(record) = RunRecord::from_json(text) else { return };
    let written = record.to_json().expect("what was read can be written");
    assert_eq!(RunRecord::from_json(&written).expect("what was written can be read"), record);
});
