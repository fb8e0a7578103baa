//! Audio decoding of files whose headers are wrong, whose sound begins late or is out of scale, and of files that are
//! something else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

#[path = "support/decoding.rs"]
mod decoding;

use std::fs;

use decoding::*;
use leitmotif::audio::{AudioError, AudioNote, Level};

/// Samples of a tone of this amplitude, at 16 kHz.
fn tone(amplitude: f32, count: usize) -> Vec<f32> {
    (0..count).map(|n| amplitude * (n as f32 * 0.11).sin()).collect()
}

/// A WAV of floats.
fn floats(samples: &[f32]) -> Vec<u8> {
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    riff(16_000, 1, 32, true, &data, data.len() as u32)
}

/// A WAV of 16 bits whose sizes, of the file and of its audio data, are these.
fn wav_with_sizes(outer: u32, inner: Option<u32>) -> Vec<u8> {
    let data: Vec<u8> =
        (0..20_000u32).flat_map(|n| ((n * 37 % 9001) as i16).to_le_bytes()).collect();
    let mut file = riff(16_000, 1, 16, false, &data, inner.unwrap_or(data.len() as u32));
    file[4..8].copy_from_slice(&outer.to_le_bytes());
    file
}

#[test]
fn sizes_that_were_never_known_are_those_of_the_bytes() {
    let right = decode_bytes(wav_with_sizes(40_036, None)).unwrap();
    assert_eq!(right.1.duration_seconds, Some(1.25));
    // As ffmpeg, sox, and others write to a pipe.
    for unknown in [u32::MAX, u32::MAX - 36, 0x7fff_ffff, 0x7fff_ffff - 36, 0x8000_0000] {
        let piped = decode_bytes(wav_with_sizes(unknown, Some(unknown))).unwrap();
        assert!(piped == right, "{unknown:x}: {:?}", piped.1);
    }
}

#[test]
fn an_rf64_whose_sizes_were_never_written_is_decoded() {
    let plain = wav_with_sizes(40_036, None);
    let right = decode_bytes(plain.clone()).unwrap();
    for long in [0, u64::MAX] {
        let mut file = b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0".to_vec();
        for size in [long, long, 0] {
            file.extend(size.to_le_bytes());
        }
        file.extend([0; 4]);
        file.extend(&plain[12..40]);
        file.extend(u32::MAX.to_le_bytes());
        file.extend(&plain[44..]);
        assert!(decode_bytes(file).unwrap() == right, "{long:x}");
    }
}

#[test]
fn wrong_outer_sizes_are_a_note_and_not_damage() {
    let right = decode_bytes(wav_with_sizes(40_036, None)).unwrap();
    let wrong: [(u32, Option<u32>); 4] = [(40_028, None), (0, None), (50_000, None), (36, Some(0))];
    for (outer, inner) in wrong {
        let (samples, info) = decode_bytes(wav_with_sizes(outer, inner)).unwrap();
        assert!(samples == right.0, "{outer} {inner:?}");
        assert_eq!((info.truncated, info.notes), (false, vec![AudioNote::WrongHeader]), "{outer}");
    }
    // An empty WAV with a note after its audio stays empty.
    let mut empty = riff(16_000, 1, 16, false, &[], 0);
    empty.extend(b"LIST\x08\0\0\0INFOnote");
    assert!(matches!(decode_bytes(empty), Err(AudioError::NoAudio { .. })));
    // Half of a file is truncated, not mislabelled.
    let mut half = wav_with_sizes(40_036, None);
    half.truncate(20_044);
    let (samples, info) = decode_bytes(half).unwrap();
    assert_eq!((samples.len(), info.truncated, info.notes), (10_000, true, vec![]));
}

#[test]
fn aiff_with_wrong_sizes_is_decoded() {
    let file = fs::read(fixture("s16.aiff")).unwrap();
    let right = decode_bytes(file.clone()).unwrap();
    let sound = file.windows(4).position(|name| name == b"SSND").unwrap();
    for change in [100i64, -8, i64::from(i32::MAX)] {
        let mut wrong = file.clone();
        let size = (file.len() as i64 - 8 + change) as u32;
        wrong[4..8].copy_from_slice(&size.to_be_bytes());
        let (samples, info) = decode_bytes(wrong).unwrap();
        assert!(samples == right.0, "{change}");
        assert_eq!((info.truncated, info.notes), (false, vec![AudioNote::WrongHeader]), "{change}");
    }
    let mut unwritten = file.clone();
    unwritten[sound + 4..sound + 8].fill(0);
    let (samples, info) = decode_bytes(unwritten).unwrap();
    assert!(samples.len() >= right.0.len() && !info.truncated, "{info:?}");
    let mut cut = file;
    cut.truncate(sound + 16_000);
    let (samples, info) = decode_bytes(cut).unwrap();
    assert!(info.truncated && right.0.starts_with(&samples[..samples.len() - 100]), "{info:?}");
}

