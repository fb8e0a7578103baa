//! Audio decoding against ffmpeg on a minute of music (`data/music/README.md`): codecs, channels, covers, resampling.
//!
//! ffmpeg encodes the minute with every codec, then both decode it, and the difference is measured at the file's own
//! rate. The measurements are printed: `cargo test --all-features --test ffmpeg -- --nocapture`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use leitmotif::audio::{AudioError, read_all};
use leitmotif_models::SampleRate;
use tempfile::TempDir;

/// Runs ffmpeg and returns what it writes to its standard output.
fn ffmpeg(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-loglevel", "error", "-y"])
        .args(arguments)
        .output()
        .unwrap_or_else(|error| {
            panic!("ffmpeg does not run ({error}); `make doctor` names its package, on Debian: apt-get install ffmpeg")
        });
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ffmpeg {}: {message}", arguments.join(" "));
    output.stdout
}

struct Material {
    folder: TempDir,
    /// A minute of stereo at 44,100 Hz in 24 bits.
    music: PathBuf,
}

static MATERIAL: LazyLock<Material> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let music = folder.path().join("music.wav");
    let origin = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/music/snodom.ogg");
    ffmpeg(&["-i", text(&origin), "-c:a", "pcm_s24le", text(&music)]);
    Material { folder, music }
});

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Encodes the minute, with these options of ffmpeg.
fn encode(name: &str, options: &[&str]) -> PathBuf {
    let path = MATERIAL.folder.path().join(name);
    ffmpeg(&[&["-i", text(&MATERIAL.music)], options, &[text(&path)]].concat());
    path
}

/// Decodes with ffmpeg: the samples of all channels, then their plain mean.
fn ffmpeg_decode(path: &Path, channels: usize) -> Vec<f32> {
    // For Opus the reference decoder, in floats so that it does not clip; ffmpeg's own is two samples late for voices.
    let reference: &[&str] = &["-c:a", "libopus", "-request_sample_fmt", "flt"];
    let decoder = if text(path).contains("opus") { reference } else { &[] };
    let input: &[&str] = &["-i", text(path), "-map", "0:a:0", "-f", "f32le", "-"];
    let bytes = ffmpeg(&[decoder, input].concat());
    let samples: Vec<f32> =
        bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    let mean = |frame: &[f32]| frame.iter().sum::<f32>() / channels as f32;
    samples.chunks_exact(channels).map(mean).collect()
}

/// Signal-to-difference of the common part, in decibels.
fn fidelity(signal: &[f32], other: &[f32]) -> f64 {
    let (mut power, mut difference) = (0.0, 0.0);
    for (&a, &b) in signal.iter().zip(other) {
        power += f64::from(a).powi(2);
        difference += (f64::from(a) - f64::from(b)).powi(2);
    }
    10.0 * (power / difference.max(power * 1e-20)).log10()
}

/// One encoding, and the expected result.
struct Case {
    name: &'static str,
    options: &'static [&'static str],
    codec: &'static str,
    rate: u32,
    channels: usize,
    /// Most samples that ffmpeg decodes beyond our end; both start at the same sample.
    padding: usize,
    /// Least signal-to-difference in decibels.
    floor: f64,
}

const STEREO: Case =
    Case { name: "", options: &[], codec: "", rate: 44_100, channels: 2, padding: 0, floor: 0.0 };

/// Encodes, decodes both ways, compares.
fn check(case: &Case) {
    let path = encode(case.name, case.options);
    let (ours, info) = read_all(&path, SampleRate(case.rate)).unwrap();
    let theirs = ffmpeg_decode(&path, case.channels);
    let found = fidelity(&theirs, &ours);
    let more = theirs.len() as isize - ours.len() as isize;
    println!(
        "{:20} {:10} {:7} samples, ffmpeg {more:+5}, {found:6.1} dB",
        case.name,
        info.codec,
        ours.len()
    );
    let Case { name, codec, rate, channels, .. } = *case;
    assert_eq!(info.codec, codec, "{name}");
    assert_eq!((info.sample_rate.0, info.channels), (rate, channels), "{name}");
    assert_eq!((info.skipped_packets, info.truncated), (0, false), "{name}");
    assert!((0..=case.padding as isize).contains(&more), "{name}: ffmpeg has {more:+} samples");
    assert!(found >= case.floor, "{name}: {found:.1} dB");
}

