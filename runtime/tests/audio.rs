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
    path::{Path, PathBuf},
};

use leitmotif::audio::{AudioError, AudioInfo, AudioReader, read_all};
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
    check("surround.opus", ("opus", 48_000, 6, 32_000, 0, 10.0));
    check("speech.opus", ("opus", 48_000, 1, 32_000, 0, 3.0));
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
    let align = channels * (bits / 8);
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
        let from = bytes.len() * 3 / 4;
        bytes[from..from + 1500].fill(0x55);
        fs::write(&path, bytes).unwrap();
        let (samples, info) = hear(&path);
        println!("{name}: {} samples, {info:?}", samples.len());
        // A page of this small Ogg file is half of its sound.
        assert!((15_000..=32_500).contains(&samples.len()), "{name}: {}", samples.len());
        assert!(samples.iter().all(|sample| sample.is_finite()), "{name}");
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
fn claims_of_a_header_cost_no_memory() {
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
    println!("{:?}", read_all(&path, RATE).map(|(samples, info)| (samples.len(), info)));
    // A FLAC that claims 2³⁶ samples less one.
    let path = folder.path().join("claim.flac");
    let mut bytes = fs::read(fixture("s16.flac")).unwrap();
    bytes[21] |= 0x0f;
    bytes[22..26].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let (samples, info) = hear(&path);
    assert_eq!((samples.len(), info.truncated), (32_000, true));
}
