//! MagnaTagATune: its real list without the audio, and a small version of it with real paths and synthetic audio.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod miniature;
mod music;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use leitmotif_dataset::prepare::{Options, Report, plan, prepare};
use leitmotif_dataset::sources::magnatagatune::{
    Aliases, ListCounts, Listing, Request, Summary, find,
};
use leitmotif_dataset::split::{LeakReport, Protocol, SplitRequest, split};
use leitmotif_dataset::store::{ClipRow, Clips, Dataset};
use miniature::{CLIP, list, paths_of};
use music::{Wave, write_wave};

fn request(paths: &Path, aliases: Aliases) -> Request {
    let listing = Listing::Paths(paths.to_owned());
    Request { audio: PathBuf::from("audio"), listing, aliases, genres: None }
}

#[test]
fn the_real_list_has_the_number_of_clips_in_the_paper() {
    let folder = tempfile::tempdir().unwrap();
    let paths = list(folder.path());
    let (found, summary) = find(&request(&paths, Aliases::None)).unwrap();
    let counts = |clips, artists, albums, tracks| ListCounts { clips, artists, albums, tracks };
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
    let merged = artists(Aliases::Likely);
    assert!(merged.len() == 220 && merged.contains("c_layne") && !merged.contains("c__layne"));
    let own = folder.path().join("aliases.tsv");
    fs::write(
        &own,
        "c__layne\tc_layne\r\ned_martin\tedward_martin\r\nfour_stones_net\tfour_stones\r\n",
    )
    .unwrap();
    assert_eq!(artists(Aliases::File(own)).len(), 222);
}

/// The rows of the real list, without audio.
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
fn the_splits_of_the_paper_leak_and_splits_by_song_do_not() {
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
        // Each artist has at least one test group; of two albums, that is one.
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
    // Titles that occur in several tracks.
    assert!(by_recording.song_groups.1 > 0 && by_recording.albums.1 > 300, "{by_recording:?}");
    let (artists, by_song) = leaks(Protocol::Song);
    assert_eq!(
        (artists, by_song.recordings.1, by_song.song_groups.1, by_song.titles.1),
        (225, 0, 0, 0)
    );
    let (artists, by_album) = leaks(Protocol::Album);
    assert_eq!(by_album.albums.1, 0, "{by_album:?}");
    // 126 artists have one album; others have several that share titles.
    assert!((90..=99).contains(&artists), "{artists}");
}

/// Artists of the miniature, and a pseudo-artist.
const ARTISTS: [&str; 4] = ["the_rajdhani_quartet", "sitar", "barbara_leoni", "magnatune_com"];

/// Samples of each audio file, slightly more than a clip.
const FILE_SAMPLES: usize = 48_000;

/// Audio files under the paths of some clips, in the folder `audio`.
struct Miniature {
    folder: tempfile::TempDir,
    /// All paths, sorted.
    paths: Vec<String>,
}