#[test]
fn lossless_codecs_are_decoded_as_by_ffmpeg() {
    let case = |name, options, codec| Case { name, options, codec, floor: 120.0, ..STEREO };
    check(&case("s16.flac", &["-c:a", "flac", "-sample_fmt", "s16"], "flac"));
    check(&case("s24.flac", &["-c:a", "flac", "-sample_fmt", "s32"], "flac"));
    check(&case("s16.ogg", &["-c:a", "flac", "-sample_fmt", "s16"], "flac"));
    check(&case("u8.wav", &["-c:a", "pcm_u8"], "pcm_u8"));
    check(&case("s16.wav", &["-c:a", "pcm_s16le"], "pcm_s16le"));
    check(&case("rf64.wav", &["-c:a", "pcm_s16le", "-rf64", "always"], "pcm_s16le"));
    check(&case("s24.wav", &["-c:a", "pcm_s24le"], "pcm_s24le"));
    check(&case("s32.wav", &["-c:a", "pcm_s32le"], "pcm_s32le"));
    check(&case("f32.wav", &["-c:a", "pcm_f32le"], "pcm_f32le"));
    check(&case("f64.wav", &["-c:a", "pcm_f64le"], "pcm_f64le"));
    check(&case("s16.aiff", &["-c:a", "pcm_s16be"], "pcm_s16be"));
    check(&case("alac.m4a", &["-c:a", "alac"], "alac"));
}

#[test]
fn mp3_is_decoded_as_by_ffmpeg() {
    const LAME: &str = "libmp3lame";
    let case = |name, options| Case { name, options, codec: "mp3", floor: 80.0, ..STEREO };
    check(&case("cbr.mp3", &["-c:a", LAME, "-b:a", "128k"]));
    check(&case("vbr.mp3", &["-c:a", LAME, "-q:a", "2"]));
    check(&case(
        "cbr-no-tag.mp3",
        &["-c:a", LAME, "-b:a", "128k", "-write_xing", "0", "-id3v2_version", "0"],
    ));
    check(&case("vbr-no-tag.mp3", &["-c:a", LAME, "-q:a", "2", "-write_xing", "0"]));
    // The bit rate of the first seconds does not predict the length of the file.
    check(&case(
        "loud-then-silent.mp3",
        &["-af", "atrim=end=20,apad=pad_dur=40", "-c:a", LAME, "-q:a", "2", "-write_xing", "0"],
    ));
    let slow = Case {
        rate: 22_050,
        channels: 1,
        ..case("mpeg2.mp3", &["-c:a", LAME, "-ar", "22050", "-ac", "1"])
    };
    check(&slow);
    check(&Case { codec: "mp2", ..case("layer2.mp2", &["-c:a", "mp2", "-b:a", "192k"]) });
}

#[test]
fn vorbis_is_decoded_as_by_ffmpeg() {
    check(&Case {
        name: "vorbis.ogg",
        options: &["-c:a", "libvorbis"],
        codec: "vorbis",
        floor: 80.0,
        ..STEREO
    });
}

