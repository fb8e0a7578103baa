//! MagnaTagATune: its real list without the audio, and a miniature of it with real names and made-up sound.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod miniature;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use leitmotif_dataset::sources::magnatagatune::{Aliases, Counts, Listing, Request, find};
use leitmotif_dataset::split::{LeakReport, Protocol, SplitRequest, split};
use leitmotif_dataset::store::{ClipRow, Clips, Dataset};
use miniature::{CLIP, list, mp3, paths_of};

fn request(paths: &Path, aliases: Aliases) -> Request {
    let listing = Listing::Paths(paths.to_owned());
    Request { audio: PathBuf::from("audio"), listing, aliases, genres: None }
}

#[test]
fn the_real_list_gives_the_papers_number_of_clips() {
    let folder = tempfile::tempdir().unwrap();
    let paths = list(folder.path());
    let (found, summary) = find(&request(&paths, Aliases::None)).unwrap();
    let counts = |clips, artists, albums, tracks| Counts { clips, artists, albums, tracks };
    assert_eq!(summary.listed, counts(25_863, 230, 446, 5_405));
    assert_eq!(summary.with_sound, counts(25_860, 230, 446, 5_405));
    assert_eq!(summary.kept, counts(24_847, 225, 432, 5_191));
    assert_eq!((summary.artists.by_name, summary.artists.with_likely_aliases), (225, 220));
    assert_eq!(summary.recurring_titles, 84);
    assert_eq!(found.tracks.iter().map(|track| track.clips.len()).sum::<usize>(), 24_847);
    assert_eq!(found.left_out.len(), 25_863 - 24_847);
    let artists = |aliases| {
        let (found, summary) = find(&request(&paths, aliases)).unwrap();
        let artists: BTreeSet<String> =
            found.tracks.into_iter().map(|track| track.artist).collect();
        assert_eq!(summary.artists.used, artists.len());
        artists
    };
    assert_eq!(artists(Aliases::None).len(), 225);
    let together = artists(Aliases::Likely);
    assert!(
        together.len() == 220 && together.contains("c_layne") && !together.contains("c__layne")
    );
    let own = folder.path().join("aliases.tsv");
    fs::write(
        &own,
        "c__layne\tc_layne\r\ned_martin\tedward_martin\r\nfour_stones_net\tfour_stones\r\n",
    )
    .unwrap();
    assert_eq!(artists(Aliases::File(own)).len(), 222);
}

/// The rows that the real list would give; of sound they know nothing.
fn rows(paths: &Path) -> Clips {
    let (found, _) = find(&request(paths, Aliases::None)).unwrap();
    let mut rows = Vec::new();
    for track in found.tracks {
        rows.extend(track.clips.iter().map(|clip| ClipRow {
            clip: clip.id.clone(),
            song: track.id.clone(),
            artist: track.artist.clone(),
            album: track.album.clone(),
            title: track.title.clone(),
            song_group: track.song_group.clone(),
            start: (clip.start_seconds * 16_000.0) as u64,
            samples: 465_984,
            ..ClipRow::default()
        }));
    }
    Clips::of(rows).unwrap()
}

#[test]
fn the_papers_splits_leak_what_they_leak_and_ours_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let rows = rows(&list(folder.path()));
    let leaks = |protocol| {
        let request = SplitRequest { protocol, seed: 1, test: 0.2, validation: 0.0 };
        let split = split(&rows, &request).unwrap();
        let artists: BTreeSet<&str> = rows
            .iter()
            .zip(&split.parts)
            .filter(|(_, part)| part.is_some())
            .map(|(row, _)| row.artist)
            .collect();
        let report = LeakReport::new(&rows, &split.parts);
        println!("{protocol}, {} artists\n{report}", artists.len());
        let share = report.test.clips as f64 / split.parts.iter().flatten().count() as f64;
        // One group at least of every artist is tested; artists of two albums test one.
        assert!(
            (0.19..if protocol == Protocol::Album { 0.35 } else { 0.21 }).contains(&share),
            "{protocol}: {share}"
        );
        (artists.len(), report.test)
    };
    let (artists, by_clip) = leaks(Protocol::Clip);
    assert_eq!(artists, 225);
    assert!(by_clip.neighbours > 0.6 && by_clip.recordings.1 > 2500, "{by_clip:?}");
    let (artists, by_recording) = leaks(Protocol::Recording);
    assert_eq!((artists, by_recording.recordings.1, by_recording.neighbours), (225, 0, 0.0));
    // The titles that recur under another album or number.
    assert!(by_recording.song_groups.1 > 0 && by_recording.albums.1 > 300, "{by_recording:?}");
    let (artists, by_song) = leaks(Protocol::Song);
    assert_eq!(
        (artists, by_song.recordings.1, by_song.song_groups.1, by_song.titles.1),
        (225, 0, 0, 0)
    );
    let (artists, by_album) = leaks(Protocol::Album);
    assert_eq!(by_album.albums.1, 0, "{by_album:?}");
    // 126 artists have one album; others only such as share titles.
    assert!((90..=99).contains(&artists), "{artists}");
}

