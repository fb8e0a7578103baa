//! A data set prepared in parts, and the parts merged: the bytes of one run, and every way in which parts may not fit.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod music;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use leitmotif_dataset::fs::Lock;
use leitmotif_dataset::prepare::{
    Merge, Options, PartError, PartOf, PartReport, PartRun, Plan, plan, prepare, prepare_part,
};
use leitmotif_dataset::sources::{ClipFile, Found, Track, tagged};
use leitmotif_dataset::store::Dataset;
use music::{Wave, bytes, four_songs, write_wave};

const CLIP: usize = 4000;

fn options() -> Options {
    Options { clip_samples: CLIP, min_songs: 2, max_minutes_per_artist: None, threads: 2 }
}

fn found(music: &Path) -> Found {
    tagged::find(music, tagged::TagsPolicy::Read, &mut |_| {}, &|| false).unwrap()
}

fn plan_of(music: &Path, options: &Options) -> Plan {
    plan(found(music), Path::new("nowhere"), options).unwrap()
}

/// Every rule that depends on other songs: duplicates across artists, artists with too few usable songs; and those that
/// do not: damaged, silent, short and unreadable files.
fn many_songs() -> tempfile::TempDir {
    let music = four_songs();
    let at = |name: &str| music.path().join(name);
    for folder in ["Cy/A", "Dee/A", "Eve/A"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    for song in 0..9 {
        let length = 6000 + 3000 * song as usize;
        write_wave(&at(&format!("Cy/A/{song}.wav")), &Wave(20 + song).samples(length));
    }
    fs::copy(at("Ann/Album/01 - One.wav"), at("Cy/A/00 copy.wav")).unwrap();
    fs::write(at("Cy/A/9 broken.wav"), b"RIFF").unwrap();
    write_wave(&at("Dee/A/1.wav"), &Wave(25).samples(9000));
    fs::write(at("Dee/A/2.wav"), b"RIFF").unwrap();
    write_wave(&at("Eve/A/short.wav"), &Wave(50).samples(CLIP - 1));
    write_wave(&at("Eve/A/silent.wav"), &[0; 3 * CLIP]);
    let mut hidden = Wave(51).samples(5 * CLIP);
    hidden[CLIP..2 * CLIP].fill(1);
    write_wave(&at("Eve/A/hidden.wav"), &hidden);
    write_wave(&at("Eve/A/whole.wav"), &Wave(52).samples(2 * CLIP));
    let whole = fs::read(at("Eve/A/whole.wav")).unwrap();
    fs::write(at("Eve/A/cut off.wav"), &whole[..whole.len() - 1001]).unwrap();
    fs::write(at("cover.jpg"), b"x").unwrap();
    music
}

const COMMAND: [&str; 3] = ["leitmotif-train", "prepare", "my music"];

fn make(
    plan: &Plan,
    parts: &Path,
    part: &str,
    stopped: &(dyn Fn() -> bool + Sync),
) -> Result<PartReport, PartError> {
    let command = COMMAND.map(str::to_owned);
    let run = PartRun { part: part.parse().unwrap(), parts, command: &command };
    prepare_part(plan, &run, &mut |_| {}, stopped)
}

fn make_all(plan: &Plan, parts: &Path, of: u32) {
    for part in 1..=of {
        assert!(make(plan, parts, &format!("{part}/{of}"), &|| false).unwrap().finished);
    }
}

fn merge(parts: &Path, out: &Path) -> Result<usize, PartError> {
    let merge = Merge::open(&[parts.to_owned()])?;
    let report = merge.store(out, &mut |_| {}, &|| false)?;
    assert!(report.finished);
    Ok(report.clips)
}

fn refused(parts: &Path) -> String {
    let error = Merge::open(&[parts.to_owned()]).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

fn one_run(plan: &Plan) -> BTreeMap<String, Vec<u8>> {
    let out = tempfile::tempdir().unwrap();
    assert!(prepare(plan, out.path(), &mut |_| {}, &|| false).unwrap().finished);
    bytes(out.path())
}

/// The folder of a part.
fn folder_of(parts: &Path, part: u32, of: u32) -> PathBuf {
    parts.join(format!("part-{part}-of-{of}"))
}

#[test]
fn merged_parts_have_the_bytes_of_one_run_however_many_there_are() {
    let music = many_songs();
    let capped = Options { max_minutes_per_artist: Some(2.0 / 60.0), ..options() };
    for options in [options(), capped] {
        let plan = plan_of(music.path(), &options);
        let expected = one_run(&plan);
        for file in ["clips.csv", "dataset.toml", "damaged.csv", "prepare.journal"] {
            assert!(expected[file].len() > 60, "{file}");
        }
        // One, four, and more parts than songs, whose last are empty.
        for of in [1, 4, 40] {
            let (parts, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            make_all(&plan, parts.path(), of);
            let before = bytes(parts.path());
            merge(parts.path(), out.path()).unwrap();
            assert!(bytes(out.path()) == expected, "{of} parts");
            assert!(bytes(parts.path()) == before, "merging changed the parts");
            Dataset::open(out.path()).unwrap();
        }
    }
}

#[test]
fn a_part_that_was_stopped_or_cut_anywhere_is_refused_until_it_is_repeated() {
    let music = many_songs();
    let plan = plan_of(music.path(), &options());
    let (parts, expected) = (tempfile::tempdir().unwrap(), one_run(&plan));
    let parts = parts.path();
    let asked = AtomicUsize::new(0);
    let stop = || asked.fetch_add(1, Ordering::SeqCst) > 6;
    assert!(!make(&plan, parts, "2/4", &stop).unwrap().finished);
    for part in ["1/4", "3/4", "4/4"] {
        make(&plan, parts, part, &|| false).unwrap();
    }
    let error = refused(parts);
    assert!(error.contains("part-2-of-4 is not finished: "), "{error}");
    assert!(error.ends_with("run again: leitmotif-train prepare 'my music' --part 2/4"), "{error}");
    // While another process is at it.
    let lock = Lock::take(&folder_of(parts, 2, 4).join("part.lock")).unwrap().unwrap();
    let error = make(&plan, parts, "2/4", &|| false).unwrap_err();
    assert!(matches!(error, PartError::BeingPrepared { .. }), "{error}");
    let error = refused(parts);
    assert!(error.ends_with("part-2-of-4 is being prepared by another process; wait for it"));
    drop(lock);
    let whole = make(&plan, parts, "2/4", &|| false).unwrap();
    assert!(whole.finished && whole.songs > 3);
    // As if killed while the last song was written: samples without a line, half a line.
    let folder = folder_of(parts, 2, 4);
    let (journal, shard) = (folder.join("part.journal"), folder.join("shards/00000.pcm"));
    let (lines, samples) = (fs::read(&journal).unwrap(), fs::read(&shard).unwrap());
    for cut in [1, 30, lines.len() / 2] {
        fs::write(&journal, &lines[..lines.len() - cut]).unwrap();
        fs::write(&shard, [&samples[..], &[7; 99]].concat()).unwrap();
        assert!(refused(parts).contains("part-2-of-4 is not finished"));
        let again = make(&plan, parts, "2/4", &|| false).unwrap();
        assert!(again.finished && again.resumed < again.songs);
        let out = tempfile::tempdir().unwrap();
        merge(parts, out.path()).unwrap();
        assert!(bytes(out.path()) == expected, "cut by {cut}");
    }
    // Nothing is left to do, and nothing is changed.
    let before = bytes(parts);
    assert!(make(&plan, parts, "2/4", &|| false).unwrap().decoded_seconds == 0.0);
    assert!(bytes(parts) == before);
}

#[test]
fn a_stopped_merge_is_resumed_to_the_same_bytes() {
    let music = many_songs();
    let plan = plan_of(music.path(), &options());
    let (parts, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    make_all(&plan, parts.path(), 3);
    let opened = Merge::open(&[parts.path().to_owned()]).unwrap();
    let songs = AtomicUsize::new(0);
    let mut count = |_| {
        songs.fetch_add(1, Ordering::SeqCst);
    };
    let stop = || songs.load(Ordering::SeqCst) >= 5;
    assert!(!opened.store(out.path(), &mut count, &stop).unwrap().finished);
    assert!(Dataset::open(out.path()).is_err());
    let report = opened.store(out.path(), &mut |_| {}, &|| false).unwrap();
    assert!(report.finished && report.resumed > 0);
    assert!(bytes(out.path()) == one_run(&plan));
    // One run of the same music may go on, too: the folder is its own.
    assert!(prepare(&plan, out.path(), &mut |_| {}, &|| false).unwrap().resumed > 9);
}

#[test]
fn a_missing_a_doubled_and_a_stale_part_are_refused_with_what_to_run() {
    let music = many_songs();
    let plan = plan_of(music.path(), &options());
    let parts = tempfile::tempdir().unwrap();
    let parts = parts.path();
    assert!(refused(parts).contains("is no part of a data set and holds none"));
    make_all(&plan, parts, 4);

    let (second, aside) = (folder_of(parts, 2, 4), tempfile::tempdir().unwrap());
    let aside = aside.path().join("second");
    fs::rename(&second, &aside).unwrap();
    let error = refused(parts);
    assert!(error.starts_with("part 2 of 4 is missing; run: leitmotif-train"), "{error}");
    assert!(error.ends_with("--part 2/4"), "{error}");
    fs::remove_dir_all(folder_of(parts, 3, 4)).unwrap();
    assert!(refused(parts).starts_with("parts 2, 3 of 4 are missing; run: "));
    make(&plan, parts, "3/4", &|| false).unwrap();

    // It may lie elsewhere, and may be named beside the folder that holds it, but must not be there twice.
    Merge::open(&[parts.to_owned(), aside.clone(), folder_of(parts, 1, 4)]).unwrap();
    make(&plan, parts, "2/4", &|| false).unwrap();
    let error = Merge::open(&[parts.to_owned(), aside.clone()]).unwrap_err();
    assert!(matches!(error, PartError::Doubled { .. }), "{error}");
    let error = error.to_string();
    assert!(error.starts_with("part 2/4 is there twice: ") && error.contains("second"), "{error}");

    // Of other settings, with its setting; and it is not overwritten.
    fs::remove_dir_all(&second).unwrap();
    let stale = plan_of(music.path(), &Options { min_songs: 3, ..options() });
    make(&stale, parts, "2/4", &|| false).unwrap();
    let error = refused(parts);
    assert!(error.contains("part-2-of-4 does not belong to "), "{error}");
    assert!(error.contains("--min-songs is `3`, not `2`; leave it out, or delete it and run: "));
    assert!(error.ends_with("'my music' --part 2/4"), "{error}");
    let error = make(&plan, parts, "2/4", &|| false).unwrap_err().to_string();
    assert!(error.contains("holds a part of other music or settings: --min-songs is `3`, not `2`"));
    fs::remove_dir_all(&second).unwrap();
    make(&plan, parts, "2/4", &|| false).unwrap();

    // Left from a run in other parts.
    make(&plan, parts, "2/5", &|| false).unwrap();
    let error = refused(parts);
    assert!(error.contains("it is part 2/5, not one of 4; leave it out, or delete it"), "{error}");
    assert!(error.ends_with("delete it"), "{error}");
    fs::remove_dir_all(folder_of(parts, 2, 5)).unwrap();

    // By another version of the program.
    let journal = second.join("part.journal");
    let text = fs::read_to_string(&journal).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let other = text.replacen(&format!("\"program\":\"{version}\""), "\"program\":\"0.0.1\"", 1);
    fs::write(&journal, other).unwrap();
    assert!(refused(parts).contains(&format!("made by version 0.0.1, not {version}")));
    let error = make(&plan, parts, "2/4", &|| false).unwrap_err().to_string();
    assert!(error.contains("made by version 0.0.1"), "{error}");
}

#[test]
fn a_part_of_other_music_is_refused_and_the_song_is_named() {
    let music = many_songs();
    let plan = plan_of(music.path(), &options());
    let parts = tempfile::tempdir().unwrap();
    make_all(&plan, parts.path(), 3);
    let first = folder_of(parts.path(), 1, 3);
    let mut relabelled = found(music.path());
    relabelled.tracks.iter_mut().for_each(|track| {
        if track.id == "Cy/A/3.wav" {
            track.album = "Another".to_owned();
        }
    });
    let mut renamed = found(music.path());
    renamed.tracks.iter_mut().for_each(|track| {
        if track.id == "Cy/A/3.wav" {
            track.id = "Cy/A/33.wav".to_owned();
        }
    });
    let mut fewer = found(music.path());
    fewer.tracks.retain(|track| track.id != "Cy/A/3.wav");
    let mut moved = found(music.path());
    moved.source = "elsewhere".to_owned();
    for (found, difference) in [
        (relabelled, "the album of Cy/A/3.wav is `Another`, not `A`"),
        (renamed, "it has the song Cy/A/33.wav, not Cy/A/3.wav"),
        (fewer, "number of songs is `"),
        (moved, "source is `elsewhere`, not `folder "),
    ] {
        fs::remove_dir_all(&first).unwrap();
        let other = plan_of_found(found);
        make(&other, parts.path(), "1/3", &|| false).unwrap();
        let error = refused(parts.path());
        assert!(error.contains("part-1-of-3 does not belong to "), "{error}");
        assert!(error.contains(difference), "{error}");
    }
    // A new picture beside the music makes no other data set.
    fs::remove_dir_all(&first).unwrap();
    fs::write(music.path().join("another cover.jpg"), b"x").unwrap();
    make(&plan_of(music.path(), &options()), parts.path(), "1/3", &|| false).unwrap();
    Merge::open(&[parts.path().to_owned()]).unwrap();
}

fn plan_of_found(found: Found) -> Plan {
    plan(found, Path::new("nowhere"), &options()).unwrap()
}

#[test]
fn damaged_copies_of_parts_are_refused_with_the_file() {
    let music = many_songs();
    let plan = plan_of(music.path(), &options());
    let parts = tempfile::tempdir().unwrap();
    let parts = parts.path();
    make_all(&plan, parts, 2);
    let folder = folder_of(parts, 1, 2);
    for (file, message) in [
        ("shards/00000.pcm", "its samples are not those that were stored; copy the part again"),
        ("music.jsonl", "it is not the list that was written; copy the part again"),
    ] {
        let path = folder.join(file);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for bad in [&whole[..whole.len() / 2], &flipped] {
            fs::write(&path, bad).unwrap();
            let out = tempfile::tempdir().unwrap();
            let error = merge(parts, out.path()).unwrap_err().to_string();
            assert!(error.contains(file) && error.contains(message), "{error}");
            assert!(error.ends_with("--part 1/2") && Dataset::open(out.path()).is_err());
            fs::write(&path, &whole).unwrap();
            // What was stored before is kept, and merging goes on.
            merge(parts, out.path()).unwrap();
            assert!(bytes(out.path()) == one_run(&plan));
        }
        fs::remove_file(&path).unwrap();
        let error = merge(parts, &parts.join("out")).unwrap_err().to_string();
        assert!(error.contains(file) && error.ends_with("cannot be read"), "{error}");
        fs::write(&path, &whole).unwrap();
        fs::remove_dir_all(parts.join("out")).unwrap_or_default();
    }
    // A line about a song of another part.
    let path = folder.join("part.journal");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("{\"song\":0,", "{\"song\":1,", 1)).unwrap();
    assert!(refused(parts).contains("it has a song 1, which is none of part 1/2"));
}

#[test]
fn files_that_can_be_read_again_improve_a_finished_part_and_its_merge() {
    let music = tempfile::tempdir().unwrap();
    let at = |name: &str| music.path().join(name);
    for number in 0..15 {
        write_wave(&at(&format!("{number}.wav")), &Wave(90 + number).samples(CLIP));
    }
    let song = |name: &str, artist: &str, files: [u32; 3]| Track {
        id: name.to_owned(),
        path: music.path().into(),
        artist: artist.to_owned(),
        song_group: name.to_owned(),
        clips: files
            .map(|file| ClipFile { id: format!("{file}.wav"), start_seconds: f64::from(file) })
            .into(),
        ..Track::default()
    };
    let whole = |name: &str, artist: &str| Track {
        id: name.to_owned(),
        path: at(name).into(),
        artist: artist.to_owned(),
        song_group: name.to_owned(),
        ..Track::default()
    };
    let list = Found {
        tracks: vec![
            song("a", "Ann", [0, 1, 2]),
            song("b", "Ann", [3, 4, 5]),
            song("c", "Bob", [6, 7, 8]),
            song("d", "Ann", [12, 13, 14]),
            whole("11.wav", "Bob"),
            whole("10.wav", "Bob"),
        ],
        left_out: Vec::new(),
        other_files: 0,
        merged_artists: Vec::new(),
        name: "miniature".to_owned(),
        licence: String::new(),
        notes: String::new(),
        source: "test".to_owned(),
    };
    let plan = plan_of_found(list);
    let (parts, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for lost in ["4.wav", "10.wav", "6.wav", "7.wav", "8.wav", "13.wav", "14.wav"] {
        fs::rename(at(lost), at(&format!("{lost}.lost"))).unwrap();
    }
    make_all(&plan, parts.path(), 2);
    // Too few songs of Bob are left.
    let error = merge(parts.path(), out.path()).unwrap_err().to_string();
    assert!(error.contains("at least two artists"), "{error}");
    for lost in ["4.wav", "10.wav", "6.wav", "7.wav"] {
        fs::rename(at(&format!("{lost}.lost")), at(lost)).unwrap();
    }
    make_all(&plan, parts.path(), 2);
    let out = tempfile::tempdir().unwrap();
    assert_eq!(merge(parts.path(), out.path()).unwrap(), 11);
    assert!(bytes(out.path()) == one_run(&plan));
    // A file that is lost later takes no clips from its part, even where more have come than are lost.
    for found in ["8.wav", "13.wav", "14.wav"] {
        fs::rename(at(&format!("{found}.lost")), at(found)).unwrap();
    }
    for lost in ["4.wav", "12.wav"] {
        fs::rename(at(lost), at(&format!("{lost}.lost"))).unwrap();
    }
    make_all(&plan, parts.path(), 2);
    let fresh = tempfile::tempdir().unwrap();
    assert_eq!(merge(parts.path(), fresh.path()).unwrap(), 12);
    // A data set that is merged again gains the clips that have come.
    assert_eq!(merge(parts.path(), out.path()).unwrap(), 12);
    for out in [&out, &fresh] {
        let dataset = Dataset::open(out.path()).unwrap();
        let clips: Vec<&str> = dataset.clips().iter().map(|row| row.clip).collect();
        assert!(["4.wav", "8.wav", "12.wav"].iter().all(|clip| clips.contains(clip)), "{clips:?}");
    }
}

#[test]
fn an_output_of_other_music_and_one_that_cannot_be_written_are_refused() {
    let music = many_songs();
    let plan = plan_of(music.path(), &options());
    let (parts, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    make_all(&plan, parts.path(), 2);
    let other = plan_of(music.path(), &Options { min_songs: 1, ..options() });
    prepare(&other, out.path(), &mut |_| {}, &|| false).unwrap();
    let before = bytes(out.path());
    let error = merge(parts.path(), out.path()).unwrap_err().to_string();
    assert!(error.contains("holds a data set of other music or other settings"), "{error}");
    assert!(bytes(out.path()) == before);
    let file = out.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = merge(parts.path(), &file).unwrap_err().to_string();
    assert!(error.contains("cannot write ") && error.contains("another folder"), "{error}");
    let error = make(&plan, &file, "1/2", &|| false).unwrap_err().to_string();
    assert!(error.contains("cannot write ") && error.contains("another folder"), "{error}");
}

#[test]
fn parts_are_about_as_large() {
    let music = many_songs();
    let plan = plan_of(music.path(), &options());
    let parts = tempfile::tempdir().unwrap();
    let songs: Vec<usize> = (1..=4)
        .map(|part| make(&plan, parts.path(), &format!("{part}/4"), &|| false).unwrap().songs)
        .collect();
    assert_eq!(songs.iter().sum::<usize>(), plan.songs());
    let (most, fewest) = (songs.iter().max().unwrap(), songs.iter().min().unwrap());
    assert!(most - fewest <= 1, "{songs:?}");
    assert_eq!("2/4".parse::<PartOf>().unwrap().part(), 2);
}