#[test]
fn aac_is_decoded_as_by_ffmpeg() {
    // Without noise substitution, whose noise differs between decoders.
    const LC: [&str; 4] = ["-c:a", "aac", "-aac_pns", "0"];
    let case = |name, options: &'static [&'static str]| Case {
        name,
        options,
        codec: "aac",
        floor: 80.0,
        ..STEREO
    };
    // ffmpeg 5 does not cut the end by the edit list; a frame has 1,024 samples.
    check(&Case { padding: 1023, ..case("lc.m4a", &LC) });
    let fast: &[&str] = &["-c:a", "aac", "-aac_pns", "0", "-movflags", "+faststart"];
    check(&Case { padding: 1023, ..case("fast-start.m4a", fast) });
    check(&case("lc.aac", &LC));
    let path = encode("surround.m4a", &[&LC[..], &["-ac", "6"]].concat());
    let error = read_all(&path, SampleRate::NETWORK).unwrap_err();
    assert!(matches!(error, AudioError::UnsupportedCodec { .. }), "{error}");
    assert!(error.to_string().contains("AAC-LC with 6 channels"), "{error}");
}

#[cfg(feature = "opus")]
#[test]
fn opus_is_decoded_as_by_ffmpeg() {
    let case =
        |name, options| Case { name, options, codec: "opus", rate: 48_000, floor: 65.0, ..STEREO };
    check(&case("opus.opus", &["-c:a", "libopus", "-b:a", "96k"]));
    // ffmpeg 5 does not cut the end by the edit list; a packet has 960 samples.
    check(&Case { padding: 959, ..case("opus.mp4", &["-c:a", "libopus", "-b:a", "96k"]) });
    check(&Case {
        channels: 1,
        ..case(
            "speech.opus",
            &["-c:a", "libopus", "-b:a", "16k", "-application", "voip", "-ac", "1"],
        )
    });
}

#[cfg(feature = "opus")]
#[test]
fn opus_fixtures_are_decoded_as_by_ffmpeg() {
    // `audio.rs` compares these with their formula, from which a voice codec at 20 kbit/s differs by 5 dB.
    for (name, channels) in [("speech.opus", 1), ("surround.opus", 6), ("stereo.opus", 2)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/audio").join(name);
        let (ours, _) = read_all(&path, SampleRate(48_000)).unwrap();
        let theirs = ffmpeg_decode(&path, channels);
        let found = fidelity(&theirs, &ours);
        println!("{name:20} {found:.1} dB");
        assert_eq!(ours.len(), theirs.len(), "{name}");
        assert!(found >= 65.0, "{name}: {found:.1} dB");
    }
}

#[test]
fn one_sample_is_decoded_of_every_codec() {
    let one = |name: &str, codec: &str| {
        let first = "atrim=start=10,asetpts=N/SR/TB,atrim=end_sample=1";
        let path = encode(name, &["-af", first, "-c:a", codec]);
        let decoded = read_all(&path, SampleRate(44_100)).map(|(samples, _)| samples.len());
        // ffmpeg keeps 128 of Vorbis, and LAME's tag cannot state all of the padding of one sample, so that 47 remain.
        let expected = ffmpeg_decode(&path, 2).len();
        println!("{name:20} {decoded:?} samples, ffmpeg {expected}");
        let lossless = !["one.mp3", "one.ogg"].contains(&name);
        assert!(
            matches!(decoded, Ok(length) if length >= 1 && length <= expected),
            "{name}: {decoded:?}"
        );
        assert!(!lossless || expected == 1, "{name}: {expected}");
    };
    one("one.wav", "pcm_s16le");
    one("one.flac", "flac");
    one("one.mp3", "libmp3lame");
    one("one.ogg", "libvorbis");
    one("one.m4a", "alac");
}

/// Eight channels that differ: the music's two, louder and softer.
const EIGHT: &str = "pan=7.1|c0=c0|c1=c1|c2=0.5*c0+0.2*c1|c3=0.1*c0|c4=0.7*c1|c5=-0.4*c0|c6=0.3*c1|c7=0.6*c0-0.6*c1";