/// Artists whose clips the miniature has, and a compilation.
const ARTISTS: [&str; 4] = ["the_rajdhani_quartet", "sitar", "barbara_leoni", "magnatune_com"];

/// A folder of MP3s as in the data set under the real names of some of its clips.
fn miniature(folder: &Path) -> (PathBuf, Vec<String>) {
    let of = paths_of(folder, &ARTISTS);
    let mut paths: Vec<String> =
        of.values().flat_map(|paths| paths.iter().step_by(9)).cloned().collect();
    paths.sort();
    let audio = folder.join("audio");
    let sound = folder.join("sound.mp3");
    mp3("anoisesrc=d=3:c=pink:seed=5:r=16000:a=0.3", &[], &sound);
    for path in &paths {
        let path = audio.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(&sound, path).unwrap();
    }
    (audio, paths)
}

fn prepare(folder: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let clip = CLIP.to_string();
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_leitmotif-train"))
        .args(["prepare", "mtat", "--clip-samples", &clip, "--threads", "2"])
        .args(more)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn a_miniature_is_prepared_clip_by_clip_and_what_is_left_out_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (audio, paths) = miniature(folder);
    let kept: Vec<&String> = paths.iter().filter(|path| !path.contains("magnatune_com")).collect();
    let broken = [
        (kept[0], Vec::new()),
        (kept[3], b"no music".repeat(40)),
        (kept[5], {
            let whole = fs::read(audio.join(kept[5])).unwrap();
            whole[..whole.len() / 2].to_vec()
        }),
    ];
    for (path, bytes) in &broken {
        fs::write(audio.join(path), bytes).unwrap();
    }
    fs::write(audio.join("annotations.csv"), "").unwrap();
    let genres: BTreeSet<String> = kept
        .iter()
        .map(|path| {
            path.split_once('/').unwrap().1.split('-').take(2).collect::<Vec<_>>().join("\t")
        })
        .map(|album| album + "\tWorld;Jazz\n")
        .collect();
    fs::write(
        folder.join("genres.tsv"),
        genres.into_iter().chain(["nobody\tnothing\tRock\n".to_owned()]).collect::<String>(),
    )
    .unwrap();

    let (code, out, err) =
        prepare(folder, &["--audio", "audio", "--out", "data", "--genres", "genres.tsv"]);
    println!("{out}{err}");
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("GB in data, about"), "{err}");
    assert!(out.contains("1 albums have genres and no clips, as nobody/nothing"), "{out}");
    let dataset = Dataset::open(&folder.join("data")).unwrap();
    assert_eq!(dataset.clips().len(), kept.len() - broken.len());
    for row in dataset.clips().iter() {
        let names: Vec<&str> = row.clip.split_once('/').unwrap().1.split('-').collect();
        assert_eq!(row.song, format!("{}/{}/{}-{}", names[0], names[1], names[2], names[3]));
        assert_eq!((row.artist, row.genre, row.samples), (names[0], "World;Jazz", CLIP as u64));
        assert_eq!(row.start, names[4].parse::<u64>().unwrap() * 16_000);
    }
    let mut samples = vec![0.0; CLIP];
    dataset.read(0, 0, &mut samples).unwrap();
    assert!(samples.iter().any(|sample| sample.abs() > 0.1));
    let left_out = fs::read_to_string(folder.join("data/left-out.csv")).unwrap();
    for ((path, _), rule) in broken.iter().zip(["unreadable", "unreadable", "too-short"]) {
        assert!(
            left_out.lines().any(|line| line.starts_with(&format!("{path},{rule},"))),
            "{path}: {left_out}"
        );
    }
    assert_eq!(left_out.matches(",pseudo-artist,").count(), paths.len() - kept.len());

    // Again, from the list of paths: nothing is decoded twice. Without the journal's last lines, the same bytes.
    let clips = fs::read(folder.join("data/clips.csv")).unwrap();
    let (code, out, _) =
        prepare(folder, &["--audio", "audio", "--out", "data", "--genres", "genres.tsv"]);
    assert!(code == Some(0) && out.contains("nothing was left to decode"), "{out}");
    assert_eq!(fs::read(folder.join("data/clips.csv")).unwrap(), clips);
    let by_list: String =
        paths.iter().enumerate().map(|(id, path)| format!("{id}\t{path}\n")).collect();
    fs::write(folder.join("some.tsv"), by_list).unwrap();
    let (code, _, err) = prepare(
        folder,
        &["--audio", "audio", "--paths", "some.tsv", "--out", "again", "--genres", "genres.tsv"],
    );
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(fs::read(folder.join("again/clips.csv")).unwrap(), clips);

    // Half of an archive.
    fs::remove_file(audio.join(kept[1])).unwrap();
    let (code, _, err) =
        prepare(folder, &["--audio", "audio", "--paths", "some.tsv", "--out", "half"]);
    assert!(
        code == Some(1) && err.contains("1 of") && err.contains("unpack the whole archive"),
        "{err}"
    );
    assert!(!folder.join("half").exists());
    let (code, _, err) = prepare(
        folder,
        &["--audio", "audio", "--paths", "some.tsv", "--out", "half", "--allow-missing"],
    );
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(
        Dataset::open(&folder.join("half")).unwrap().clips().len(),
        kept.len() - broken.len() - 1
    );
}

