//! The ears against a signal whose samples are known at every rate; the recipe of its files is `data/audio/make.py`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::{
    f64::consts::TAU,
    fs,
    io::{self, Cursor, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use leitmotif::audio::{AudioError, AudioInfo, AudioReader, TimeLimit, read_all};
use leitmotif_models::SampleRate;

const SECONDS: f64 = 2.0;
const RATE: SampleRate = SampleRate::NETWORK;

/// Left and right of the test signal; `frame` of `data/audio/make.py`.
fn frame(t: f64) -> [f64; 2] {
    let fade = (t / 0.05).min((SECONDS - t) / 0.05).clamp(0.0, 1.0);
    let left = 0.30 * (TAU * (200.0 * t + 700.0 * t * t)).sin() + 0.15 * (TAU * 440.0 * t).sin();
    let right = 0.25 * (TAU * 330.0 * t + 1.0).sin() + 0.15 * (TAU * 1250.0 * t).sin();
    [fade * left, fade * right]
}

/// What should be heard at 16 kHz at sample `n`.
fn heard(n: i64) -> f64 {
    let [left, right] = frame(n as f64 / 16_000.0);
    (left + right) / 2.0
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/audio").join(name)
}

fn hear(path: &Path) -> (Vec<f32>, AudioInfo) {
    read_all(path, RATE).unwrap()
}

/// Signal-to-difference in decibels, where sample `n` of `samples` should be `heard(n - late)`.
fn fidelity(samples: &[f32], late: i64) -> f64 {
    let (mut signal, mut difference) = (0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        let expected = heard(n as i64 - late);
        signal += expected * expected;
        difference += (f64::from(sample) - expected).powi(2);
    }
    10.0 * (signal / difference.max(1e-30)).log10()
}

/// Hears a fixture and holds it against the formula: codec, own rate and channels, samples at 16 kHz, samples by
/// which it is late, and the least fidelity in decibels.
fn check(name: &str, expected: (&str, u32, usize, usize, i64, f64)) {
    let (samples, info) = hear(&fixture(name));
    let (codec, rate, channels, length, late, floor) = expected;
    let found = fidelity(&samples, late);
    println!("{name}: {info:?}, {} samples, {found:.1} dB", samples.len());
    if found < floor {
        let best = (-1200..1200).max_by(|a, b| {
            fidelity(&samples[..4000], *a).total_cmp(&fidelity(&samples[..4000], *b))
        });
        println!("best at {best:?}: {:.1}", fidelity(&samples, best.unwrap()));
    }
    assert_eq!(info.codec, codec, "{name}");
    assert_eq!((info.sample_rate.0, info.channels), (rate, channels), "{name}");
    assert_eq!((info.skipped_packets, info.truncated), (0, false), "{name}");
    assert_eq!(samples.len(), length, "{name}");
    assert!(found >= floor, "{name}: {found:.1} dB");
}

#[test]
fn mp3_is_heard() {
    check("cbr.mp3", ("mp3", 44_100, 2, 32_000, 0, 25.0));
    check("vbr.mp3", ("mp3", 48_000, 2, 32_000, 0, 25.0));
    check("mpeg2.mp3", ("mp3", 22_050, 1, 32_000, 0, 25.0));
    check("mtat.mp3", ("mp3", 16_000, 1, 32_000, 0, 20.0));
}

#[test]
fn an_mp3_without_a_tag_keeps_its_encoders_delay() {
    // 1,105 samples at 44.1 kHz are 401 at 16 kHz, and the last frame is filled up.
    check("no-tag.mp3", ("mp3", 44_100, 2, 32_601, 401, 20.0));
}

#[test]
fn vorbis_is_heard() {
    check("stereo.ogg", ("vorbis", 44_100, 2, 32_000, 0, 20.0));
    check("mono.ogg", ("vorbis", 22_050, 1, 32_000, 0, 20.0));
}

#[test]
fn flac_is_heard() {
    check("s16.flac", ("flac", 44_100, 2, 32_000, 0, 78.0));
    check("s24.flac", ("flac", 48_000, 1, 32_000, 0, 80.0));
    check("flac.oga", ("flac", 16_000, 1, 32_000, 0, 78.0));
}

#[test]
fn aac_and_alac_are_heard_from_where_the_edit_list_says() {
    check("lc.m4a", ("aac", 44_100, 2, 32_000, 0, 20.0));
    check("lossless.m4a", ("alac", 22_050, 1, 32_000, 0, 78.0));
}

#[test]
fn adts_has_no_edit_list_and_keeps_its_encoders_delay() {
    // 1,024 samples at 44.1 kHz are 371.5 at 16 kHz, so that the formula fits only by half a sample.
    check("lc.aac", ("aac", 44_100, 2, 32_694, 372, 11.0));
}

#[test]
fn aiff_is_heard() {
    check("s16.aiff", ("pcm_s16be", 16_000, 1, 32_000, 0, 78.0));
}

#[cfg(feature = "opus")]
#[test]
fn opus_is_heard() {
    check("stereo.opus", ("opus", 48_000, 2, 32_000, 0, 20.0));
    check("mono.opus", ("opus", 48_000, 1, 32_000, 0, 20.0));
    // What the codec leaves of these tones: a bass channel is filtered, and at 20 kbit/s only a voice is kept. The
    // reference decoder hears the same (`ffmpeg.rs`).
    check("surround.opus", ("opus", 48_000, 6, 32_000, 0, 18.0));
    check("speech.opus", ("opus", 48_000, 1, 32_000, 0, 5.0));
}

#[cfg(not(feature = "opus"))]
#[test]
fn opus_without_its_feature_says_what_to_do() {
    let error = refused(&fixture("stereo.opus"));
    assert!(matches!(error, AudioError::UnsupportedCodec { .. }), "{error}");
    assert!(error.to_string().contains("feature `opus`"), "{error}");
}

/// Writes a WAV file of the signal: `bits` of a sample, 32 and 64 with `float` being floats.
fn wav(path: &Path, rate: u32, channels: u16, bits: u16, float: bool) {
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
fn riff(rate: u32, channels: u16, bits: u16, float: bool, data: &[u8], claimed: u32) -> Vec<u8> {
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

#[test]
fn wav_is_heard_at_every_width_rate_and_number_of_channels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signal.wav");
    for (rate, channels, bits, float, codec, floor) in [
        (44_100, 2, 8, false, "pcm_u8", 35.0),
        (44_100, 2, 16, false, "pcm_s16le", 80.0),
        (48_000, 1, 24, false, "pcm_s24le", 90.0),
        (32_000, 2, 32, false, "pcm_s32le", 90.0),
        (22_050, 1, 32, true, "pcm_f32le", 90.0),
        (96_000, 2, 64, true, "pcm_f64le", 90.0),
        (16_000, 2, 32, true, "pcm_f32le", 120.0),
        (11_025, 1, 16, false, "pcm_s16le", 75.0),
        (8_000, 2, 16, false, "pcm_s16le", 75.0),
        (44_100, 8, 16, false, "pcm_s16le", 80.0),
        (192_000, 1, 16, false, "pcm_s16le", 80.0),
        // Odd rates have no small ratio to 16 kHz.
        (44_056, 1, 16, false, "pcm_s16le", 80.0),
        (15_999, 1, 16, false, "pcm_s16le", 80.0),
    ] {
        wav(&path, rate, channels, bits, float);
        let (samples, info) = hear(&path);
        let found = fidelity(&samples, 0);
        println!("{rate} Hz, {channels} channels, {codec}: {found:.1} dB");
        assert_eq!(info.codec, codec);
        assert_eq!((info.sample_rate.0, info.channels), (rate, usize::from(channels)));
        assert_eq!((info.skipped_packets, info.truncated), (0, false));
        assert_eq!(samples.len(), 32_000);
        assert!(found >= floor, "{rate} Hz, {channels} channels, {codec}: {found:.1} dB");
    }
}

#[test]
fn sixteen_kilohertz_pass_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ramp.wav");
    let values: Vec<i16> = (-5000..5000).map(|n| n * 6).collect();
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(&path, riff(16_000, 1, 16, false, &data, data.len() as u32)).unwrap();
    let expected: Vec<f32> = values.iter().map(|&value| f32::from(value) / 32_768.0).collect();
    assert_eq!(hear(&path).0, expected);
}

#[test]
fn blocks_are_small_and_make_up_the_whole() {
    for name in ["cbr.mp3", "stereo.ogg", "s24.flac", "lc.m4a"] {
        let mut reader = AudioReader::open(&fixture(name), RATE).unwrap();
        let (mut block, mut whole) = (Vec::new(), Vec::new());
        loop {
            block.clear();
            let read = reader.read(&mut block).unwrap();
            assert_eq!(read, block.len());
            if read == 0 {
                break;
            }
            assert!(block.capacity() <= 16_384, "{name}: {}", block.capacity());
            whole.extend_from_slice(&block);
        }
        assert_eq!(reader.read(&mut block).unwrap(), 0, "the end is for good");
        assert_eq!(whole, hear(&fixture(name)).0, "{name}");
    }
}

#[test]
fn a_cover_picture_is_passed_over() {
    assert_eq!(hear(&fixture("cover.mp3")).0, hear(&fixture("cbr.mp3")).0);
}

#[test]
fn recordings_chained_in_one_file_are_all_heard() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.ogg");
    let links = ["stereo.ogg", "mono.ogg"];
    fs::write(&path, links.map(|name| fs::read(fixture(name)).unwrap()).concat()).unwrap();
    let (samples, info) = hear(&path);
    assert_eq!((info.skipped_packets, info.truncated), (0, false));
    assert_eq!(samples, links.map(|name| hear(&fixture(name)).0).concat());
}

