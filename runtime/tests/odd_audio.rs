//! Audio decoding of files that are damaged, truncated, hostile, unknown, slow or missing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

#[path = "support/decoding.rs"]
mod decoding;

use std::{
    fs,
    io::{self, Cursor, Read, Seek, SeekFrom},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use decoding::*;
use leitmotif::audio::{AudioError, AudioReader, TimeLimit};
use leitmotif_models::{SampleRate, text::with_causes};

#[test]
fn damage_and_truncation_of_one_file_are_both_reported() {
    let mut bytes = fs::read(fixture("s16.flac")).unwrap();
    bytes.truncate(bytes.len() / 2);
    bytes[20_000..21_500].fill(0x55);
    let (_, info) = decode_bytes(bytes).unwrap();
    assert!(info.truncated && info.skipped_packets > 0, "{info:?}");
}

/// An ADTS file with every frame's payload rewritten as bits, its end mark left out, before it is put back.
fn with_frames(file: &[u8], change: impl Fn(&mut String)) -> Vec<u8> {
    let (mut rest, mut out) = (file, Vec::new());
    while rest.len() > 7 {
        let length = (usize::from(rest[3] & 3) << 11)
            | (usize::from(rest[4]) << 3)
            | usize::from(rest[5] >> 5);
        let mut header = rest[..7].to_vec();
        let mut bits: String = rest[7..length].iter().map(|byte| format!("{byte:08b}")).collect();
        bits.truncate(bits.rfind('1').unwrap() + 1 - 3);
        change(&mut bits);
        bits += "111";
        bits += &"0".repeat(bits.len().next_multiple_of(8) - bits.len());
        let body = bits
            .as_bytes()
            .chunks(8)
            .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap());
        let size = 7 + bits.len() / 8;
        header[3] = (header[3] & 0xfc) | (size >> 11) as u8;
        header[4] = (size >> 3) as u8;
        header[5] = (header[5] & 0x1f) | (size << 5) as u8;
        out.extend(header);
        out.extend(body);
        rest = &rest[length..];
    }
    out
}

#[test]
fn he_aac_is_refused_by_name_even_if_declared_as_lc() {
    let is_he = |error: AudioError| matches!(&error, AudioError::UnsupportedCodec { codec, .. } if codec.starts_with("HE-AAC"));
    // Spectral band replication in a fill element of each frame; ffprobe calls the result HE-AAC too.
    let plain = fs::read(fixture("lc.aac")).unwrap();
    let hidden = with_frames(&plain, |bits| {
        bits.push_str(&("110".to_owned() + "0110" + "1101" + "0000" + &"01001101".repeat(5)))
    });
    assert!(is_he(decode_bytes(hidden).unwrap_err()));
    // Fill elements of padding are no sign of it.
    let filled = with_frames(&plain, |bits| {
        bits.push_str(&("110".to_owned() + "0010" + "00000000" + "10100101"))
    });
    assert!(decode_bytes(filled).unwrap().0 == decode(&fixture("lc.aac")).0);
    // The extension that old decoders ignore, with replication present.
    let mut bytes = fs::read(fixture("lc.m4a")).unwrap();
    let at = bytes.windows(5).position(|part| part == [0x12, 0x10, 0x56, 0xe5, 0]).unwrap();
    bytes[at + 4] = 0x98;
    assert!(is_he(decode_bytes(bytes).unwrap_err()));
}

#[test]
fn aac_of_other_kinds_is_refused_by_name() {
    let mut bytes = fs::read(fixture("lc.aac")).unwrap();
    let mut at = 0;
    while at + 7 < bytes.len() {
        let length = (usize::from(bytes[at + 3] & 3) << 11)
            | (usize::from(bytes[at + 4]) << 3)
            | usize::from(bytes[at + 5] >> 5);
        bytes[at + 2] &= 0x3f;
        at += length;
    }
    let error = decode_bytes(bytes).unwrap_err();
    assert!(error.to_string().contains("AAC Main"), "{error}");
}

/// A stream of a file that fails from a byte on once it is armed.
struct Failing {
    file: Cursor<Vec<u8>>,
    from: u64,
    armed: Arc<AtomicBool>,
    how: fn() -> io::Result<usize>,
}

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.armed.load(Relaxed) && self.file.position() >= self.from {
            return (self.how)();
        }
        self.file.read(buffer)
    }
}

impl Seek for Failing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// The error of a stream that fails from a byte on while it is opened.
fn fails_to_open(name: &str, from: u64, how: fn() -> io::Result<usize>) -> AudioError {
    let file = Cursor::new(fs::read(fixture(name)).unwrap());
    let stream = Failing { file, from, armed: Arc::new(true.into()), how };
    AudioReader::from_reader(stream, Path::new(name), RATE).map(|_| ()).expect_err(name)
}

