//! The whole paper on MagnaTagATune in miniature, from a folder of MP3s to the report, whose numbers are counted again from the files of
//! the runs. Takes minutes, so `make check-all` runs it; the report is kept in `target/tmp/miniature`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

#[path = "../dataset/tests/miniature/mod.rs"]
mod miniature;
mod tiny;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use leitmotif_dataset::store::{Dataset, Part};
use leitmotif_models::{Predictions, argmax};
use leitmotif_train::learn::checkpoint::read_record;
use miniature::{CLIP, Named, mp3, paths_of};
use serde_json::Value;
use tiny::{SECONDS, ends, rows, scale};

/// Artists with the pitch of their music in hertz and their genres. Some share both a name and a pitch; of some a title recurs on
/// other albums. The last is not an artist.
const ARTISTS: [(&str, u32, &str); 8] = [
    ("brad_sucks", 300, "Alt Rock;Electro Rock"),
    ("edward_martin", 900, "Classical"),
    ("jacob_heringman", 900, "Classical"),
    ("jacob_heringman_and_catherine_king", 900, "Classical;World"),
    ("mijo", 2_000, "Electronica"),
    ("sherefe", 3_200, "World"),
    ("william_brooks", 520, ""),
    ("magnatune_com", 700, "Jazz"),
];
/// Tracks of each, by title, and clips of each track, in their order.
const TRACKS: usize = 8;
const CLIPS_OF_TRACK: usize = 3;

const ALL: &str =
    "experiment all --dataset data --out results --scale tiny.toml --device cpu --threads 2";

/// Writes `audio/` and `genres.tsv`; gives the names of the clips, the first of which is an empty file.
fn make(folder: &Path) -> Vec<String> {
    let names: Vec<&str> = ARTISTS.iter().map(|(name, ..)| *name).collect();
    let of = paths_of(folder, &names);
    let mut kept = Vec::new();
    let mut albums = BTreeSet::new();
    let sound = folder.join("sound.mp3");
    for (artist, hertz, genres) in ARTISTS {
        let mut tracks: BTreeMap<[&str; 3], Vec<&String>> = BTreeMap::new();
        for path in &of[artist] {
            let Named { album, number, title, .. } = Named::of(path);
            tracks.entry([title, album, number]).or_default().push(path);
        }
        for (i, ([_, album, _], mut clips)) in tracks.into_iter().take(TRACKS).enumerate() {
            clips.sort_by_key(|path| Named::of(path).start);
            clips.truncate(CLIPS_OF_TRACK);
            let (low, high) = (hertz + 3 * i as u32, 5_000 + 300 * i);
            let tones = format!("0.3*sin(2*PI*{low}*t)+0.1*sin(2*PI*{high}*t)+0.2*(random(0)-0.5)");
            mp3(&format!("aevalsrc='{tones}':s=16000:d=3"), &[], &sound);
            for path in clips {
                let file = folder.join("audio").join(path);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::copy(&sound, file).unwrap();
                kept.push(path.clone());
            }
            if !genres.is_empty() {
                albums.insert(format!("{artist}\t{album}\t{genres}\n"));
            }
        }
    }
    fs::write(folder.join("genres.tsv"), albums.into_iter().collect::<String>()).unwrap();
    fs::write(folder.join("audio").join(&kept[0]), "").unwrap();
    kept
}

/// The predictions of each series' runs, which the experiment's file lists.
fn predictions(results: &Path, experiment: &str) -> Vec<Vec<Predictions>> {
    let text = fs::read_to_string(results.join(format!("experiments/{experiment}.json"))).unwrap();
    let planned: Value = serde_json::from_str(&text).unwrap();
    let lines: Vec<Vec<String>> = serde_json::from_value(planned["runs"].clone()).unwrap();
    let read = |key: String| {
        let last = results.join("runs").join(key).join("last");
        let text = fs::read_to_string(last.join("test.predictions.jsonl")).unwrap();
        let predictions = Predictions::from_lines(&text).unwrap();
        assert_eq!(read_record(&last).unwrap().scores.unwrap().clips, predictions.clips().len());
        predictions
    };
    lines.into_iter().map(|keys| keys.into_iter().map(read).collect()).collect()
}

/// Mean over runs of a share in percent, as the report rounds it.
fn mean(runs: &[Predictions], share: impl Fn(&Predictions) -> (usize, usize)) -> f64 {
    let percent = |run| {
        let (some, all) = share(run);
        100.0 * some as f64 / all as f64
    };
    runs.iter().map(percent).sum::<f64>() / runs.len() as f64
}

#[track_caller]
fn near(value: &Value, expected: f64) {
    let found = value.as_f64().unwrap_or_else(|| panic!("{value} is no number"));
    assert!((found - expected).abs() < 0.00501, "{found}, but {expected} was counted");
}