#[cfg(feature = "opus")]
#[test]
fn opus_recordings_chained_in_one_file_are_all_heard() {
    let links = ["stereo.opus", "mono.opus", "surround.opus"];
    let chain = links.map(|name| fs::read(fixture(name)).unwrap()).concat();
    // At their own rate nothing passes from one to the next.
    let rate = SampleRate(48_000);
    let (samples, info) = hear_bytes_at(chain, rate).unwrap();
    assert_eq!((info.skipped_packets, info.truncated), (0, false));
    let parts = links.map(|name| read_all(&fixture(name), rate).unwrap().0);
    assert_eq!(samples, parts.concat());
}

#[test]
fn mp3_files_put_end_to_end_are_all_heard() {
    let own = SampleRate(44_100);
    let one = fs::read(fixture("cbr.mp3")).unwrap();
    let alone = read_all(&fixture("cbr.mp3"), own).unwrap().0;
    let (samples, info) = hear_bytes_at([&one[..], &one].concat(), own).unwrap();
    // The first tag says what to cut at the start; the second recording keeps its delay and its padding.
    assert!(samples.len() > 2 * alone.len() + 1_105, "{}", samples.len());
    assert!(samples.len() < 2 * alone.len() + 4 * 1_152, "{}", samples.len());
    assert!(!info.truncated);
    assert_eq!(samples[..alone.len() - 2_000], alone[..alone.len() - 2_000]);
    let tail = &samples[samples.len() - 40_000..];
    assert!(tail.iter().any(|sample| sample.abs() > 0.1), "the second recording is heard");
}

