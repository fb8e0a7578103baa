//! Galleries: what they take, answer, write and refuse.
#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use leitmotif::session::Session;
use leitmotif::{Card, Device, Gallery, GalleryError, Recognizer, SessionOptions};
use leitmotif_models::Random;
use proptest::prelude::*;
use support::{edited, noise, tiny};

/// A card of few units; nothing else of it but its digest matters to a gallery.
fn plain_card() -> Card {
    static CARD: OnceLock<Card> = OnceLock::new();
    let opened = || {
        let session = Session::open(&tiny("clip"), &SessionOptions::on(Device::Cpu)).unwrap();
        Card { embedding_units: UNITS, ..session.card().unwrap() }
    };
    CARD.get_or_init(opened).clone()
}

const UNITS: usize = 8;

/// Embeddings that scatter around a direction of each artist: artist, song, embedding.
fn songs(artists: usize, songs: usize, scatter: f64) -> Vec<(String, String, Vec<f32>)> {
    let mut made = Vec::new();
    for artist in 0..artists {
        let mut random = Random::derive(1, "artist", &[artist as u64]);
        let centre: Vec<f64> = (0..UNITS).map(|_| random.normal()).collect();
        for song in 0..songs {
            let embedding = centre.iter().map(|x| (x + scatter * random.normal()) as f32);
            made.push((format!("artist {artist}"), format!("song {song}"), embedding.collect()));
        }
    }
    made
}

fn gallery<'a>(songs: impl IntoIterator<Item = &'a (String, String, Vec<f32>)>) -> Gallery {
    let mut gallery = Gallery::new(&plain_card());
    for (artist, song, embedding) in songs {
        gallery.enroll(artist, song, embedding).unwrap();
    }
    gallery
}

#[test]
fn songs_of_enrolled_artists_are_recognised() {
    let all = songs(4, 5, 0.2);
    let (enrolled, others): (Vec<_>, Vec<_>) =
        all.iter().partition(|song| song.1.as_str() < "song 3");
    let gallery = gallery(enrolled);
    assert_eq!(gallery.songs(), 12);
    for (artist, _, embedding) in others {
        let answer = gallery.recognize(embedding).unwrap();
        assert_eq!(answer.best().unwrap().artist, *artist);
        assert_eq!(answer.artists.len(), 4);
        assert!(answer.artists.is_sorted_by(|a, b| a.similarity >= b.similarity));
    }
}

#[test]
fn ties_are_in_the_order_of_the_names() {
    let mut gallery = Gallery::new(&plain_card());
    for (i, artist) in ["c", "a", "b"].into_iter().enumerate() {
        let mut embedding = [0.0; UNITS];
        embedding[i] = 1.0;
        gallery.enroll(artist, "song", &embedding).unwrap();
    }
    let answer = gallery.recognize(&[1.0; UNITS]).unwrap();
    let names: Vec<_> = answer.artists.iter().map(|similar| similar.artist.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn the_threshold_is_that_of_galleries_without_each_song() {
    let all = songs(3, 4, 0.6);
    let mut left_out: Vec<f64> = (0..all.len())
        .map(|out| {
            let others = all.iter().enumerate().filter(|(i, _)| *i != out).map(|(_, song)| song);
            gallery(others).recognize(&all[out].2).unwrap().best().unwrap().similarity
        })
        .collect();
    left_out.sort_by(|a, b| b.total_cmp(a));
    // Ten of twelve are the fewest that are 80 %.
    let found = gallery(&all).min_similarity().unwrap();
    assert!((left_out[9] - found).abs() <= 1e-4 && found <= left_out[9], "{found} {left_out:?}");
}

#[test]
fn a_song_of_somebody_else_is_of_none_of_them_once_there_are_ten_songs() {
    let all = songs(3, 4, 0.1);
    let opposite: Vec<f32> =
        (0..UNITS).map(|i| -all.iter().map(|song| song.2[i]).sum::<f32>()).collect();
    let few = gallery(&all[..9]).recognize(&opposite).unwrap();
    assert_eq!((few.min_similarity, few.unknown()), (None, None));
    let gallery = gallery(&all);
    assert_eq!(gallery.recognize(&opposite).unwrap().unknown(), Some(true));
    let kept =
        all.iter().filter(|song| gallery.recognize(&song.2).unwrap().unknown() == Some(false));
    assert!(kept.count() >= 10);
}

#[test]
fn a_song_that_comes_later_counts() {
    let all = songs(3, 4, 0.3);
    let mut growing = gallery(&all[..11]);
    let before = (growing.min_similarity(), growing.recognize(&all[0].2).unwrap());
    growing.enroll(&all[11].0, &all[11].1, &all[11].2).unwrap();
    let after = (growing.min_similarity(), growing.recognize(&all[0].2).unwrap());
    assert_ne!(before.1, after.1);
    let at_once = gallery(&all);
    assert_eq!(after, (at_once.min_similarity(), at_once.recognize(&all[0].2).unwrap()));
}

#[test]
fn a_saved_gallery_answers_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("friends.gallery");
    let mut all = songs(3, 4, 0.3);
    all[0].0 = "Bo, \"the\" 🎷\n".to_owned();
    let first = gallery(&all[..5]);
    first.save(&path).unwrap();
    let whole = gallery(&all);
    whole.save(&path).unwrap();
    let loaded = Gallery::load(&path, &plain_card()).unwrap();
    assert_eq!(loaded.to_json().unwrap(), whole.to_json().unwrap());
    for (_, _, embedding) in &all {
        assert_eq!(loaded.recognize(embedding).unwrap(), whole.recognize(embedding).unwrap());
    }
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["friends.gallery"]);
}

