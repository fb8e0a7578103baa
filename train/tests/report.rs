//! Pages of `report`: of one run, whose numbers are those of its files, and of experiments that were cut short.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod tiny;
mod tones;

use std::fs;
use std::path::Path;

use leitmotif_models::Predictions;
use leitmotif_train::learn::checkpoint::read_record;
use serde_json::Value;
use tiny::{TONES, ends, rows, scale};

/// Three artists whose names are markup, and a network of five blocks.
fn prepare(folder: &Path) {
    tones::dataset(&folder.join("data"), 3, true);
    let clips = folder.join("data/clips.csv");
    let text = fs::read_to_string(&clips).unwrap();
    fs::write(&clips, text.replace("Artist, ", "Artist <i> & ")).unwrap();
    fs::write(folder.join("tiny.toml"), tones::TOML).unwrap();
}

fn fit(folder: &Path, out: &str, options: &str) {
    let command = format!(
        "fit data --split song-seed1 --network tiny.toml --epochs 3 --batch 4 --rate 0.01 --device cpu --threads 1 \
         --out {out}{options}"
    );
    let (code, _, stderr) = ends(&command, folder);
    assert_eq!(code, Some(0), "{stderr}");
}

/// The page and the JSON of a folder.
fn report(folder: &Path, of: &str) -> (String, Value) {
    let (code, stdout, stderr) =
        ends(&format!("report {of} --out page.html --json page.json"), folder);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.starts_with("page.html and "), "{stdout}");
    let read = |name| fs::read_to_string(folder.join(name)).unwrap();
    (read("page.html"), serde_json::from_str(&read("page.json")).unwrap())
}

fn percent(share: f64) -> Value {
    Value::from(format!("{:.2}", 100.0 * share).parse::<f64>().unwrap())
}

#[test]
fn the_page_of_a_run_has_the_numbers_of_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    fit(folder, "<b>run", " --watch-test");
    let (html, json) = report(folder, "<b>run");
    let run = folder.join("<b>run");
    let record = read_record(&run.join("best")).unwrap();
    let scores = record.scores.unwrap();

    let sections = json["sections"].as_array().unwrap();
    let ids: Vec<&str> = sections.iter().map(|s| s["id"].as_str().unwrap()).collect();
    let expected = [
        "scores",
        "curves",
        "artists",
        "songs",
        "reliability",
        "learned",
        "network",
        "data",
        "settings",
        "machine",
    ];
    assert_eq!(ids, expected);
    for id in expected {
        assert!(html.contains(&format!("<section id=\"section-{id}\">")), "{id}");
    }
    // Nothing is fetched, and no name is markup.
    for outside in ["http:", "https:", "<script", "<link", "<i>", "<b>run", "{{"] {
        let html = html.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(
        html.contains("Run &lt;b&gt;run: tiny on tones")
            && html.contains("Artist &lt;i&gt; &amp; ")
    );
    assert!(!html.contains("are the paper’s"), "there are no numbers of the paper");

    let table = rows(&json, "scores");
    let row = |what: &str| table.iter().find(|row| row[0] == what).unwrap();
    for (what, estimate) in [
        ("songs right", scores.song_accuracy),
        ("clips right", scores.clip_accuracy),
        ("macro-F1 by song", scores.song_macro_f1),
        ("segments right", scores.segment_accuracy),
    ] {
        let expected = [estimate.value, estimate.low, estimate.high].map(percent);
        assert_eq!(row(what)[3..6], expected, "{what}");
        let Value::Number(value) = &expected[0] else { panic!("{expected:?}") };
        assert!(
            html.contains(&format!("<p class=\"number\">{:.2} %</p>", value.as_f64().unwrap()))
        );
    }
    assert_eq!(row("songs right")[7], scores.songs);

    let history = fs::read_to_string(run.join("history.csv")).unwrap();
    let mut history = csv::Reader::from_reader(history.as_bytes());
    let columns = history.headers().unwrap().clone();
    let loss = columns.iter().position(|c| c == "loss").unwrap();
    let epochs = rows(&json, "epochs");
    assert_eq!(epochs.len(), 3);
    for (row, record) in epochs.iter().zip(history.records()) {
        let loss: f64 = record.unwrap()[loss].parse().unwrap();
        assert!((row[3].as_f64().unwrap() - loss).abs() <= 0.00005, "{row:?}");
    }
    // Validation and test are curves, and every chart is there in both shapes.
    for label in ["validation, songs</li>", "test, songs</li>"] {
        assert!(html.contains(label), "{label}");
    }
    let charts = |shape| html.matches(&format!("<svg class=\"chart {shape}\"")).count();
    assert!(charts("wide") == charts("narrow") && charts("wide") >= 4, "{}", charts("wide"));

    let artists = rows(&json, "artists");
    for (row, artist) in artists.iter().zip(&scores.artists) {
        assert_eq!(row[0], artist.artist.as_str());
        assert_eq!(row[2..4], [artist.songs_right, artist.songs].map(Value::from));
        assert_eq!(
            row[5..8],
            [artist.clips_right, artist.clips, artist.songs_mistaken].map(Value::from)
        );
    }
    let text = fs::read_to_string(run.join("best/test.predictions.jsonl")).unwrap();
    let clips = Predictions::from_lines(&text).unwrap().clips().len();
    for (id, count) in [("confusion-clips", clips), ("confusion-songs", scores.songs)] {
        let cells = rows(&json, id).into_iter().flatten();
        assert_eq!(cells.filter_map(|cell| cell.as_u64()).sum::<u64>(), count as u64, "{id}");
    }
    assert_eq!(rows(&json, "filters").len(), 8, "of the first layer");
    let settings = rows(&json, "settings");
    for (name, value) in [("epochs", "3"), ("adam.beta1", "0.9"), ("watch_test", "true")] {
        let row = settings.iter().find(|row| row[0] == name).unwrap();
        assert_eq!(row[1], value, "{name}");
    }
    let machine = rows(&json, "machine");
    assert!(machine.iter().any(|row| row[0] == "libtorch"), "{machine:?}");
    // The intervals of six songs are named as too narrow; nothing else is wrong with this run.
    let caveats = json["caveats"].as_array().unwrap();
    assert!(caveats.len() == 1 && caveats[0].to_string().contains("has 6 songs"), "{caveats:?}");
}

