//! Reading: valid data sets and splits, and those with invalid files.

use super::*;

#[test]
fn a_written_data_set_is_read_unchanged() {
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
                ClipRow {
                    shard: stored.shard,
                    offset: stored.offset,
                    audio: stored.audio,
                    ..row.view()
                },
                stored
            );
            assert_eq!(dataset.is_intact(index).unwrap(), Some(true));
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

/// Finishes a data set, changes it by `corrupt` and returns the error of opening it.
fn open_corrupted(corrupt: &dyn Fn(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    uninterrupted(folder.path(), 5);
    corrupt(folder.path());
    Dataset::open(folder.path()).unwrap_err().to_string()
}

fn open_edited(file: &str, from: &str, to: &str) -> String {
    open_corrupted(&|folder| {
        let path = folder.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
    })
}

#[test]
fn invalid_files_are_refused_with_the_reason() {
    let cases = [
        (open_edited(files::INFO, "version = 1", "version = 7"), "version 7"),
        (open_edited(files::INFO, "clip_samples = 10", "clip_samples = 0"), "above 0"),
        (open_edited(files::INFO, "clip_samples = 10", "clip_samples = \"x\""), "dataset.toml"),
        (open_edited(files::INFO, "licence", "license"), "license"),
        (open_edited(files::INFO, "clips = 9", "clips = 8"), "9 clips"),
        (open_edited(files::CLIPS, "artist,album", "album,artist,extra"), "columns"),
        (open_edited(files::CLIPS, "song_group", "group"), "group"),
        (open_edited(files::CLIPS, ",7,0,0,", ",x,0,0,"), "line 2"),
        (open_edited(files::CLIPS, ",7,0,0,", ",0,0,0,"), "1 to 10"),
        (open_edited(files::CLIPS, ",7,0,0,", ",7,0,3,"), "starts before the end"),
        (open_edited(files::CLIPS, ",7,0,0,", ",7,9,0,"), "starts before the end"),
        (open_edited(files::CLIPS, ",7,0,0,", ",7,0,99999999999999999999999,"), "line 2"),
        (open_edited(files::CLIPS, "artist 0", ""), "artist is empty"),
        (
            open_corrupted(&|folder| fs::write(folder.join(files::CLIPS), b"clip\n\xff").unwrap()),
            "clips.csv",
        ),
        (
            open_corrupted(&|folder| fs::write(files::shard(folder, 1), b"ab").unwrap()),
            "holds 1 samples",
        ),
        (open_corrupted(&|folder| fs::remove_file(files::shard(folder, 1)).unwrap()), "00001.pcm"),
        (
            open_corrupted(&|folder| fs::remove_file(folder.join(files::INFO)).unwrap()),
            "not a data set",
        ),
    ];
    for (error, expected) in cases {
        assert!(error.contains(expected), "{error} / {expected}");
    }
}

#[test]
fn a_clip_or_song_named_twice_is_refused() {
    let clip = open_edited(files::CLIPS, "#1\"", "#0\"");
    assert!(clip.contains("appears twice"), "{clip}");
    let cut = open_corrupted(&|folder| {
        let path = folder.join(files::CLIPS);
        let text = fs::read_to_string(&path).unwrap();
        let end = text.trim_end().rfind("\n\"a,").unwrap();
        fs::write(&path, &text[..end + 1]).unwrap();
    });
    assert!(cut.contains("8 clips") || cut.contains("7 clips"), "{cut}");
}

#[test]
fn unfinished_and_missing_data_sets_are_distinct_errors() {
    let folder = tempfile::tempdir().unwrap();
    append(&mut open(folder.path()).unwrap(), 0);
    let error = Dataset::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Unfinished { .. }), "{error}");
    let error = Dataset::open(&folder.path().join("nowhere")).unwrap_err();
    assert!(matches!(error, StoreError::NotADataset { .. }), "{error}");
}

#[test]
fn reading_past_the_end_of_a_clip_is_refused() {
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
fn a_written_split_is_read_unchanged() {
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
fn invalid_splits_are_refused_with_the_line() {
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
        ("clip,part\nother,train\n".to_owned(), "line 2: clip `other` is not in clips.csv"),
        (format!("clip,part\n{name}\n"), "1 columns instead of 2"),
    ] {
        fs::write(&path, text).unwrap();
        let error = dataset.read_split("x").unwrap_err();
        assert!(error.to_string().contains(expected), "{error} / {expected}");
    }
}
