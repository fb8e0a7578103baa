//! Other forms of a file: fixed sizes, the embedding alone, a description beside it; and the comparison of layers.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/command.rs"]
mod command;
mod support;

use std::fs;
use std::path::Path;

use leitmotif::session::{NamedTensor, Port, Session, SessionOptions};
use leitmotif::{Device, Error, Recognizer};
use leitmotif_models::HeadKind;
use prost::Message;
use serde_json::Value;

use command::{complaint, run, str, text};
use support::{ODD, TINY, Tiny, fixture_checkpoint, noise};

const SEGMENT: usize = 729;

fn on_cpu() -> SessionOptions {
    SessionOptions::on(Device::Cpu)
}

/// Compiles the committed checkpoint of a head into `out`.
fn compile(head: HeadKind, out: &Path, options: &[&str]) {
    let checkpoint = fixture_checkpoint(head);
    let fixed = ["compile", str(&checkpoint), "--name", "x", "--out", str(out)];
    text(&run(&[&fixed[..], options].concat()));
}

fn open(path: &Path) -> Session {
    Session::open(path, &on_cpu()).unwrap()
}

fn named<'a>(outputs: &'a [NamedTensor], name: &str) -> &'a NamedTensor {
    outputs.iter().find(|output| output.name == name).unwrap()
}

fn shapes(ports: &[Port]) -> Vec<(&str, Vec<Option<usize>>)> {
    ports.iter().map(|port| (port.name.as_str(), port.dims.clone().unwrap())).collect()
}

#[test]
fn fixed_sizes_are_declared_and_change_no_answer() {
    for (head, whole) in [(HeadKind::Dense, "clip"), (HeadKind::Lstm, "sequence")] {
        let out = tempfile::tempdir().unwrap();
        compile(head, &out.path().join("free"), &[]);
        let samples: Vec<f32> = [noise(5 * SEGMENT, 1), noise(5 * SEGMENT, 2)].concat();
        let input: [(&str, &[usize], &[f32]); 1] = [("waveform", &[2, 5 * SEGMENT], &samples)];
        let free = open(&out.path().join(format!("free/x.{whole}.onnx"))).run(&input).unwrap();
        for target in ["portable", "cpu", "cuda"] {
            let folder = out.path().join(target);
            compile(head, &folder, &["--batch", "2", "--segments", "5", "--target", target]);
            let path = folder.join(format!("x.{whole}.onnx"));
            let mut session = open(&path);
            assert_eq!(shapes(session.inputs()), [("waveform", vec![Some(2), Some(5 * SEGMENT)])]);
            let outputs = shapes(session.outputs());
            assert!(outputs.contains(&("segment_probabilities", vec![Some(2), Some(5), Some(3)])));
            for output in session.run(&input).unwrap() {
                for (a, b) in output.data.iter().zip(&named(&free, &output.name).data) {
                    assert!((a - b).abs() < 1e-6, "{target} {whole} {}", output.name);
                }
            }
            text(&run(&["verify", str(&path), str(&fixture_checkpoint(head))]));
            // Such a file does not take recordings of any length, and the error names the reason.
            let refused = Recognizer::open_with(&path, &on_cpu()).unwrap_err();
            assert!(matches!(refused, Error::FixedSizes { .. }), "{refused}");
        }
    }
}

#[test]
fn one_segment_at_a_time_is_recognised_with_whatever_its_batch() {
    let out = tempfile::tempdir().unwrap();
    compile(HeadKind::Dense, out.path(), &["--batch", "1"]);
    let samples = noise(3 * SEGMENT, 5);
    let answers = ["segment", "clip"].map(|graph| {
        let path = out.path().join(format!("x.{graph}.onnx"));
        let recognizer = Recognizer::open_with(path, &on_cpu()).unwrap();
        recognizer.recognize_samples(&samples).unwrap().artists[0].clone()
    });
    assert_eq!(answers[0].artist, answers[1].artist);
    assert!((answers[0].probability - answers[1].probability).abs() < 1e-6);
}

