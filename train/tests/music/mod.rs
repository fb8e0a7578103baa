//! Small pieces of music for tests.

use std::fs;
use std::path::Path;

/// Noise that follows from a number.
pub(crate) struct Wave(pub(crate) u32);

impl Wave {
    /// The first samples.
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
    write(path, 1, 16, samples.iter().flat_map(|sample| sample.to_le_bytes()).collect());
}

/// A 16 kHz mono WAV of floats.
pub(crate) fn write_float(path: &Path, samples: &[f32]) {
    write(path, 3, 32, samples.iter().flat_map(|sample| sample.to_le_bytes()).collect());
}

fn write(path: &Path, format: u16, bits: u16, data: Vec<u8>) {
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend(format.to_le_bytes());
    file.extend(1u16.to_le_bytes());
    file.extend(16_000u32.to_le_bytes());
    file.extend((16_000 * u32::from(bits) / 8).to_le_bytes());
    file.extend((bits / 8).to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    fs::write(path, file).unwrap();
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