/// The error of a stream that fails after it was opened; then it must have ended.
fn fails_to_read(name: &str, how: fn() -> io::Result<usize>) -> AudioError {
    let file = Cursor::new(fs::read(fixture(name)).unwrap());
    let armed = Arc::new(AtomicBool::new(false));
    let stream = Failing { file, from: 0, armed: Arc::clone(&armed), how };
    let mut reader = AudioReader::from_reader(stream, Path::new(name), RATE).unwrap();
    armed.store(true, Relaxed);
    let mut samples = Vec::new();
    let error = loop {
        match reader.read(&mut samples) {
            Ok(read) => assert!(read > 0, "{name} is decoded to its end"),
            Err(error) => break error,
        }
    };
    assert_eq!(reader.read(&mut samples).unwrap(), 0, "{name}: after an error it has ended");
    error
}

const LONG: [&str; 5] = ["cbr.mp3", "flac.oga", "s16.flac", "lc.m4a", "s16.aiff"];

#[test]
fn a_panic_below_a_decoder_is_an_error() {
    let is_expected = |error: AudioError| {
        assert!(matches!(error, AudioError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("a decoder's mistake"), "{error}");
    };
    for name in LONG {
        is_expected(fails_to_open(name, 500, || panic!("a decoder's mistake")));
        is_expected(fails_to_read(name, || panic!("a decoder's {}", "mistake")));
    }
}

#[test]
fn a_failure_of_the_system_is_an_error_of_its_own() {
    let is_expected = |error: AudioError| {
        assert!(matches!(error, AudioError::Unreadable { .. }), "{error}");
        let text = with_causes(&error);
        assert!(text.ends_with("the disk is gone") && text.contains("check"), "{text}");
    };
    for name in LONG {
        is_expected(fails_to_open(name, 0, || Err(io::Error::other("the disk is gone"))));
        is_expected(fails_to_open(name, 500, || Err(io::Error::other("the disk is gone"))));
        is_expected(fails_to_read(name, || Err(io::Error::other("the disk is gone"))));
    }
}

#[test]
fn interrupted_reads_are_tried_again() {
    struct Interrupted(Cursor<Vec<u8>>, bool);
    impl Read for Interrupted {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 { Err(io::ErrorKind::Interrupted.into()) } else { self.0.read(buffer) }
        }
    }
    impl Seek for Interrupted {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }
    let stream = Interrupted(Cursor::new(fs::read(fixture("cbr.mp3")).unwrap()), false);
    let mut reader = AudioReader::from_reader(stream, Path::new("interrupted"), RATE).unwrap();
    let mut samples = Vec::new();
    while reader.read(&mut samples).unwrap() > 0 {}
    assert!(samples == decode(&fixture("cbr.mp3")).0);
}

#[test]
fn a_file_that_takes_too_long_is_an_error() {
    let mut reader = AudioReader::open(&fixture("cbr.mp3"), RATE).unwrap();
    let mut samples = Vec::new();
    reader.set_time_limit(TimeLimit { base: Duration::ZERO, per_second: 0.0 });
    let error = loop {
        match reader.read(&mut samples) {
            Ok(read) => assert!(read > 0, "the time limit must end it"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, AudioError::TookTooLong { .. }), "{error}");
    assert_eq!(reader.read(&mut samples).unwrap(), 0, "after an error it has ended");
    let mut unlimited = AudioReader::open(&fixture("cbr.mp3"), RATE).unwrap();
    unlimited.set_time_limit(TimeLimit::NONE);
    while unlimited.read(&mut samples).unwrap() > 0 {}
}

#[test]
fn data_appended_while_a_file_is_read_is_not_decoded() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["no-tag.mp3", "s16.flac", "stereo.ogg", "s16.aiff"] {
        let path = folder.path().join(name);
        fs::copy(fixture(name), &path).unwrap();
        let whole = decode(&path).0;
        let mut reader = AudioReader::open(&path, RATE).unwrap();
        let more = fs::read(&path).unwrap();
        io::Write::write_all(&mut fs::File::options().append(true).open(&path).unwrap(), &more)
            .unwrap();
        let mut samples = Vec::new();
        while reader.read(&mut samples).unwrap() > 0 {}
        assert!(samples == whole, "{name}");
    }
}