#[test]
fn lengths_that_a_file_does_not_state_are_not_claimed() {
    for name in ["no-tag.mp3", "lc.aac"] {
        let (_, info) = hear(&fixture(name));
        assert_eq!((info.duration_seconds, info.truncated), (None, false), "{name}");
    }
    // Cut at any place, such an MP3 file is a shorter MP3 file.
    let bytes = fs::read(fixture("no-tag.mp3")).unwrap();
    let (_, info) = hear_bytes(bytes[..bytes.len() * 2 / 3].to_vec()).unwrap();
    assert_eq!((info.duration_seconds, info.truncated), (None, false));
    for name in ["cbr.mp3", "vbr.mp3", "stereo.ogg", "lc.m4a", "s16.flac", "s16.aiff"] {
        let seconds = hear(&fixture(name)).1.duration_seconds.unwrap();
        assert!((seconds - 2.0).abs() < 0.06, "{name}: {seconds}");
    }
}

#[test]
fn a_file_both_damaged_and_cut_off_says_both() {
    let mut bytes = fs::read(fixture("s16.flac")).unwrap();
    bytes.truncate(bytes.len() / 2);
    bytes[20_000..21_500].fill(0x55);
    let (_, info) = hear_bytes(bytes).unwrap();
    assert!(info.truncated && info.skipped_packets > 0, "{info:?}");
}

