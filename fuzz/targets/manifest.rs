//! Reads any bytes as a manifest.
#![no_main]

use std::fs;

use leitmotif_dataset::sources::manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let list = folder.path().join("list.csv");
    fs::write(&list, bytes).expect("a file");
    fs::write(folder.path().join("a"), "no music").expect("a file");
    let _ = manifest::find(&list, &mut |_| {}, &|| false);
});
