//! `compile --sidecar huggingface`: the folder, and the answers of the file in it.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/command.rs"]
mod command;
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use leitmotif::session::{Session, SessionOptions};
use leitmotif::{Device, Error, Recognizer};
use leitmotif_export::{Checkpoint, Recipe, compile_as};
use leitmotif_models::{Confidence, GraphKind, HeadKind, Precision, Target};
use serde_json::Value;
use yaml_rust2::YamlLoader;

use command::{complaint, run, str, text};
use support::{CLASSES, ODD, TINY, Tiny, fixture_checkpoint, noise};

const FILES: [&str; 4] =
    ["README.md", "config.json", "onnx/model.onnx", "preprocessor_config.json"];

fn on_cpu() -> SessionOptions {
    SessionOptions::on(Device::Cpu)
}

/// Compiles the committed checkpoint of a head with `--sidecar huggingface` and returns the folder `x`.
fn compile(head: HeadKind, out: &Path, options: &[&str]) -> PathBuf {
    let checkpoint = fixture_checkpoint(head);
    let fixed = ["compile", str(&checkpoint), "--name", "x", "--out", str(out)];
    text(&run(&[&fixed[..], &["--sidecar", "huggingface"], options].concat()));
    out.join("x")
}

/// The files below a folder, by their paths in it.
fn files(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            names.extend(files(&entry.path()).into_iter().map(|inner| format!("{name}/{inner}")));
        } else {
            names.push(name);
        }
    }
    names.sort();
    names
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_folder_has_what_the_hub_and_its_libraries_read() {
    for head in [HeadKind::Dense, HeadKind::Lstm] {
        let out = tempfile::tempdir().unwrap();
        let about = ["--license", "cc-by-4.0", "--hub-dataset", "ann/noise", "--author", "Ann: *"];
        let folder = compile(head, out.path(), &about);
        assert_eq!(files(&folder), FILES);

        let config = json(&folder.join("config.json"));
        for (number, class) in CLASSES.iter().enumerate() {
            assert_eq!(config["id2label"][number.to_string()], *class);
            assert_eq!(config["label2id"][class], number);
        }
        assert_eq!(config["transformers.js_config"]["dtype"], "fp32");
        let extractor = json(&folder.join("preprocessor_config.json"));
        assert_eq!(extractor["feature_extractor_type"], "Wav2Vec2FeatureExtractor");
        assert_eq!(extractor["sampling_rate"], 16_000);
        assert_eq!(extractor["do_normalize"], false);

        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        let (front, page) = readme.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap();
        let front = &YamlLoader::load_from_str(front).unwrap()[0];
        assert_eq!(front["license"].as_str(), Some("cc-by-4.0"));
        assert_eq!(front["pipeline_tag"].as_str(), Some("audio-classification"));
        assert_eq!(front["library_name"].as_str(), Some("transformers.js"));
        assert_eq!(front["datasets"][0].as_str(), Some("ann/noise"));
        assert!(page.contains(r"- Author: Ann: \*"), "{page}");
        // The fixtures have no scores, so there are no results.
        assert!(front["model-index"].is_badvalue());
        assert_eq!(page.contains("LSTM"), head == HeadKind::Lstm);

        // The file is a whole one: it has its card, and `verify` compares it as the others.
        let model = folder.join("onnx/model.onnx");
        let checkpoint = fixture_checkpoint(head);
        let verify = ["verify", str(&model), str(&checkpoint), "--layers"];
        text(&run(&verify[..3]));
        assert!(complaint(&run(&verify)).contains("beside its folder"));
        let session = Session::open(&model, &on_cpu()).unwrap();
        assert_eq!(session.metadata("class_outputs_key").as_deref(), Some("logits"));
        assert_eq!(session.metadata("embedding_outputs_key"), None);
        let refused = Recognizer::open_with(&model, &on_cpu()).unwrap_err();
        assert!(matches!(refused, Error::HuggingFace { .. }), "{refused}");
    }
}

