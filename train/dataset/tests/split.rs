//! Properties of splits, on randomly generated data sets.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};

use leitmotif_dataset::split::{self, LeakReport, Protocol, Split, SplitError, SplitRequest};
use leitmotif_dataset::store::{ClipRow, Clips, Part};
use leitmotif_models::Random;

const ALL: [Protocol; 4] = [Protocol::Clip, Protocol::Recording, Protocol::Song, Protocol::Album];

fn request(protocol: Protocol, seed: u64) -> SplitRequest {
    SplitRequest { protocol, seed, test: 0.2, validation: 0.1 }
}

fn table(rows: &[ClipRow]) -> Clips {
    Clips::of(rows.iter().map(ClipRow::view)).unwrap()
}

fn split(rows: &[ClipRow], request: &SplitRequest) -> Result<Split, SplitError> {
    split::split(&table(rows), request)
}

fn leaks(rows: &[ClipRow], parts: &[Option<Part>]) -> LeakReport {
    LeakReport::new(&table(rows), parts)
}

/// One song's clips.
fn song(artist: &str, album: &str, title: &str, group: &str, clips: u64) -> Vec<ClipRow> {
    let row = |clip| ClipRow {
        clip: format!("{artist}/{title}#{clip}"),
        song: format!("{artist}/{title}"),
        artist: artist.into(),
        album: album.into(),
        title: title.into(),
        song_group: group.into(),
        start: clip * 100,
        samples: 100,
        ..ClipRow::default()
    };
    (0..clips).map(row).collect()
}

/// A random data set of several artists with albums and songs of different lengths, some of them variants.
fn library(seed: u64) -> Vec<ClipRow> {
    let mut random = Random::derive(seed, "library", &[]);
    let mut clips = Vec::new();
    for artist in 0..2 + random.below(5) {
        let artist = format!("artist {artist}");
        for title in 0..6 + random.below(20) {
            // The first three songs differ, so each artist has three groups and three albums; variants of a song are on
            // one album.
            let group = if title < 3 { title } else { random.below(title) };
            let album = if group < 3 { group } else { 3 + group % 4 };
            clips.extend(song(
                &artist,
                &format!("album {album}"),
                &format!("title {title}"),
                &format!("{artist}/{group}"),
                1 + random.below(9) as u64,
            ));
        }
    }
    clips
}

fn key(clip: &ClipRow, protocol: Protocol) -> String {
    match protocol {
        Protocol::Clip => clip.clip.clone(),
        Protocol::Recording => clip.song.clone(),
        Protocol::Song => clip.song_group.clone(),
        Protocol::Album => format!("{}/{}", clip.artist, clip.album),
    }
}

#[test]
fn no_group_is_in_two_parts_and_every_artist_is_in_all() {
    for seed in 0..60 {
        let clips = library(seed);
        for protocol in ALL {
            let split = split(&clips, &request(protocol, seed)).unwrap();
            let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            let mut artists: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
            for (clip, part) in clips.iter().zip(&split.parts) {
                let part = format!("{:?}", part.expect("no artist is excluded"));
                groups.entry(key(clip, protocol)).or_default().insert(part.clone());
                artists.entry(&clip.artist).or_default().insert(part);
            }
            assert!(groups.values().all(|parts| parts.len() == 1), "{protocol} {seed}");
            assert!(artists.values().all(|parts| parts.len() == 3), "{protocol} {seed}");
        }
    }
}