/// What is heard of bytes in memory.
fn hear_bytes_at(bytes: Vec<u8>, rate: SampleRate) -> Result<(Vec<f32>, AudioInfo), AudioError> {
    let mut reader = AudioReader::from_reader(Cursor::new(bytes), Path::new("bytes"), rate)?;
    let mut samples = Vec::new();
    while reader.read(&mut samples)? > 0 {}
    Ok((samples, reader.info().clone()))
}

fn hear_bytes(bytes: Vec<u8>) -> Result<(Vec<f32>, AudioInfo), AudioError> {
    hear_bytes_at(bytes, RATE)
}

#[test]
fn a_stream_is_heard_as_its_file() {
    for entry in fs::read_dir(fixture("")).unwrap() {
        let path = entry.unwrap().path();
        let from_file = read_all(&path, RATE).map_err(|error| error.to_string());
        let from_bytes = hear_bytes(fs::read(&path).unwrap());
        match (from_file, from_bytes) {
            (Ok(one), Ok(other)) => assert!(one == other, "{}", path.display()),
            (Err(one), Err(other)) => {
                assert_eq!(one.replace(path.to_str().unwrap(), "bytes"), other.to_string());
            }
            (one, other) => panic!("{}: {:?} {:?}", path.display(), one.err(), other.err()),
        }
    }
}

#[test]
fn a_reader_says_what_it_reads() {
    let reader = AudioReader::open(&fixture("cbr.mp3"), RATE).unwrap();
    let said = format!("{reader:?}");
    assert!(said.contains("cbr.mp3") && said.contains("16000") && said.contains("mp3"), "{said}");
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
fn he_aac_is_refused_by_name_even_where_it_hides() {
    let is_he = |error: AudioError| matches!(&error, AudioError::UnsupportedCodec { codec, .. } if codec.starts_with("HE-AAC"));
    // Spectral band replication in a fill element of each frame; ffprobe calls the result HE-AAC, too.
    let plain = fs::read(fixture("lc.aac")).unwrap();
    let hidden = with_frames(&plain, |bits| {
        bits.push_str(&("110".to_owned() + "0110" + "1101" + "0000" + &"01001101".repeat(5)))
    });
    assert!(is_he(hear_bytes(hidden).unwrap_err()));
    // Elements that only fill are no sign of it.
    let filled = with_frames(&plain, |bits| {
        bits.push_str(&("110".to_owned() + "0010" + "00000000" + "10100101"))
    });
    assert!(hear_bytes(filled).unwrap().0 == hear(&fixture("lc.aac")).0);
    // The extension that old decoders overlook, saying that it is there.
    let mut bytes = fs::read(fixture("lc.m4a")).unwrap();
    let at = bytes.windows(5).position(|part| part == [0x12, 0x10, 0x56, 0xe5, 0]).unwrap();
    bytes[at + 4] = 0x98;
    assert!(is_he(hear_bytes(bytes).unwrap_err()));
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
    let error = hear_bytes(bytes).unwrap_err();
    assert!(error.to_string().contains("AAC Main"), "{error}");
}

#[test]
fn the_first_track_that_can_be_decoded_is_heard() {
    // An AC-3 track, then the AAC of another file: both movies' tracks in one.
    let Some(bytes) = two_tracks() else { panic!("the fixtures have no tracks") };
    let (samples, info) = hear_bytes(bytes).unwrap();
    assert_eq!(info.codec, "aac");
    assert!(fidelity(&samples, 0) > 20.0, "{:.1}", fidelity(&samples, 0));
}

/// `ac3.mp4` in front of `lc.m4a`, whose movie then holds the tracks of both.
fn two_tracks() -> Option<Vec<u8>> {
    let (first, second) =
        (fs::read(fixture("ac3.mp4")).unwrap(), fs::read(fixture("lc.m4a")).unwrap());
    let place = |file: &[u8], kind: &[u8; 4]| {
        let at = file.windows(4).rposition(|part| part == kind)? - 4;
        let size = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        Some(at..at + size)
    };
    let mut other = first[place(&first, b"trak")?].to_vec();
    // Another number than the second's track, and its sound lies where it lay: the first file comes first.
    let header = other.windows(4).position(|part| part == b"tkhd")?;
    other[header + 16..header + 20].copy_from_slice(&2u32.to_be_bytes());
    let movie = place(&second, b"moov")?;
    let sound = first[..place(&first, b"moov")?.start].to_vec();
    let mut own = second[movie.clone()].to_vec();
    let track = place(&own, b"trak")?;
    // The second's sound moves behind the first's, so all of its offsets do.
    let table = own.windows(4).position(|part| part == b"stco")?;
    let count = u32::from_be_bytes(own[table + 8..table + 12].try_into().unwrap()) as usize;
    for entry in own[table + 12..table + 12 + 4 * count].chunks_exact_mut(4) {
        let offset = u32::from_be_bytes(entry.try_into().unwrap()) + sound.len() as u32;
        entry.copy_from_slice(&offset.to_be_bytes());
    }
    own.splice(track.start..track.start, other);
    let size = own.len() as u32;
    own[..4].copy_from_slice(&size.to_be_bytes());
    Some([&sound[..], &second[..movie.start], &own].concat())
}

/// A stream of a file that fails from a byte on.
struct Failing {
    file: Cursor<Vec<u8>>,
    from: u64,
    how: fn() -> io::Result<usize>,
}

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.file.position() >= self.from { (self.how)() } else { self.file.read(buffer) }
    }
}

