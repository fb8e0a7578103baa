//! Audio decoding against a signal whose samples are known at every rate; `data/audio/make.py` makes its files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

#[path = "support/decoding.rs"]
mod decoding;

use std::fs;

use decoding::*;
use leitmotif::audio::{AudioReader, read_all};
use leitmotif_models::SampleRate;

/// Decodes a fixture and compares it with the formula: codec, own rate and channels, number of samples at 16 kHz, delay
/// in samples, and the least signal-to-difference in decibels.
fn check(name: &str, expected: (&str, u32, usize, usize, i64, f64)) {
    let (samples, info) = decode(&fixture(name));
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
fn mp3_is_decoded() {
    check("cbr.mp3", ("mp3", 44_100, 2, 32_000, 0, 25.0));
    check("vbr.mp3", ("mp3", 48_000, 2, 32_000, 0, 25.0));
    check("mpeg2.mp3", ("mp3", 22_050, 1, 32_000, 0, 25.0));
    check("mtat.mp3", ("mp3", 16_000, 1, 32_000, 0, 20.0));
    // In joint stereo, the two channels may have different block types.
    check("joint-stereo.mp3", ("mp3", 44_100, 2, 32_000, 0, 25.0));
}

#[test]
fn an_mp3_without_a_tag_keeps_its_encoders_delay() {
    // 1,105 samples at 44.1 kHz are 401 at 16 kHz, and the last frame is filled up.
    check("no-tag.mp3", ("mp3", 44_100, 2, 32_601, 401, 20.0));
}

#[test]
fn vorbis_is_decoded() {
    check("stereo.ogg", ("vorbis", 44_100, 2, 32_000, 0, 20.0));
    check("mono.ogg", ("vorbis", 22_050, 1, 32_000, 0, 20.0));
}

#[test]
fn flac_is_decoded() {
    check("s16.flac", ("flac", 44_100, 2, 32_000, 0, 78.0));
    check("s24.flac", ("flac", 48_000, 1, 32_000, 0, 80.0));
    check("flac.oga", ("flac", 16_000, 1, 32_000, 0, 78.0));
}

#[test]
fn aac_and_alac_are_decoded_from_the_start_in_the_edit_list() {
    check("lc.m4a", ("aac", 44_100, 2, 32_000, 0, 20.0));
    check("lossless.m4a", ("alac", 22_050, 1, 32_000, 0, 78.0));
}

#[test]
fn adts_has_no_edit_list_and_keeps_its_encoders_delay() {
    // 1,024 samples at 44.1 kHz are 371.5 at 16 kHz, so the formula is off by half a sample.
    check("lc.aac", ("aac", 44_100, 2, 32_694, 372, 11.0));
}

#[test]
fn aiff_is_decoded() {
    check("s16.aiff", ("pcm_s16be", 16_000, 1, 32_000, 0, 78.0));
}

#[cfg(feature = "opus")]
#[test]
fn opus_is_decoded() {
    check("stereo.opus", ("opus", 48_000, 2, 32_000, 0, 20.0));
    check("mono.opus", ("opus", 48_000, 1, 32_000, 0, 20.0));
    // The codec changes these tones: a bass channel is filtered, and at 20 kbit/s it only models a voice. The reference
    // decoder gives the same (`ffmpeg.rs`).
    check("surround.opus", ("opus", 48_000, 6, 32_000, 0, 18.0));
    check("speech.opus", ("opus", 48_000, 1, 32_000, 0, 5.0));
}

#[cfg(not(feature = "opus"))]
#[test]
fn opus_without_its_feature_is_an_error_with_a_remedy() {
    let error = refused(&fixture("stereo.opus"));
    assert!(matches!(error, leitmotif::audio::AudioError::UnsupportedCodec { .. }), "{error}");
    assert!(error.to_string().contains("feature `opus`"), "{error}");
}

#[test]
fn wav_is_decoded_at_every_width_rate_and_number_of_channels() {
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
        let (samples, info) = decode(&path);
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
fn samples_at_sixteen_kilohertz_are_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ramp.wav");
    let values: Vec<i16> = (-5000..5000).map(|n| n * 6).collect();
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(&path, riff(16_000, 1, 16, false, &data, data.len() as u32)).unwrap();
    let expected: Vec<f32> = values.iter().map(|&value| f32::from(value) / 32_768.0).collect();
    assert_eq!(decode(&path).0, expected);
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
        assert_eq!(reader.read(&mut block).unwrap(), 0, "after the end");
        assert_eq!(whole, decode(&fixture(name)).0, "{name}");
    }
}