#[test]
fn overlapping_segments_have_fixed_sizes_too() {
    let out = tempfile::tempdir().unwrap();
    let checkpoint = out.path().join("checkpoint");
    Tiny::new(ODD, HeadKind::Lstm, 3, 3).save(&checkpoint);
    for target in ["portable", "cpu"] {
        let fixed = ["compile", str(&checkpoint), "--out", str(out.path()), "--force"];
        let options = ["--batch", "2", "--segments", "3", "--target", target];
        text(&run(&[&fixed[..], &options].concat()));
    }
}

#[test]
fn more_segments_than_the_probe_covers_are_refused() {
    let checkpoint = fixture_checkpoint(HeadKind::Dense);
    for segments in ["0", "8"] {
        let error = complaint(&run(&["compile", str(&checkpoint), "--segments", segments]));
        assert!(error.contains("1 to 7 segments"), "{error}");
    }
}

#[test]
fn a_file_may_end_with_the_embedding() {
    for (head, whole) in [(HeadKind::Dense, "clip"), (HeadKind::Lstm, "sequence")] {
        let out = tempfile::tempdir().unwrap();
        compile(head, out.path(), &[]);
        compile(head, out.path(), &["--embedding-only"]);
        let path = out.path().join("x.embedding.onnx");
        let input: [(&str, &[usize], &[f32]); 1] =
            [("waveform", &[1, 3 * SEGMENT], &noise(3 * SEGMENT, 1))];
        let expected = open(&out.path().join(format!("x.{whole}.onnx"))).run(&input).unwrap();
        let mut session = open(&path);
        assert_eq!(session.metadata("class_outputs_key"), None);
        let found = session.run(&input).unwrap();
        for (a, b) in
            named(&found, "embedding").data.iter().zip(&named(&expected, "embedding").data)
        {
            assert!((a - b).abs() < 1e-6, "{head}");
        }
        let names: Vec<&str> = found.iter().map(|output| output.name.as_str()).collect();
        match head {
            HeadKind::Dense => assert_eq!(names, ["embedding", "segment_embeddings"]),
            HeadKind::Lstm => assert_eq!(names, ["embedding"]),
        }
        text(&run(&["verify", str(&path), str(&fixture_checkpoint(head)), "--layers"]));
        let refused = Recognizer::open_with(&path, &on_cpu()).unwrap_err();
        assert!(matches!(refused, Error::EmbeddingOnly { .. }), "{refused}");
        // Neither the output layer nor anything else without use is in it.
        let printed = text(&run(&["inspect", str(&path)]));
        assert!(!printed.contains("Softmax") && !printed.contains("output 72"), "{printed}");
    }
}