impl Seek for Failing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// What a stream is refused with that fails from a byte on; after that, it must have ended.
fn fails(name: &str, from: u64, how: fn() -> io::Result<usize>) -> AudioError {
    let file = Cursor::new(fs::read(fixture(name)).unwrap());
    let stream = Failing { file, from, how };
    let mut reader = match AudioReader::from_reader(stream, Path::new(name), RATE) {
        Ok(reader) => reader,
        Err(error) => return error,
    };
    let mut samples = Vec::new();
    let error = loop {
        match reader.read(&mut samples) {
            Ok(0) => panic!("{name} is heard to its end"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(reader.read(&mut samples).unwrap(), 0, "{name}: after an error it has ended");
    error
}

#[test]
fn a_panic_beneath_a_decoder_is_an_error() {
    for name in ["cbr.mp3", "stereo.ogg", "s16.flac", "lc.m4a", "s16.aiff"] {
        for from in [2_000, 20_000] {
            if from == 20_000 && name == "stereo.ogg" {
                continue; // It has no byte there.
            }
            let error = fails(name, from, || panic!("a decoder's mistake"));
            assert!(matches!(error, AudioError::Damaged { .. }), "{name}: {error}");
            assert!(error.to_string().contains("a decoder's mistake"), "{name}: {error}");
        }
    }
}

#[test]
fn what_the_system_refuses_to_read_is_told_as_such() {
    for name in ["cbr.mp3", "s16.flac", "lc.m4a", "s16.aiff"] {
        for from in [0, 2_000, 20_000] {
            let error = fails(name, from, || Err(io::Error::other("the disk is gone")));
            assert!(matches!(error, AudioError::Unreadable { .. }), "{name}, {from}: {error}");
            assert!(error.to_string().contains("the disk is gone"), "{name}, {from}: {error}");
        }
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
    assert!(samples == hear(&fixture("cbr.mp3")).0);
}

#[test]
fn a_file_that_takes_too_long_is_given_up() {
    let mut reader = AudioReader::open(&fixture("cbr.mp3"), RATE).unwrap();
    let mut samples = Vec::new();
    reader.set_time_limit(TimeLimit { base: Duration::ZERO, per_second: 0.0 });
    let error = loop {
        match reader.read(&mut samples) {
            Ok(read) => assert!(read > 0, "given up before its end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, AudioError::TookTooLong { .. }), "{error}");
    assert_eq!(reader.read(&mut samples).unwrap(), 0, "after an error it has ended");
    let mut patient = AudioReader::open(&fixture("cbr.mp3"), RATE).unwrap();
    patient.set_time_limit(TimeLimit::NONE);
    while patient.read(&mut samples).unwrap() > 0 {}
}

#[test]
fn what_is_appended_while_a_file_is_read_is_not_heard() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["no-tag.mp3", "s16.flac", "stereo.ogg", "s16.aiff"] {
        let path = folder.path().join(name);
        fs::copy(fixture(name), &path).unwrap();
        let whole = hear(&path).0;
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
fn tags_around_the_sound_do_not_matter() {
    let own = |bytes: Vec<u8>| hear_bytes(bytes).unwrap();
    let id3 = |size: u32| {
        let bytes = [size >> 21, size >> 14, size >> 7, size].map(|byte| byte as u8 & 0x7f);
        let mut tag = [&b"ID3\x04\0\0"[..], &bytes].concat();
        // Pictures look like sound to a demuxer that searches for frames.
        tag.extend([0xff, 0xfb, 0x90, 0x44].iter().cycle().take(size as usize));
        tag
    };
    let mut ape = vec![0xff; 5_000];
    ape.extend(b"APETAGEX\xd0\x07\0\0");
    ape.extend(5_032u32.to_le_bytes());
    ape.extend([0; 16]);
    let v1 = [&b"TAG"[..], &[0xff; 125]].concat();
    for name in ["cbr.mp3", "no-tag.mp3", "lc.aac", "s16.flac"] {
        let plain = fs::read(fixture(name)).unwrap();
        let heard = own(plain.clone());
        for (before, after) in [
            (id3(3_000), vec![]),
            ([id3(3_000), id3(40_000)].concat(), vec![]),
            ([id3(3_000), vec![0; 999]].concat(), vec![]),
            (vec![], v1.clone()),
            (vec![], [&ape[..], &v1].concat()),
            (id3(100_000), ape.clone()),
        ] {
            let tagged = [&before[..], &plain, &after].concat();
            assert!(own(tagged) == heard, "{name}, {} and {} bytes", before.len(), after.len());
        }
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
        .expect("ffmpeg is needed; `make doctor` says what brings it");
    assert!(made.success());
    let whole = hear(&path).0;
    let bytes = fs::read(&path).unwrap();
    let (samples, info) = hear_bytes(bytes[..bytes.len() * 2 / 3].to_vec()).unwrap();
    assert!(info.truncated && samples.len() > 12_000, "{info:?}");
    assert_eq!(samples[..10_000], whole[..10_000]);
}

#[test]
fn names_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("flac.mp3");
    fs::copy(fixture("s16.flac"), &wrong).unwrap();
    assert_eq!(hear(&wrong).0, hear(&fixture("s16.flac")).0);
    #[cfg(target_os = "linux")]
    {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
        let strange = folder.path().join(OsStr::from_bytes(b"M\xf6tley \xff.flac"));
        fs::copy(fixture("s16.flac"), &strange).unwrap();
        assert_eq!(hear(&strange).0, hear(&fixture("s16.flac")).0);
        fs::write(&strange, b"PK\x03\x04").unwrap();
        assert!(matches!(refused(&strange), AudioError::UnknownFormat { .. }));
    }
}

#[cfg(unix)]
#[test]
fn files_that_cannot_be_opened_are_told_as_unreadable() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let loops = folder.path().join("loop.mp3");
    symlink(&loops, &loops).unwrap();
    assert!(matches!(refused(&loops), AudioError::Unreadable { .. }));
    let locked = folder.path().join("locked.mp3");
    fs::copy(fixture("cbr.mp3"), &locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&locked).is_ok() {
        println!("this user may read everything: nothing to see of a file without permissions");
    } else {
        assert!(matches!(refused(&locked), AudioError::Unreadable { .. }));
    }
}

#[test]
fn headers_of_many_channels_and_odd_sizes_do_no_harm() {
    for (channels, bits) in [(65_535, 16), (65_535, 32), (0, 16), (1, 0), (33, 8), (255, 64)] {
        let result = hear_bytes(riff(16_000, channels, bits, false, &[1; 300_000], 300_000));
        println!(
            "{channels} channels of {bits} bits: {:?}",
            result.map(|(samples, _)| samples.len())
        );
    }
}

/// What opening or reading a file says that cannot be heard.
fn refused(path: &Path) -> AudioError {
    let error = read_all(path, RATE).expect_err(&path.display().to_string());
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    error
}

/// What a file of these bytes is refused with.
fn refused_bytes(name: &str, bytes: &[u8]) -> AudioError {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    refused(&path)
}

#[test]
fn files_that_are_none_are_refused_by_name() {
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
fn text_and_noise_under_a_musical_name_are_refused() {
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
    println!("{}", refused_bytes("noise.flac", &noise));
}

#[test]
fn containers_without_sound_are_refused() {
    assert!(matches!(refused(&fixture("picture-only.mp4")), AudioError::NoAudio { .. }));
    let silent = riff(16_000, 1, 16, false, &[], 0);
    let error = refused_bytes("nothing.wav", &silent);
    assert!(matches!(error, AudioError::NoAudio { .. }), "{error}");
}

#[test]
fn codecs_that_are_not_decoded_are_named() {
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
        ("s16.aiff", 40_000),
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
fn files_cut_off_in_their_sound_are_heard_as_far_as_they_go() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["cbr.mp3", "stereo.ogg", "s16.flac", "wav"] {
        let path = folder.path().join(name);
        match name {
            "wav" => wav(&path, 44_100, 2, 16, false),
            name => {
                fs::copy(fixture(name), &path).unwrap();
            }
        }
        let whole = hear(&path).0;
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
        let (samples, info) = hear(&path);
        println!("{name}: {} of {} samples, {info:?}", samples.len(), whole.len());
        assert!(info.truncated, "{name}");
        assert!(samples.len() > 12_000 && samples.len() < 26_000, "{name}: {}", samples.len());
        let sure = samples.len() - 2000;
        assert_eq!(samples[..sure], whole[..sure], "{name}");
    }
}

#[test]
fn damage_in_the_sound_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["cbr.mp3", "stereo.ogg", "s16.flac", "lc.m4a"] {
        let path = folder.path().join(name);
        let mut bytes = fs::read(fixture(name)).unwrap();
        let whole = hear(&fixture(name)).0;
        let from = bytes.len() * 3 / 4;
        bytes[from..from + 1500].fill(0x55);
        fs::write(&path, bytes).unwrap();
        let (samples, info) = hear(&path);
        println!("{name}: {} samples, {info:?}", samples.len());
        // An Ogg page that is lost tells only by what is missing in the end.
        let noticed = if name == "stereo.ogg" { info.truncated } else { info.skipped_packets > 0 };
        assert!(noticed, "{name}: {info:?}");
        assert!((15_000..=32_500).contains(&samples.len()), "{name}: {}", samples.len());
        assert!(samples.iter().all(|sample| sample.is_finite()), "{name}");
        // A page of this small Ogg file is half of its sound.
        let sound = if name == "stereo.ogg" { 14_000 } else { 20_000 };
        assert_eq!(samples[..sound], whole[..sound], "{name}");
    }
}

#[test]
fn an_mp3_that_starts_in_the_middle_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("middle.mp3");
    fs::write(&path, &fs::read(fixture("cbr.mp3")).unwrap()[10_000..]).unwrap();
    let (samples, _) = hear(&path);
    assert!((18_000..24_000).contains(&samples.len()), "{}", samples.len());
}

#[test]
fn samples_that_are_no_numbers_are_refused_with_their_place() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30] {
        let mut samples = vec![0.1f32; 16_000];
        samples[8_000] = bad;
        let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let error = refused_bytes("nan.wav", &riff(8_000, 2, 32, true, &data, 64_000));
        let AudioError::NotFinite { seconds, .. } = error else { panic!("{error}") };
        assert_eq!(seconds, 0.5);
    }
}

#[test]
fn silence_is_heard_as_silence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("silence.wav");
    fs::write(&path, riff(44_100, 1, 16, false, &[0; 88_200], 88_200)).unwrap();
    assert_eq!(hear(&path).0, vec![0.0; 16_000]);
}

#[test]
fn one_sample_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.wav");
    fs::write(&path, riff(16_000, 1, 16, false, &[0, 0x40], 2)).unwrap();
    assert_eq!(hear(&path).0, [0.5]);
}

#[test]
fn rates_that_no_recording_has_are_refused() {
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
fn claims_of_a_header_are_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    // A WAV that claims 4 GB.
    let path = folder.path().join("claim.wav");
    fs::write(&path, riff(16_000, 1, 16, false, &[0; 3200], u32::MAX - 40)).unwrap();
    assert_eq!(hear(&path).0.len(), 1600);
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
    let (samples, info) = hear(&path);
    assert_eq!((samples.len(), info.truncated), (32_000, true));
}
