//! Writing: resuming after a kill, locks, replaced songs, refused settings and songs, full disks.

use super::*;

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
            // A kill can leave samples without a journal line, half a line, and a new shard.
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
            assert_eq!(writer.songs(), killed_after);
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
        assert!(writer.songs() < 3, "{length}");
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
fn a_replaced_song_has_only_its_new_clips() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut writer = open(folder).unwrap();
    let (rows, audio) = song(2);
    writer.append_song(&rows[..1], &audio[..10]).unwrap();
    append(&mut writer, 0);
    writer.finish().unwrap();
    let of = |folder: &Path, clip: &str| {
        let dataset = Dataset::open(folder).unwrap();
        let index = dataset.clips().iter().position(|row| row.clip == clip)?;
        let mut samples = vec![0.0; dataset.clips().get(index)?.samples as usize];
        dataset.read(index, 0, &mut samples).unwrap();
        Some(samples)
    };
    let mut writer = open(folder).unwrap();
    let refused = writer.replace_song(&["other"], &rows, &audio).unwrap_err().to_string();
    assert!(refused.contains("not stored with exactly other"), "{refused}");
    let before = rows[0].clip.as_str();
    assert!(
        writer.append_song(&rows, &audio).is_err()
            && writer.replace_song(&[], &rows, &audio).is_err()
    );
    writer.replace_song(&[before], &rows, &audio).unwrap();
    assert_eq!((writer.songs(), writer.clips()), (2, 4));
    // Killed here: readers see the old clips, the next writer has the new ones.
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
    // Again, in a data set whose shards have a gap.
    let mut writer = open(folder).unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row.clip.as_str()).collect();
    for wrong in [&names[..1], &[names[0], names[1], names[1]], &[names[0], names[1], "other"]] {
        assert!(writer.replace_song(wrong, &rows[1..], &audio[10..]).is_err(), "{wrong:?}");
    }
    writer.replace_song(&names, &rows[1..], &audio[10..]).unwrap();
    append(&mut writer, 1);
    writer.finish().unwrap();
    assert_eq!((of(folder, before), of(folder, names[2]).unwrap()), (None, audio[20..].to_vec()));
    assert_eq!(Dataset::open(folder).unwrap().clips().len(), 5);
}

#[test]
fn a_writer_killed_between_its_two_last_files_leaves_an_unfinished_set_and_resumes() {
    let (folder, grown) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let whole = uninterrupted(grown.path(), 3);
    uninterrupted(folder.path(), 2);
    let mut writer = open(folder.path()).unwrap();
    append(&mut writer, 2);
    drop(writer);
    // `finish` replaced clips.csv and was killed before dataset.toml.
    fs::copy(grown.path().join("clips.csv"), folder.path().join("clips.csv")).unwrap();
    assert!(matches!(Dataset::open(folder.path()), Err(StoreError::Unfinished { .. })));
    open(folder.path()).unwrap().finish().unwrap();
    assert_eq!(bytes(folder.path()), whole);
}

#[test]
fn invalid_settings_are_not_written() {
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
fn inconsistent_songs_are_refused_and_leave_nothing_behind() {
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
    // The next shard is a link to the device that is always full.
    let full = files::shard(folder, 1);
    std::os::unix::fs::symlink("/dev/full", &full).unwrap();
    append(&mut writer, 1);
    let (rows, audio) = song(2);
    let error = writer.append_song(&rows, &audio).unwrap_err();
    assert!(matches!(&error, StoreError::Unwritable { path, .. } if *path == full), "{error}");
    assert!(error.to_string().contains("run the same command again: it resumes"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("No space left on device"), "{cause}");
    fs::remove_file(&full).unwrap();
    assert!(!writer.has(&rows[0].song));
    append(&mut writer, 2);
    writer.finish().unwrap();
    assert_eq!(bytes(folder), expected);
}

#[test]
fn an_unwritable_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = open(&file.join("set")).unwrap_err();
    assert!(matches!(error, StoreError::Unwritable { .. }), "{error}");
}