#[test]
fn what_is_wrong_with_a_run_stands_on_top_of_its_page() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    fit(folder, "run", "");
    let run = folder.join("run");
    // As after a kill: planned for more epochs, not evaluated.
    for checkpoint in ["best", "last"] {
        fs::remove_file(run.join(checkpoint).join("test.predictions.jsonl")).unwrap();
        let path = run.join(checkpoint).join("run.json");
        let mut record: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        record["scores"] = Value::Null;
        record["config"]["epochs"] = Value::from(9);
        fs::write(&path, record.to_string()).unwrap();
    }
    let (html, json) = report(folder, "run");
    let ids = json["sections"].as_array().unwrap().iter();
    let ids: Vec<&str> = ids.map(|s| s["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["curves", "learned", "network", "data", "settings", "machine"]);
    assert!(html.contains("Caveat.</b> This run is not finished: 3 of 9 epochs are done."));

    fs::write(run.join("last/test.predictions.jsonl"), "{}\n").unwrap();
    let (code, _, stderr) = ends("report run", folder);
    assert_eq!((code, stderr.lines().count()), (Some(1), 1), "{stderr}");
    assert!(
        stderr.contains("run/last/test.predictions.jsonl cannot be used (remove it"),
        "{stderr}"
    );
    fs::write(run.join("last/run.json"), "{}\n").unwrap();
    let (code, _, stderr) = ends("report run", folder);
    assert!(code == Some(1) && stderr.contains("run/last/run.json"), "{stderr}");
}

#[test]
fn experiments_with_fewer_epochs_than_their_scale_say_so_on_top() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    fs::write(folder.join("tiny-scale.toml"), scale(&TONES)).unwrap();
    let heads = "experiment heads --dataset data --out results --scale tiny-scale.toml --runs 1 --device cpu --threads 1";
    for (epochs, short) in [(" --epochs 2", true), ("", false)] {
        let (code, _, stderr) = ends(&format!("{heads}{epochs}"), folder);
        assert_eq!(code, Some(0), "{stderr}");
        let (html, json) = report(folder, "results");
        assert_eq!(html.contains("Caveat.</b> Runs are shorter"), short);
        assert_eq!(json["caveats"].to_string().contains("2 of 4 epochs (heads)"), short);
        let run = if short { "2 of 4 epochs" } else { "4 epochs" };
        assert!(html.contains(&format!("The runs here have {run}.")), "{run}");
        assert!(html.contains(&format!("Accuracy by epoch after {run} (")), "{run}");
        assert_eq!(html.contains("different · after 2 of 4 epochs"), short);
        assert!(rows(&json, "answers").iter().all(|row| row[13] == run), "{run}");
    }
}
