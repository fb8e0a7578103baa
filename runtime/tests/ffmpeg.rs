//! Audio decoding against ffmpeg on a minute of music (`data/music/README.md`): codecs, channels, covers, resampling.
//!
//! ffmpeg encodes the minute with every codec, then both decode it, and the difference is measured at the file's own
//! rate. The measurements are printed: `cargo test --all-features --test ffmpeg -- --nocapture`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use leitmotif::audio::{AudioError, AudioInfo, AudioReader, read_all};
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
    // QuickTime's packets of PCM hold one sample each.
    check(&case("s16.mov", &["-c:a", "pcm_s16le"], "pcm_s16le"));
    check(&case("f32.mov", &["-c:a", "pcm_f32le"], "pcm_f32le"));
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

/// The checksum of an Ogg page (RFC 3533, section 6).
fn checksum(page: &[u8]) -> u32 {
    page.iter().fold(0, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte) << 24, |sum, _| {
            sum << 1 ^ if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    })
}

/// An Ogg file with its pages changed.
fn with_pages(file: &[u8], mut change: impl FnMut(&mut [u8])) -> Vec<u8> {
    let mut file = file.to_vec();
    let mut rest = &mut file[..];
    while !rest.is_empty() {
        let table = &rest[27..27 + usize::from(rest[26])];
        let size = 27 + table.len() + table.iter().map(|&part| usize::from(part)).sum::<usize>();
        let page;
        (page, rest) = rest.split_at_mut(size);
        change(page);
        page[22..26].fill(0);
        let sum = checksum(page);
        page[22..26].copy_from_slice(&sum.to_le_bytes());
    }
    file
}

/// An Ogg file with other granule positions: `change` gets the number of each page with sound, counted from the start,
/// then from the end, and its position.
fn with_positions(file: &[u8], change: impl Fn(usize, usize, i64) -> i64) -> Vec<u8> {
    let position = |page: &[u8]| i64::from_le_bytes(page[6..14].try_into().unwrap());
    let (mut sound, mut n) = (0, 0);
    with_pages(file, |page| sound += usize::from(position(page) > 0));
    with_pages(file, |page| {
        if position(page) > 0 {
            let changed = change(n, sound - 1 - n, position(page));
            page[6..14].copy_from_slice(&changed.to_le_bytes());
            n += 1;
        }
    })
}

/// Seconds of the files in Ogg: in all of them, the last page holds some packets.
const SECONDS: f64 = 12.2;

/// Files in Ogg, the rate and the samples of the longest packet. Pages are short, so that many are in mid-stream.
static OGG: LazyLock<Vec<(PathBuf, u32, usize)>> = LazyLock::new(|| {
    let file = |name, rate: u32, packet, options: &[&str]| {
        let (seconds, hertz) = (SECONDS.to_string(), rate.to_string());
        let options = [&["-t", &seconds, "-ar", &hertz, "-page_duration"], options].concat();
        (encode(name, &options), rate, packet)
    };
    // With larger pages of FLAC, symphonia 0.6.1 opens no file that is cut off, and a debug build panics at chains.
    let flac = ["100000", "-c:a", "flac", "-sample_fmt", "s16", "-frame_size", "1152"];
    let mut files = vec![
        file("positions.ogg", 44_100, 1024, &["300000", "-c:a", "libvorbis"]),
        file("positions.oga", 44_100, 1152, &flac),
    ];
    if cfg!(feature = "opus") {
        files.push(file("positions.opus", 48_000, 960, &["300000", "-c:a", "libopus"]));
    }
    files
});

fn decode_bytes(bytes: &[u8], rate: u32) -> (Vec<f32>, AudioInfo) {
    let (bytes, rate) = (Cursor::new(bytes.to_vec()), SampleRate(rate));
    let mut reader = AudioReader::from_reader(bytes, Path::new("bytes"), rate).unwrap();
    let mut samples = Vec::new();
    while reader.read(&mut samples).unwrap() > 0 {}
    (samples, reader.info().clone())
}

const TEN_HOURS: i64 = 36_000 * 48_000;

