//! Memory of decoding files that were crafted to take much of it, each in a process of its own.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
};

use leitmotif::audio::AudioReader;
use leitmotif_models::SampleRate;

/// What a reader may hold, as `leitmotif::audio` states, in MiB.
const BOUND: usize = 64;
/// Names the file to the child process of `measure`.
const PATH: &str = "LEITMOTIF_TEST_DECODES";

/// A line of this process's status, in KiB.
fn status_of_this_process(line: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|found| found.starts_with(line)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Not a test of its own: the child process of `measure`.
#[test]
fn child_of_measure() {
    let Some(path) = std::env::var_os(PATH).map(PathBuf::from) else { return };
    let before = status_of_this_process("VmHWM:");
    let mut samples = 0;
    let end = match AudioReader::open(&path, SampleRate::NETWORK) {
        Ok(mut reader) => {
            let mut block = Vec::new();
            loop {
                block.clear();
                match reader.read(&mut block) {
                    Ok(0) if reader.info().truncated => break "cut".to_owned(),
                    Ok(0) => break "whole".to_owned(),
                    Ok(read) => samples += read,
                    Err(error) => break error.to_string(),
                }
            }
        }
        Err(error) => error.to_string(),
    };
    println!(
        "\npeak {} KiB\nsamples {samples}\nend {end}",
        status_of_this_process("VmHWM:") - before
    );
}

/// Decodes a file, asserts the bound, and returns the number of samples and how it ended.
fn measure(path: &Path) -> (usize, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["child_of_measure", "--exact", "--nocapture", "--test-threads", "1"])
        .env(PATH, path)
        .output()
        .unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    let value = |key: &str| report.lines().find_map(|line| line.strip_prefix(key));
    let Some(peak) = value("peak ").and_then(|peak| peak.strip_suffix(" KiB")) else {
        panic!("{}: {report}{}", path.display(), String::from_utf8_lossy(&output.stderr));
    };
    let (peak, samples) =
        (peak.parse::<usize>().unwrap(), value("samples ").unwrap().parse().unwrap());
    let end = value("end ").unwrap().to_owned();
    println!("{:24} {:5.1} MiB, {samples} samples, {end}", name(path), peak as f64 / 1024.0);
    assert!(peak < BOUND << 10, "{}: {peak} KiB", path.display());
    (samples, end)
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/audio").join(name)).unwrap()
}

/// A file of these parts at these positions, with holes between them.
fn sparse(folder: &Path, name: &str, length: u64, parts: &[(u64, &[u8])]) -> PathBuf {
    let path = folder.join(name);
    let file = File::create(&path).unwrap();
    file.set_len(length).unwrap();
    for (place, part) in parts {
        file.write_all_at(part, *place).unwrap();
    }
    path
}

/// The header of an ID3 tag that claims to be followed by this many bytes.
fn id3(size: u32) -> [u8; 10] {
    let [a, b, c, d] = [size >> 21, size >> 14, size >> 7, size].map(|part| part as u8 & 0x7f);
    [b'I', b'D', b'3', 4, 0, 0, a, b, c, d]
}

#[test]
fn tags_and_pictures_cost_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mp3 = fixture("no-tag.mp3");
    const HUGE: u32 = (1 << 28) - 1;
    let behind = 10 + u64::from(HUGE);
    let parts: [(u64, &[u8]); 2] = [(0, &id3(HUGE)), (behind, &mp3)];
    let path = sparse(folder, "tag-of-256-mib.mp3", behind + mp3.len() as u64, &parts);
    assert_eq!(measure(&path), (32_601, "whole".to_owned()));
    let path = sparse(folder, "tag-without-end.mp3", 100 << 20, &[(0, &id3(HUGE))]);
    assert!(measure(&path).1.contains("cut off"));

    // Twenty pictures of 16 MiB before the frames.
    let flac = fixture("s16.flac");
    let frames = 4 + 4 + 34;
    let (mut parts, mut at) = (vec![(0, flac[..frames].to_vec())], frames as u64);
    parts[0].1[4] &= 0x7f;
    for _ in 0..20 {
        parts.push((at, vec![6, 0xff, 0xff, 0xff]));
        at += 4 + 0xff_ffff;
    }
    parts.push((at, flac[frames..].to_vec()));
    let parts: Vec<(u64, &[u8])> = parts.iter().map(|(at, part)| (*at, &part[..])).collect();
    let length = at + (flac.len() - frames) as u64;
    let path = sparse(folder, "twenty-pictures.flac", length, &parts);
    assert_eq!(measure(&path), (32_000, "whole".to_owned()));

    // Tags of 300 MiB inside of the movie, which is the file's last box.
    let m4a = fixture("lc.m4a");
    let movie = m4a.windows(4).position(|part| part == b"moov").unwrap() - 4;
    let tags: u32 = 300 << 20;
    let size = |bytes: usize| (bytes as u32 + tags).to_be_bytes();
    let mut changed = m4a.clone();
    changed[movie..movie + 4].copy_from_slice(&size(m4a.len() - movie));
    let tag =
        [&tags.to_be_bytes()[..], b"udta", &(tags - 8).to_be_bytes(), b"meta\0\0\0\0"].concat();
    let end = changed.len() as u64;
    let parts: [(u64, &[u8]); 2] = [(0, &changed), (end, &tag)];
    let path = sparse(folder, "tags-of-300-mib.m4a", end + u64::from(tags), &parts);
    assert_eq!(measure(&path), (32_000, "whole".to_owned()));
}

