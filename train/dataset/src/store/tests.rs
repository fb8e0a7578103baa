//! Kills, thefts and lies: what a data set folder must survive or refuse.

use std::{collections::BTreeMap, fs, path::Path};

use super::*;

const SHARD: u64 = 25;

fn info() -> DatasetInfo {
    DatasetInfo {
        name: "test".into(),
        clip_samples: 10,
        licence: "CC0".into(),
        ..DatasetInfo::default()
    }
}

fn open(folder: &Path) -> Result<DatasetWriter, StoreError> {
    DatasetWriter::with_shards_of(SHARD, folder, info())
}

/// Song `number` of its artist's: a few clips with names that a CSV must quote, the last clip shorter.
fn song(number: usize) -> (Vec<ClipRow>, Vec<f32>) {
    let clips = number % 3 + 1;
    let name = format!("a, \"{number}\"\nß.ogg");
    let rows: Vec<ClipRow> = (0..clips)
        .map(|clip| ClipRow {
            clip: format!("{name}#{clip}"),
            song: name.clone(),
            artist: format!("artist {}", number % 2),
            song_group: format!("group {number}"),
            start: clip as u64 * 10,
            samples: if clip + 1 == clips { 7 } else { 10 },
            source: name.clone(),
            ..ClipRow::default()
        })
        .collect();
    let length: u64 = rows.iter().map(|row| row.samples).sum();
    let audio = (0..length).map(|n| (number as f32 * 100.0 + n as f32) / 32_768.0).collect();
    (rows, audio)
}

fn append(writer: &mut DatasetWriter, number: usize) {
    let (rows, audio) = song(number);
    if !writer.has(&rows[0].song) {
        writer.append_song(&rows, &audio).unwrap();
    }
}

fn songs(writer: &DatasetWriter) -> usize {
    writer.songs()
}

/// Every file of the folder but the lock.
fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with(files::LOCK) {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

fn uninterrupted(folder: &Path, songs: usize) -> BTreeMap<String, Vec<u8>> {
    let mut writer = open(folder).unwrap();
    (0..songs).for_each(|number| append(&mut writer, number));
    writer.finish().unwrap();
    bytes(folder)
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    uninterrupted(folder.path(), 8);
    let dataset = Dataset::open(folder.path()).unwrap();
    assert_eq!(dataset.info(), &info());
    assert_eq!(dataset.artists(), ["artist 0", "artist 1"]);
    let mut index = 0;
    for number in 0..8 {
        let (rows, audio) = song(number);
        let mut at = 0;
        for row in rows {
            let stored = dataset.clips().get(index).unwrap();
            assert_eq!(
                ClipRow { shard: stored.shard, offset: stored.offset, ..row.view() },
                stored
            );
            let mut samples = vec![0.0; stored.samples as usize];
            dataset.read(index, 0, &mut samples).unwrap();
            assert_eq!(samples, audio[at..at + samples.len()]);
            let mut some = [0.0; 3];
            dataset.read(index, 2, &mut some).unwrap();
            assert_eq!(some, samples[2..5]);
            at += samples.len();
            index += 1;
        }
    }
    assert_eq!(index, dataset.clips().len());
    assert!(dataset.clips().iter().map(|row| row.shard).max() > Some(2));
}

#[test]
fn a_writer_killed_anywhere_resumes_to_the_same_bytes() {
    let whole = tempfile::tempdir().unwrap();
    let expected = uninterrupted(whole.path(), 9);
    assert!(!expected.contains_key(files::JOURNAL));
    for killed_after in 0..=9 {
        for garbage in [&b""[..], b"\xff\x00 never finished", b"clip,\"torn"] {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            let mut writer = open(folder).unwrap();
            (0..killed_after).for_each(|number| append(&mut writer, number));
            let shards = fs::read_dir(folder.join(files::SHARDS)).unwrap().count() as u32;
            let shard = shards.saturating_sub(1);
            drop(writer);
            // What a kill leaves: samples without a journal line, half a line, a shard begun too early.
            for path in [
                files::shard(folder, shard),
                files::shard(folder, shard + 1),
                folder.join(files::JOURNAL),
            ] {
                let mut torn = fs::read(&path).unwrap_or_default();
                torn.extend_from_slice(garbage);
                fs::write(&path, torn).unwrap();
            }
            let mut writer = open(folder).unwrap();
            assert_eq!(songs(&writer), killed_after);
            (0..9).for_each(|number| append(&mut writer, number));
            writer.finish().unwrap();
            assert_eq!(bytes(folder), expected, "killed after {killed_after} songs");
        }
    }
}

#[test]
fn a_song_whose_journal_line_is_torn_is_stored_again() {
    let whole = tempfile::tempdir().unwrap();
    let expected = uninterrupted(whole.path(), 4);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut writer = open(folder).unwrap();
    (0..3).for_each(|number| append(&mut writer, number));
    drop(writer);
    let journal = folder.join(files::JOURNAL);
    let text = fs::read(&journal).unwrap();
    let header = text.windows(6).position(|bytes| bytes == b"\nclip,").unwrap();
    for length in (header + 1..text.len()).step_by(7) {
        fs::write(&journal, &text[..length]).unwrap();
        let mut writer = open(folder).unwrap();
        assert!(songs(&writer) < 3, "{length}");
        (0..4).for_each(|number| append(&mut writer, number));
        writer.finish().unwrap();
        assert_eq!(bytes(folder), expected, "cut at {length}");
        fs::remove_file(folder.join(files::INFO)).unwrap();
    }
}

#[test]
fn a_second_writer_is_refused_and_a_later_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    drop(first);
    open(folder.path()).unwrap();
}

