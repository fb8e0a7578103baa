//! Runs that are looked at afterwards: `runs`, `compare` and `plot` of folders, also of damaged ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod tiny;
mod tones;

use std::fs;
use std::path::Path;

use serde_json::Value;
use tiny::ends;

/// Two runs of one name, of other learning rates: `a/run` is done, `b/run` has no test scores to be compared with.
fn runs(folder: &Path) {
    tones::dataset(&folder.join("data"), 3, true);
    fs::write(folder.join("tiny.toml"), tones::TOML).unwrap();
    let fit = "fit data --split song-seed1 --network tiny.toml --steps 10 --batch 6 --norm-momentum 0.8 --device cpu \
               --threads 1";
    for more in
        ["--out a/run --epochs 3 --rate 0.01", "--out b/run --epochs 2 --rate 0.005 --seed 4"]
    {
        let (code, _, stderr) = ends(&format!("{fit} {more}"), folder);
        assert_eq!(code, Some(0), "{stderr}");
    }
}

/// A copy of `a/run` whose history ends in the middle of its last line.
fn cut_run(folder: &Path) {
    let run = folder.join("cut/run");
    tones::copy(&folder.join("a/run"), &run);
    let history = fs::read_to_string(run.join("history.csv")).unwrap();
    let line = history.trim_end().rfind('\n').unwrap();
    fs::write(run.join("history.csv"), &history[..line + 12]).unwrap();
}

#[test]
fn runs_are_listed_compared_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    runs(folder);
    cut_run(folder);
    listed(folder);
    compared(folder);
    drawn(folder);
}

fn listed(folder: &Path) {
    tones::copy(&folder.join("a/run"), &folder.join("odd/run"));
    fs::write(folder.join("odd/run/last/run.json"), "{").unwrap();
    let (code, stdout, stderr) = ends("runs", folder);
    assert_eq!(code, Some(0), "{stderr}");
    let lines: Vec<&str> = stdout.lines().collect();
    assert!(lines[0].starts_with("run  ") && lines[0].contains("test: clips"), "{stdout}");
    assert!(lines[1].starts_with("a/run  tiny") && lines[1].contains("3/3"), "{stdout}");
    assert!(lines[2].starts_with("b/run  tiny") && lines[2].contains("2/2"), "{stdout}");
    assert!(
        lines[3].starts_with("cut/run cannot be read") && lines[3].contains("history.csv"),
        "{stdout}"
    );
    assert!(
        lines[4].starts_with("odd/run cannot be read") && lines[4].contains("run.json"),
        "{stdout}"
    );

    let (code, stdout, _) = ends("runs . --json", folder);
    assert_eq!(code, Some(0));
    let rows: Value = serde_json::from_str(&stdout).unwrap();
    let record = fs::read_to_string(folder.join("b/run/best/run.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(rows[1]["test_clips"], record["scores"]["clip_accuracy"]);
    let shown = ["name", "network", "head", "split", "device", "seed", "epochs_done", "finished"]
        .map(|key| &rows[1][key]);
    let expected: [Value; 8] = [
        "b/run".into(),
        "tiny".into(),
        "dense".into(),
        "song-seed1".into(),
        "cpu".into(),
        4.into(),
        2.into(),
        true.into(),
    ];
    assert_eq!(shown.map(Clone::clone), expected);
    assert!(
        rows[1]["modified"].as_u64().unwrap() >= rows[1]["started"].as_u64().unwrap(),
        "{rows}"
    );
    assert!(rows[1]["error"].is_null() && rows[2]["error"].is_string(), "{rows}");

    fs::create_dir(folder.join("empty")).unwrap();
    for (arguments, message) in
        [("runs empty", "empty holds no run"), ("runs nowhere", "nowhere: No such file")]
    {
        let (code, stdout, stderr) = ends(arguments, folder);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{arguments}");
        assert!(stderr.starts_with("error: ") && stderr.contains(message), "{stderr}");
    }
}

fn compared(folder: &Path) {
    let (code, stdout, stderr) = ends("compare a/run b/run", folder);
    assert_eq!(code, Some(0), "{stderr}");
    let line = |start: &str| {
        let found = stdout.lines().find(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("{start}: {stdout}")).split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(line("config.rate"), ["config.rate", "0.01", "0.005"]);
    assert_eq!(line("config.epochs"), ["config.epochs", "3", "2"]);
    assert_eq!(line("best epoch").len(), 4);
    assert!(line("test songs").contains(&"to"), "{stdout}");
    assert!(
        stdout.lines().next().unwrap().contains("a/run") && !stdout.contains("config.batch"),
        "{stdout}"
    );
    assert!(stdout.contains("training loss, ") && stdout.contains('█'), "{stdout}");
    assert!(!stdout.contains("cannot be compared"), "{stdout}");

    let (_, stdout, _) = ends("compare a/run b/run --json", folder);
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["runs"], serde_json::json!(["a/run", "b/run"]));
    assert_eq!(json["settings"]["config.rate"], serde_json::json!([0.01, 0.005]));
    assert_eq!(json["histories"][0].as_array().unwrap().len(), 3);

    // Runs of other splits are said to be that.
    let record = folder.join("odd/run/last/run.json");
    let text = fs::read_to_string(folder.join("a/run/last/run.json")).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value["split"]["digest"] = "0123456789abcdef".into();
    fs::write(&record, value.to_string()).unwrap();
    let (_, stdout, _) = ends("compare a/run odd/run", folder);
    assert!(stdout.contains("split.digest") && stdout.contains("cannot be compared"), "{stdout}");

    for (arguments, code, message) in [
        ("compare a/run", 2, "2 values required"),
        ("compare a/run a/run", 1, "named twice"),
        ("compare a/run data", 1, "data is no folder of a run"),
        ("compare a/run cut/run", 1, "cut/run/history.csv"),
    ] {
        let (found, _, stderr) = ends(arguments, folder);
        assert_eq!(found, Some(code), "{arguments}: {stderr}");
        assert!(stderr.contains(message), "{arguments}: {stderr}");
    }
}

fn drawn(folder: &Path) {
    let (code, _, stderr) = ends("plot a/run b/run --out curves.svg", folder);
    assert_eq!(code, Some(0), "{stderr}");
    let svg = fs::read_to_string(folder.join("curves.svg")).unwrap();
    assert!(
        svg.starts_with("<svg ")
            && svg.contains(">a/run, b/run (training dashed)<")
            && svg.contains("epoch"),
        "{svg}"
    );
    let (code, _, stderr) = ends("plot a/run --title one --out curve.png", folder);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(fs::read(folder.join("curve.png")).unwrap().starts_with(b"\x89PNG"));

    for (arguments, message) in [
        ("plot a/run cut/run --out no.svg", "cut/run/history.csv"),
        ("plot empty --out no.svg", "empty is no folder of a run"),
        ("plot a/run a/../a/run --out no.svg", "named twice"),
        ("plot a/run --song x --out no.svg", "--song is for answers"),
        ("plot tiny.toml --out no.png", "SVG only"),
        ("plot a/run --out nowhere/no.svg", "cannot write nowhere/no.svg"),
    ] {
        let (code, _, stderr) = ends(arguments, folder);
        assert_eq!(code, Some(1), "{arguments}: {stderr}");
        assert!(stderr.contains(message), "{arguments}: {stderr}");
    }
    assert!(!folder.join("no.svg").exists());
}
