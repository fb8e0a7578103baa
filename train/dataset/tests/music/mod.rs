//! Small audio files for tests, and the bytes of a folder.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Noise from a seed.
pub(crate) struct Wave(pub(crate) u32);

impl Wave {
    /// The first `count` samples.
    pub(crate) fn samples(&self, count: usize) -> Vec<i16> {
        let mut state = self.0;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i16 / 4
        };
        (0..count).map(|_| next()).collect()
    }
}

/// A 16 kHz mono WAV of 16-bit samples.
pub(crate) fn write_wave(path: &Path, samples: &[i16]) {
    fs::write(path, wave(samples)).unwrap();
}

/// The same as bytes.
pub(crate) fn wave(samples: &[i16]) -> Vec<u8> {
    wav(1, 16_000, 16, &samples.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<_>>())
}

/// A 16 kHz mono WAV of floats.
pub(crate) fn write_float(path: &Path, samples: &[f32]) {
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    fs::write(path, wav(3, 16_000, 32, &data)).unwrap();
}

/// A mono WAV with these bytes of samples.
pub(crate) fn wav(format: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    [&header(format, rate, bits, data.len() as u32)[..], data].concat()
}

/// The header of a mono WAV with `length` bytes of samples.
pub(crate) fn header(format: u16, rate: u32, bits: u16, length: u32) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend(length.saturating_add(36).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend(format.to_le_bytes());
    file.extend(1u16.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(bits) / 8).to_le_bytes());
    file.extend((bits / 8).to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend(length.to_le_bytes());
    file
}

/// Every file below a folder, with its bytes, except locks.
pub(crate) fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            let inner = bytes(&path);
            files
                .extend(inner.into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else if !name.contains("lock") {
            files.insert(name.to_owned(), fs::read(&path).unwrap());
        }
    }
    files
}

/// Two artists with two songs of 10,000 samples each.
pub(crate) fn four_songs() -> tempfile::TempDir {
    let music = tempfile::tempdir().unwrap();
    let songs = [
        "Ann/Album/01 - One.wav",
        "Ann/Album/02 - Two.wav",
        "Bob, the \"Ünïted\" 🎸/Album/a.wav",
        "Bob, the \"Ünïted\" 🎸/Album/b.wav",
    ];
    for (number, name) in songs.into_iter().enumerate() {
        let path = music.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_wave(&path, &Wave(1 + number as u32).samples(10_000));
    }
    music
}