#[test]
fn a_finished_data_set_can_grow() {
    let whole = tempfile::tempdir().unwrap();
    let expected = uninterrupted(whole.path(), 6);
    let folder = tempfile::tempdir().unwrap();
    uninterrupted(folder.path(), 4);
    let mut writer = open(folder.path()).unwrap();
    assert!(writer.has(&song(3).0[0].song));
    append(&mut writer, 4);
    assert_eq!(Dataset::open(folder.path()).unwrap().clips().len(), 7, "the old one while writing");
    append(&mut writer, 5);
    writer.finish().unwrap();
    assert_eq!(bytes(folder.path()), expected);
}

#[test]
fn a_song_stored_anew_has_its_new_clips_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut writer = open(folder).unwrap();
    let (rows, audio) = song(2);
    writer.append_song(&rows[..1], &audio[..10]).unwrap();
    append(&mut writer, 0);
    writer.finish().unwrap();
    let of = |folder: &Path, clip: &str| {
        let dataset = Dataset::open(folder).unwrap();
        let place = dataset.clips().iter().position(|row| row.clip == clip)?;
        let mut samples = vec![0.0; dataset.clips().get(place)?.samples as usize];
        dataset.read(place, 0, &mut samples).unwrap();
        Some(samples)
    };
    let mut writer = open(folder).unwrap();
    let refused = writer.replace_song(&["nobody"], &rows, &audio).unwrap_err().to_string();
    assert!(refused.contains("not stored with exactly nobody"), "{refused}");
    let before = rows[0].clip.as_str();
    assert!(
        writer.append_song(&rows, &audio).is_err()
            && writer.replace_song(&[], &rows, &audio).is_err()
    );
    writer.replace_song(&[before], &rows, &audio).unwrap();
    assert_eq!((writer.songs(), writer.clips()), (2, 4));
    // Killed here: readers have the old one, and the next writer the new one.
    assert_eq!(of(folder, &rows[1].clip), None);
    assert_eq!(of(folder, before).unwrap(), audio[..10]);
    drop(writer);
    let writer = open(folder).unwrap();
    assert_eq!((writer.songs(), writer.clips()), (2, 4));
    writer.finish().unwrap();
    for (row, samples) in rows.iter().zip([&audio[..10], &audio[10..20], &audio[20..]]) {
        assert_eq!(of(folder, &row.clip).unwrap(), samples);
    }
    assert_eq!(Dataset::open(folder).unwrap().clips().len(), 4);
    // And once more, of a data set with a hole.
    let mut writer = open(folder).unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row.clip.as_str()).collect();
    for some in [&names[..1], &[names[0], names[1], names[1]], &[names[0], names[1], "nobody"]] {
        assert!(writer.replace_song(some, &rows[1..], &audio[10..]).is_err(), "{some:?}");
    }
    writer.replace_song(&names, &rows[1..], &audio[10..]).unwrap();
    append(&mut writer, 1);
    writer.finish().unwrap();
    assert_eq!((of(folder, before), of(folder, names[2]).unwrap()), (None, audio[20..].to_vec()));
    assert_eq!(Dataset::open(folder).unwrap().clips().len(), 5);
}

