//! Reads the tags of any bytes.
#![no_main]

use std::io::Write;

use leitmotif_dataset::sources::tags;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: leitmotif_fuzz::own_panics_only(&["lofty"]), |bytes: &[u8]| {
    let Some((which, bytes)) = bytes.split_first() else { return };
    let endings = [".mp3", ".flac", ".ogg", ".m4a", ".wav", ".opus", ".aiff", ""];
    let ending = endings.get(usize::from(which % 8)).copied().unwrap_or_default();
    let mut file = tempfile::Builder::new().suffix(ending).tempfile().expect("a temporary file");
    file.write_all(bytes).expect("room for it");
    let _ = tags::read(file.path());
});