#[test]
fn eight_channels_are_decoded_to_their_mean() {
    let case =
        |name, options, codec, floor| Case { name, options, codec, floor, channels: 8, ..STEREO };
    check(&case("eight.wav", &["-af", EIGHT, "-c:a", "pcm_s16le"], "pcm_s16le", 120.0));
    check(&case(
        "eight.flac",
        &["-af", EIGHT, "-c:a", "flac", "-sample_fmt", "s16"],
        "flac",
        120.0,
    ));
    #[cfg(feature = "opus")]
    check(&Case {
        rate: 48_000,
        ..case(
            "eight.opus",
            &["-af", EIGHT, "-c:a", "libopus", "-mapping_family", "1"],
            "opus",
            65.0,
        )
    });
    // symphonia decodes it to noise.
    let path = encode("eight.ogg", &["-t", "2", "-af", EIGHT, "-c:a", "libvorbis"]);
    let error = read_all(&path, SampleRate::NETWORK).unwrap_err();
    assert!(matches!(error, AudioError::UnsupportedCodec { .. }), "{error}");
    assert!(error.to_string().contains("Vorbis with 8 channels"), "{error}");
}

#[test]
fn covers_are_skipped() {
    let cover = MATERIAL.folder.path().join("cover.png");
    ffmpeg(&["-f", "lavfi", "-i", "testsrc=size=1200x1200", "-frames:v", "1", text(&cover)]);
    for (name, codec) in
        [("covered.flac", "flac"), ("covered.m4a", "aac"), ("covered.mp3", "libmp3lame")]
    {
        let bare = encode(&format!("bare-{name}"), &["-t", "5", "-c:a", codec]);
        let covered = MATERIAL.folder.path().join(name);
        ffmpeg(&[
            "-i",
            text(&bare),
            "-i",
            text(&cover),
            "-map",
            "0:a",
            "-map",
            "1:v",
            "-c",
            "copy",
            "-disposition:v",
            "attached_pic",
            text(&covered),
        ]);
        let larger = fs::metadata(&covered).unwrap().len() - fs::metadata(&bare).unwrap().len();
        assert!(larger > 10_000, "{name} has a cover");
        let decoded = |path: &Path| read_all(path, SampleRate(44_100)).unwrap().0;
        assert!(decoded(&covered) == decoded(&bare), "{name}");
    }
}

#[test]
fn resampling_agrees_with_ffmpegs() {
    // soxr at 28 bits if ffmpeg has it, else ffmpeg's own resampler with its longest filter. The transition band of both
    // begins where ours does.
    let has_soxr = String::from_utf8(ffmpeg(&["-buildconf"])).unwrap().contains("enable-libsoxr");
    let (filter, narrow) = if has_soxr {
        ("resampler=soxr:precision=28:cutoff=0.95", "resampler=soxr:precision=28:cutoff=0.85")
    } else {
        let options = "resampler=swr:filter_size=256:phase_shift=10:linear_interp=1:cutoff";
        (&*format!("{options}=0.97").leak(), &*format!("{options}=0.85").leak())
    };
    println!("against {filter}");
    for rate in ["44100", "48000", "32000", "22050", "11025", "8000", "96000"] {
        // The recording is empty near its Nyquist frequency, where the filters' transition bands differ.
        let source = format!("aresample={rate}:{narrow}");
        let path =
            encode(&format!("{rate}.wav"), &["-ac", "1", "-af", &source, "-c:a", "pcm_f32le"]);
        let (ours, _) = read_all(&path, SampleRate::NETWORK).unwrap();
        let resampled = MATERIAL.folder.path().join(format!("{rate}-16000.wav"));
        let filter = format!("aresample=16000:{filter}");
        ffmpeg(&["-i", text(&path), "-af", &filter, "-c:a", "pcm_f32le", text(&resampled)]);
        let theirs = ffmpeg_decode(&resampled, 1);
        let found = fidelity(&theirs, &ours);
        let longer = ours.len() as isize - theirs.len() as isize;
        println!("{rate:>6} Hz: {} samples, {longer:+}, {found:.1} dB", ours.len());
        assert!(longer.abs() <= 1, "{rate} Hz: {longer}");
        assert!(found >= 45.0, "{rate} Hz: {found:.1} dB");
    }
}