#[test]
fn growing_killed_between_its_two_last_files_is_unfinished_and_resumes() {
    let (folder, grown) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let whole = uninterrupted(grown.path(), 3);
    uninterrupted(folder.path(), 2);
    let mut writer = open(folder.path()).unwrap();
    append(&mut writer, 2);
    drop(writer);
    // `finish` had replaced the one and not the other.
    fs::copy(grown.path().join("clips.csv"), folder.path().join("clips.csv")).unwrap();
    assert!(matches!(Dataset::open(folder.path()), Err(StoreError::Unfinished { .. })));
    open(folder.path()).unwrap().finish().unwrap();
    assert_eq!(bytes(folder.path()), whole);
}

#[test]
fn settings_that_could_not_be_read_are_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let refused =
        DatasetWriter::create_or_resume(folder.path(), DatasetInfo { clip_samples: 0, ..info() });
    assert!(matches!(refused, Err(StoreError::Malformed { .. })));
    assert!(bytes(folder.path()).is_empty());
}

#[test]
fn other_settings_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    append(&mut open(folder.path()).unwrap(), 0);
    let other = DatasetInfo { clip_samples: 11, ..info() };
    let error = DatasetWriter::create_or_resume(folder.path(), other).unwrap_err();
    assert!(error.to_string().contains("clip_samples = 10, not 11"), "{error}");
}