#[test]
fn block_sizes_of_flac_are_hints() {
    let file = fs::read(fixture("s16.flac")).unwrap();
    let right = decode_bytes(file.clone()).unwrap();
    for sizes in [[0, 0, 0, 0], [0, 0, 0xff, 0xff], [0, 0, 0x10, 0], [0x20, 0, 0x10, 0]] {
        let mut wrong = file.clone();
        wrong[8..12].copy_from_slice(&sizes);
        let (samples, info) = decode_bytes(wrong).unwrap();
        assert!(samples == right.0 && !info.truncated, "{sizes:?}: {info:?}");
        assert_eq!(info.notes, [AudioNote::WrongHeader]);
    }
}

#[test]
fn sound_behind_zeros_pictures_and_junk_is_found() {
    let mp3 = fs::read(fixture("no-tag.mp3")).unwrap();
    let right = decode_bytes(mp3.clone()).unwrap();
    let junk = |byte: u8, count: usize| vec![byte; count];
    let picture = [b"\xff\xd8\xff\xe0".to_vec(), junk(0x31, 1_500_000)].concat();
    for (before, noted) in [
        (junk(0, 1_500_000), 1_500_000),
        (junk(b'x', 3_000_000), 3_000_000),
        (picture, 1_500_004),
        (junk(0, 40), 0),
        // A tag without an end to its zeros.
        ([b"ID3\x03\0\0\0\0\0\x0a".to_vec(), junk(0, 70_010)].concat(), 70_000),
    ] {
        let (samples, info) = decode_bytes([before, mp3.clone()].concat()).unwrap();
        assert!(samples == right.0, "{noted}");
        let expected = (noted > 0).then_some(AudioNote::BytesBefore { bytes: noted });
        assert_eq!(info.notes, Vec::from_iter(expected));
    }
    let flac = fs::read(fixture("s16.flac")).unwrap();
    let (samples, _) = decode_bytes([junk(0, 2_000_000), flac.clone()].concat()).unwrap();
    assert!(samples == decode_bytes(flac).unwrap().0);
    assert!(matches!(decode_bytes(junk(0, 100_000)), Err(AudioError::UnknownFormat { .. })));
}

#[test]
fn mp3_in_a_wav_is_decoded() {
    let mp3 = fs::read(fixture("no-tag.mp3")).unwrap();
    let mut wav = riff(44_100, 2, 16, false, &mp3, mp3.len() as u32);
    wav[20..22].copy_from_slice(&0x55u16.to_le_bytes());
    let (samples, info) = decode_bytes(wav).unwrap();
    assert!(samples == decode_bytes(mp3).unwrap().0);
    assert_eq!(info.codec, "mp3");
}

#[test]
fn files_of_other_kinds_are_named() {
    for (bytes, name) in [
        (b"caff\0\x01\0\0desc".to_vec(), "Core Audio Format"),
        ([b"\x7f\xfe\x80\x01".as_slice(), &[3; 5000]].concat(), "DTS"),
        (
            [b"\x1a\x45\xdf\xa3".as_slice(), &fs::read(fixture("no-tag.mp3")).unwrap()].concat(),
            "Matroska",
        ),
        (
            [[0x47; 1], [0; 1], [0; 1]]
                .concat()
                .repeat(1)
                .into_iter()
                .chain([0; 185])
                .chain([0x47])
                .chain([0; 187])
                .collect(),
            "Transport Stream",
        ),
        (b"wvpk\x20\0\0\0\x10\x04".to_vec(), "WavPack"),
        (
            b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x50Speex   1.2".to_vec(),
            "Speex",
        ),
    ] {
        let error = decode_bytes(bytes).unwrap_err();
        let AudioError::UnsupportedCodec { codec, .. } = &error else { panic!("{name}: {error}") };
        assert!(codec.contains(name), "{error}");
    }
    for (bytes, name) in
        [(&b"PK\x03\x04\x14\0\0\0"[..], "ZIP"), (b"%PDF-1.7\n", "Portable Document")]
    {
        let error = decode_bytes(bytes.to_vec()).unwrap_err();
        assert!(
            matches!(&error, AudioError::NotAudio { format, .. } if format.contains(name)),
            "{error}"
        );
    }
    // Coded audio in the samples of a WAV is noise if it is played as such.
    let mut data = vec![0u8; 16_000];
    data[..6].copy_from_slice(b"\xff\x1f\x00\xe8\xf1\x07");
    data[2048..2054].copy_from_slice(b"\xff\x1f\x00\xe8\xf1\x07");
    let error = decode_bytes(riff(44_100, 2, 16, false, &data, 16_000)).unwrap_err();
    assert!(
        matches!(&error, AudioError::UnsupportedCodec { codec, .. } if codec == "DTS in WAV"),
        "{error}"
    );
}