/// A file of audio that ffmpeg generates.
fn generate(name: &str, source: &str, options: &[&str]) -> PathBuf {
    let path = MATERIAL.folder.path().join(name);
    ffmpeg(&[&["-f", "lavfi", "-i", source], options, &[text(&path)]].concat());
    path
}

#[test]
fn aac_lc_with_leading_silence_is_not_mistaken_for_he_aac() {
    // Encoded silence repeats one packet of a few bytes, whose end looks like replication by chance.
    for (name, silence) in [("lead.m4a", "250"), ("lead.aac", "250"), ("long-lead.aac", "4000")] {
        let delay = format!("adelay={silence}:all=1");
        let options = ["-af", delay.as_str(), "-ac", "2", "-c:a", "aac"];
        let (samples, info) =
            read_all(&generate(name, "sine=d=3", &options), SampleRate::NETWORK).unwrap();
        assert!(samples.len() > 3 * 16_000 && info.skipped_packets == 0, "{name}: {info:?}");
        assert!(samples.iter().any(|sample| sample.abs() > 0.05), "{name}");
    }
}

#[test]
fn concatenated_mp3_files_of_different_kinds_are_all_decoded() {
    let sine = "sine=f=500:d=3";
    let kinds: [(&str, &[&str]); 3] = [
        ("a.mp3", &["-ar", "44100", "-ac", "2"]),
        ("b.mp3", &["-ar", "48000", "-ac", "2"]),
        ("c.mp3", &["-ar", "22050", "-ac", "1"]),
    ];
    let files = kinds.map(|(name, options)| fs::read(generate(name, sine, options)).unwrap());
    let joined = MATERIAL.folder.path().join("joined.mp3");
    fs::write(&joined, files.concat()).unwrap();
    let (samples, info) = read_all(&joined, SampleRate::NETWORK).unwrap();
    // Each has its encoder's delay and padding, a tenth of a second.
    let seconds = samples.len() as f64 / 16_000.0;
    assert!((9.0..9.6).contains(&seconds), "{seconds}, {info:?}");
    let power = |from: f64| {
        let from = (from * 16_000.0) as usize;
        samples[from..from + 16_000].iter().map(|x| x * x).sum::<f32>() / 16_000.0
    };
    // ffmpeg reduces the level of both channels by 3 dB when it makes them from one.
    for (second, times) in [(1.0, 1.0), (4.0, 1.0), (7.2, 2.0)] {
        let found = power(second) / power(1.0);
        assert!((found / times - 1.0).abs() < 0.05, "{second}: {found}");
    }
    assert_eq!(info.skipped_packets, 0);
}

#[test]
fn fragmented_mp4_is_decoded_and_states_no_length() {
    let options = ["-c:a", "aac", "-movflags", "+frag_keyframe+empty_moov"];
    let path = generate("fragments.mp4", "sine=d=3", &options);
    let (samples, info) = read_all(&path, SampleRate::NETWORK).unwrap();
    assert!(samples.len() >= 3 * 16_000, "{}", samples.len());
    assert_eq!((info.duration_seconds, info.truncated), (None, false));
}

#[test]
fn flac_cut_from_a_longer_recording_is_not_truncated() {
    let path = generate("long.flac", "sine=d=3", &["-frame_size", "4096"]);
    let bytes = fs::read(&path).unwrap();
    // Frames begin with their sync code, here of fixed block size; the third one's number is 2.
    let third = bytes.windows(5).position(|w| w[0] == 0xff && w[1] == 0xf8 && w[4] == 2).unwrap();
    let first = bytes.windows(5).position(|w| w[0] == 0xff && w[1] == 0xf8 && w[4] == 0).unwrap();
    let cut = MATERIAL.folder.path().join("cut.flac");
    fs::write(&cut, [&bytes[..first], &bytes[third..]].concat()).unwrap();
    let (samples, info) = read_all(&cut, SampleRate(44_100)).unwrap();
    assert_eq!(samples.len(), 3 * 44_100 - 2 * 4096);
    assert_eq!(info.skipped_packets, 0);
}
