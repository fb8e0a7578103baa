//! Temperature and threshold: fitted at the end of a run, and again by `leitmotif-train calibrate`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod tones;

use std::path::Path;
use std::process::{Command, Output};

use leitmotif_dataset::store::{Dataset, Part, write_split};
use leitmotif_models::Confidence;
use leitmotif_train::learn::checkpoint::read_record;

/// The code, what was printed, and what was said beside it.
fn ends(arguments: &str, folder: &Path) -> (Option<i32>, String, String) {
    let arguments = arguments.split(' ');
    let mut command = Command::new(env!("CARGO_BIN_EXE_leitmotif-train"));
    let Output { status, stdout, stderr } =
        command.args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (status.code(), text(&stdout), text(&stderr))
}

/// Five validation songs of each of two artists, and six of a third one, who has no other and so is no class.
fn dataset(folder: &Path) {
    tones::dataset(&folder.join("data"), 3, true);
    std::fs::write(folder.join("tiny.toml"), tones::TOML).unwrap();
    let dataset = Dataset::open(&folder.join("data")).unwrap();
    let part = |song: &str| match song.split_once('/').unwrap() {
        ("2", _) => Part::Validation,
        (_, "0") => Part::Train,
        _ => Part::Validation,
    };
    let parts: Vec<_> = dataset.clips().iter().map(|row| Some(part(row.song))).collect();
    write_split(&folder.join("data"), "validated", dataset.clips(), &parts).unwrap();
}

#[test]
fn a_run_ends_calibrated_by_its_validation_songs_and_can_be_calibrated_anew() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    dataset(folder);
    let fit = "fit data --split validated --network tiny.toml --out run --epochs 3 --steps 10 --batch 6 --rate 0.01 \
               --norm-momentum 0.8 --device cpu --threads 1";
    let (code, _, stderr) = ends(fit, folder);
    assert_eq!(code, Some(0), "{stderr}");
    for checkpoint in ["run/last", "run/best"] {
        let fitted = read_record(&folder.join(checkpoint)).unwrap().confidence.unwrap();
        assert_eq!((fitted.songs, fitted.keep), (10, Confidence::KEEP));
        assert!(fitted.kept >= 8, "{fitted:?}");
        assert_eq!(fitted.source, "tones, validated, validation");
        assert_eq!(fitted.unknown.unwrap().songs, 6);
    }

    let before = read_record(&folder.join("run/best")).unwrap();
    let calibrate = "calibrate run/best data --split validated --device cpu --threads 1";
    let (code, stdout, stderr) = ends(&format!("{calibrate} --keep 1 --json"), folder);
    assert_eq!(code, Some(0), "{stderr}");
    let printed: Confidence = serde_json::from_str(&stdout).unwrap();
    let after = read_record(&folder.join("run/best")).unwrap();
    assert_eq!(after.confidence.as_ref(), Some(&printed));
    assert_eq!((printed.kept, printed.keep), (10, 1.0));
    let threshold = before.confidence.as_ref().unwrap().threshold;
    assert!(printed.threshold <= threshold, "{printed:?}");
    // Nothing else is touched.
    assert_eq!(after.confidence, Some(printed));
    assert_eq!((after.scores, after.config), (before.scores, before.config));

    // Every song of another data set whose artist is no class.
    let (code, stdout, _) = ends(&format!("{calibrate} --unknown data"), folder);
    assert!(code == Some(0) && stdout.contains("of 6 songs of other artists accepted (tones)"));
    for (wrong, message) in [
        ("--keep 0", "above 0 and at most 1"),
        ("--part test", "its test part"),
        ("--unknown gone", "gone"),
    ] {
        let kept = read_record(&folder.join("run/best")).unwrap();
        let (code, _, stderr) = ends(&format!("{calibrate} {wrong}"), folder);
        assert!(code == Some(1) && stderr.contains(message), "{wrong}: {stderr}");
        assert_eq!(read_record(&folder.join("run/best")).unwrap(), kept);
    }
}