#[test]
fn what_cannot_be_written_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let gallery = gallery(&songs(1, 2, 0.3));
    // A rename cannot replace a folder.
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    for path in [taken.clone(), folder.path().join("missing/friends.gallery")] {
        let error = gallery.save(&path).unwrap_err();
        assert!(matches!(&error, GalleryError::Unwritable { path: named, .. } if *named == path));
    }
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["taken"]);
}

#[test]
fn graphs_of_one_checkpoint_share_a_gallery_and_other_weights_do_not() {
    let options = SessionOptions::on(Device::Cpu);
    let clip = Recognizer::open_with(tiny("clip"), &options).unwrap();
    let segment = Recognizer::open_with(tiny("segment"), &options).unwrap();
    let mut gallery = Gallery::new(clip.card());
    for seed in 0..3 {
        let answer = clip.recognize_samples(&noise(seed, 30_000)).unwrap();
        gallery.enroll("noise", &seed.to_string(), &answer.embedding).unwrap();
    }
    let text = gallery.to_json().unwrap();
    let shared = Gallery::from_json(text.as_bytes(), segment.card()).unwrap();
    let answer = segment.recognize_samples(&noise(1, 30_000)).unwrap();
    let similar = shared.recognize(&answer.embedding).unwrap();
    assert!(similar.best().unwrap().similarity > 0.5, "{similar:?}");

    let digest = clip.card().weights_sha256.clone();
    let other = edited("clip", &[(&digest, &"0".repeat(64))]);
    let other = Recognizer::from_bytes(&other, &options).unwrap();
    match Gallery::from_json(text.as_bytes(), other.card()) {
        Err(GalleryError::OtherModel { gallery, model }) => {
            assert_eq!((gallery, model), (digest, "0".repeat(64)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_embedding_is_refused_and_changes_nothing() {
    let all = songs(2, 2, 0.3);
    let mut gallery = gallery(&all);
    let before = gallery.to_json().unwrap();
    let mut with = |embedding: &[f32]| {
        let enrolled = gallery.enroll("new", "song", embedding).unwrap_err();
        assert_eq!(gallery.recognize(embedding).unwrap_err().to_string(), enrolled.to_string());
        assert_eq!(gallery.to_json().unwrap(), before);
        enrolled
    };
    assert!(matches!(with(&[1.0; 7]), GalleryError::WrongLength { found: 7, expected: UNITS }));
    assert!(matches!(with(&[]), GalleryError::WrongLength { found: 0, .. }));
    assert!(matches!(with(&[0.0; UNITS]), GalleryError::NoDirection));
    for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut embedding = [1.0; UNITS];
        embedding[3] = odd;
        assert!(matches!(with(&embedding), GalleryError::NotFinite { index: 3, .. }));
    }
}

#[test]
fn a_song_is_enrolled_once_and_has_a_name() {
    let all = songs(2, 2, 0.3);
    let mut gallery = gallery(&all);
    let before = gallery.to_json().unwrap();
    match gallery.enroll("somebody else", "a copy", &all[1].2) {
        Err(GalleryError::SameSong { enrolled_artist, enrolled, .. }) => {
            assert_eq!((enrolled_artist, enrolled), (all[1].0.clone(), all[1].1.clone()));
        }
        other => panic!("{other:?}"),
    }
    let same_name = gallery.enroll(&all[1].0, &all[1].1, &[1.0; UNITS]);
    assert!(matches!(same_name, Err(GalleryError::SameName { .. })));
    for (artist, song) in [("", "song"), ("artist", ""), (" \n", "song")] {
        let nameless = gallery.enroll(artist, song, &[1.0; UNITS]);
        assert!(matches!(nameless, Err(GalleryError::NoName)));
    }
    assert_eq!(gallery.to_json().unwrap(), before);
    assert_eq!(gallery.songs(), 4);

    // Zeros of either sign are the same recording.
    let with_zero = |zero| [zero, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    gallery.enroll("zero", "plus", &with_zero(0.0)).unwrap();
    let minus = gallery.enroll("zero", "minus", &with_zero(-0.0));
    assert!(matches!(minus, Err(GalleryError::SameSong { .. })));
}

#[test]
fn an_empty_gallery_has_nobody_to_recognise() {
    let empty = Gallery::new(&plain_card());
    assert!(matches!(empty.recognize(&[1.0; UNITS]), Err(GalleryError::NoArtists)));
    assert_eq!(empty.min_similarity(), None);
    let text = empty.to_json().unwrap();
    assert_eq!(Gallery::from_json(text.as_bytes(), &plain_card()).unwrap().songs(), 0);
}

#[test]
fn a_gallery_takes_so_many_songs() {
    let card = Card { embedding_units: 1 << 22, ..plain_card() };
    let mut gallery = Gallery::new(&card);
    let mut embedding = vec![0.0; card.embedding_units];
    for song in 0..5 {
        embedding[song] = 1.0;
        let enrolled = gallery.enroll("artist", &song.to_string(), &embedding);
        assert_eq!(enrolled.is_ok(), song < 4, "{song}");
        let full = matches!(enrolled, Err(GalleryError::Full { songs: 4 }));
        assert_eq!(full, song == 4);
    }
}

#[test]
fn a_damaged_file_is_refused_with_a_reason() {
    let card = plain_card();
    let text = gallery(&songs(2, 2, 0.3)).to_json().unwrap();
    for length in 0..text.len() {
        let cut = Gallery::from_json(&text.as_bytes()[..length], &card);
        assert!(matches!(cut, Err(GalleryError::Damaged { .. })), "{length}: {cut:?}");
    }
    let number = text.split(['[', ',']).find(|part| part.parse::<f32>().is_ok()).unwrap();
    let song = text.split_once("\"songs\":[").unwrap().1.split_once("},").unwrap().0;
    let units = format!("\"embedding_units\":{UNITS}");
    for (from, to) in [
        (number, "NaN"),
        (number, "1e999"),
        (number, "1e39"),
        (number, "null"),
        (number, "0.5,0.5"),
        (number, "\"0.5\""),
        ("song 1", "song 0"),
        ("artist 1", ""),
        (&units, "\"embedding_units\":18446744073709551615"),
        (&units, "\"embedding_units\":0"),
        (&units, "\"embedding_units\":-1"),
        (song, &"[".repeat(100_000)),
        (song, &format!("{song}}},{song}")),
        ("leitmotif-gallery", "leitmotif-galleries"),
        ("\"version\":1", "\"version\":-1"),
        ("\"version\":1", "\"version\":1,\"version\":1"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        match Gallery::from_json(changed.as_bytes(), &card) {
            Err(GalleryError::Damaged { reason }) => assert!(!reason.is_empty()),
            other => panic!("{from} → {to:.20}: {other:?}"),
        }
    }
}

#[test]
fn a_gallery_of_another_time_is_named_whatever_else_it_holds() {
    let later = br#"{"format": "leitmotif-gallery", "version": 7, "songs": "elsewhere"}"#;
    let refused = Gallery::from_json(later, &plain_card()).unwrap_err();
    assert!(matches!(refused, GalleryError::Version { found: 7, supported: 1 }));
    assert!(refused.to_string().contains("version 7"), "{refused}");
    let text = gallery(&songs(1, 2, 0.3)).to_json().unwrap();
    let more = text.replacen('{', "{\"note\": \"new\", ", 1);
    assert_eq!(Gallery::from_json(more.as_bytes(), &plain_card()).unwrap().songs(), 2);
}

#[test]
fn what_is_no_file_is_unreadable() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path(), &folder.path().join("missing"), Path::new("/dev/zero")] {
        let refused = Gallery::load(path, &plain_card()).unwrap_err();
        assert!(matches!(&refused, GalleryError::Unreadable { path: named, .. } if named == path));
    }
}

#[test]
fn a_gallery_is_shared_between_threads() {
    fn shared<T: Send + Sync + Clone>() {}
    shared::<Gallery>();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_enrolling_changes_no_bit(order in Just((0..15).collect::<Vec<usize>>()).prop_shuffle(), scatter in 0.0f64..2.0) {
        let all = songs(3, 5, scatter + 0.01);
        let (sorted, shuffled) = (gallery(&all), gallery(order.iter().map(|i| &all[*i])));
        prop_assert_eq!(sorted.to_json().unwrap(), shuffled.to_json().unwrap());
        prop_assert_eq!(sorted.min_similarity(), shuffled.min_similarity());
        for (_, _, embedding) in &all {
            prop_assert_eq!(sorted.recognize(embedding).unwrap(), shuffled.recognize(embedding).unwrap());
        }
    }

    #[test]
    fn any_finite_embeddings_are_written_and_read_to_the_bit(values in prop::collection::vec(prop::collection::vec(prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL | prop::num::f32::ZERO, UNITS), 1..12)) {
        let mut gallery = Gallery::new(&plain_card());
        for (song, embedding) in values.iter().enumerate() {
            let _ = gallery.enroll("artist", &song.to_string(), embedding);
        }
        let text = gallery.to_json().unwrap();
        let read = Gallery::from_json(text.as_bytes(), &plain_card()).unwrap();
        prop_assert_eq!(read.to_json().unwrap(), text);
        if read.songs() > 0 {
            let answer = read.recognize(&[1.0; UNITS]).unwrap();
            prop_assert!(answer.artists.iter().all(|similar| (-1.0..=1.0).contains(&similar.similarity)));
        }
    }
}
