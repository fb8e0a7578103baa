//! Summarises any bytes as an `.onnx` file.
#![no_main]

use std::path::Path;

use leitmotif_export::Summary;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Summary::of(bytes, Path::new("fuzz"));
});