#[test]
fn claims_of_a_header_cost_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        File::create(&path).unwrap().write_all(bytes).unwrap();
        path
    };
    // 4 GB of audio.
    let mut wav =
        b"RIFF\x24\0\0\xf0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0"
            .to_vec();
    wav.extend(b"data\0\0\0\xf0");
    wav.extend([0; 3200]);
    assert_eq!(measure(&write("claims-4-gb.wav", &wav)), (1_600, "cut".to_owned()));
    // 2³⁶ samples less one.
    let mut flac = fixture("s16.flac");
    flac[21] |= 0x0f;
    flac[22..26].fill(0xff);
    assert_eq!(measure(&write("claims-2-36.flac", &flac)), (32_000, "cut".to_owned()));
    // QuickTime's second version of a sample description with 2³² − 1 frames in each packet.
    let mov = folder.path().join("lpcm.mov");
    let tone = ["-f", "lavfi", "-i", "sine=duration=1:sample_rate=96000", "-c:a", "pcm_s24le"];
    let made = Command::new("ffmpeg").args(["-v", "error"]).args(tone).arg(&mov).status();
    assert!(made.expect("ffmpeg is needed; `make doctor` names its package").success());
    let mut bytes = fs::read(&mov).unwrap();
    let layout = [0, 0, 0, 0x18, 0, 0, 0, 0x0c, 0, 0, 0, 3, 0, 0, 0, 1];
    let at = bytes.windows(16).position(|part| part == layout).unwrap();
    bytes[at + 12..at + 16].fill(0xff);
    assert_eq!(measure(&write("claims-2-32-frames.mov", &bytes)), (16_000, "whole".to_owned()));
    // A packet of 2 GiB.
    let mut m4a = fixture("lc.m4a");
    let at = m4a.windows(4).position(|part| part == b"stsz").unwrap();
    m4a[at + 16..at + 20].copy_from_slice(&(2u32 << 30).to_be_bytes());
    let end = m4a.len() as u64;
    let path = sparse(folder.path(), "packet-of-2-gib.m4a", end + (4 << 30), &[(0, &m4a)]);
    assert!(measure(&path).1.contains("24 MiB"));
}

#[test]
fn files_without_audio_cost_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = sparse(folder.path(), "archive.m4a", 500 << 20, &[(0, b"PK\x03\x04")]);
    assert!(measure(&path).1.contains("of the format ZIP"));
    // Junk that is longer than the search for the next frame.
    let mp3 = fixture("no-tag.mp3");
    let path = sparse(folder.path(), "junk.mp3", 500 << 20, &[(0, &mp3), (400 << 20, &mp3)]);
    let (samples, end) = measure(&path);
    assert!(samples >= 31_000 && end == "cut", "{samples}, {end}");
    // Chunks of text in a WAV file, a gigabyte of them.
    let mut wav = b"RIFF\xf0\xff\xff\x7fWAVELIST\0\0\0\x40INFO".to_vec();
    wav.extend(b"INAM\0\0\0\x30");
    let path = sparse(folder.path(), "text.wav", 2 << 30, &[(0, &wav)]);
    assert!(measure(&path).1.contains("24 MiB"));
}

#[test]
fn ten_hours_cost_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    const SECONDS: u32 = 36_000;
    let data = 16_000 * SECONDS;
    let mut wav = b"RIFF".to_vec();
    wav.extend((data + 36).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\x80\x3e\0\0\x01\0\x08\0data");
    wav.extend(data.to_le_bytes());
    let path = sparse(folder.path(), "ten-hours.wav", u64::from(data) + 44, &[(0, &wav)]);
    assert_eq!(measure(&path), (data as usize, "whole".to_owned()));
}

#[test]
#[ignore = "minutes; scripts/check-all.d/30-ten-hours runs it"]
fn ten_hours_of_mp3_cost_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mp3 = fixture("no-tag.mp3");
    let hours: Vec<u8> = mp3.iter().copied().cycle().take(18_000 * mp3.len()).collect();
    let path = sparse(folder.path(), "ten-hours.mp3", hours.len() as u64, &[(0, &hours)]);
    let (samples, end) = measure(&path);
    assert!(samples > 36_000 * 16_000 && end == "whole", "{samples}, {end}");
}