#[test]
fn floats_over_full_scale_are_scaled_by_their_peak() {
    let quiet = tone(0.9, 16_000);
    let right = decode_bytes(floats(&quiet)).unwrap();
    assert!(right.1.notes.is_empty());
    let peak = Level::peak(&quiet);
    for factor in [1.2, 10.0, 250.0] {
        let loud: Vec<f32> = quiet.iter().map(|sample| sample * factor).collect();
        let (samples, info) = decode_bytes(floats(&loud)).unwrap();
        assert!(Level::peak(&samples) <= 1.0);
        for (sample, right) in samples.iter().zip(&right.0) {
            assert!((sample - right / peak).abs() < 1e-6, "{factor}: {sample} {right}");
        }
        let [AudioNote::Scaled { peak: found }] = info.notes[..] else { panic!("{info:?}") };
        assert!((found - peak * factor).abs() < 1e-3 * factor);
    }
    for factor in [300.0, 32_767.0] {
        let absurd: Vec<f32> = quiet.iter().map(|sample| sample * factor).collect();
        let error = decode_bytes(floats(&absurd)).unwrap_err();
        assert!(matches!(error, AudioError::OutOfScale { .. }), "{error}");
        assert!(error.to_string().contains("divide them by 32,768"), "{error}");
    }
}

#[test]
fn the_peak_is_that_of_what_is_decoded() {
    // Channels that cancel, of which one is decoded, then loud ones whose mean is faint.
    let quiet = tone(0.1, 32_000).into_iter().flat_map(|x| [x, -x]);
    let loud = tone(4.0, 32_000).into_iter().flat_map(|x| [x, -0.95 * x]);
    let data: Vec<u8> = quiet.chain(loud).flat_map(f32::to_le_bytes).collect();
    let file = riff(16_000, 2, 32, true, &data, data.len() as u32);
    let (samples, info) = decode_bytes(file).unwrap();
    let scaled = |note: &AudioNote| matches!(note, AudioNote::Scaled { peak } if *peak > 3.9);
    assert!(info.notes.iter().any(scaled), "{:?}", info.notes);
    assert!(samples.iter().filter(|sample| sample.abs() == 1.0).count() < 10, "clipped");
}

#[test]
fn nothing_is_over_full_scale() {
    // Integers at full scale overshoot it in resampling.
    let data: Vec<u8> = (0..44_100u32)
        .flat_map(|n| (if n / 50 % 2 == 0 { i16::MAX } else { i16::MIN }).to_le_bytes())
        .collect();
    let (samples, info) = decode_bytes(riff(44_100, 1, 16, false, &data, 88_200)).unwrap();
    assert_eq!(Level::peak(&samples), 1.0);
    assert!(info.notes.is_empty());
}

#[test]
fn channels_that_cancel_are_decoded_from_one() {
    let left = tone(0.5, 16_000);
    let data: Vec<u8> = left
        .iter()
        .flat_map(|sample| [*sample, -sample])
        .flat_map(|sample| ((sample * 32_768.0) as i16).to_le_bytes())
        .collect();
    let (samples, info) = decode_bytes(riff(16_000, 2, 16, false, &data, 64_000)).unwrap();
    assert!(samples.iter().zip(&left).all(|(a, b)| (a - b).abs() < 1e-4));
    assert_eq!(info.notes, [AudioNote::Cancelling { seconds: 1.0 }]);
}
