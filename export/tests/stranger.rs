//! What a stranger sees: Python's onnx and onnxruntime, given nothing but the file.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests stop at a surprise"
)]

mod support;

use std::process::Command;

use leitmotif_export::Checkpoint;
use leitmotif_models::{Card, GraphKind, HeadKind};
use serde_json::Value;

use support::reference::Reference;
use support::{CLASSES, fixture_checkpoint, manifest_folder, runtime_fixtures};

/// Largest difference between Python's answer and the naive reference.
const TOLERANCE: f64 = 1e-5;

/// What `stranger.py` printed about a committed fixture.
fn ask_python(kind: GraphKind) -> Value {
    let packages = manifest_folder().join("../.deps/site-packages");
    assert!(
        packages.join("onnx").is_dir() && packages.join("onnxruntime").is_dir(),
        "Python's onnx and onnxruntime are not in .deps/site-packages; run `make setup` first"
    );
    let model = runtime_fixtures().join(format!("tiny.{}.onnx", kind.name()));
    let output = Command::new("python3")
        .arg(manifest_folder().join("tests/stranger.py"))
        .arg(&model)
        .env("PYTHONPATH", packages)
        .output()
        .expect("python3 must be installed; `make doctor` says how");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {complaint}", model.display());
    assert!(!complaint.contains("[W:onnxruntime"), "onnxruntime warns: {complaint}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn data(answer: &Value, output: &str) -> Vec<f64> {
    let data = answer["outputs"][output]["data"].as_array().unwrap();
    data.iter().map(|value| value.as_f64().unwrap()).collect()
}

fn check(kind: GraphKind) {
    let answer = ask_python(kind);
    assert_eq!((&answer["opset"], &answer["ir"]), (&13.into(), &7.into()));
    let metadata = &answer["metadata"];
    assert_eq!(metadata["sample_rate"], "16000");
    assert_eq!(metadata["class_outputs_key"], "probabilities");
    assert_eq!(metadata["embedding_outputs_key"], "embedding");
    // Commas, quotes and emoji arrive as they were written.
    assert_eq!(answer["classes"], serde_json::json!(CLASSES));
    let card = Card::from_json(metadata["leitmotif"].as_str().unwrap()).unwrap();
    assert_eq!((card.graph, &card.classes[..]), (kind, &CLASSES.map(str::to_owned)[..]));

    // The declared shapes are what strict inference finds by itself, but for the name of the segment axis.
    for (name, declared) in answer["declared"].as_object().unwrap() {
        let inferred = answer["inferred"][name].as_array().unwrap();
        for (declared, inferred) in declared.as_array().unwrap().iter().zip(inferred) {
            assert!(declared == inferred || declared == "segments", "{name}: {answer}");
        }
    }

    let checkpoint = Checkpoint::open(&fixture_checkpoint(kind.head())).unwrap();
    let weights =
        support::load_tensors(&fixture_checkpoint(kind.head()).join("weights.safetensors"));
    let reference = Reference { network: &checkpoint.run().network, weights: &weights };
    let answers = reference.segments(&card.golden.input.samples());
    let expected: Vec<f64> = match kind {
        GraphKind::Clip => (0..CLASSES.len())
            .map(|class| {
                answers.iter().map(|a| a.probabilities[class]).sum::<f64>() / answers.len() as f64
            })
            .collect(),
        _ => answers.last().unwrap().probabilities.clone(),
    };
    for (found, expected) in data(&answer, "probabilities").iter().zip(&expected) {
        assert!((found - expected).abs() <= TOLERANCE, "{found} instead of {expected}");
    }
    if kind.takes_any_length() {
        let expected: Vec<f64> = answers.iter().flat_map(|a| a.probabilities.clone()).collect();
        let found = data(&answer, "segment_probabilities");
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(&expected).all(|(f, e)| (f - e).abs() <= TOLERANCE));
    }
}

#[test]
fn clip() {
    check(GraphKind::Clip);
}

#[test]
fn segment() {
    check(GraphKind::Segment);
}

#[test]
fn sequence() {
    check(GraphKind::Sequence);
}

#[test]
fn step() {
    check(GraphKind::Step);
}

#[test]
fn fixtures_answer_differently_by_segment_and_head() {
    // A fixture whose classes lie together would hide mistakes.
    for head in [HeadKind::Dense, HeadKind::Lstm] {
        let probe = Checkpoint::open(&fixture_checkpoint(head)).unwrap();
        let probabilities = probe.probe().probabilities(0, 0);
        let (most, least) =
            probabilities.iter().fold((0f64, 1f64), |(a, b), p| (a.max(*p), b.min(*p)));
        assert!(most - least > 0.1, "{head}: {probabilities:?}");
    }
}
