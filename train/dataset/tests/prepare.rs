//! From music to a data set folder, including damaged and unusual files.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod music;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use leitmotif_dataset::prepare::{Options, PrepareError, Report, plan, prepare};
use leitmotif_dataset::sources::{Found, manifest, tagged};
use leitmotif_dataset::store::Dataset;
use music::{Wave, bytes, four_songs, write_float, write_wave};

fn options() -> Options {
    Options { clip_samples: 4000, min_songs: 2, max_minutes_per_artist: None, threads: 2 }
}

fn folder(music: &Path) -> Found {
    tagged::find(music, tagged::TagsPolicy::Read, &mut |_| {}, &|| false).unwrap()
}

fn run(found: Found, out: &Path, options: &Options) -> Result<Report, PrepareError> {
    prepare(&plan(found, out, options)?, out, &mut |_| {}, &|| false)
}

fn rules(report: &Report) -> BTreeMap<&str, &str> {
    report.left_out.iter().map(|file| (file.path.as_str(), file.reason.rule())).collect()
}

#[test]
fn songs_become_consecutive_clips_of_their_samples() {
    let music = four_songs();
    let out = tempfile::tempdir().unwrap();
    let report = run(folder(music.path()), out.path(), &options()).unwrap();
    assert!(report.finished);
    assert_eq!((report.songs, report.clips, report.artists.len()), (4, 8, 2));
    assert!(report.left_out.is_empty());
    // 2.5 clips each: half a clip of each song is dropped.
    assert!((report.dropped_seconds - 4.0 * 2000.0 / 16_000.0).abs() < 1e-9);
    let dataset = Dataset::open(out.path()).unwrap();
    assert_eq!(dataset.artists(), ["Ann", "Bob, the \"Ünïted\" 🎸"]);
    let first = dataset.clips().get(1).unwrap();
    assert_eq!(
        (first.song, first.artist, first.album, first.title),
        ("Ann/Album/01 - One.wav", "Ann", "Album", "One")
    );
    assert_eq!((first.start, first.samples, first.song_group), (4000, 4000, "ann/one"));
    let mut samples = vec![0.0; 4000];
    dataset.read(1, 0, &mut samples).unwrap();
    let expected: Vec<f32> = Wave(1).samples(10_000)[4000..8000]
        .iter()
        .map(|sample| f32::from(*sample) / 32_768.0)
        .collect();
    assert_eq!(samples, expected);
}

#[test]
fn unusable_files_are_listed_with_their_rule_and_the_others_are_prepared() {
    let music = four_songs();
    let at = |name: &str| music.path().join("Ann/Album").join(name);
    fs::write(at("empty.mp3"), b"").unwrap();
    fs::write(at("renamed.mp3"), "a text file with the extension of music\n".repeat(50)).unwrap();
    write_wave(&at("short.wav"), &Wave(7).samples(3999));
    write_wave(&at("silent.wav"), &[0; 10_000]);
    let whole = fs::read(at("01 - One.wav")).unwrap();
    fs::write(at("header only.wav"), &whole[..30]).unwrap();
    fs::write(at("cut off.wav"), &whole[..whole.len() - 3001]).unwrap();
    fs::write(at("same as one.wav"), &whole).unwrap();
    let mut samples = vec![0.25f32; 10_000];
    samples[5000] = f32::NAN;
    write_float(&at("nan.wav"), &samples);
    fs::write(at("cover.jpg"), b"x").unwrap();
    write_wave(&music.path().join("lost.wav"), &Wave(8).samples(10_000));
    fs::create_dir_all(music.path().join("Various Artists/Hits")).unwrap();
    write_wave(&music.path().join("Various Artists/Hits/x.wav"), &Wave(9).samples(10_000));
    fs::create_dir_all(music.path().join("Cy/Album")).unwrap();
    write_wave(&music.path().join("Cy/Album/only.wav"), &Wave(10).samples(10_000));

    let out = tempfile::tempdir().unwrap();
    let report = run(folder(music.path()), out.path(), &options()).unwrap();
    let expected = BTreeMap::from([
        ("Ann/Album/empty.mp3", "unreadable"),
        ("Ann/Album/renamed.mp3", "unreadable"),
        ("Ann/Album/header only.wav", "unreadable"),
        ("Ann/Album/short.wav", "too-short"),
        ("Ann/Album/silent.wav", "silent"),
        ("Ann/Album/same as one.wav", "duplicate"),
        ("Ann/Album/nan.wav", "not-numbers"),
        ("lost.wav", "no-artist"),
        ("Various Artists/Hits/x.wav", "pseudo-artist"),
        ("Cy/Album/only.wav", "few-songs"),
    ]);
    assert_eq!(rules(&report), expected);
    assert_eq!((report.songs, report.other_files), (5, 1));
    let songs: Vec<&str> = report.damaged.iter().map(|damaged| damaged.song.as_str()).collect();
    assert_eq!(songs, ["Ann/Album/cut off.wav"]);
    assert!(
        report.to_string().contains("\n        Ann/Album/cut off.wav (truncated)\n"),
        "{report}"
    );
    let damaged = fs::read_to_string(out.path().join("damaged.csv")).unwrap();
    let header = "path,skipped_packets,lost_percent,truncated\n";
    assert_eq!(damaged, format!("{header}Ann/Album/cut off.wav,0,0.00,true\n"));
    let list = fs::read_to_string(out.path().join("left-out.csv")).unwrap();
    assert_eq!(list.lines().count(), 1 + expected.len());
    assert!(
        list.contains("\"Ann/Album/same as one.wav\",duplicate,")
            || list.contains(
                "Ann/Album/same as one.wav,duplicate,the same audio as Ann/Album/01 - One.wav"
            )
    );
}