#[test]
fn mp4_files_for_streaming_keep_their_edit_when_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fast.m4a");
    let made = std::process::Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-i",
            fixture("lc.m4a").to_str().unwrap(),
            "-c",
            "copy",
            "-movflags",
            "+faststart",
        ])
        .arg(&path)
        .status()
        .expect("ffmpeg is needed; `make doctor` names its package");
    assert!(made.success());
    let whole = decode(&path).0;
    let bytes = fs::read(&path).unwrap();
    let (samples, info) = decode_bytes(bytes[..bytes.len() * 2 / 3].to_vec()).unwrap();
    assert!(info.truncated && samples.len() > 12_000, "{info:?}");
    assert_eq!(samples[..10_000], whole[..10_000]);
}

#[cfg(unix)]
#[test]
fn files_that_cannot_be_opened_are_unreadable() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let loops = folder.path().join("loop.mp3");
    symlink(&loops, &loops).unwrap();
    assert!(matches!(refused(&loops), AudioError::Unreadable { .. }));
    let locked = folder.path().join("locked.mp3");
    fs::copy(fixture("cbr.mp3"), &locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&locked).is_ok() {
        println!("skipped: this user may read files without permissions");
    } else {
        assert!(matches!(refused(&locked), AudioError::Unreadable { .. }));
    }
}

#[test]
fn headers_of_too_many_channels_and_odd_sizes_are_refused() {
    for (channels, bits) in [(65_535, 16), (65_535, 32), (0, 16), (1, 0), (33, 8), (255, 64)] {
        let result = decode_bytes(riff(16_000, channels, bits, false, &[1; 300_000], 300_000));
        assert!(
            result.is_err(),
            "{channels} channels of {bits} bits: {:?}",
            result.map(|(s, _)| s.len())
        );
    }
}

#[test]
fn rf64_is_decoded_as_wav_without_the_chunks_after_its_audio() {
    let audio_data: Vec<u8> =
        (0..20_001u32).flat_map(|n| ((n * 37 % 9001) as i16).to_le_bytes()).collect();
    let plain = riff(16_000, 1, 16, false, &audio_data, audio_data.len() as u32);
    let mut long = b"RF64\xff\xff\xff\xffWAVEds64".to_vec();
    long.extend(28u32.to_le_bytes());
    for size in [plain.len() as u64 + 36, audio_data.len() as u64, 20_001] {
        long.extend(size.to_le_bytes());
    }
    long.extend([0; 4]);
    let data = plain.len() - audio_data.len() - 4;
    long.extend(&plain[12..data]);
    long.extend(u32::MAX.to_le_bytes());
    long.extend(&audio_data);
    let whole = decode_bytes(plain).unwrap();
    assert!(whole.0.len() == 20_001);
    assert!(decode_bytes(long.clone()).unwrap() == whole);
    let cut = decode_bytes(long[..30_000].to_vec()).unwrap();
    assert!(cut.1.truncated && whole.0.starts_with(&cut.0));
    long.extend(b"LIST\x08\0\0\0INFOnote");
    assert!(decode_bytes(long.clone()).unwrap() == whole);
    // BW64 is its other name; a size beyond the file's end is a truncated file.
    long[..4].copy_from_slice(b"BW64");
    assert!(decode_bytes(long.clone()).unwrap() == whole);
    long[28..36].copy_from_slice(&(1u64 << 40).to_le_bytes());
    long.truncate(30_000);
    assert!(decode_bytes(long).unwrap().0 == cut.0);
    // Nothing but the name.
    assert!(decode_bytes(b"RF64\xff\xff\xff\xffWAVEds64".to_vec()).is_err());
}

#[test]
fn missing_files_folders_and_empty_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(refused(&folder.path().join("gone.mp3")), AudioError::NotFound { .. }));
    assert!(matches!(refused(folder.path()), AudioError::NotAFile { .. }));
    assert!(matches!(refused_bytes("empty.mp3", b""), AudioError::Empty { .. }));
}

#[test]
fn a_pipe_is_refused_at_once() {
    #[cfg(target_os = "linux")]
    assert!(matches!(refused(Path::new("/dev/null")), AudioError::NotAFile { .. }));
}

#[test]
fn text_and_noise_with_an_audio_extension_are_refused() {
    let text = "All work and no play makes Jack a dull boy. ".repeat(60_000);
    for length in [1, 2, 3, 16, 100, 5000, text.len()] {
        let error = refused_bytes("text.mp3", &text.as_bytes()[..length]);
        assert!(matches!(error, AudioError::UnknownFormat { .. }), "{length}: {error}");
    }
    let mut state = 7u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(300_000)
    .collect();
    let error = refused_bytes("noise.flac", &noise);
    assert!(matches!(error, AudioError::UnknownFormat { .. }), "{error}");
}

