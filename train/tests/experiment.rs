//! The paper's experiments on three artists who each play one note: planned, killed, resumed, reported.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]
#![cfg(unix)]

mod tiny;
mod tones;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use leitmotif_models::{Predictions, Scores};
use leitmotif_train::learn::checkpoint::read_record;
use serde_json::Value;
use tiny::{TONES, ends, program, rows, scale};

/// The data set of `tones`, with albums, genres, and names of which two share one.
fn dataset(folder: &Path) {
    tones::dataset(folder, 3, false);
    let path = folder.join("clips.csv");
    let mut reader = csv::Reader::from_path(&path).unwrap();
    let columns = reader.headers().unwrap().clone();
    let place = |name: &str| columns.iter().position(|c| c == name).unwrap();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&columns).unwrap();
    for record in reader.records() {
        let mut record: Vec<String> = record.unwrap().iter().map(str::to_owned).collect();
        let song = record[place("song")].clone();
        let (artist, number) = song.split_once('/').unwrap();
        // Half of one note's songs are labelled as another artist's, so that these two are confused.
        let (name, genre) = match (artist, number) {
            ("0", _) | ("2", "0" | "1" | "2") => ("Ann Lee", "Jazz"),
            ("1", _) => ("Ann Lee & Bob <i>", "Jazz;Polka"),
            _ => ("Cy", "World"),
        };
        record[place("artist")] = name.to_owned();
        record[place("genre")] = genre.to_owned();
        record[place("album")] = format!("Album {}", number.parse::<usize>().unwrap() % 2);
        writer.write_record(&record).unwrap();
    }
    fs::write(&path, writer.into_inner().unwrap()).unwrap();
}

const ALL: &str =
    "experiment all --dataset data --out results --scale tiny.toml --device cpu --threads 1";

/// When each run's epochs were written, by key.
fn written(results: &Path) -> BTreeMap<String, SystemTime> {
    let runs = fs::read_dir(results.join("runs")).unwrap();
    runs.map(|run| {
        let run = run.unwrap();
        let history = run.path().join("history.csv");
        (run.file_name().into_string().unwrap(), fs::metadata(history).unwrap().modified().unwrap())
    })
    .collect()
}

