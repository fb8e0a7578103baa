//! A data set folder with any bytes in one of its files: the first byte says which.
#![no_main]

use std::fs;

use leitmotif_dataset::store::{ClipRow, Dataset, DatasetInfo, DatasetWriter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((which, bytes)) = bytes.split_first() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let info = DatasetInfo { name: "fuzz".into(), clip_samples: 4, ..DatasetInfo::default() };
    let mut writer = DatasetWriter::create_or_resume(folder.path(), info.clone()).expect("an empty folder");
    let row = ClipRow {
        clip: "a#0".into(),
        song: "a".into(),
        artist: "A".into(),
        samples: 4,
        ..ClipRow::default()
    };
    writer.append_song(&[row], &[0.0; 4]).expect("a song");
    let name = match which % 4 {
        0 => "clips.csv",
        1 => "dataset.toml",
        2 => "splits/fuzz.csv",
        _ => "journal.csv",
    };
    if name == "journal.csv" {
        drop(writer);
    } else {
        writer.finish().expect("a finished data set");
    }
    let _ = fs::create_dir(folder.path().join("splits"));
    fs::write(folder.path().join(name), bytes).expect("a file");
    if let Ok(dataset) = Dataset::open(folder.path()) {
        let mut samples = [0.0; 4];
        for clip in 0..dataset.clips().len() {
            let _ = dataset.read(clip, 0, &mut samples);
        }
        let _ = dataset.read_split("fuzz");
    }
    if let Ok(writer) = DatasetWriter::create_or_resume(folder.path(), info) {
        let _ = writer.finish();
    }
});
