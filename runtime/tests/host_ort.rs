//! A program that opened ONNX Runtime through `ort` itself, in a process of its own.
#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::path::Path;

use leitmotif::{Error, Recognizer};
use support::tiny;

#[test]
fn a_host_that_initialised_ort_first_is_named_in_the_error() {
    let wheel =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deps/site-packages/onnxruntime/capi");
    let named = std::env::var_os("ORT_DYLIB_PATH").map(std::path::PathBuf::from);
    let found = wheel.read_dir().into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut found = found.filter(|path| path.to_string_lossy().contains("libonnxruntime.so."));
    let Some(library) = named.or_else(|| found.next()) else {
        println!("skipped: there is no ONNX Runtime in .deps");
        return;
    };
    let _environment = ort::init_from(&library).unwrap().build().unwrap();
    let error = Recognizer::open(tiny("clip")).unwrap_err();
    assert!(matches!(error, Error::OnnxRuntimeTaken), "{error:?}");
    assert!(error.to_string().contains("`ort`"), "{error}");
}