#[test]
fn all_experiments_survive_a_kill_and_end_in_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    dataset(&folder.join("data"));
    fs::write(folder.join("tiny.toml"), scale(&TONES)).unwrap();
    let results = folder.join("results");

    // A plan writes nothing and runs nothing.
    let splits = || fs::read_dir(folder.join("data/splits")).unwrap().count();
    let splits_before = splits();
    let (code, stdout, stderr) = ends(&format!("{ALL} --plan"), folder);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("split clip-seed1: to be made"), "{stdout}");
    assert!(stdout.contains("14 runs, ") && stdout.matches(" to do ").count() == 14, "{stdout}");
    assert!(!results.exists() && splits() == splits_before);
    let (code, _, stderr) = ends("report results", folder);
    assert!(code == Some(1) && stderr.contains("results holds neither results"), "{stderr}");

    // Killed as soon as the third run has a checkpoint.
    let mut child =
        program(ALL, folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    let begun = || {
        let runs = fs::read_dir(results.join("runs")).into_iter().flatten().flatten();
        runs.filter(|run| run.path().join("last/run.json").exists()).count()
    };
    while begun() < 3 {
        assert!(began.elapsed() < Duration::from_secs(300), "no third run");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = written(&results);
    assert!((3..14).contains(&before.len()), "{before:?}");
    let (code, stdout, _) = ends(&format!("{ALL} --plan"), folder);
    assert!(
        code == Some(0) && stdout.contains(" done\n") && stdout.contains(" by epochs"),
        "{stdout}"
    );
    let (code, _, stderr) = ends("report results --out early.html", folder);
    assert_eq!(code, Some(0), "{stderr}");
    let early = fs::read_to_string(folder.join("early.html")).unwrap();
    assert!(early.contains("runs are still to be done") && early.contains("not run yet"));

    let (code, stdout, stderr) = ends(ALL, folder);
    assert_eq!(code, Some(0), "{stderr}");
    let after = written(&results);
    assert_eq!(after.len(), 14);
    let finished: Vec<_> = before.iter().filter(|(key, time)| after[*key] == **time).collect();
    assert!(finished.len() >= 2, "finished runs are done again: {before:?} {after:?}");
    assert!(stdout.contains("were there already"), "{stdout}");
    let (code, stdout, _) = ends(ALL, folder);
    assert!(code == Some(0) && stdout.starts_with("0 runs done, 14 of 14"), "{stdout}");
    assert_eq!(written(&results), after);

    for key in after.keys() {
        let last = results.join("runs").join(key).join("last");
        let record = read_record(&last).unwrap();
        let text = fs::read_to_string(last.join("test.predictions.jsonl")).unwrap();
        let predictions = Predictions::from_lines(&text).unwrap();
        assert_eq!((record.epoch, record.scores), (4, Scores::of(&predictions)), "{key}");
        let history = fs::read_to_string(last.with_file_name("history.csv")).unwrap();
        assert!(
            history.lines().next().unwrap().contains("test_clips") && history.lines().count() == 5
        );
    }

    let (code, _, stderr) = ends("report results --out report.html --json report.json", folder);
    assert_eq!(code, Some(0), "{stderr}");
    report_is_whole(folder);
    let lengthened = a_lengthened_run_is_left_out(folder);
    mistakes_are_named(folder, &lengthened);
}

/// Text of a cell in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn report_is_whole(folder: &Path) {
    let html = fs::read_to_string(folder.join("report.html")).unwrap();
    let json: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("report.json")).unwrap()).unwrap();
    let sections = json["sections"].as_array().unwrap();
    let ids: Vec<&str> = sections.iter().map(|s| s["id"].as_str().unwrap()).collect();
    let expected = [
        "answers", "splits", "filters", "segments", "heads", "topk", "genres", "scores", "artists",
        "learned", "data", "runs",
    ];
    assert_eq!(ids, expected);
    // Nothing is fetched, and no name is markup.
    for outside in ["http:", "https:", "<script", "<link", "Bob <i>", "{{"] {
        let html = html.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        assert!(!html.contains(outside), "{outside}");
    }
    assert_eq!(html.matches("read off its figure").count(), 2);
    // Figures 1 to 5, and centroids and spectra of each analysed network: tiny1 with both heads, tiny2.
    for shape in ["wide", "narrow"] {
        assert_eq!(html.matches(&format!("<svg class=\"chart {shape}\"")).count(), 5 + 3);
    }
    // No run is shorter than the scale asks.
    assert!(json["caveats"] == Value::Array(Vec::new()) && !html.contains("Caveat."));
    assert!(html.contains("The runs here have 4 epochs.") && html.contains(" after 4 epochs"));
    assert_eq!(html.matches("data:image/png;base64,").count(), 3 * 5);

    let mut tables = 0;
    for table in sections.iter().flat_map(|s| s["tables"].as_array().unwrap()) {
        let id = table["id"].as_str().unwrap();
        let path = folder.join("report-tables").join(format!("{id}.csv"));
        let mut reader = csv::Reader::from_path(&path).unwrap();
        let rows = table["rows"].as_array().unwrap();
        assert!(!rows.is_empty(), "{id} is empty");
        let grid = html.split(&format!("<table id=\"{id}\"")).nth(1);
        let on_page = grid.is_some();
        // Columns of one value are stated above their table.
        let same = |i: usize| rows.iter().all(|row| row[i] == rows[0][i]);
        let shared: Vec<usize> = match ["runs", "scores"].contains(&id) {
            true => (1..rows[0].as_array().unwrap().len()).filter(|i| same(*i)).collect(),
            false => Vec::new(),
        };
        // The paper's genres of which there is no clip are left to the file.
        let shown = |row: &Value| id != "genres-wrong" || row[1] != 0;
        let cells = grid.map(|grid| {
            let body = grid.split("<tbody>").nth(1).unwrap().split("</table>").next().unwrap();
            let cells = body.split("<td").flat_map(|cell| cell.split("<th scope=\"row\""));
            cells.skip(1).filter(|cell| cell.contains("</t")).collect::<Vec<_>>()
        });
        let mut cells = cells.map(Vec::into_iter);
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), rows.len(), "{id}");
        for (row, record) in rows.iter().zip(&records) {
            for (i, (value, text)) in row.as_array().unwrap().iter().zip(record).enumerate() {
                match value {
                    Value::Null => assert_eq!(text, "", "{id}"),
                    Value::String(words) => assert_eq!(words, text, "{id}"),
                    number => {
                        assert_eq!(number.as_f64(), text.parse().ok(), "{id}: {number} {text}")
                    }
                }
                if shared.contains(&i) {
                    let stated = if text.is_empty() { "–".to_owned() } else { escaped(text) };
                    assert!(html.contains(&format!(" <b>{stated}</b></span>")), "{id}: {stated}");
                } else if let (Some(cells), true) = (&mut cells, shown(row)) {
                    let cell = cells.next().unwrap();
                    let html = cell.split_once('>').unwrap().1.split("</t").next().unwrap();
                    assert_eq!(html, escaped(text), "{id}");
                }
            }
        }
        assert!(cells.is_none_or(|mut cells| cells.next().is_none()), "{id} has more cells");
        assert!(on_page || ["filters", "responses"].contains(&id), "{id} is not in the page");
        tables += 1;
    }
    // With their checksums.
    assert_eq!(tables + 1, fs::read_dir(folder.join("report-tables")).unwrap().count());

    let rows = |id: &str| rows(&json, id);
    assert_eq!(rows("answers").len(), 11);
    for row in rows("answers") {
        assert_eq!(row[1], "undecided", "of six songs: {row:?}");
        assert_eq!(row[13], "4 epochs");
    }
    assert!(html.contains("Of 11 claims: 11 undecided."));
    assert_eq!(html.matches("<li class=\"claim undecided\"><span class=\"badge\">").count(), 11);
    assert_eq!(html.matches("<svg class=\"interval\"").count(), 11);
    // By clip: mean, extremes, and the paper's 56 %, 42 % at epoch 42.
    let splits = rows("splits-scores");
    assert_eq!((&splits[0][1], &splits[0][6]), (&"2 of 2".into(), &56.0.into()));
    assert_eq!((&splits[1][6], &splits[1][9]), (&42.0.into(), &42.into()));
    assert_eq!(splits[2][0], "by recording");
    assert_eq!(rows("splits-epochs").len(), 3 * 4);
    assert_eq!(rows("segments-scores").len(), 3);
    assert_eq!(rows("heads-scores").len(), 3);
    // Tones are easy: every prediction is right, but for the songs with another artist's label.
    let artists = rows("artists");
    assert!(artists.len() == 3 && artists[1][3] == 100.0, "{artists:?}");
    assert_eq!(rows("topk-curve").len(), 2 * 3);
    assert_eq!(rows("topk-curve")[2][2], 100.0);
    let together = rows("topk-collaborations");
    assert_eq!(together.len(), 4);
    assert_eq!(together[0][1..3], ["Ann Lee", "Ann Lee & Bob <i>"]);
    // The paper's eleven genres and one of another name; Jazz is of two artists, with three and two songs in the test part.
    let genres = rows("genres-wrong");
    assert_eq!(genres.len(), 12);
    let jazz = genres.iter().find(|row| row[0] == "Jazz").unwrap();
    assert_eq!((&jazz[1], &jazz[5], &jazz[9]), (&10.into(), &14.1.into(), &3.84.into()));
    assert_eq!(genres[11][0], "Polka");
    assert_eq!(rows("genres-shared")[1][5], 60.63);
    assert_eq!(rows("scores").len(), 14);
    assert_eq!(rows("filters").len(), 5 * (6 + 6 + 12));
    let leaks = rows("leaks");
    assert_eq!(leaks.len(), 3);
    assert!(leaks[0][0] == "clip-seed1" && leaks[0][6].as_i64() > Some(0), "{leaks:?}");
    assert!(leaks[1][0] == "recording-seed1" && leaks[1][6] == 0, "{leaks:?}");
    assert!(leaks[2][0] == "song-test30-validation0-seed1" && leaks[2][6] == 0, "{leaks:?}");
    assert!(rows("choices").iter().any(|row| row[2] == "Tiny networks."));
    for row in rows("runs") {
        assert!(row[4] == 4 && row[12] == "cpu", "{row:?}");
        assert!(row[14].as_str().unwrap().contains("libtorch"), "{row:?}");
    }
}