#[test]
fn positions_of_ogg_pages_trim_nothing_in_mid_stream() {
    type Change = fn(usize, usize, i64) -> i64;
    // The last page keeps a position that counts from the first page's, or from zero: the same samples exactly.
    let exact: [(&str, Change); 12] = [
        ("every fifth ahead", |n, last, at| if last == 0 || n % 5 > 0 { at } else { at + 1105 }),
        ("every fifth behind", |n, last, at| if last == 0 || n % 5 > 0 { at } else { at - 1105 }),
        ("every second unknown", |n, last, at| if last == 0 || n % 2 > 0 { at } else { -1 }),
        ("all but the last unknown", |_, last, at| if last == 0 { at } else { -1 }),
        ("all but the last zero", |_, last, at| if last == 0 { at } else { 0 }),
        ("ten hours late", |_, _, at| at + TEN_HOURS),
        ("ten hours late for a while", |n, _, at| if n / 5 == 1 { at + TEN_HOURS } else { at }),
        ("ten hours late from the second on", |n, _, at| if n > 0 { at + TEN_HOURS } else { at }),
        ("last but one ahead", |_, last, at| if last == 1 { at + 900 } else { at }),
        ("last but one behind", |_, last, at| if last == 1 { at - 900 } else { at }),
        (
            "ten hours late, last but one unknown",
            |_, last, at| {
                if last == 1 { -1 } else { at + TEN_HOURS }
            },
        ),
        ("last but one unknown", |_, last, at| if last == 1 { -1 } else { at }),
    ];
    // No position tells where the last packet ends.
    let whole: [(&str, Change); 7] = [
        ("all zero", |_, _, _| 0),
        ("all unknown", |_, _, _| -1),
        ("last unknown", |_, last, at| if last == 0 { -1 } else { at }),
        ("last zero", |_, last, at| if last == 0 { 0 } else { at }),
        ("last halved", |_, last, at| if last == 0 { at / 2 } else { at }),
        ("last ten hours late", |_, last, at| if last == 0 { at + TEN_HOURS } else { at }),
        ("more and more behind", |n, _, at| at - 300 * n as i64),
    ];
    for &(ref path, rate, packet) in OGG.iter() {
        let file = fs::read(path).unwrap();
        let (plain, info) = read_all(path, SampleRate(rate)).unwrap();
        assert_eq!(plain.len(), (SECONDS * f64::from(rate)) as usize, "{}", path.display());
        assert_eq!(info.duration_seconds, Some(SECONDS), "{}", path.display());
        let name = text(path.file_name().unwrap().as_ref());
        for (what, change) in exact {
            let (samples, info) = decode_bytes(&with_positions(&file, change), rate);
            assert_eq!((info.skipped_packets, info.truncated), (0, false), "{name}, {what}");
            assert_eq!(samples.len(), plain.len(), "{name}, {what}");
            assert!(samples == plain, "{name}, {what}: other samples");
        }
        for (what, change) in whole {
            let (samples, info) = decode_bytes(&with_positions(&file, change), rate);
            assert_eq!((info.skipped_packets, info.truncated), (0, false), "{name}, {what}");
            let more = samples.len() as isize - plain.len() as isize;
            assert!(more.unsigned_abs() <= packet, "{name}, {what}: {more:+} samples");
            let same = samples.len().min(plain.len());
            assert!(samples[..same] == plain[..same], "{name}, {what}: other samples");
        }
    }
}

#[test]
fn an_end_at_zero_or_unknown_drops_nothing() {
    // The last page holds one short packet.
    let path =
        encode("one-packet.ogg", &["-t", "12", "-c:a", "libvorbis", "-page_duration", "300000"]);
    let file = fs::read(&path).unwrap();
    for end in [0, -1] {
        let (samples, info) = decode_bytes(&with_positions(&file, |_, _, _| end), 44_100);
        assert!(!info.truncated);
        assert!((0..128).contains(&(samples.len() - 12 * 44_100)), "{end}: {}", samples.len());
    }
}