#[test]
fn songs_that_contradict_themselves_are_refused_and_leave_no_trace() {
    let whole = tempfile::tempdir().unwrap();
    let expected = uninterrupted(whole.path(), 2);
    let folder = tempfile::tempdir().unwrap();
    let mut writer = open(folder.path()).unwrap();
    append(&mut writer, 0);
    let (rows, audio) = song(1);
    let changed = |change: &dyn Fn(&mut ClipRow)| {
        let mut rows = rows.clone();
        change(&mut rows[1]);
        rows
    };
    let bad: [(Vec<ClipRow>, &[f32], &str); 8] = [
        (vec![], &[], "no clips"),
        (song(0).0, &song(0).1, "stored already"),
        (rows.clone(), &audio[1..], "16 were given"),
        (changed(&|row| row.song = "b".into()), &audio, "is of song `b`"),
        (changed(&|row| row.clip = rows[0].clip.clone()), &audio, "is taken"),
        (changed(&|row| row.artist = " ".into()), &audio, "artist is empty"),
        (changed(&|row| row.samples = 11), &audio, "1 to 10"),
        (changed(&|row| row.start = u64::MAX), &audio, "too large"),
    ];
    for (rows, audio, reason) in bad {
        let error = writer.append_song(&rows, audio).unwrap_err();
        assert!(matches!(error, StoreError::BadSong { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error} / {reason}");
    }
    append(&mut writer, 1);
    writer.finish().unwrap();
    assert_eq!(bytes(folder.path()), expected);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_names_the_file_and_the_same_run_resumes() {
    let whole = tempfile::tempdir().unwrap();
    let expected = uninterrupted(whole.path(), 3);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut writer = open(folder).unwrap();
    append(&mut writer, 0);
    // The device that is always full stands where the next shard will be.
    let full = files::shard(folder, 1);
    std::os::unix::fs::symlink("/dev/full", &full).unwrap();
    append(&mut writer, 1);
    let (rows, audio) = song(2);
    let error = writer.append_song(&rows, &audio).unwrap_err();
    assert!(matches!(&error, StoreError::Unwritable { path, .. } if *path == full), "{error}");
    assert!(error.to_string().contains("it goes on where it stopped"), "{error}");
    fs::remove_file(&full).unwrap();
    assert!(!writer.has(&rows[0].song));
    append(&mut writer, 2);
    writer.finish().unwrap();
    assert_eq!(bytes(folder), expected);
}

#[test]
fn an_unwritable_place_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = open(&file.join("set")).unwrap_err();
    assert!(matches!(error, StoreError::Unwritable { .. }), "{error}");
}

/// Finishes a data set, lets `spoil` at it and returns what opening it says.
fn spoilt(spoil: &dyn Fn(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    uninterrupted(folder.path(), 5);
    spoil(folder.path());
    Dataset::open(folder.path()).unwrap_err().to_string()
}

fn edit(file: &str, from: &str, to: &str) -> String {
    spoilt(&|folder| {
        let path = folder.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
    })
}

#[test]
fn files_that_lie_are_refused_with_the_reason() {
    let cases = [
        (edit(files::INFO, "version = 1", "version = 7"), "version 7"),
        (edit(files::INFO, "clip_samples = 10", "clip_samples = 0"), "above 0"),
        (edit(files::INFO, "clip_samples = 10", "clip_samples = \"x\""), "dataset.toml"),
        (edit(files::INFO, "licence", "license"), "license"),
        (edit(files::INFO, "clips = 9", "clips = 8"), "9 clips"),
        (edit(files::CLIPS, "artist,album", "album,artist,extra"), "columns"),
        (edit(files::CLIPS, "song_group", "group"), "group"),
        (edit(files::CLIPS, ",7,0,0,", ",x,0,0,"), "line 2"),
        (edit(files::CLIPS, ",7,0,0,", ",0,0,0,"), "1 to 10"),
        (edit(files::CLIPS, ",7,0,0,", ",7,0,3,"), "does not lie after"),
        (edit(files::CLIPS, ",7,0,0,", ",7,9,0,"), "does not lie after"),
        (edit(files::CLIPS, ",7,0,0,", ",7,0,99999999999999999999999,"), "line 2"),
        (edit(files::CLIPS, "artist 0", ""), "artist is empty"),
        (
            spoilt(&|folder| fs::write(folder.join(files::CLIPS), b"clip\n\xff").unwrap()),
            "clips.csv",
        ),
        (spoilt(&|folder| fs::write(files::shard(folder, 1), b"ab").unwrap()), "holds 1 samples"),
        (spoilt(&|folder| fs::remove_file(files::shard(folder, 1)).unwrap()), "00001.pcm"),
        (spoilt(&|folder| fs::remove_file(folder.join(files::INFO)).unwrap()), "no data set"),
    ];
    for (said, expected) in cases {
        assert!(said.contains(expected), "{said} / {expected}");
    }
}

#[test]
fn a_clip_or_song_named_twice_is_refused() {
    let clip = edit(files::CLIPS, "#1\"", "#0\"");
    assert!(clip.contains("appears twice"), "{clip}");
    let cut = spoilt(&|folder| {
        let path = folder.join(files::CLIPS);
        let text = fs::read_to_string(&path).unwrap();
        let end = text.trim_end().rfind("\n\"a,").unwrap();
        fs::write(&path, &text[..end + 1]).unwrap();
    });
    assert!(cut.contains("8 clips") || cut.contains("7 clips"), "{cut}");
}

#[test]
fn an_unfinished_data_set_says_how_to_finish_it() {
    let folder = tempfile::tempdir().unwrap();
    append(&mut open(folder.path()).unwrap(), 0);
    let error = Dataset::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Unfinished { .. }), "{error}");
    let error = Dataset::open(&folder.path().join("nowhere")).unwrap_err();
    assert!(matches!(error, StoreError::NotADataset { .. }), "{error}");
}

#[test]
fn reading_beyond_a_clip_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    uninterrupted(folder.path(), 5);
    let dataset = Dataset::open(folder.path()).unwrap();
    for (clip, start, length) in [(0, 0, 8), (0, 7, 1), (0, u64::MAX, 2), (99, 0, 1)] {
        let error = dataset.read(clip, start, &mut vec![0.0; length]).unwrap_err();
        assert!(matches!(error, StoreError::OutOfClip { .. }), "{error}");
    }
    dataset.read(0, 7, &mut []).unwrap();
}