/// Bytes without a pattern, the same in every run.
fn noise(length: usize) -> impl Iterator<Item = u8> {
    let mut state = 1u32;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(length)
}

/// The frames of `no-tag.mp3`.
fn mpeg_frames() -> Vec<Vec<u8>> {
    let bytes = fs::read(fixture("no-tag.mp3")).unwrap();
    let mut frames = Vec::new();
    let mut rest = &bytes[..];
    while rest.len() >= 4 {
        // 128 kbit/s at 44,100 Hz, and one byte of padding where a frame says so.
        let (frame, after) = rest.split_at((417 + usize::from(rest[2] >> 1 & 1)).min(rest.len()));
        frames.push(frame.to_vec());
        rest = after;
    }
    frames
}

#[test]
fn noise_with_sync_words_is_no_mpeg_audio() {
    // Four frames in a row are enough to be taken for an MP3 file; noise has a sync word every few thousand bytes.
    let mut bytes = mpeg_frames()[..4].concat();
    bytes.extend(noise(1 << 20));
    for lead in [0, 1, 5_000] {
        let bytes = [noise(lead).collect(), bytes.clone()].concat();
        let error = decode_bytes(bytes).unwrap_err();
        assert!(matches!(error, AudioError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("no readable MPEG audio"), "{error}");
    }
}

#[test]
fn mpeg_frames_in_an_unknown_container_are_refused() {
    // As Matroska holds them: a header before each frame.
    let header = [0xa3, 0x41, 0xa6, 0x81, 0, 0, 0x80];
    let blocks: Vec<u8> =
        mpeg_frames().iter().flat_map(|frame| [&header, &frame[..]].concat()).collect();
    let bytes = [&b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01"[..], &blocks].concat();
    let error = decode_bytes(bytes).unwrap_err();
    assert!(matches!(error, AudioError::UnsupportedCodec { .. }), "{error}");
    let error = decode_bytes([&b"nobody's"[..], &blocks].concat()).unwrap_err();
    assert!(matches!(error, AudioError::UnknownFormat { .. }), "{error}");
}

#[test]
fn mpeg_audio_of_which_most_frames_are_intact_is_decoded() {
    let frames = mpeg_frames();
    // Side information of ones is invalid, as it counts more than a frame's 576 values.
    let damaged = |every: usize| {
        let mut frames = frames.clone();
        for frame in frames.iter_mut().skip(9).step_by(every) {
            frame[4..36].fill(0xff);
        }
        frames.concat()
    };
    let (samples, info) = decode_bytes_at(damaged(10), SampleRate(44_100)).unwrap();
    // Those after it may lack bits, of up to two frames.
    let lost = info.skipped_packets;
    assert!((7..=21).contains(&lost), "{lost}");
    assert_eq!(samples.len(), (frames.len() - lost) * 1152);
    let error = decode_bytes(damaged(2)).unwrap_err();
    assert!(error.to_string().contains("no readable MPEG audio: "), "{error}");
}

#[test]
fn a_frame_whose_bits_are_missing_is_silent() {
    let frames = mpeg_frames();
    let own = SampleRate(44_100);
    let whole = decode_bytes_at(frames.concat(), own).unwrap().0;
    // The first frame that takes bits from the one before it.
    let first = frames.iter().position(|frame| (frame[4], frame[5] >> 7) != (0, 0)).unwrap();
    let (cut, info) = decode_bytes_at(frames[first..].concat(), own).unwrap();
    assert_eq!((cut.len(), info.skipped_packets), (whole.len() - first * 1152, 0));
    assert!(cut[..1152].iter().all(|&sample| sample == 0.0));
    let rest = 4 * 1152;
    assert!(cut[rest..] == whole[first * 1152 + rest..]);
}

#[test]
fn containers_without_audio_are_refused() {
    assert!(matches!(refused(&fixture("picture-only.mp4")), AudioError::NoAudio { .. }));
    let silent = riff(16_000, 1, 16, false, &[], 0);
    let error = refused_bytes("nothing.wav", &silent);
    assert!(matches!(error, AudioError::NoAudio { .. }), "{error}");
}

#[test]
fn unsupported_codecs_are_named() {
    let error = refused(&fixture("ac3.mp4"));
    assert!(matches!(error, AudioError::UnsupportedCodec { .. }), "{error}");
    assert!(error.to_string().contains("AC-3") && error.to_string().contains("convert"), "{error}");
}

#[test]
fn files_cut_off_in_their_header_are_refused() {
    for (name, length) in [
        ("s16.flac", 30),
        ("stereo.ogg", 60),
        ("stereo.ogg", 3000),
        ("lc.m4a", 500),
        ("lc.m4a", 40_000),
        ("cbr.mp3", 50),
        ("s16.aiff", 20),
    ] {
        let bytes = fs::read(fixture(name)).unwrap();
        let error = refused_bytes(name, &bytes[..length]);
        println!("{name} cut to {length}: {error}");
        assert!(
            matches!(
                error,
                AudioError::Truncated { .. }
                    | AudioError::UnknownFormat { .. }
                    | AudioError::NoAudio { .. }
                    | AudioError::Damaged { .. }
            ),
            "{name}, {length}: {error}"
        );
    }
}

#[test]
fn files_cut_off_in_their_audio_are_decoded_as_far_as_they_go() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["cbr.mp3", "stereo.ogg", "s16.flac", "s16.aiff", "wav"] {
        let path = folder.path().join(name);
        match name {
            "wav" => wav(&path, 44_100, 2, 16, false),
            name => {
                fs::copy(fixture(name), &path).unwrap();
            }
        }
        let whole = decode(&path).0;
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
        let (samples, info) = decode(&path);
        println!("{name}: {} of {} samples, {info:?}", samples.len(), whole.len());
        assert!(info.truncated, "{name}");
        assert!(samples.len() > 12_000 && samples.len() < 26_000, "{name}: {}", samples.len());
        let same = samples.len() - 2000;
        assert_eq!(samples[..same], whole[..same], "{name}");
    }
}

#[test]
fn damage_in_the_audio_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["cbr.mp3", "stereo.ogg", "flac.oga", "s16.flac", "lc.m4a"] {
        let path = folder.path().join(name);
        let mut bytes = fs::read(fixture(name)).unwrap();
        let whole = decode(&fixture(name)).0;
        let from = bytes.len() * 3 / 4;
        bytes[from..from + 1500].fill(0x55);
        fs::write(&path, bytes).unwrap();
        let (samples, info) = decode(&path);
        println!("{name}: {} samples, {info:?}", samples.len());
        // A lost Ogg page shows only in the total length.
        let in_ogg = name == "stereo.ogg" || name == "flac.oga";
        let noticed = if in_ogg { info.truncated } else { info.skipped_packets > 0 };
        assert!(noticed, "{name}: {info:?}");
        assert!((15_000..=32_500).contains(&samples.len()), "{name}: {}", samples.len());
        assert!(samples.iter().all(|sample| sample.is_finite()), "{name}");
        // One page of these small Ogg files is half of their audio.
        let intact = if in_ogg { 14_000 } else { 20_000 };
        assert_eq!(samples[..intact], whole[..intact], "{name}");
    }
}