#[test]
fn a_cover_picture_is_skipped() {
    assert_eq!(decode(&fixture("cover.mp3")).0, decode(&fixture("cbr.mp3")).0);
}

#[test]
fn recordings_chained_in_one_file_are_all_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.ogg");
    let links = ["stereo.ogg", "mono.ogg"];
    fs::write(&path, links.map(|name| fs::read(fixture(name)).unwrap()).concat()).unwrap();
    let (samples, info) = decode(&path);
    assert_eq!((info.skipped_packets, info.truncated), (0, false));
    assert_eq!(samples, links.map(|name| decode(&fixture(name)).0).concat());
}

#[cfg(feature = "opus")]
#[test]
fn opus_recordings_chained_in_one_file_are_all_decoded() {
    let links = ["stereo.opus", "mono.opus", "surround.opus"];
    let chain = links.map(|name| fs::read(fixture(name)).unwrap()).concat();
    // At their own rate, no resampling filter extends from one to the next.
    let rate = SampleRate(48_000);
    let (samples, info) = decode_bytes_at(chain, rate).unwrap();
    assert_eq!((info.skipped_packets, info.truncated), (0, false));
    let parts = links.map(|name| read_all(&fixture(name), rate).unwrap().0);
    assert_eq!(samples, parts.concat());
}

#[test]
fn concatenated_mp3_files_are_all_decoded() {
    let own = SampleRate(44_100);
    let one = fs::read(fixture("cbr.mp3")).unwrap();
    let alone = read_all(&fixture("cbr.mp3"), own).unwrap().0;
    let (samples, info) = decode_bytes_at([&one[..], &one].concat(), own).unwrap();
    // The first tag's delay is cut at the start; the second recording keeps its delay and its padding.
    let frames = (alone.len() + 1_105).div_ceil(1_152);
    assert_eq!(samples.len(), 2 * frames * 1_152 - 1_105);
    assert!(!info.truncated);
    assert_eq!(samples[..alone.len() - 2_000], alone[..alone.len() - 2_000]);
    let tail = &samples[samples.len() - 40_000..];
    assert!(tail.iter().any(|sample| sample.abs() > 0.1), "the second recording is decoded");
}

#[test]
fn a_length_that_a_file_does_not_state_is_none() {
    for name in ["no-tag.mp3", "lc.aac"] {
        let (_, info) = decode(&fixture(name));
        assert_eq!((info.duration_seconds, info.truncated), (None, false), "{name}");
    }
    // Cut at any place, such an MP3 file is a shorter MP3 file.
    let bytes = fs::read(fixture("no-tag.mp3")).unwrap();
    let (_, info) = decode_bytes(bytes[..bytes.len() * 2 / 3].to_vec()).unwrap();
    assert_eq!((info.duration_seconds, info.truncated), (None, false));
    for name in ["cbr.mp3", "vbr.mp3", "stereo.ogg", "lc.m4a", "s16.flac", "s16.aiff"] {
        let seconds = decode(&fixture(name)).1.duration_seconds.unwrap();
        assert!((seconds - 2.0).abs() < 0.06, "{name}: {seconds}");
    }
}