#[test]
#[ignore = "minutes: make check-all"]
fn the_paper_is_repeated_on_a_miniature_and_the_report_agrees_with_the_runs() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("miniature");
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    let kept = make(&folder);
    fs::write(folder.join("tiny.toml"), scale(&SECONDS)).unwrap();
    let prepare =
        format!("prepare mtat --audio audio --out data --genres genres.tsv --clip-samples {CLIP}");
    let (code, out, err) = ends(&prepare, &folder);
    assert_eq!(code, Some(0), "{err}");
    println!("{out}");
    let (code, out, err) = ends(ALL, &folder);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("14 runs done, 0 of 14 were there"), "{out}");
    let (code, _, err) = ends("report results --out report.html --json report.json", &folder);
    assert_eq!(code, Some(0), "{err}");
    let json = fs::read_to_string(folder.join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&json).unwrap();
    let run = rows(&report, "runs")[0][0].as_str().unwrap().to_owned();
    let (code, _, err) = ends(&format!("report results/runs/{run} --out run.html"), &folder);
    assert_eq!(code, Some(0), "{err}");

    let music: Vec<&str> = kept
        .iter()
        .skip(1)
        .map(String::as_str)
        .filter(|path| Named::of(path).artist != "magnatune_com")
        .collect();
    counts_are_those_of_the_folder(&report, &music);
    leaks_are_those_of_the_splits(&report, &folder);
    accuracies_are_the_runs(&report, &folder.join("results"));
    genres_are_counted_from_the_answers(&report, &folder.join("results"));
}

fn counts_are_those_of_the_folder(report: &Value, music: &[&str]) {
    let distinct = |of: fn(&Named<'_>) -> String| {
        music.iter().map(|path| of(&Named::of(path))).collect::<BTreeSet<_>>().len()
    };
    let expected = [
        ("clips", music.len(), Value::from(24_847)),
        ("songs", distinct(|n| [n.artist, n.album, n.number, n.title].join("-")), Value::Null),
        ("artists", ARTISTS.len() - 1, Value::from(222)),
        ("albums", distinct(|n| [n.artist, n.album].join("-")), Value::Null),
        // Of the artists that are one.
        ("genres", 5, Value::Null),
    ];
    let counts = rows(report, "dataset");
    assert_eq!(counts.len(), expected.len());
    for ((what, count, paper), row) in expected.into_iter().zip(&counts) {
        assert_eq!(row[..], [Value::from(what), count.into(), paper], "{what}");
    }
}

