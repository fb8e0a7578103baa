//! Shared by the tests of serving: the committed tiny models, edits of them, and noise as music.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::path::{Path, PathBuf};

use leitmotif_models::GoldenInput;

/// The tiny models' segment, in samples; their hop is as long.
pub(crate) const SEGMENT: usize = 729;
/// Segments of the tiny models' window.
pub(crate) const WINDOW: usize = 7;
pub(crate) const GRAPHS: [&str; 4] = ["clip", "segment", "sequence", "step"];

pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// A file beside the committed model.
pub(crate) fn zoo(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/zoo").join(file)
}

/// `tests/data/tiny.GRAPH.onnx`, made by the tests of `leitmotif-export` from seeded random weights.
pub(crate) fn tiny(graph: &str) -> PathBuf {
    data(&format!("tiny.{graph}.onnx"))
}

/// The tiny model's bytes with every `from` replaced by a `to` of the same length, so that lengths in the file hold.
pub(crate) fn edited(graph: &str, edits: &[(&str, &str)]) -> Vec<u8> {
    let mut model = std::fs::read(tiny(graph)).unwrap();
    for (from, to) in edits {
        assert_eq!(from.len(), to.len(), "`{from}` and `{to}` differ in length");
        let (from, to) = (from.as_bytes(), to.as_bytes());
        let places: Vec<usize> =
            (0..=model.len() - from.len()).filter(|at| model[*at..].starts_with(from)).collect();
        assert!(!places.is_empty(), "nothing to edit");
        for at in places {
            model[at..at + to.len()].copy_from_slice(to);
        }
    }
    model
}

/// The tiny model with `change` applied to the text of one value of its card; the text must keep its length.
pub(crate) fn with_value(graph: &str, key: &str, change: impl Fn(&str) -> String) -> Vec<u8> {
    let model = std::fs::read(tiny(graph)).unwrap();
    let text = String::from_utf8_lossy(&model);
    let start = text.find(&format!("\"{key}\":")).unwrap() + key.len() + 3;
    let value = &text[start..];
    let end = if value.starts_with('[') { "]" } else { "," };
    let value = &value[..value.find(end).unwrap()];
    let (from, to) = (format!("\"{key}\":{value}"), format!("\"{key}\":{}", change(value)));
    edited(graph, &[(&from, &to)])
}

/// The tiny model with the first and the last of its golden probabilities exchanged.
pub(crate) fn with_wrong_golden(graph: &str) -> Vec<u8> {
    with_value(graph, "probabilities", |list| {
        let mut numbers: Vec<&str> = list.trim_start_matches('[').split(',').collect();
        numbers.reverse();
        format!("[{}", numbers.join(","))
    })
}

/// Noise at a tenth of full scale.
pub(crate) fn noise(seed: u32, samples: usize) -> Vec<f32> {
    GoldenInput { seed, samples }.samples()
}

/// A 16-bit mono WAV file.
pub(crate) fn wav(path: &Path, rate: u32, samples: &[f32]) {
    let bytes: Vec<u8> =
        samples.iter().flat_map(|x| ((x * 32_767.0) as i16).to_le_bytes()).collect();
    let mut file = b"RIFF".to_vec();
    file.extend((36 + bytes.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(rate.to_le_bytes());
    file.extend((2 * rate).to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend((bytes.len() as u32).to_le_bytes());
    file.extend(bytes);
    std::fs::write(path, file).unwrap();
}

pub(crate) fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