#[test]
fn a_lost_page_of_ogg_is_noticed() {
    for &(ref path, rate, _) in OGG.iter() {
        let name = text(path.file_name().unwrap().as_ref());
        let mut file = fs::read(path).unwrap();
        // Symphonia does not find the end of a file that is damaged in its last 64 KiB.
        let place = file.len() * 3 / 10;
        file[place] ^= 1;
        let (samples, info) = decode_bytes(&file, rate);
        let missing = SECONDS - samples.len() as f64 / f64::from(rate);
        assert!(
            info.truncated && (0.0..0.7).contains(&missing),
            "{name}: {missing:.3} s, {info:?}"
        );
    }
}

#[test]
fn edited_positions_are_decoded_as_by_ffmpeg() {
    let (path, rate, _) = &OGG[0];
    let ahead = |n, last, at| if last == 0 || n % 5 > 0 { at } else { at + 1105 };
    let edited = with_positions(&fs::read(path).unwrap(), ahead);
    let path = MATERIAL.folder.path().join("ahead.ogg");
    fs::write(&path, edited).unwrap();
    let (ours, _) = read_all(&path, SampleRate(*rate)).unwrap();
    let theirs = ffmpeg_decode(&path, 2);
    assert_eq!(ours.len(), theirs.len());
    let found = fidelity(&theirs, &ours);
    assert!(found >= 100.0, "{found:.1} dB");
}

#[test]
fn the_last_page_of_each_recording_in_ogg_trims_its_end() {
    for &(ref path, rate, packet) in OGG.iter() {
        let name = text(path.file_name().unwrap().as_ref());
        let file = fs::read(path).unwrap();
        let (plain, _) = read_all(path, SampleRate(rate)).unwrap();
        // More than a packet, but not more than the last page holds.
        let less = packet * 5 / 4;
        let earlier = with_positions(&file, |n, last, at| match (n % 3, last) {
            (_, 0) => at - less as i64,
            (1, _) => at + 777,
            _ => at,
        });
        let (samples, info) = decode_bytes(&earlier, rate);
        assert_eq!((samples.len(), info.truncated), (plain.len() - less, false), "{name}");
        assert!(samples == plain[..plain.len() - less], "{name}");
        let unknown = with_positions(&file, |_, last, at| if last == 1 { -1 } else { at });
        let other = with_pages(&unknown, |page| page[14] ^= 1); // Of its serial number.
        let (chain, info) = decode_bytes(&[&earlier[..], &other].concat(), rate);
        assert_eq!((info.skipped_packets, info.truncated), (0, false), "{name}");
        assert!(chain == [&samples[..], &plain].concat(), "{name}: other samples in a chain");
        // Without its last page, a file ends in mid-stream: there its positions trim nothing.
        let behind = with_positions(&file, |n, _, at| at - 300 * n as i64);
        let cut = |file: &[u8]| decode_bytes(&file[..file.len() * 2 / 3], rate);
        let ((plain, _), (samples, info)) = (cut(&file), cut(&behind));
        assert!(info.truncated, "{name}");
        assert!(samples == plain, "{name}: {} samples, not {}", samples.len(), plain.len());
    }
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
        // The recording is empty near its Nyquist frequency, where the filters' transition bands differ, and below full
        // scale everywhere.
        let source = format!("volume=-12dB,aresample={rate}:{narrow}");
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
    let bytes = fs::read(path).unwrap();
    // Frames begin with their sync code, here of fixed block size; the third one's number is 2.
    let third = bytes.windows(5).position(|w| w[0] == 0xff && w[1] == 0xf8 && w[4] == 2).unwrap();
    let first = bytes.windows(5).position(|w| w[0] == 0xff && w[1] == 0xf8 && w[4] == 0).unwrap();
    let cut = MATERIAL.folder.path().join("cut.flac");
    fs::write(&cut, [&bytes[..first], &bytes[third..]].concat()).unwrap();
    let (samples, info) = read_all(&cut, SampleRate(44_100)).unwrap();
    assert_eq!(samples.len(), 3 * 44_100 - 2 * 4096);
    assert_eq!(info.skipped_packets, 0);
}