#[test]
fn samples_that_are_not_finite_are_refused_with_their_position() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut samples = vec![0.1f32; 16_000];
        samples[8_000] = bad;
        let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let error = refused_bytes("nan.wav", &riff(8_000, 2, 32, true, &data, 64_000));
        let AudioError::NotFinite { seconds, .. } = error else { panic!("{error}") };
        assert_eq!(seconds, 0.5);
    }
}

#[test]
fn unsupported_rates_are_refused() {
    for rate in [0, 1, 999, 768_001, u32::MAX] {
        let error = refused_bytes("rate.wav", &riff(rate, 1, 16, false, &[0; 2000], 2000));
        println!("{rate}: {error}");
        assert!(
            matches!(
                error,
                AudioError::UnsupportedRate { .. }
                    | AudioError::Damaged { .. }
                    | AudioError::UnsupportedCodec { .. }
            ),
            "{rate}: {error}"
        );
    }
}

#[test]
fn lengths_in_a_header_are_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    // A WAV that claims 4 GB.
    let path = folder.path().join("claim.wav");
    fs::write(&path, riff(16_000, 1, 16, false, &[0; 3200], u32::MAX - 40)).unwrap();
    assert_eq!(decode(&path).0.len(), 1600);
    // An ID3 tag that claims 256 MB.
    let path = folder.path().join("claim.mp3");
    let mut bytes = b"ID3\x04\0\0\x7f\x7f\x7f\x7f".to_vec();
    bytes.extend(fs::read(fixture("no-tag.mp3")).unwrap());
    fs::write(&path, bytes).unwrap();
    assert!(matches!(refused(&path), AudioError::Truncated { .. }));
    // A FLAC that claims 2³⁶ samples less one.
    let path = folder.path().join("claim.flac");
    let mut bytes = fs::read(fixture("s16.flac")).unwrap();
    bytes[21] |= 0x0f;
    bytes[22..26].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let (samples, info) = decode(&path);
    assert_eq!((samples.len(), info.truncated), (32_000, true));
}