#[test]
fn silent_clips_are_left_out_one_by_one_and_the_scale_is_one_rule() {
    let music = four_songs();
    let at = |name: &str| music.path().join("Ann/Album").join(name);
    // Ten clips, of which the second to the ninth are quieter than −80 dB: three steps of 16 bits at most.
    let mut hidden = Wave(11).samples(40_000);
    hidden[4000..36_000].iter_mut().enumerate().for_each(|(n, sample)| *sample = n as i16 % 4);
    write_wave(&at("hidden.wav"), &hidden);
    write_wave(&at("quiet.wav"), &[3; 10_000]);
    let level = |factor: f32| -> Vec<f32> {
        (0..10_000).map(|n| factor * (n as f32 * 0.07).sin() * (n as f32 * 0.003).cos()).collect()
    };
    write_float(&at("loud.wav"), &level(9.0));
    write_float(&at("undivided.wav"), &level(9000.0));
    let out = tempfile::tempdir().unwrap();
    let report = run(folder(music.path()), out.path(), &options()).unwrap();
    let mut expected: BTreeMap<String, &str> =
        (1..9).map(|clip| (format!("Ann/Album/hidden.wav#{clip}"), "silent-clip")).collect();
    expected.insert("Ann/Album/quiet.wav".to_owned(), "silent");
    expected.insert("Ann/Album/undivided.wav".to_owned(), "out-of-scale");
    let found: BTreeMap<String, &str> =
        rules(&report).into_iter().map(|(path, rule)| (path.to_owned(), rule)).collect();
    assert_eq!(found, expected);
    assert_eq!(report.silent_clips, 8);
    let text = report.to_string();
    assert!(text.contains("left out of songs that are kept: 8 clips\n"), "{text}");
    assert!(text.contains("\n2 files left out\n"), "{text}");
    assert!(text.contains("loud.wav: its samples reach 9.0 times full scale"), "{text}");
    let notes = fs::read_to_string(out.path().join("notes.csv")).unwrap();
    assert_eq!(notes.lines().count(), 2, "{notes}");

    let dataset = Dataset::open(out.path()).unwrap();
    let starts: Vec<u64> = (0..dataset.clips().len())
        .filter_map(|row| dataset.clips().get(row))
        .filter(|clip| clip.song == "Ann/Album/hidden.wav")
        .map(|clip| clip.start)
        .collect();
    assert_eq!(starts, [0, 36_000]);
    // What the network is served is what it was trained on.
    let row = (0..dataset.clips().len())
        .find(|row| dataset.clips().get(*row).is_some_and(|clip| clip.song == "Ann/Album/loud.wav"))
        .unwrap();
    let mut trained = vec![0.0; 4000];
    dataset.read(row, 0, &mut trained).unwrap();
    let (served, _) =
        leitmotif::audio::read_all(&at("loud.wav"), leitmotif_models::SampleRate::NETWORK).unwrap();
    // Full scale itself is a step more than 16 bits hold.
    assert!(trained.iter().zip(&served).all(|(a, b)| (a - b).abs() <= 1.0001 / 32_768.0));
    // A second run repeats every decision.
    let again = run(folder(music.path()), out.path(), &options()).unwrap();
    assert_eq!(
        (again.clips, again.silent_clips, again.resumed),
        (report.clips, 8, report.songs + 2)
    );
}