#[test]
fn scores_and_names_of_any_text_are_read_back_from_the_metadata() {
    let out = tempfile::tempdir().unwrap();
    let mut tiny = Tiny::new(TINY, HeadKind::Dense, 3, 2);
    let name = "a: \"b\"\n---\n\u{85}# 🎷";
    tiny.run.dataset.name = name.to_owned();
    let estimate = serde_json::json!({ "value": 0.75, "low": 0.5, "high": 1.0 });
    let artist = |artist: &str| {
        serde_json::json!({ "artist": artist, "clips": 2, "clips_right": 1, "songs": 2, "songs_right": 1,
            "songs_mistaken": 0, "song_f1": 0.5 })
    };
    let scores = serde_json::json!({
        "clips": 6, "songs": 6, "segment_accuracy": estimate, "clip_accuracy": estimate, "song_accuracy": estimate,
        "song_macro_f1": estimate, "majority_clips": 0.4, "majority_songs": 0.4, "clip_top_k": [0.75, 0.9, 1.0],
        "artists": CLASSES.map(artist), "song_confusion": [[2, 0, 0], [0, 2, 0], [0, 0, 2]],
    });
    tiny.run.scores = Some(serde_json::from_value(scores).unwrap());
    tiny.save(&out.path().join("checkpoint"));
    let checkpoint = Checkpoint::open(&out.path().join("checkpoint")).unwrap();
    let recipe = Recipe { huggingface: true, ..Recipe::named("x") };
    let artifact = compile_as(&checkpoint, GraphKind::Clip, &recipe).unwrap();
    let folder = leitmotif_export::hub_folder(&artifact, &leitmotif_export::About::default());
    let readme = String::from_utf8(folder[0].1.clone()).unwrap();
    let front = readme.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap().0;
    let front = &YamlLoader::load_from_str(front).unwrap()[0];
    assert_eq!(front["license"].as_str(), Some("unknown"));
    assert!(front["datasets"].is_badvalue());
    let result = &front["model-index"][0]["results"][0];
    assert_eq!(result["dataset"]["name"].as_str(), Some(name));
    assert_eq!(result["dataset"]["type"].as_str(), Some("a-b"));
    assert_eq!(result["metrics"][0]["type"].as_str(), Some("accuracy"));
    assert_eq!(result["metrics"][0]["value"].as_f64(), Some(0.75));
}

fn confidence(temperature: f64) -> Confidence {
    let text = format!(
        r#"{{"temperature":{temperature},"threshold":0.0,"keep":0.8,"source":"made up","songs":20,"kept":16,
            "kept_right":15,"loss_before":1.0,"loss_after":0.9,"reliability":[]}}"#
    );
    serde_json::from_str(&text).unwrap()
}

