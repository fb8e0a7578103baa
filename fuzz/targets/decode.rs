//! Decodes any bytes to the end: an error, or samples within bounds.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use leitmotif::audio::AudioReader;
use leitmotif_models::SampleRate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: leitmotif_fuzz::own_panics_only(&["nanomp3", "symphonia", "ropus"]), |bytes: &[u8]| {
    let stream = Cursor::new(bytes.to_vec());
    let name = Path::new("fuzz");
    let Ok(mut reader) = AudioReader::from_reader(stream, name, SampleRate::NETWORK) else { return };
    let mut block = Vec::new();
    while reader.read(&mut block).is_ok_and(|read| read > 0) {
        assert!(block.iter().all(|sample| sample.abs() <= 1.0), "a sample over full scale");
        block.clear();
    }
    assert_eq!(reader.read(&mut block).ok().unwrap_or(0), 0, "samples after the end");
});