/// Both of the paper's splits and the one that keeps recurring titles together, each counted from its file and the clips' names.
fn leaks_are_those_of_the_splits(report: &Value, folder: &Path) {
    let dataset = Dataset::open(&folder.join("data")).unwrap();
    let table = rows(report, "leaks");
    let names: Vec<&str> = table.iter().map(|row| row[0].as_str().unwrap()).collect();
    assert_eq!(names, ["clip-seed1", "recording-seed1", "song-seed1"]);
    for row in &table {
        let parts = dataset.read_split(row[0].as_str().unwrap()).unwrap();
        let of = |part| {
            let clips = dataset.clips().iter().zip(&parts);
            clips.filter(move |(_, of)| **of == Some(part)).map(|(clip, _)| Named::of(clip.clip))
        };
        let (test, train): (Vec<_>, Vec<_>) = (of(Part::Test).collect(), of(Part::Train).collect());
        let track = |n: &Named<'_>| [n.artist, n.album, n.number, n.title].join("-");
        let shared = |key: &dyn Fn(&Named<'_>) -> String| {
            let of = |side: &[Named<'_>]| side.iter().map(key).collect::<BTreeSet<_>>();
            let (here, there) = (of(&test), of(&train));
            [here.len(), here.intersection(&there).count()]
        };
        let recordings = shared(&track);
        let titles = shared(&|n| [n.artist, n.title].join("-"));
        let albums = shared(&|n| [n.artist, n.album].join("-"));
        assert_eq!(
            [&row[1], &row[2], &row[3]],
            [train.len(), 0, test.len()].map(Value::from).each_ref()
        );
        // Three seconds that begin 29 seconds apart are no neighbours.
        assert_eq!(row[4], 0.0, "{row:?}");
        assert_eq!(row[5..7], recordings.map(Value::from), "{row:?}");
        assert_eq!(row[9..11], titles.map(Value::from), "{row:?}");
        assert_eq!(row[11..13], albums.map(Value::from), "{row:?}");
    }
    let [by_clip, by_recording, by_song] = &table[..] else { panic!("{table:?}") };
    assert!(by_clip[6].as_u64() > Some(0), "{by_clip:?}");
    assert!(by_recording[6] == 0 && by_recording[10].as_u64() > Some(0), "{by_recording:?}");
    assert!(by_song[6] == 0 && by_song[10] == 0, "{by_song:?}");
}

fn right(run: &Predictions) -> (usize, usize) {
    let clips = run.clips();
    let right = clips.iter().filter(|clip| argmax(&clip.probabilities) == clip.truth.0);
    (right.count(), clips.len())
}

fn accuracies_are_the_runs(report: &Value, results: &Path) {
    for experiment in ["splits", "filters", "segments", "heads"] {
        let table = rows(report, &format!("{experiment}-scores"));
        let lines = predictions(results, experiment);
        assert_eq!(table.len(), lines.len(), "{experiment}");
        for (row, runs) in table.iter().zip(&lines) {
            assert_eq!(row[1], "2 of 2");
            let expected = match row[0].as_str() {
                Some("dense, each segment") => mean(runs, |run| {
                    let sum = |f: fn(&leitmotif_models::Prediction) -> usize| {
                        run.clips().iter().map(f).sum::<usize>()
                    };
                    (sum(|clip| clip.segments_right), sum(|clip| clip.segments))
                }),
                _ => mean(runs, right),
            };
            near(&row[2], expected);
        }
    }
    let curve = rows(report, "topk-curve");
    let classes = ARTISTS.len() - 1;
    assert_eq!(curve.len(), 2 * classes);
    for (line, runs) in predictions(results, "topk").iter().enumerate() {
        for k in 1..=classes {
            let within = mean(runs, |run| {
                let first = |clip: &&leitmotif_models::Prediction| {
                    let own = clip.probabilities[clip.truth.0];
                    clip.probabilities.iter().filter(|p| **p > own).count() < k
                };
                (run.clips().iter().filter(first).count(), run.clips().len())
            });
            near(&curve[line * classes + k - 1][2], within);
        }
    }
    // Those that share a name: Jacob Heringman and he with Catherine King, back and forth, under both heads.
    let together = rows(report, "topk-collaborations");
    assert_eq!(together.len(), 4);
    for (row, runs) in together.iter().zip(predictions(results, "topk").iter().flat_map(|r| [r, r]))
    {
        let classes = runs[0].classes();
        let class = |cell: &Value| classes.iter().position(|c| *cell == *c.as_str()).unwrap();
        let (truth, answer) = (class(&row[1]), class(&row[2]));
        let clips = || runs.iter().flat_map(Predictions::clips).filter(|c| c.truth.0 == truth);
        let taken = clips().filter(|c| argmax(&c.probabilities) == answer).count();
        assert_eq!([&row[3], &row[4]], [Value::from(taken), clips().count().into()].each_ref());
    }
}

fn genres_are_counted_from_the_answers(report: &Value, results: &Path) {
    let of: BTreeMap<&str, Vec<&str>> = ARTISTS
        .iter()
        .map(|(artist, _, genres)| (*artist, genres.split(';').filter(|g| !g.is_empty()).collect()))
        .collect();
    let has = |path: &str, genre: &str| of[Named::of(path).artist].contains(&genre);
    let lines = predictions(results, "genres");
    let table = rows(report, "genres-wrong");
    // The paper's eleven: all of ours are among them, and where we have none there is nothing to divide by.
    assert_eq!(table.len(), 11);
    for row in &table {
        let genre = row[0].as_str().unwrap();
        let all = |run: &Predictions| run.clips().iter().filter(|c| has(&c.clip, genre)).count();
        assert_eq!(row[1], all(&lines[0][0]), "{genre}");
        for (line, runs) in lines.iter().enumerate() {
            if row[1] == 0 {
                assert!(row[2 + 4 * line].is_null() && !row[5 + 4 * line].is_null(), "{row:?}");
                continue;
            }
            let wrong = |run: &Predictions| {
                let of_genre = run.clips().iter().filter(|c| has(&c.clip, genre));
                of_genre.filter(|c| argmax(&c.probabilities) != c.truth.0).count()
            };
            near(&row[2 + 4 * line], mean(runs, |run| (wrong(run), all(run))));
        }
    }
    let found = table.iter().filter(|row| row[1] != 0).map(|row| row[0].as_str().unwrap());
    let expected = ["Alt Rock", "Electro Rock", "Classical", "Electronica", "World"];
    assert_eq!(found.collect::<Vec<_>>(), expected);
    for (row, runs) in rows(report, "genres-shared").iter().zip(&lines) {
        let expected = mean(runs, |run| {
            let wrong = || {
                let clips = run.clips().iter();
                clips.filter(|c| {
                    argmax(&c.probabilities) != c.truth.0
                        && !of[Named::of(&c.clip).artist].is_empty()
                })
            };
            let meets = |c: &&leitmotif_models::Prediction| {
                let answer = run.classes()[argmax(&c.probabilities)].as_str();
                of[answer].iter().any(|genre| has(&c.clip, genre))
            };
            (wrong().filter(meets).count(), wrong().count())
        });
        near(&row[2], expected);
    }
}