#[test]
fn songs_with_unreadable_tags_are_left_out_unless_the_folder_is_insisted_on() {
    use tagged::TagsPolicy::{Folder, Read};
    let music = four_songs();
    // The artist's name is not in the encoding that RIFF INFO has here, UTF-8.
    let tag = |artist: &[u8]| {
        let item = [b"IART\x06\0\0\0", artist].concat();
        [b"LIST\x12\0\0\0INFO".as_slice(), &item].concat()
    };
    let write = |name: &str, seed: u32, artist: &[u8]| {
        let mut file = music::wave(&Wave(seed).samples(10_000));
        file.extend(tag(artist));
        let size = file.len() as u32 - 8;
        file[4..8].copy_from_slice(&size.to_le_bytes());
        fs::write(music.path().join("Ann/Album").join(name), file).unwrap();
    };
    write("03 - Whose.wav", 20, b"Bj\xf6rk\0");
    write("04 - Tagged.wav", 21, b"Ann\0\0\0");
    let find = |policy| tagged::find(music.path(), policy, &mut |_| {}, &|| false).unwrap();

    let out = tempfile::tempdir().unwrap();
    let report = run(find(Read), out.path(), &options()).unwrap();
    assert_eq!(rules(&report), BTreeMap::from([("Ann/Album/03 - Whose.wav", "unreadable-tags")]));
    assert_eq!((report.artist_from_tags, report.artist_from_folder), (1, 4));
    let text = report.to_string();
    assert!(text.contains("\n1 song took the artist from tags, 4 songs from folders\n"), "{text}");
    assert!(text.contains("unreadable tags, for example Ann/Album/03 - Whose.wav\n"), "{text}");
    let list = fs::read_to_string(out.path().join("left-out.csv")).unwrap();
    assert!(
        list.contains("Whose.wav,unreadable-tags,\"has tags that cannot be read (RIFF INFO)"),
        "{list}"
    );

    let out = tempfile::tempdir().unwrap();
    let report = run(find(Folder), out.path(), &options()).unwrap();
    assert!(report.left_out.is_empty());
    assert_eq!((report.artist_from_tags, report.artist_from_folder), (1, 5));
    assert_eq!(report.unreadable_tags, ["Ann/Album/03 - Whose.wav"]);
    let text = report.to_string();
    assert!(text.contains("(--tags folder): 1 song\n        Ann/Album/03 - Whose.wav\n"), "{text}");
}

#[test]
fn a_missing_file_of_a_manifest_is_left_out() {
    let music = four_songs();
    let text = "path,artist,album,title,song_group,genre\n\
                Ann/Album/01 - One.wav,Ann,Album,One,g1,Rock;Pop\n\
                Ann/Album/02 - Two.wav,Ann,Album,Two,,\n\
                Ann/Album/03 - Gone.wav,Ann,Album,Three,,\n\
                Bob/Album/a.wav,Bob,Album,A,,\n\
                Bob/Album/b.wav,Bob,Album,B,,\n\
                Bob/Album/c.wav,Various Artists,,,,\n";
    fs::rename(music.path().join("Bob, the \"Ünïted\" 🎸"), music.path().join("Bob")).unwrap();
    let file = music.path().join("songs.csv");
    fs::write(&file, text).unwrap();
    let out = tempfile::tempdir().unwrap();
    let report =
        run(manifest::find(&file, &mut |_| {}, &|| false).unwrap(), out.path(), &options())
            .unwrap();
    assert_eq!(report.songs, 4);
    assert!(!report.to_string().contains("took the artist"), "a manifest has neither");
    assert_eq!(
        rules(&report),
        BTreeMap::from([
            ("Ann/Album/03 - Gone.wav", "unreadable"),
            ("Bob/Album/c.wav", "pseudo-artist")
        ])
    );
    let dataset = Dataset::open(out.path()).unwrap();
    assert_eq!(
        dataset.clips().get(0).map(|clip| (clip.song_group, clip.genre)).unwrap(),
        ("g1", "Rock;Pop")
    );
    assert_eq!(dataset.clips().get(2).unwrap().song_group, "ann/two");
}

