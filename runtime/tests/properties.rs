//! Properties of audio decoding that hold for any input: made-up files, rates, lengths and pieces.
//!
//! proptest draws new cases at every run, prints a failing one and keeps its seed in `properties.proptest-regressions`.
//! `scripts/fuzz` goes further.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

#[path = "support/decoding.rs"]
mod decoding;

use std::fs;

use decoding::{decode_bytes, decode_bytes_at, fixture, riff};
use leitmotif::audio::{AudioError, Resampler, Segmenter};
use leitmotif_models::SampleRate;
use proptest::prelude::*;
use proptest::sample::Index;

/// One file of each container and codec.
const FILES: [&str; 12] = [
    "cbr.mp3",
    "vbr.mp3",
    "no-tag.mp3",
    "stereo.ogg",
    "flac.oga",
    "stereo.opus",
    "s16.flac",
    "s24.flac",
    "lc.m4a",
    "lossless.m4a",
    "lc.aac",
    "s16.aiff",
];

/// A change of a file's bytes.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Cut(Index),
    Drop(Index, Index),
    Repeat(Index, Index),
    Fill(Index, u8, usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let range = |a: &Index, b: &Index| {
            let (a, b) = (a.index(bytes.len()), b.index(bytes.len()));
            a.min(b)..a.max(b)
        };
        match self {
            Change::Flip(at, bits) => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Change::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Change::Drop(a, b) => drop(bytes.drain(range(a, b))),
            Change::Repeat(a, b) => {
                let part = bytes[range(a, b)].to_vec();
                bytes.extend(part);
            }
            Change::Fill(at, byte, count) => {
                let at = at.index(bytes.len());
                let end = bytes.len().min(at + count);
                bytes[at..end].fill(*byte);
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), 1u8..).prop_map(|(at, bits)| Change::Flip(at, bits)),
        1 => at().prop_map(Change::Cut),
        1 => (at(), at()).prop_map(|(a, b)| Change::Drop(a, b)),
        1 => (at(), at()).prop_map(|(a, b)| Change::Repeat(a, b)),
        2 => (at(), any::<u8>(), 1usize..600).prop_map(|(at, byte, count)| Change::Fill(at, byte, count)),
    ]
}

/// Checks for samples in range or a typed error.
fn is_decoded_or_refused(bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let length = bytes.len();
    match decode_bytes(bytes) {
        Ok((samples, info)) => {
            prop_assert!(
                samples.iter().all(|sample| sample.is_finite() && sample.abs() <= 1e7),
                "{info:?}"
            );
            // Constant blocks of FLAC are the densest: 65,536 samples in ten bytes, and 16 times as many after resampling
            // from the lowest rate.
            prop_assert!(
                samples.len() <= 200_000 * (length + 1),
                "{} of {length} bytes",
                samples.len()
            );
        }
        // A panic that was caught is a bug of a decoder.
        Err(AudioError::Damaged { reason, .. }) => {
            prop_assert!(!reason.contains("panicked"), "{reason}")
        }
        Err(_) => {}
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_is_decoded_or_refused(file in 0..FILES.len(), changes in prop::collection::vec(change(), 1..12)) {
        let name = FILES[file];
        if cfg!(feature = "opus") || !name.contains("opus") {
            let mut bytes = fs::read(fixture(name)).unwrap();
            changes.iter().for_each(|change| change.apply(&mut bytes));
            is_decoded_or_refused(bytes)?;
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(start in prop::sample::select(vec![&b""[..], b"RIFF", b"RF64", b"fLaC", b"OggS", b"ID3\x04", b"\xff\xfb", b"\xff\xf1", b"FORM"]), rest in prop::collection::vec(any::<u8>(), 0..3000)) {
        is_decoded_or_refused([start, &rest].concat())?;
    }

    #[test]
    fn a_wav_is_decoded_sample_by_sample_or_refused(rate in prop_oneof![1000u32..200_000, any::<u32>()], channels in prop_oneof![1u16..9, any::<u16>()], bits in prop_oneof![Just(8u16), Just(16), Just(24), Just(32), any::<u16>()], float: bool, data in prop::collection::vec(any::<u8>(), 1..2000), more in 0u32..100) {
        let claimed = data.len() as u32 + more;
        let decoded = decode_bytes_at(riff(rate, channels, bits, float, &data, claimed), SampleRate(rate));
        let is_plain = [8, 16, 24, 32].contains(&bits) && !float && (1..=8).contains(&channels) && (1000..=768_000).contains(&rate);
        let frame = usize::from(channels) * usize::from(bits / 8);
        match decoded {
            Ok((samples, info)) if is_plain => {
                prop_assert_eq!(samples.len(), data.len() / frame);
                let is_cut = claimed as usize / frame > data.len() / frame;
                prop_assert_eq!(info.truncated, is_cut, "{:?}, {} of {} bytes in frames of {}", info, data.len(), claimed, frame);
            }
            Ok(_) => {}
            Err(error) => prop_assert!(!is_plain || data.len() < frame, "{}", error),
        }
    }

    #[test]
    fn resampling_in_pieces_is_resampling_at_once(from in 8000u32..96_000, to in 8000u32..48_000, samples in prop::collection::vec(-1f32..1.0, 0..4000), pieces in prop::collection::vec(1usize..700, 1..12)) {
        let at_once = {
            let (mut resampler, mut out) = (Resampler::new(SampleRate(from), SampleRate(to)).unwrap(), Vec::new());
            resampler.push(&samples, &mut out);
            resampler.finish(&mut out);
            out
        };
        let (mut resampler, mut out) = (Resampler::new(SampleRate(from), SampleRate(to)).unwrap(), Vec::new());
        let (mut rest, mut sizes) = (&samples[..], pieces.iter().cycle());
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            resampler.push(piece, &mut out);
            rest = more;
        }
        resampler.finish(&mut out);
        prop_assert!(out == at_once);
        let exact = samples.len() as f64 * f64::from(to) / f64::from(from);
        prop_assert!((out.len() as f64 - exact).abs() <= 0.5 + 1e-6, "{} for {exact}", out.len());
        prop_assert!(out.iter().all(|sample| sample.is_finite() && sample.abs() < 4.0));
    }

    #[test]
    fn segments_are_slices_however_the_stream_is_cut(segment in 1usize..50, hop in 1usize..70, length in 0usize..600, pieces in prop::collection::vec(1usize..90, 1..9)) {
        let samples: Vec<f32> = (0..length).map(|n| n as f32).collect();
        let (mut found, mut segmenter) = (Vec::new(), Segmenter::new(segment, hop));
        let (mut rest, mut sizes) = (&samples[..], pieces.iter().cycle());
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            segmenter.push(piece, &mut |found_now| { found.push(found_now.to_vec()); Ok::<(), ()>(()) }).unwrap();
            rest = more;
        }
        let expected: Vec<Vec<f32>> = (0..length).step_by(hop).filter_map(|start| samples.get(start..start + segment)).map(<[f32]>::to_vec).collect();
        prop_assert_eq!(found, expected);
    }
}