#[test]
fn every_artists_share_is_as_near_as_its_groups_allow() {
    for seed in 0..60 {
        let clips = library(seed);
        for protocol in ALL {
            let split = split(&clips, &request(protocol, seed)).unwrap();
            for artist in clips.iter().map(|clip| &clip.artist).collect::<BTreeSet<_>>() {
                let of_artist: Vec<_> = clips
                    .iter()
                    .zip(&split.parts)
                    .filter(|(clip, _)| clip.artist == *artist)
                    .collect();
                let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
                of_artist
                    .iter()
                    .for_each(|(clip, _)| *sizes.entry(key(clip, protocol)).or_default() += 1);
                let tested =
                    of_artist.iter().filter(|(_, part)| **part == Some(Part::Test)).count();
                let miss = |clips: usize| (clips as f64 - 0.2 * of_artist.len() as f64).abs();
                // No single group alone would be nearer to the share.
                assert!(
                    sizes.values().all(|size| miss(tested) <= miss(*size) + 1e-9),
                    "{protocol} {seed} {artist}: {tested} of {}",
                    of_artist.len()
                );
                assert!(
                    protocol != Protocol::Clip || miss(tested) <= 0.5 + 1e-9,
                    "{seed} {artist}"
                );
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_split_and_another_seed_another() {
    let clips = library(3);
    for protocol in ALL {
        let made = |seed| split(&clips, &request(protocol, seed)).unwrap().parts;
        assert_eq!(made(1), made(1));
        assert!((2..12).any(|seed| made(seed) != made(1)), "{protocol}");
    }
    assert_eq!(request(Protocol::Song, 12).name(), "song-seed12");
}

#[test]
fn a_split_does_not_depend_on_the_order_of_clips_or_on_other_artists() {
    let clips = library(4);
    for protocol in ALL {
        let parts = |clips: &[ClipRow]| -> BTreeMap<String, Option<Part>> {
            let parts = split(clips, &request(protocol, 9)).unwrap().parts;
            clips.iter().map(|clip| clip.clip.clone()).zip(parts).collect()
        };
        let all = parts(&clips);
        let mut shuffled = clips.clone();
        Random::derive(0, "order", &[]).shuffle(&mut shuffled);
        assert_eq!(parts(&shuffled), all);
        let mut more = clips.clone();
        for title in ["a", "b", "c"] {
            more.extend(song("a newcomer", title, title, &format!("new/{title}"), 4));
        }
        assert!(
            parts(&more)
                .iter()
                .all(|(clip, part)| all.get(clip).is_none_or(|before| before == part)),
            "{protocol}"
        );
    }
}

#[test]
fn a_split_is_the_same_on_every_machine_and_version() {
    let mut clips = Vec::new();
    for artist in ["a", "b"] {
        for (title, length) in
            [("one", 3), ("two", 3), ("three", 3), ("four", 3), ("five", 3), ("six", 3)]
        {
            clips.extend(song(artist, title, title, &format!("{artist}/{title}"), length));
        }
    }
    let tested = |seed| -> Vec<String> {
        let parts = split(&clips, &request(Protocol::Song, seed)).unwrap().parts;
        clips
            .iter()
            .zip(parts)
            .filter(|(clip, part)| clip.start == 0 && *part != Some(Part::Train))
            .map(|(clip, part)| format!("{:?} {}", part.unwrap(), clip.song))
            .collect()
    };
    // Recorded once: where this changes, the splits of all users change.
    assert_eq!(tested(1), ["Validation a/three", "Test a/six", "Validation b/one", "Test b/two"]);
}

#[test]
fn songs_that_artists_share_stay_in_one_part() {
    for seed in 0..40 {
        let mut clips = Vec::new();
        for artist in ["a", "b"] {
            for title in 0..6 {
                let group =
                    if title < 2 { format!("shared/{title}") } else { format!("{artist}/{title}") };
                clips.extend(song(artist, "", &format!("{title}"), &group, 3));
            }
        }
        let split = split(&clips, &request(Protocol::Song, seed)).unwrap();
        assert_eq!(crate::leaks(&clips, &split.parts).test.song_groups.1, 0);
    }
}

#[test]
fn artists_with_one_song_are_named_in_the_error() {
    let mut clips = library(1);
    clips.extend(song("lonely", "x", "one", "lonely/1", 9));
    let error = split(&clips, &request(Protocol::Song, 1)).unwrap_err();
    assert_eq!(
        error,
        SplitError::TooFewGroups {
            protocol: Protocol::Song,
            needed: 2,
            artists: vec![("lonely".into(), 1)]
        }
    );
    assert!(error.to_string().contains("`lonely` has 1"), "{error}");
}

#[test]
fn artists_with_two_songs_have_training_and_test_clips_but_no_validation_clips() {
    let mut clips = library(1);
    clips.extend(song("lonely", "x", "one", "lonely/1", 9));
    clips.extend(song("lonely", "x", "two", "lonely/2", 9));
    let split = split(&clips, &request(Protocol::Song, 1)).unwrap();
    assert_eq!(split.artists_without_validation, ["lonely"]);
    let parts: BTreeSet<String> = clips
        .iter()
        .zip(&split.parts)
        .filter(|(clip, _)| clip.artist == "lonely")
        .map(|(_, part)| format!("{part:?}"))
        .collect();
    assert_eq!(parts, BTreeSet::from(["Some(Train)".to_owned(), "Some(Test)".to_owned()]));
}

#[test]
fn by_album_artists_with_one_album_are_excluded() {
    let mut clips = library(2);
    clips.extend(song("one album", "x", "t1", "o/1", 9));
    clips.extend(song("one album", "x", "t2", "o/2", 9));
    clips.extend(song("two albums", "x", "t1", "w/1", 9));
    clips.extend(song("two albums", "y", "t2", "w/2", 9));
    clips.extend(song("two albums", "", "t3", "w/3", 9));
    let split = split(&clips, &request(Protocol::Album, 1)).unwrap();
    assert_eq!(
        (split.excluded_artists.as_slice(), split.artists_without_validation.as_slice()),
        (
            ["`one album` has one album, or several that share songs".to_owned()].as_slice(),
            ["two albums".to_owned()].as_slice()
        )
    );
    let part = |artist: &str, album: &str| {
        clips
            .iter()
            .zip(&split.parts)
            .find(|(clip, _)| clip.artist == artist && clip.album == album)
            .unwrap()
            .1
    };
    assert_eq!((part("one album", "x"), part("two albums", "")), (&None, &None));
    assert_eq!(
        [part("two albums", "x"), part("two albums", "y")]
            .iter()
            .filter(|part| ***part == Some(Part::Test))
            .count(),
        1
    );
    let one_album_each: Vec<_> = clips.into_iter().filter(|clip| clip.album == "x").collect();
    assert!(matches!(
        crate::split(&one_album_each, &request(Protocol::Album, 1)),
        Err(SplitError::TooFewArtists { .. })
    ));
}

#[test]
fn albums_that_share_a_song_are_one_group() {
    let mut clips = Vec::new();
    // Three groups: a single whose song is on an album whose other song is on a best-of; two spellings of one name; one
    // other album. Another artist with the same titles connects nothing.
    for (album, title, group) in [
        ("Single", "One", "a/one"),
        ("Album", "One (album version)", "a/one"),
        ("Album", "Two", "a/two"),
        ("Best of", "Two (live)", "a/two"),
        ("Best of", "Three", "a/three"),
        ("Jo\u{301}ga", "Four", "a/four"),
        ("J\u{f3}ga", "Five", "a/five"),
        ("Alone", "Six", "a/six"),
    ] {
        clips.extend(song("a", album, title, group, 3));
    }
    for number in 0..3 {
        clips.extend(song(
            "b",
            &format!("{number}"),
            &format!("{number}"),
            &format!("b/{number}"),
            3,
        ));
    }
    for seed in 0..20 {
        let parts = split(&clips, &request(Protocol::Album, seed)).unwrap().parts;
        let mut of_group: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (clip, part) in clips.iter().zip(&parts).filter(|(clip, _)| clip.artist == "a") {
            let group = match clip.album.as_str() {
                "Single" | "Album" | "Best of" => "one",
                "Alone" => "three",
                _ => "two",
            };
            of_group.entry(group).or_default().insert(format!("{:?}", part.unwrap()));
        }
        assert!(of_group.values().all(|parts| parts.len() == 1), "{seed}: {of_group:?}");
        let all: BTreeSet<&String> = of_group.values().flatten().collect();
        assert_eq!(all.len(), 3, "{seed}");
        let leaks = crate::leaks(&clips, &parts);
        assert_eq!((leaks.test.song_groups.1, leaks.test.albums.1), (0, 0));
    }
}

#[test]
fn shares_out_of_range_are_refused() {
    let clips = library(1);
    for (test, validation) in [
        (0.0, 0.1),
        (1.0, 0.1),
        (-0.1, 0.1),
        (f64::NAN, 0.1),
        (0.2, 1.0),
        (0.2, -0.1),
        (0.2, f64::NAN),
    ] {
        let request = SplitRequest { test, validation, ..request(Protocol::Song, 1) };
        assert!(
            matches!(split(&clips, &request), Err(SplitError::BadShare { .. })),
            "{test} {validation}"
        );
    }
}

#[test]
fn the_leak_report_counts_what_parts_share() {
    let mut clips = song("a", "first", "Tune", "g1", 4);
    clips.extend(song("a", "first", "Tune (live)", "g2", 2));
    clips.extend(song("b", "first", "Tune", "g3", 2));
    use Part::{Test, Train, Validation};
    let parts = [Train, Test, Test, Test, Train, Validation, Train, Train].map(Some);
    let report = crate::leaks(&clips, &parts);
    assert_eq!((report.test.clips, report.validation.clips), (3, 1));
    assert_eq!((report.test.song_groups, report.validation.song_groups), ((1, 1), (1, 1)));
    assert_eq!((report.test.titles, report.test.albums), ((1, 1), (1, 1)));
    // Of the test clips 1, 2 and 3 only clip 1 adjoins a training clip, clip 0.
    assert!(
        (report.test.neighbours - 1.0 / 3.0).abs() < 1e-9
            && (report.validation.neighbours - 1.0).abs() < 1e-9
    );
    let apart = [Train, Train, Train, Train, Train, Train, Test, Test].map(Some);
    let report = crate::leaks(&clips, &apart);
    assert_eq!(
        (report.test.song_groups, report.test.titles, report.test.albums),
        ((1, 0), (1, 0), (1, 0))
    );
    assert!(report.test.neighbours.abs() < 1e-9);
}

#[test]
fn splits_by_clip_leak_and_splits_by_song_do_not() {
    let clips = library(5);
    let leaks = |protocol| crate::leaks(&clips, &parts(&clips, protocol));
    assert!(
        leaks(Protocol::Clip).test.song_groups.1 > 0 && leaks(Protocol::Clip).test.neighbours > 0.5
    );
    assert!(
        leaks(Protocol::Song).test.song_groups.1 == 0
            && leaks(Protocol::Song).test.neighbours.abs() < 1e-9
    );
    assert_eq!(leaks(Protocol::Song).validation.song_groups.1, 0);
    assert_eq!(leaks(Protocol::Album).test.albums.1, 0);
}

fn parts(clips: &[ClipRow], protocol: Protocol) -> Vec<Option<Part>> {
    let Split { parts, .. } = split(clips, &request(protocol, 1)).unwrap();
    parts
}