#[test]
fn many_threads_read_at_once() {
    let folder = tempfile::tempdir().unwrap();
    uninterrupted(folder.path(), 9);
    let dataset = &Dataset::open(folder.path()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(move || {
                for _ in 0..50 {
                    for (clip, row) in dataset.clips().iter().enumerate() {
                        let mut samples = vec![0.0; row.samples as usize];
                        dataset.read(clip, 0, &mut samples).unwrap();
                        let step = 1.0 / 32_768.0;
                        assert!(samples.windows(2).all(|pair| pair[1] - pair[0] == step));
                    }
                }
            });
        }
    });
}

#[test]
fn samples_round_to_the_nearest_and_clamp() {
    let step = 1.0 / 32_768.0;
    for (sample, expected) in [
        (0.0, 0),
        (step, 1),
        (0.4 * step, 0),
        (0.5 * step, 1),
        (-0.5 * step, -1),
        (-1.0, -32_768),
        (1.0, 32_767),
        (7.0, 32_767),
        (f32::NEG_INFINITY, -32_768),
        (f32::NAN, 0),
    ] {
        assert_eq!(quantize(sample), expected, "{sample}");
    }
    for value in i16::MIN..=i16::MAX {
        assert_eq!(quantize(f32::from(value) / 32_768.0), value);
        // As `round` around every boundary, to the neighbouring floats.
        let half = (f32::from(value) + 0.5) / 32_768.0;
        for sample in [half.next_down(), half, half.next_up()] {
            assert_eq!(quantize(sample), (sample * 32_768.0).round() as i16, "{sample}");
        }
    }
}

#[test]
fn splits_come_back_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    uninterrupted(folder.path(), 5);
    let dataset = Dataset::open(folder.path()).unwrap();
    let kinds = [Some(Part::Train), Some(Part::Validation), Some(Part::Test), None];
    let parts: Vec<_> = kinds.into_iter().cycle().take(dataset.clips().len()).collect();
    write_split(folder.path(), "song-seed1", dataset.clips(), &parts).unwrap();
    assert_eq!(dataset.read_split("song-seed1").unwrap(), parts);
    assert_eq!(dataset.splits().unwrap(), ["song-seed1"]);
    let error = dataset.read_split("album-seed1").unwrap_err();
    assert!(error.to_string().contains("it has song-seed1"), "{error}");
    for name in ["", "../x", "a/b", ".hidden", "ü"] {
        let error = write_split(folder.path(), name, dataset.clips(), &parts).unwrap_err();
        assert!(matches!(error, StoreError::BadSplit { .. }), "{error}");
        assert!(matches!(dataset.read_split(name), Err(StoreError::NoSplit { .. })), "{name}");
    }
    let error = write_split(folder.path(), "x", dataset.clips(), &parts[1..]).unwrap_err();
    assert!(error.to_string().contains("8 parts for 9 clips"), "{error}");
}

#[test]
fn splits_that_lie_are_refused_with_the_line() {
    let folder = tempfile::tempdir().unwrap();
    uninterrupted(folder.path(), 2);
    let dataset = Dataset::open(folder.path()).unwrap();
    let path = folder.path().join(files::SPLITS).join("x.csv");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let name = format!("\"{}\"", dataset.clips().get(0).unwrap().clip.replace('"', "\"\""));
    for (text, expected) in [
        ("clip,parts\n".to_owned(), "columns must be clip,part"),
        ("clip,part\n".to_owned(), "no clip has a part"),
        (format!("clip,part\n{name},train\n{name},test\n"), "appears twice"),
        (format!("clip,part\n{name},training\n"), "`training` is none of"),
        ("clip,part\nnobody,train\n".to_owned(), "line 2: clip `nobody` is not in clips.csv"),
        (format!("clip,part\n{name}\n"), "1 columns instead of 2"),
    ] {
        fs::write(&path, text).unwrap();
        let error = dataset.read_split("x").unwrap_err();
        assert!(error.to_string().contains(expected), "{error} / {expected}");
    }
}