/// Lengthens a run by `fit --resume --epochs`: its predictions are then no longer those that its experiment plans. Returns its key.
fn a_lengthened_run_is_left_out(folder: &Path) -> String {
    let results = folder.join("results");
    let keys = written(&results);
    let key = keys.into_keys().find(|key| key.starts_with("tiny1-lstm-clip-seed1-run1-")).unwrap();
    let resume =
        format!("fit data --split clip-seed1 --resume results/runs/{key} --epochs 5 --device cpu");
    let (code, _, stderr) = ends(&resume, folder);
    assert_eq!(code, Some(0), "{stderr}");

    let (code, _, stderr) = ends("report results --json report.json", folder);
    assert_eq!(code, Some(0), "{stderr}");
    let json = fs::read_to_string(folder.join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&json).unwrap();
    let summary = report["summary"].to_string();
    let reason = "its experiment plans 4 epochs, and it was given 5";
    let left_out = format!("{key} is left out: {reason}");
    assert!(summary.contains(&left_out) && summary.contains("13 finished runs."), "{summary}");
    assert_eq!(rows(&report, "splits-scores")[0][1], "1 of 2");
    assert_eq!(rows(&report, "splits-epochs").len(), 3 * 4);
    assert!(rows(&report, "scores").len() == 13 && rows(&report, "runs").len() == 13);

    // The plan and the next start name it and leave it alone.
    let before = written(&results);
    let advice = "1 with other epochs than planned; the report leaves these out";
    let (code, stdout, stderr) = ends(&format!("{ALL} --plan"), folder);
    assert_eq!(code, Some(0), "{stderr}");
    let line = stdout.lines().find(|line| line.starts_with(&key)).unwrap();
    assert!(line.ends_with(" 5 epochs instead of 4") && stdout.contains(advice), "{stdout}");
    let (code, stdout, stderr) = ends(ALL, folder);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.starts_with("0 runs done, 13 of 14") && stdout.contains(advice), "{stdout}");
    assert!(stderr.contains(&format!("{key}: left out of the report: {reason}")), "{stderr}");
    assert_eq!(written(&results), before);
    key
}

