//! Shared by the tests of audio decoding: a signal known at every rate, its files, and helpers to decode them.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::{
    f64::consts::TAU,
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use leitmotif::audio::{AudioError, AudioInfo, AudioReader, read_all};
use leitmotif_models::SampleRate;

pub(crate) const SECONDS: f64 = 2.0;

pub(crate) const RATE: SampleRate = SampleRate::NETWORK;

/// Left and right of the test signal; `frame` of `data/audio/make.py`.
pub(crate) fn frame(t: f64) -> [f64; 2] {
    let fade = (t / 0.05).min((SECONDS - t) / 0.05).clamp(0.0, 1.0);
    let left = 0.30 * (TAU * (200.0 * t + 700.0 * t * t)).sin() + 0.15 * (TAU * 440.0 * t).sin();
    let right = 0.25 * (TAU * 330.0 * t + 1.0).sin() + 0.15 * (TAU * 1250.0 * t).sin();
    [fade * left, fade * right]
}

/// The mono sample `n` of the test signal at 16 kHz.
pub(crate) fn expected_sample(n: i64) -> f64 {
    let [left, right] = frame(n as f64 / 16_000.0);
    (left + right) / 2.0
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/audio").join(name)
}

pub(crate) fn decode(path: &Path) -> (Vec<f32>, AudioInfo) {
    read_all(path, RATE).unwrap()
}

/// Signal-to-difference in decibels, where sample `n` of `samples` should be
/// `expected_sample(n - late)`.
pub(crate) fn fidelity(samples: &[f32], late: i64) -> f64 {
    let (mut signal, mut difference) = (0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        let expected = expected_sample(n as i64 - late);
        signal += expected * expected;
        difference += (f64::from(sample) - expected).powi(2);
    }
    10.0 * (signal / difference.max(1e-30)).log10()
}

/// Writes a WAV file of the signal: `bits` of a sample, 32 and 64 with `float` being floats.
pub(crate) fn wav(path: &Path, rate: u32, channels: u16, bits: u16, float: bool) {
    let frames = (SECONDS * f64::from(rate)) as u32;
    let mut data = Vec::new();
    for n in 0..frames {
        let sides = frame(f64::from(n) / f64::from(rate));
        let mean = [(sides[0] + sides[1]) / 2.0];
        for channel in 0..usize::from(channels) {
            let x = if channels == 1 { mean[0] } else { sides[channel % 2] };
            match (bits, float) {
                (8, _) => data.push((x * 127.0).round() as i8 as u8 ^ 0x80),
                (64, _) => data.extend(x.to_le_bytes()),
                (32, true) => data.extend((x as f32).to_le_bytes()),
                (bits, _) => {
                    let whole = (x * f64::from(u32::MAX >> (33 - bits))).round() as i32;
                    data.extend(&whole.to_le_bytes()[..usize::from(bits / 8)]);
                }
            }
        }
    }
    fs::write(path, riff(rate, channels, bits, float, &data, data.len() as u32)).unwrap();
}

/// A WAV file around `data`, claiming `claimed` bytes of it.
pub(crate) fn riff(
    rate: u32,
    channels: u16,
    bits: u16,
    float: bool,
    data: &[u8],
    claimed: u32,
) -> Vec<u8> {
    let align = channels.wrapping_mul(bits / 8);
    let mut file = b"RIFF".to_vec();
    file.extend(claimed.saturating_add(36).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend([if float { 3u16 } else { 1 }, channels].map(u16::to_le_bytes).concat());
    file.extend([rate, rate.wrapping_mul(u32::from(align))].map(u32::to_le_bytes).concat());
    file.extend([align, bits].map(u16::to_le_bytes).concat());
    file.extend(b"data");
    file.extend(claimed.to_le_bytes());
    file.extend(data);
    file
}

/// Decodes bytes in memory.
pub(crate) fn decode_bytes_at(
    bytes: Vec<u8>,
    rate: SampleRate,
) -> Result<(Vec<f32>, AudioInfo), AudioError> {
    let mut reader = AudioReader::from_reader(Cursor::new(bytes), Path::new("bytes"), rate)?;
    let mut samples = Vec::new();
    while reader.read(&mut samples)? > 0 {}
    Ok((samples, reader.info().clone()))
}

pub(crate) fn decode_bytes(bytes: Vec<u8>) -> Result<(Vec<f32>, AudioInfo), AudioError> {
    decode_bytes_at(bytes, RATE)
}

/// The error of a file that cannot be decoded.
pub(crate) fn refused(path: &Path) -> AudioError {
    let error = read_all(path, RATE).expect_err(&path.display().to_string());
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    error
}

/// The error of a file of these bytes.
pub(crate) fn refused_bytes(name: &str, bytes: &[u8]) -> AudioError {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    refused(&path)
}
