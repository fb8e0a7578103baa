//! Interrupted writers, lost files and invalid content: what a data set folder must survive or refuse.

use std::{collections::BTreeMap, fs, path::Path};

use super::*;

mod reading;
mod writing;

const SHARD: u64 = 25;

fn info() -> DatasetInfo {
    DatasetInfo {
        name: "test".into(),
        clip_samples: 10,
        licence: "CC0".into(),
        ..DatasetInfo::default()
    }
}

fn open(folder: &Path) -> Result<DatasetWriter, StoreError> {
    DatasetWriter::with_shards_of(SHARD, folder, info())
}

/// A song of a few clips, the last of them shorter, with names that a CSV must quote.
fn song(number: usize) -> (Vec<ClipRow>, Vec<f32>) {
    let clips = number % 3 + 1;
    let name = format!("a, \"{number}\"\nß.ogg");
    let rows: Vec<ClipRow> = (0..clips)
        .map(|clip| ClipRow {
            clip: format!("{name}#{clip}"),
            song: name.clone(),
            artist: format!("artist {}", number % 2),
            song_group: format!("group {number}"),
            start: clip as u64 * 10,
            samples: if clip + 1 == clips { 7 } else { 10 },
            source: name.clone(),
            ..ClipRow::default()
        })
        .collect();
    let length: u64 = rows.iter().map(|row| row.samples).sum();
    let audio = (0..length).map(|n| (number as f32 * 100.0 + n as f32) / 32_768.0).collect();
    (rows, audio)
}

fn append(writer: &mut DatasetWriter, number: usize) {
    let (rows, audio) = song(number);
    if !writer.has(&rows[0].song) {
        writer.append_song(&rows, &audio).unwrap();
    }
}

/// Every file of the folder except the lock.
fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with(files::LOCK) {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

fn uninterrupted(folder: &Path, songs: usize) -> BTreeMap<String, Vec<u8>> {
    let mut writer = open(folder).unwrap();
    (0..songs).for_each(|number| append(&mut writer, number));
    writer.finish().unwrap();
    bytes(folder)
}