#[test]
fn a_manifest_can_use_excerpts_of_a_file() {
    let music = four_songs();
    let text = "path,artist,title,start_seconds,end_seconds\n\
                Ann/Album/01 - One.wav,Ann,One,0.05,0.3125\n\
                Ann/Album/02 - Two.wav,Ann,Two,,0.3\n\
                Ann/Album/01 - One.wav,Bob,One,0.3125,\n\
                Ann/Album/02 - Two.wav,Bob,Two,0.3125,0.6\n\
                Ann/Album/02 - Two.wav,Bob,Two,0.6,\n";
    let file = music.path().join("songs.csv");
    fs::write(&file, text).unwrap();
    let out = tempfile::tempdir().unwrap();
    let report =
        run(manifest::find(&file, &mut |_| {}, &|| false).unwrap(), out.path(), &options())
            .unwrap();
    assert_eq!(rules(&report), BTreeMap::from([("Ann/Album/02 - Two.wav@0.6", "too-short")]));
    let dataset = Dataset::open(out.path()).unwrap();
    let starts: Vec<_> = dataset.clips().iter().map(|clip| (clip.song, clip.start)).collect();
    assert_eq!(
        starts,
        [
            ("Ann/Album/01 - One.wav@0.05-0.3125", 0),
            ("Ann/Album/02 - Two.wav@0-0.3", 0),
            ("Ann/Album/01 - One.wav@0.3125", 0),
            ("Ann/Album/02 - Two.wav@0.3125-0.6", 0),
        ]
    );
    let whole = Wave(1).samples(10_000);
    for (clip, first) in [(0, 800), (2, 5000)] {
        let mut samples = vec![0.0; 4000];
        dataset.read(clip, 0, &mut samples).unwrap();
        let expected: Vec<f32> =
            whole[first..first + 4000].iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
        assert_eq!(samples, expected);
    }
}

#[test]
fn fewer_than_two_artists_are_an_error_that_points_to_the_list() {
    let music = four_songs();
    fs::remove_file(music.path().join("Ann/Album/02 - Two.wav")).unwrap();
    let out = tempfile::tempdir().unwrap();
    let error = run(folder(music.path()), out.path(), &options()).unwrap_err().to_string();
    let needed = "at least two artists with 2 songs or more are needed, and there is only Bob, the \"Ünïted\" 🎸";
    assert!(error.starts_with(needed), "{error}");
    assert!(
        fs::read_to_string(out.path().join("left-out.csv"))
            .unwrap()
            .contains("Ann/Album/01 - One.wav,few-songs")
    );
    // The same, known only after decoding: the songs exist and one of them is damaged.
    fs::write(music.path().join("Ann/Album/02 - Two.wav"), b"RIFF").unwrap();
    let out = tempfile::tempdir().unwrap();
    let error = run(folder(music.path()), out.path(), &options()).unwrap_err();
    assert!(
        matches!(&error, PrepareError::TooFewArtists { artists, .. } if artists.len() == 1),
        "{error}"
    );
    assert!(Dataset::open(out.path()).is_err(), "a data set of one artist must not open");
}

#[test]
fn an_artist_whose_songs_fail_leaves_no_clips_behind() {
    let music = four_songs();
    fs::create_dir_all(music.path().join("Az/Album")).unwrap();
    write_wave(&music.path().join("Az/Album/good.wav"), &Wave(30).samples(10_000));
    fs::write(music.path().join("Az/Album/bad.wav"), b"bad").unwrap();
    let out = tempfile::tempdir().unwrap();
    let report = run(folder(music.path()), out.path(), &options()).unwrap();
    assert_eq!(
        rules(&report),
        BTreeMap::from([("Az/Album/bad.wav", "unreadable"), ("Az/Album/good.wav", "few-songs")])
    );
    let dataset = Dataset::open(out.path()).unwrap();
    assert!(dataset.clips().iter().all(|clip| clip.artist != "Az"));
    let clean = tempfile::tempdir().unwrap();
    fs::remove_dir_all(music.path().join("Az")).unwrap();
    run(folder(music.path()), clean.path(), &options()).unwrap();
    assert_eq!(bytes(out.path())["clips.csv"], bytes(clean.path())["clips.csv"]);
}