/// A drive that was away, an archive unpacked by half: its track is stored without it until it is there.
#[test]
fn a_clip_that_could_not_be_read_is_taken_in_by_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (audio, paths) = miniature(folder);
    let by_list: String =
        paths.iter().enumerate().map(|(id, path)| format!("{id}\t{path}\n")).collect();
    fs::write(folder.join("some.tsv"), by_list).unwrap();
    let run = |out: &str| {
        let (code, said, err) = prepare(
            folder,
            &["--audio", "audio", "--paths", "some.tsv", "--out", out, "--allow-missing"],
        );
        assert_eq!(code, Some(0), "{err}");
        said
    };
    // Every clip with its sound.
    let clips = |out: &str| -> BTreeMap<String, (String, u64, Vec<f32>)> {
        let dataset = Dataset::open(&folder.join(out)).unwrap();
        let read = |(place, row): (usize, ClipRow<&str>)| {
            let mut samples = vec![0.0; row.samples as usize];
            dataset.read(place, 0, &mut samples).unwrap();
            (row.clip.to_owned(), (row.song.to_owned(), row.start, samples))
        };
        dataset.clips().iter().enumerate().map(read).collect()
    };
    run("whole");
    let whole = clips("whole");
    // Of a track with several clips the first is missing and the second broken.
    let track = |path: &str| path.rsplitn(3, '-').last().unwrap().to_owned();
    let together = paths.chunk_by(|a, b| track(a) == track(b)).find(|clips| clips.len() > 2);
    let [missing, broken, there, ..] = together.unwrap() else { unreachable!() };
    let sounds = [missing, broken, there].map(|path| fs::read(audio.join(path)).unwrap());
    fs::remove_file(audio.join(missing)).unwrap();
    fs::write(audio.join(broken), &sounds[1][..2000]).unwrap();
    run("data");
    let lacking = clips("data");
    assert_eq!(lacking.len(), whole.len() - 2);
    // Both are back, more than are gone; but what is stored stays until all of it is found.
    fs::write(audio.join(missing), &sounds[0]).unwrap();
    fs::write(audio.join(broken), &sounds[1]).unwrap();
    fs::remove_file(audio.join(there)).unwrap();
    run("data");
    assert_eq!(clips("data"), lacking);
    fs::write(audio.join(broken), &sounds[1][..2000]).unwrap();
    fs::write(audio.join(there), &sounds[2]).unwrap();
    // One of them is back, and one that is stored is gone.
    fs::write(audio.join(missing), &sounds[0]).unwrap();
    fs::remove_file(audio.join(there)).unwrap();
    run("data");
    assert_eq!(clips("data"), lacking);
    fs::write(audio.join(there), &sounds[2]).unwrap();
    run("data");
    assert_eq!(clips("data").len(), whole.len() - 1);
    fs::write(audio.join(broken), &sounds[1]).unwrap();
    run("data");
    assert!(clips("data") == whole);
    assert!(run("data").contains("nothing was left to decode"));
}

#[test]
fn short_files_are_padded_and_long_ones_cut() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_, paths) = miniature(folder);
    // Three seconds are 48,000 samples: nine tenths of 50,000, more than 46,656.
    let (code, _, err) =
        prepare(folder, &["--audio", "audio", "--out", "long", "--clip-samples", "50000"]);
    assert_eq!(code, Some(2), "an option twice: {err}");
    let run = |clip: &str, out: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_leitmotif-train"))
            .args(["prepare", "mtat", "--audio", "audio", "--out", out, "--clip-samples", clip])
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let dataset = Dataset::open(&folder.join(out)).unwrap();
        let mut samples = vec![0.0; clip.parse().unwrap()];
        dataset.read(0, 0, &mut samples).unwrap();
        samples
    };
    let (cut, padded) = (run("40000", "cut"), run("50000", "padded"));
    assert_eq!(cut[..], padded[..40_000]);
    assert!(
        padded[49_000..].iter().all(|sample| *sample == 0.0)
            && padded[47_000..47_500].iter().any(|sample| *sample != 0.0)
    );
    assert!(!paths.is_empty());
}

#[test]
fn the_list_alone_is_counted_without_audio() {
    let folder = tempfile::tempdir().unwrap();
    list(folder.path());
    let (code, out, _) = prepare(folder.path(), &["--list-only", "--paths", "paths.tsv", "--json"]);
    let summary: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &summary["kept"]["clips"]), (Some(0), &24_847.into()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is written");
    let (code, _, err) = prepare(folder.path(), &["--list-only"]);
    assert!(code == Some(1) && err.contains("needs a list"), "{err}");
    let (code, _, err) = prepare(folder.path(), &["--audio", "nowhere", "--out", "data"]);
    assert!(code == Some(1) && err.contains("nowhere is not a folder"), "{err}");
}