fn mistakes_are_named(folder: &Path, lengthened: &str) {
    let own = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/filters.toml"))
        .unwrap();
    fs::write(folder.join("own.toml"), own.replace("\"model2\"", "\"model9\"")).unwrap();
    tones::dataset(&folder.join("other"), 2, false);
    fs::create_dir_all(folder.join("empty")).unwrap();
    fs::create_dir_all(folder.join("own-tables")).unwrap();
    fs::write(folder.join("own-tables/own.csv"), "1\n").unwrap();
    for (arguments, message) in [
        (ALL.replacen("all", "own.toml", 1), "there is no preset `model9`"),
        (ALL.replacen("all", "figures", 1), "there is no experiment `figures`"),
        (ALL.replace("tiny.toml", "huge"), "there is no scale `huge`"),
        (ALL.replace("--dataset data", "--dataset other"), "holds results of the data set `tones`"),
        ("report empty".to_owned(), "empty holds neither results of experiments"),
        (format!("report results/runs/{lengthened}/last"), "last is a checkpoint; name the folder"),
        ("report results --out nowhere/report.html".to_owned(), "nowhere/report.html"),
        (
            "report results --out own.html".to_owned(),
            "own-tables/own.csv was not written by a report",
        ),
    ] {
        let (code, _, stderr) = ends(&arguments, folder);
        assert_eq!(code, Some(1), "{arguments}: {stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains(message), "{arguments}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{arguments}: {stderr}");
    }
    let note = fs::read_to_string(folder.join("results/results.json")).unwrap();
    for run in fs::read_dir(folder.join("results/runs")).unwrap().map(Result::unwrap) {
        if run.file_name() != lengthened {
            fs::remove_dir_all(run.path()).unwrap();
        }
    }
    let (code, _, stderr) = ends("report results", folder);
    assert!(
        code == Some(1) && stderr.contains("has other epochs than its experiment plans"),
        "{stderr}"
    );
    fs::remove_dir_all(folder.join("results/runs").join(lengthened)).unwrap();
    let (code, _, stderr) = ends("report results", folder);
    assert!(code == Some(1) && stderr.contains("none of the 14 runs"), "{stderr}");
    fs::write(
        folder.join("results/results.json"),
        note.replace("\"version\": 1", "\"version\": 9"),
    )
    .unwrap();
    let (code, _, stderr) = ends("report results", folder);
    assert!(code == Some(1) && stderr.contains("version 9"), "{stderr}");
}

#[test]
fn ctrl_c_stops_cleanly_and_early_stopping_evaluates_the_best_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    dataset(&folder.join("data"));
    fs::write(folder.join("tiny.toml"), scale(&TONES)).unwrap();
    let heads = ALL.replacen("all", "heads", 1) + " --runs 1 --patience 2 --epochs 100000";
    let mut child = program(&heads, folder).stdout(Stdio::null()).spawn().unwrap();
    let runs = folder.join("results/runs");
    let began = Instant::now();
    while fs::read_dir(&runs).map_or(0, Iterator::count) < 1 {
        assert!(began.elapsed() < Duration::from_secs(120), "no run");
        std::thread::sleep(Duration::from_millis(1));
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));

    // A run that another process trains is left to it.
    let begun = fs::read_dir(&runs).unwrap().next().unwrap().unwrap().path();
    let lock = fs::File::create(begun.join("lock")).unwrap();
    lock.lock().unwrap();
    let (code, stdout, stderr) = ends(&heads, folder);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.starts_with("1 runs done, 0 of 2"), "{stdout}");
    assert!(stdout.contains("1 are left to another process"), "{stdout}");
    lock.unlock().unwrap();

    let (code, stdout, stderr) = ends(&heads, folder);
    assert!(code == Some(0) && stdout.starts_with("1 runs done, 1 of 2"), "{stdout}{stderr}");
    let keys: Vec<String> = fs::read_dir(&runs)
        .unwrap()
        .map(|run| run.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    // The data set's own split by song has other shares, and stays.
    let split = "-song-test30-validation10-seed1-run1-";
    assert!(keys.iter().all(|key| key.contains(split)), "{keys:?}");
    let (code, _, stderr) = ends("report results --json report.json", folder);
    assert_eq!(code, Some(0), "{stderr}");
    let json = fs::read_to_string(folder.join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&json).unwrap();
    for row in rows(&report, "runs") {
        let best = read_record(&runs.join(row[0].as_str().unwrap()).join("best")).unwrap();
        assert_eq!(row[5], best.epoch, "{row:?}");
        assert_eq!(row[4], best.epoch + 2, "stopped after two epochs without improvement: {row:?}");
    }
}