#[test]
fn an_output_folder_that_cannot_be_written_is_one_clear_error() {
    let music = four_songs();
    let file = music.path().join("a file");
    fs::write(&file, b"x").unwrap();
    let error = run(folder(music.path()), &file.join("out"), &options()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("cannot write ") && text.contains("a file") && text.ends_with("--out)"),
        "{text}"
    );
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn options_out_of_range_are_refused() {
    let music = four_songs();
    let out = tempfile::tempdir().unwrap();
    let none = Options { clip_samples: 0, ..options() };
    let minutes = |minutes| Options { max_minutes_per_artist: Some(minutes), ..options() };
    for (options, option) in [
        (none, "--clip-samples"),
        (minutes(0.0), "--max"),
        (minutes(-1.0), "--max"),
        (minutes(f64::NAN), "--max"),
    ] {
        let error = run(folder(music.path()), out.path(), &options).unwrap_err().to_string();
        assert!(error.starts_with(option), "{error}");
    }
}

#[test]
fn an_artist_with_the_maximum_of_minutes_gets_no_more_songs() {
    let music = four_songs();
    for song in 0..8 {
        write_wave(
            &music.path().join(format!("Ann/Album/more {song}.wav")),
            &Wave(40 + song).samples(10_000),
        );
    }
    let out = tempfile::tempdir().unwrap();
    // Two clips a song, a quarter of a second each: 2 seconds are four songs.
    let report = run(
        folder(music.path()),
        out.path(),
        &Options { max_minutes_per_artist: Some(2.0 / 60.0), ..options() },
    )
    .unwrap();
    assert_eq!(report.artists.iter().map(|artist| artist.clips).collect::<Vec<_>>(), [8, 4]);
    assert_eq!(report.left_out_by_rule, BTreeMap::from([("artist-is-full", 6)]));
}

#[test]
fn the_bytes_do_not_depend_on_the_number_of_threads() {
    let music = many_songs();
    let made: Vec<_> = [1, 2, 7]
        .map(|threads| {
            let out = tempfile::tempdir().unwrap();
            run(folder(music.path()), out.path(), &Options { threads, ..options() }).unwrap();
            bytes(out.path())
        })
        .into();
    assert!(made[0].contains_key("clips.csv") && made[0].contains_key("dataset.toml"));
    assert!(made.iter().all(|other| *other == made[0]));
}

#[test]
fn an_interrupted_preparation_resumes_to_the_same_bytes() {
    let music = many_songs();
    let whole = tempfile::tempdir().unwrap();
    let report = run(folder(music.path()), whole.path(), &options()).unwrap();
    let songs = report.songs + report.left_out.len();
    for stop_after in 0..songs {
        let out = tempfile::tempdir().unwrap();
        let plan = plan(folder(music.path()), out.path(), &options()).unwrap();
        let done = AtomicUsize::new(0);
        let count = &mut |_| {
            done.fetch_add(1, Ordering::SeqCst);
        };
        let first =
            prepare(&plan, out.path(), count, &|| done.load(Ordering::SeqCst) >= stop_after)
                .unwrap();
        assert!(!first.finished);
        assert!(Dataset::open(out.path()).is_err(), "an unfinished data set must not open");
        if stop_after % 2 == 1 {
            // As if killed between storing a song and recording it, in the middle of the line.
            let journal = out.path().join("prepare.journal");
            let text = fs::read(&journal).unwrap();
            fs::write(&journal, &text[..text.len() - 9]).unwrap();
        }
        let second = run(folder(music.path()), out.path(), &options()).unwrap();
        assert_eq!(
            (second.songs, second.clips, &second.left_out),
            (report.songs, report.clips, &report.left_out),
            "stopped after {stop_after}"
        );
        let (resumed, uninterrupted) = (bytes(out.path()), bytes(whole.path()));
        assert_eq!(resumed.keys().collect::<Vec<_>>(), uninterrupted.keys().collect::<Vec<_>>());
        for (name, content) in uninterrupted {
            assert!(
                name == "prepare.journal" || resumed[&name] == content,
                "{name} differs after a stop at {stop_after}"
            );
        }
    }
}

#[test]
fn a_second_run_decodes_nothing_again() {
    let music = four_songs();
    let out = tempfile::tempdir().unwrap();
    run(folder(music.path()), out.path(), &options()).unwrap();
    let before = bytes(out.path());
    let report = run(folder(music.path()), out.path(), &options()).unwrap();
    assert_eq!((report.resumed, report.clips), (4, 8));
    assert!(report.decoded_seconds.abs() < 1e-9);
    assert_eq!(bytes(out.path()), before);
}

#[test]
fn an_unreadable_file_is_tried_again_by_the_next_run() {
    let music = four_songs();
    let song = music.path().join("Ann/Album/03 - Three.wav");
    write_wave(&song, &Wave(70).samples(10_000));
    let whole = fs::read(&song).unwrap();
    fs::write(&song, &whole[..30]).unwrap();
    let out = tempfile::tempdir().unwrap();
    let report = run(folder(music.path()), out.path(), &options()).unwrap();
    assert_eq!(rules(&report), BTreeMap::from([("Ann/Album/03 - Three.wav", "unreadable")]));
    // As if a network share were connected again.
    fs::write(&song, &whole).unwrap();
    let report = run(folder(music.path()), out.path(), &options()).unwrap();
    assert!(report.left_out.is_empty());
    assert_eq!((report.songs, report.resumed), (5, 4));
    assert_eq!(Dataset::open(out.path()).unwrap().clips().len(), 10);
}

#[cfg(unix)]
#[test]
fn a_data_set_resumes_from_another_path_to_the_same_music() {
    let music = four_songs();
    fs::write(
        music.path().join("songs.csv"),
        "path,artist\nAnn/Album/01 - One.wav,Ann\nAnn/Album/02 - Two.wav,Ann\n\
         \"Bob, the \"\"Ünïted\"\" 🎸/Album/a.wav\",Bob\n\"Bob, the \"\"Ünïted\"\" 🎸/Album/b.wav\",Bob\n",
    )
    .unwrap();
    let by_manifest = |file: &Path| manifest::find(file, &mut |_| {}, &|| false).unwrap();
    type Source<'a> = (&'a str, &'a dyn Fn(&Path) -> Found);
    let sources: [Source<'_>; 2] = [("", &folder), ("songs.csv", &by_manifest)];
    for (name, find) in sources {
        let out = tempfile::tempdir().unwrap();
        let typed = |path: &Path| if name.is_empty() { path.to_owned() } else { path.join(name) };
        run(find(&typed(music.path())), out.path(), &options()).unwrap();
        let before = bytes(out.path());
        let link = out.path().join("link");
        std::os::unix::fs::symlink(music.path(), &link).unwrap();
        for path in [&link, &music.path().join("Ann/.."), &music.path().join("")] {
            let report = run(find(&typed(path)), out.path(), &options()).unwrap();
            assert_eq!(report.resumed, 4, "{}", path.display());
        }
        fs::remove_file(link).unwrap();
        assert_eq!(bytes(out.path()), before);
    }
}

#[test]
fn reading_a_manifest_reports_progress_and_can_be_stopped() {
    let music = four_songs();
    let file = music.path().join("songs.csv");
    fs::write(&file, "path,artist\nAnn/Album/01 - One.wav,Ann\nAnn/Album/02 - Two.wav,Ann\n")
        .unwrap();
    let done = std::cell::Cell::new(0);
    let stopped = manifest::find(&file, &mut |files| done.set(files), &|| done.get() >= 1);
    assert!(matches!(stopped, Err(leitmotif_dataset::sources::SourceError::Stopped)));
    assert_eq!(done.get(), 1);
}

#[test]
#[cfg(unix)]
fn a_repaired_duplicate_does_not_replace_the_kept_song() {
    let music = four_songs();
    let (first, twin) = (
        music.path().join("Ann/Album/00 - Zero.wav"),
        music.path().join("Ann/Album/99 - Twin.wav"),
    );
    write_wave(&twin, &Wave(90).samples(10_000));
    fs::write(&first, "not music yet").unwrap();
    let out = tempfile::tempdir().unwrap();
    let before = run(folder(music.path()), out.path(), &options()).unwrap();
    fs::copy(&twin, &first).unwrap();
    let after = run(folder(music.path()), out.path(), &options()).unwrap();
    assert_eq!(after.songs, before.songs);
    let songs: Vec<_> =
        Dataset::open(out.path()).unwrap().clips().iter().map(|c| c.song.to_owned()).collect();
    assert!(songs.iter().any(|song| song.ends_with("Twin.wav")), "{songs:?}");
    assert!(!songs.iter().any(|song| song.ends_with("Zero.wav")), "{songs:?}");
}

/// The other songs of the artist are decided already and must count towards the minimum of songs.
#[test]
fn the_first_song_of_an_artist_is_added_once_it_is_readable() {
    let music = four_songs();
    let first = music.path().join("Ann/Album/00 - Zero.wav");
    fs::write(&first, "not music yet").unwrap();
    let out = tempfile::tempdir().unwrap();
    let before = run(folder(music.path()), out.path(), &options()).unwrap();
    assert_eq!(rules(&before), BTreeMap::from([("Ann/Album/00 - Zero.wav", "unreadable")]));
    write_wave(&first, &Wave(77).samples(10_000));
    let after = run(folder(music.path()), out.path(), &options()).unwrap();
    assert_eq!((after.songs, rules(&after)), (before.songs + 1, BTreeMap::new()));
    assert_eq!(Dataset::open(out.path()).unwrap().clips().len(), before.clips + 2);
}

#[test]
fn spellings_of_one_artist_are_merged() {
    let music = four_songs();
    fs::create_dir_all(music.path().join("ANN/Album")).unwrap();
    write_wave(&music.path().join("ANN/Album/c.wav"), &Wave(71).samples(10_000));
    let found = folder(music.path());
    assert_eq!(found.merged_artists, ["`ANN` is replaced by `Ann`: only the spelling differs"]);
    let out = tempfile::tempdir().unwrap();
    run(found, out.path(), &options()).unwrap();
    assert_eq!(Dataset::open(out.path()).unwrap().artists(), ["Ann", "Bob, the \"Ünïted\" 🎸"]);
}

#[test]
fn other_music_or_settings_are_not_mixed_into_a_data_set() {
    let music = four_songs();
    let out = tempfile::tempdir().unwrap();
    run(folder(music.path()), out.path(), &options()).unwrap();
    let before = bytes(out.path());
    let min_songs = run(folder(music.path()), out.path(), &Options { min_songs: 1, ..options() });
    assert!(matches!(min_songs, Err(PrepareError::OtherSettings { .. })), "{min_songs:?}");
    assert!(
        run(folder(music.path()), out.path(), &Options { clip_samples: 2000, ..options() })
            .is_err()
    );
    write_wave(&music.path().join("Ann/Album/new.wav"), &Wave(50).samples(10_000));
    assert!(run(folder(music.path()), out.path(), &options()).is_err());
    assert_eq!(bytes(out.path()), before);
}

#[cfg(unix)]
#[test]
fn cyclic_links_and_names_of_invalid_utf8_are_handled() {
    use std::os::unix::ffi::OsStrExt;
    let music = four_songs();
    std::os::unix::fs::symlink(music.path(), music.path().join("Ann/circle")).unwrap();
    std::os::unix::fs::symlink(
        music.path().join("Ann/Album/01 - One.wav"),
        music.path().join("Ann/Album/00 - link.wav"),
    )
    .unwrap();
    std::os::unix::fs::symlink("nowhere", music.path().join("Ann/dead.wav")).unwrap();
    for (song, name) in [b"\xff\xfe.wav".as_slice(), b"\xfd\xfe.wav"].into_iter().enumerate() {
        write_wave(
            &music.path().join("Ann/Album").join(std::ffi::OsStr::from_bytes(name)),
            &Wave(60 + song as u32).samples(10_000),
        );
    }
    let out = tempfile::tempdir().unwrap();
    let report = run(folder(music.path()), out.path(), &options()).unwrap();
    assert_eq!(report.songs, 6);
    assert_eq!(
        rules(&report),
        BTreeMap::from([("Ann/Album/00 - link.wav", "same-file"), ("Ann/dead.wav", "unreadable")])
    );
    let dataset = Dataset::open(out.path()).unwrap();
    assert!(dataset.clips().iter().any(|clip| clip.song == "Ann/Album/\u{fffd}\u{fffd}.wav~2"));
}

/// Several artists, with songs that are kept and songs that are left out.
fn many_songs() -> tempfile::TempDir {
    let music = four_songs();
    let at = |name: &str| music.path().join(name);
    for folder in ["Cy/A", "Dee/A"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    for song in 0..4 {
        write_wave(
            &at(&format!("Cy/A/{song}.wav")),
            &Wave(20 + song).samples(6000 + 3000 * song as usize),
        );
    }
    fs::copy(at("Ann/Album/01 - One.wav"), at("Cy/A/00 copy.wav")).unwrap();
    fs::write(at("Cy/A/9 broken.wav"), b"RIFF").unwrap();
    write_wave(&at("Dee/A/1.wav"), &Wave(25).samples(9000));
    fs::write(at("Dee/A/2.wav"), b"RIFF").unwrap();
    music
}