/// The softmax of the file's logits for recordings side by side.
fn softmax(session: &mut Session, recordings: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let shape = [recordings.len(), recordings[0].len()];
    let outputs = session.run(&[("input_values", &shape, &recordings.concat())]).unwrap();
    assert_eq!(outputs.len(), 1);
    assert_eq!(
        (outputs[0].name.as_str(), &outputs[0].shape[..]),
        ("logits", &[recordings.len(), 3][..])
    );
    let rows = outputs[0].data.chunks(3).map(|row| {
        let powers: Vec<f64> = row.iter().map(|x| f64::from(*x).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(|power| power / sum).collect()
    });
    rows.collect()
}

#[test]
fn the_softmax_of_its_logits_is_the_answer_of_the_runtime_for_any_number_of_segments() {
    for (toml, head, temperature) in [
        (TINY, HeadKind::Dense, None),
        (TINY, HeadKind::Lstm, Some(0.5)),
        (ODD, HeadKind::Dense, Some(2.0)),
        (ODD, HeadKind::Lstm, None),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut tiny = Tiny::new(toml, head, 3, 2);
        tiny.run.confidence = temperature.map(confidence);
        let network = tiny.run.network.clone();
        tiny.save(folder.path());
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        let kind = GraphKind::of_head(head)[0];
        for target in Target::ALL {
            let plain = Recipe { target, ..Recipe::named("x") };
            let hub = Recipe { huggingface: true, ..plain.clone() };
            let bytes = |recipe| compile_as(&checkpoint, kind, recipe).unwrap().bytes().to_vec();
            let recognizer = Recognizer::from_bytes(&bytes(&plain), &on_cpu()).unwrap();
            let mut session = Session::from_bytes(&bytes(&hub), &on_cpu()).unwrap();
            for segments in 1..=3 * network.window {
                // With something left after the last segment, too.
                for rest in [0, network.hop / 2] {
                    let samples = network.samples_of(segments) + rest;
                    let recordings = [noise(samples, 5), noise(samples, 6)];
                    for (recording, found) in
                        recordings.iter().zip(softmax(&mut session, &recordings))
                    {
                        for artist in recognizer.recognize_samples(recording).unwrap().artists {
                            let gap = (f64::from(artist.probability) - found[artist.class]).abs();
                            assert!(gap < 1e-5, "{head} {target} {segments} segments: {gap:.1e}");
                        }
                    }
                }
            }
            let short = noise(network.segment - 1, 5);
            session.run(&[("input_values", &[1, short.len()], &short)]).unwrap_err();
        }
    }
}

#[test]
fn the_name_of_the_file_says_its_precision() {
    let out = tempfile::tempdir().unwrap();
    let folder = compile(HeadKind::Lstm, out.path(), &["--precision", "fp16"]);
    assert!(folder.join("onnx/model_fp16.onnx").exists());
    assert_eq!(json(&folder.join("config.json"))["transformers.js_config"]["dtype"], "fp16");
    text(&run(&[
        "verify",
        str(&folder.join("onnx/model_fp16.onnx")),
        str(&fixture_checkpoint(HeadKind::Lstm)),
    ]));
}

#[test]
fn files_of_the_folder_are_replaced_only_where_asked_and_others_stay() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().join("x");
    fs::create_dir_all(folder.join(".git")).unwrap();
    fs::write(folder.join(".git/config"), "").unwrap();
    fs::write(folder.join("README.md"), "mine").unwrap();
    let checkpoint = fixture_checkpoint(HeadKind::Dense);
    let arguments = [
        "compile",
        str(&checkpoint),
        "--name",
        "x",
        "--out",
        str(out.path()),
        "--sidecar",
        "huggingface",
    ];
    let error = complaint(&run(&arguments));
    assert!(error.contains("README.md") && error.contains("--force"), "{error}");
    assert_eq!(files(out.path()), ["x/.git/config", "x/README.md"]);
    compile(HeadKind::Dense, out.path(), &["--force"]);
    assert_eq!(files(&folder)[1..], FILES);
    assert!(fs::read_to_string(folder.join("README.md")).unwrap().starts_with("---\n"));
}

#[test]
fn what_it_cannot_be_is_refused_before_anything_is_written() {
    let out = tempfile::tempdir().unwrap();
    let checkpoint = fixture_checkpoint(HeadKind::Dense);
    let fixed = ["compile", str(&checkpoint), "--name", "x", "--out", str(out.path())];
    for option in [&["--batch", "1"][..], &["--segments", "5"], &["--embedding-only"]] {
        let error = complaint(&run(&[&fixed[..], &["--sidecar", "huggingface"], option].concat()));
        assert!(error.contains(option[0]), "{error}");
    }
    // An option of a description without one, and texts that the Hub would refuse.
    for (options, phrase) in [
        (&["--license", "mit"][..], "--sidecar"),
        (&["--sidecar", "huggingface", "--license", "CC BY"], "lower case"),
        (&["--sidecar", "huggingface", "--hub-dataset", "my music"], "OWNER/NAME"),
        (&["--sidecar", "essentia", "--date", "today"], "YYYY-MM-DD"),
    ] {
        let output = run(&[&fixed[..], options].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && error.contains(phrase), "{error}");
    }
    // A file where the folder is to be.
    fs::write(out.path().join("x"), "").unwrap();
    let error = complaint(&run(&[&fixed[..], &["--sidecar", "huggingface"]].concat()));
    assert!(error.contains("cannot write"), "{error}");
    assert_eq!(files(out.path()), ["x"]);
}

#[test]
fn only_graphs_that_answer_for_whole_recordings_have_this_form() {
    let checkpoint = Checkpoint::open(&fixture_checkpoint(HeadKind::Dense)).unwrap();
    let hub = Recipe { huggingface: true, ..Recipe::named("x") };
    let error = compile_as(&checkpoint, GraphKind::Segment, &hub).unwrap_err().to_string();
    assert!(error.contains("any length"), "{error}");
    let artifact = compile_as(&checkpoint, GraphKind::Clip, &hub).unwrap();
    assert_eq!(artifact.bytes(), compile_as(&checkpoint, GraphKind::Clip, &hub).unwrap().bytes());
    assert_eq!(artifact.card().precision, Precision::Fp32);
    assert_eq!(Recipe::of(artifact.card()), hub);
}