#[test]
fn a_description_for_essentia_lies_beside_each_file() {
    let out = tempfile::tempdir().unwrap();
    let about = ["--author", "Ann", "--link", "https://example.org", "--date", "2026-11-27"];
    let about = [&about[..], &["--citation", "Ann 2026", "--email", "ann@example.org"]].concat();
    compile(HeadKind::Dense, out.path(), &[&["--sidecar", "essentia"], &about[..]].concat());
    let read = |graph: &str| -> Value {
        let path = out.path().join(format!("x.{graph}.json"));
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let clip = read("clip");
    assert_eq!(clip["inference"]["sample_rate"], 16_000);
    assert_eq!(clip["classes"].as_array().unwrap().len(), 3);
    for (field, value) in [
        ("author", "Ann"),
        ("email", "ann@example.org"),
        ("link", "https://example.org"),
        ("release_date", "2026-11-27"),
        ("citation", "Ann 2026"),
    ] {
        assert_eq!(clip[field], value);
    }
    assert_eq!(clip["schema"]["inputs"][0]["shape"], serde_json::json!([-1, -1]));
    let outputs = clip["schema"]["outputs"].as_array().unwrap();
    let purposes: Vec<&Value> = outputs.iter().map(|output| &output["output_purpose"]).collect();
    assert_eq!(purposes, ["predictions", "", "embeddings"]);
    // The operator of each output is that of the file.
    for graph in ["clip", "segment"] {
        let path = out.path().join(format!("x.{graph}.onnx"));
        let bytes = fs::read(&path).unwrap();
        for output in read(graph)["schema"]["outputs"].as_array().unwrap() {
            let (name, op) = (output["name"].as_str().unwrap(), output["op"].as_str().unwrap());
            assert_eq!(producer(&bytes, name), op, "{graph}: {name}");
        }
    }
    assert_eq!(read("segment")["schema"]["inputs"][0]["shape"], serde_json::json!([-1, SEGMENT]));
    // It is not overwritten either.
    fs::remove_file(out.path().join("x.clip.onnx")).unwrap();
    fs::remove_file(out.path().join("x.segment.onnx")).unwrap();
    let checkpoint = fixture_checkpoint(HeadKind::Dense);
    let arguments = ["compile", str(&checkpoint), "--name", "x", "--out", str(out.path())];
    let error = complaint(&run(&[&arguments[..], &["--sidecar", "essentia"]].concat()));
    assert!(error.contains("x.clip.json") && error.contains("--force"), "{error}");
    assert!(!out.path().join("x.clip.onnx").exists());
}

/// As much of an `.onnx` file as [`producer`] needs.
#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "2")]
    outputs: Vec<String>,
    #[prost(string, tag = "4")]
    operator: String,
}

/// The operator of the node of a file that gives this output.
fn producer(model: &[u8], output: &str) -> String {
    let nodes = Model::decode(model).unwrap().graph.unwrap().nodes;
    let made = nodes.into_iter().find(|node| node.outputs.iter().any(|o| o == output));
    made.unwrap().operator
}

#[test]
fn the_first_layer_that_departs_is_named() {
    for head in [HeadKind::Dense, HeadKind::Lstm] {
        let out = tempfile::tempdir().unwrap();
        compile(head, &out.path().join("models"), &[]);
        let graphs = fs::read_dir(out.path().join("models")).unwrap();
        let models: Vec<_> = graphs.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(models.len(), 2);
        // The same network but for one weight, in the middle of it.
        let mut tiny = Tiny::new(TINY, head, if head == HeadKind::Dense { 1 } else { 2 }, 2);
        tiny.weights.get_mut("block3.conv.weight").unwrap().1[0] += 0.25;
        let other = out.path().join("other");
        tiny.save(&other);
        for model in &models {
            let good =
                text(&run(&["verify", str(model), str(&fixture_checkpoint(head)), "--layers"]));
            assert!(good.contains("block6"), "{good}");
            let error = complaint(&run(&["verify", str(model), str(&other), "--layers"]));
            assert!(error.contains("block3 is the first layer that departs"), "{error}");
        }
    }
}

#[test]
fn layers_are_compared_in_every_precision() {
    let out = tempfile::tempdir().unwrap();
    for target in ["portable", "cuda"] {
        compile(
            HeadKind::Dense,
            out.path(),
            &["--precision", "fp16", "--target", target, "--force"],
        );
        let model = out.path().join("x.clip.onnx");
        let checkpoint = fixture_checkpoint(HeadKind::Dense);
        let printed = text(&run(&["verify", str(&model), str(&checkpoint), "--layers", "--json"]));
        let layers: Value = serde_json::from_str(&printed).unwrap();
        let layers = layers["layers"].as_array().unwrap();
        assert_eq!(layers.len(), 8, "{layers:?}");
        for layer in layers {
            let relative = layer["relative"].as_f64().unwrap();
            assert!(relative > 1e-6 && relative < 1e-2, "{target}: {layer}");
        }
    }
}