#[test]
fn a_stream_is_decoded_as_its_file() {
    for entry in fs::read_dir(fixture("")).unwrap() {
        let path = entry.unwrap().path();
        let from_file = read_all(&path, RATE).map_err(|error| error.to_string());
        let from_bytes = decode_bytes(fs::read(&path).unwrap());
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
fn the_debug_output_of_a_reader_names_its_file() {
    let reader = AudioReader::open(&fixture("cbr.mp3"), RATE).unwrap();
    let text = format!("{reader:?}");
    assert!(text.contains("cbr.mp3") && text.contains("16000") && text.contains("mp3"), "{text}");
}

#[test]
fn the_first_track_that_can_be_decoded_is_decoded() {
    // An AC-3 track, then the AAC of another file: both movies' tracks in one.
    let Some(bytes) = two_tracks() else { panic!("the fixtures have no tracks") };
    let (samples, info) = decode_bytes(bytes).unwrap();
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
    // A track number that the second file does not use. Its offsets stay valid because the first file comes first.
    let header = other.windows(4).position(|part| part == b"tkhd")?;
    other[header + 16..header + 20].copy_from_slice(&2u32.to_be_bytes());
    let movie = place(&second, b"moov")?;
    let audio_data = first[..place(&first, b"moov")?.start].to_vec();
    let mut own = second[movie.clone()].to_vec();
    let track = place(&own, b"trak")?;
    // The second file's audio data moves behind the first's, so all of its offsets change.
    let table = own.windows(4).position(|part| part == b"stco")?;
    let count = u32::from_be_bytes(own[table + 8..table + 12].try_into().unwrap()) as usize;
    for entry in own[table + 12..table + 12 + 4 * count].chunks_exact_mut(4) {
        let offset = u32::from_be_bytes(entry.try_into().unwrap()) + audio_data.len() as u32;
        entry.copy_from_slice(&offset.to_be_bytes());
    }
    own.splice(track.start..track.start, other);
    let size = own.len() as u32;
    own[..4].copy_from_slice(&size.to_be_bytes());
    Some([&audio_data[..], &second[..movie.start], &own].concat())
}

#[test]
fn tags_around_the_audio_do_not_matter() {
    let own = |bytes: Vec<u8>| decode_bytes(bytes).unwrap();
    let id3 = |size: u32| {
        let bytes = [size >> 21, size >> 14, size >> 7, size].map(|byte| byte as u8 & 0x7f);
        let mut tag = [&b"ID3\x04\0\0"[..], &bytes].concat();
        // Pictures look like audio to a demuxer that searches for frames.
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
        let untagged = own(plain.clone());
        for (before, after) in [
            (id3(3_000), vec![]),
            ([id3(3_000), id3(40_000)].concat(), vec![]),
            ([id3(3_000), vec![0; 999]].concat(), vec![]),
            (vec![], v1.clone()),
            (vec![], [&ape[..], &v1].concat()),
            (id3(100_000), ape.clone()),
        ] {
            let tagged = [&before[..], &plain, &after].concat();
            assert!(own(tagged) == untagged, "{name}, {} and {} bytes", before.len(), after.len());
        }
    }
}

#[test]
fn names_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("flac.mp3");
    fs::copy(fixture("s16.flac"), &wrong).unwrap();
    assert_eq!(decode(&wrong).0, decode(&fixture("s16.flac")).0);
    #[cfg(target_os = "linux")]
    {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
        let strange = folder.path().join(OsStr::from_bytes(b"M\xf6tley \xff.flac"));
        fs::copy(fixture("s16.flac"), &strange).unwrap();
        assert_eq!(decode(&strange).0, decode(&fixture("s16.flac")).0);
        fs::write(&strange, b"just text").unwrap();
        assert!(matches!(refused(&strange), leitmotif::audio::AudioError::UnknownFormat { .. }));
    }
}

#[test]
fn an_mp3_that_starts_in_the_middle_is_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("middle.mp3");
    fs::write(&path, &fs::read(fixture("cbr.mp3")).unwrap()[10_000..]).unwrap();
    let (samples, _) = decode(&path);
    assert!((18_000..24_000).contains(&samples.len()), "{}", samples.len());
}

#[test]
fn silence_is_decoded_as_silence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("silence.wav");
    fs::write(&path, riff(44_100, 1, 16, false, &[0; 88_200], 88_200)).unwrap();
    assert_eq!(decode(&path).0, vec![0.0; 16_000]);
}

#[test]
fn one_sample_is_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.wav");
    fs::write(&path, riff(16_000, 1, 16, false, &[0, 0x40], 2)).unwrap();
    assert_eq!(decode(&path).0, [0.5]);
}
