//! Any bytes, heard to the end: an error or samples within bounds.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use leitmotif::audio::AudioReader;
use leitmotif_models::SampleRate;
use libfuzzer_sys::fuzz_target;

/// Panics inside the decoders' crates are caught by the ears and are no finding; those of our own code are.
fn own_panics_only() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let file = panic.location().map_or("", |place| place.file());
        if !["symphonia", "ropus"].iter().any(|name| file.contains(name)) {
            default(panic);
            std::process::abort();
        }
    }));
}

fuzz_target!(init: own_panics_only(), |bytes: &[u8]| {
    let stream = Cursor::new(bytes.to_vec());
    let name = Path::new("fuzz");
    let Ok(mut reader) = AudioReader::from_reader(stream, name, SampleRate::NETWORK) else { return };
    let mut block = Vec::new();
    while reader.read(&mut block).is_ok_and(|read| read > 0) {
        assert!(block.iter().all(|sample| sample.abs() <= 1e7), "a sample that is no sound");
        block.clear();
    }
    assert_eq!(reader.read(&mut block).ok().unwrap_or(0), 0, "the end is for good");
});