impl Miniature {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let of = paths_of(folder.path(), &ARTISTS);
        let mut paths: Vec<String> =
            of.values().flat_map(|paths| paths.iter().step_by(9)).cloned().collect();
        paths.sort();
        let made = Miniature { folder, paths };
        for path in &made.paths {
            let path = made.audio(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            // The decoder recognises WAV by its content.
            write_wave(&path, &Wave(5).samples(FILE_SAMPLES));
        }
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn audio(&self, clip: &str) -> PathBuf {
        self.path("audio").join(clip)
    }

    /// A list of all paths.
    fn listing(&self) -> Listing {
        let lines: String =
            self.paths.iter().enumerate().map(|(id, path)| format!("{id}\t{path}\n")).collect();
        let list = self.path("some.tsv");
        fs::write(&list, lines).unwrap();
        Listing::Paths(list)
    }

    fn prepare(&self, listing: Listing, clip_samples: usize, out: &str) -> (Summary, Report) {
        let genres = Some(self.path("genres.tsv")).filter(|path| path.exists());
        let request =
            Request { audio: self.path("audio"), listing, aliases: Aliases::None, genres };
        let (found, summary) = find(&request).unwrap();
        let out = self.path(out);
        let options = Options { clip_samples, min_songs: 1, threads: 2, ..Options::default() };
        let plan = plan(found, &out, &options).unwrap();
        (summary, prepare(&plan, &out, &mut |_| {}, &|| false).unwrap())
    }

    /// Each clip of a data set with its song, start and samples.
    fn clips(&self, out: &str) -> BTreeMap<String, (String, u64, Vec<f32>)> {
        let dataset = Dataset::open(&self.path(out)).unwrap();
        let read = |(index, row): (usize, ClipRow<&str>)| {
            let mut samples = vec![0.0; row.samples as usize];
            dataset.read(index, 0, &mut samples).unwrap();
            (row.clip.to_owned(), (row.song.to_owned(), row.start, samples))
        };
        dataset.clips().iter().enumerate().map(read).collect()
    }
}

#[test]
fn clip_files_are_prepared_and_unusable_ones_are_listed() {
    let made = Miniature::new();
    let kept: Vec<&String> =
        made.paths.iter().filter(|path| !path.contains("magnatune_com")).collect();
    let whole = fs::read(made.audio(kept[5])).unwrap();
    let broken = [
        (kept[0], Vec::new(), "unreadable"),
        (kept[3], b"no music".repeat(40), "unreadable"),
        (kept[5], whole[..whole.len() / 2].to_vec(), "too-short"),
    ];
    for (path, bytes, _) in &broken {
        fs::write(made.audio(path), bytes).unwrap();
    }
    fs::write(made.audio("annotations.csv"), "").unwrap();
    let albums: BTreeSet<String> = kept
        .iter()
        .map(|path| path.split_once('/').unwrap().1.split('-').take(2).collect::<Vec<_>>())
        .map(|album| album.join("\t") + "\tWorld;Jazz\n")
        .collect();
    let genres = albums.into_iter().collect::<String>() + "other\talbum\tRock\n";
    fs::write(made.path("genres.tsv"), genres).unwrap();

    let folder = || Listing::Folder(made.path("audio"));
    let (summary, report) = made.prepare(folder(), CLIP, "data");
    assert!(report.finished && report.decoded_seconds > 0.0);
    assert_eq!(report.other_files, 1);
    assert_eq!(summary.genres.unwrap().unknown_albums, ["other/album"]);
    let dataset = Dataset::open(&made.path("data")).unwrap();
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
    let left_out = fs::read_to_string(made.path("data/left-out.csv")).unwrap();
    for (path, _, rule) in &broken {
        let is_listed = left_out.lines().any(|line| line.starts_with(&format!("{path},{rule},")));
        assert!(is_listed, "{path}: {left_out}");
    }
    assert_eq!(left_out.matches(",pseudo-artist,").count(), made.paths.len() - kept.len());

    // Again: nothing is decoded twice. From a list of paths: the same rows.
    let rows = fs::read(made.path("data/clips.csv")).unwrap();
    let (_, report) = made.prepare(folder(), CLIP, "data");
    assert!(report.finished && report.decoded_seconds.abs() < 1e-9);
    assert_eq!(fs::read(made.path("data/clips.csv")).unwrap(), rows);
    made.prepare(made.listing(), CLIP, "again");
    assert_eq!(fs::read(made.path("again/clips.csv")).unwrap(), rows);
}

/// As with a drive that was disconnected or an incompletely unpacked archive: the track is stored without the clip
/// until the clip is readable.
#[test]
fn an_unreadable_clip_is_added_by_a_later_run() {
    let made = Miniature::new();
    let run = |out: &str| made.prepare(made.listing(), CLIP, out).1;
    run("whole");
    let whole = made.clips("whole");
    // Of a track with several clips, the first is missing and the second broken.
    let track = |path: &str| path.rsplitn(3, '-').last().unwrap().to_owned();
    let of_track = made.paths.chunk_by(|a, b| track(a) == track(b)).find(|clips| clips.len() > 2);
    let [missing, broken, stored, ..] = of_track.unwrap() else { unreachable!() };
    let sound = fs::read(made.audio(missing)).unwrap();
    let restore = |path: &str| fs::write(made.audio(path), &sound).unwrap();
    fs::remove_file(made.audio(missing)).unwrap();
    fs::write(made.audio(broken), &sound[..2000]).unwrap();
    run("data");
    let incomplete = made.clips("data");
    assert_eq!(incomplete.len(), whole.len() - 2);
    // More files are readable than before, but a stored one is missing: the stored clips are kept.
    restore(missing);
    restore(broken);
    fs::remove_file(made.audio(stored)).unwrap();
    run("data");
    assert_eq!(made.clips("data"), incomplete);
    // As many files are readable as at first, but not the same ones.
    fs::write(made.audio(broken), &sound[..2000]).unwrap();
    run("data");
    assert_eq!(made.clips("data"), incomplete);
    restore(stored);
    run("data");
    assert_eq!(made.clips("data").len(), whole.len() - 1);
    restore(broken);
    run("data");
    assert!(made.clips("data") == whole);
    assert!(run("data").decoded_seconds.abs() < 1e-9);
}

#[test]
fn short_files_are_padded_and_long_ones_cut() {
    let made = Miniature::new();
    let first = |clip_samples: usize, out: &str| {
        made.prepare(Listing::Folder(made.path("audio")), clip_samples, out);
        made.clips(out).into_values().next().unwrap().2
    };
    // A file has more than nine tenths of 50,000 samples.
    let (cut, padded) = (first(40_000, "cut"), first(50_000, "padded"));
    assert_eq!(cut[..], padded[..40_000]);
    let expected: Vec<f32> = Wave(5)
        .samples(FILE_SAMPLES)
        .into_iter()
        .map(|sample| f32::from(sample) / 32_768.0)
        .collect();
    assert_eq!(padded[..FILE_SAMPLES], expected);
    assert!(padded[FILE_SAMPLES..].iter().all(|sample| *sample == 0.0));
}
