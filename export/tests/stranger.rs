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

use support::reference::{Answer, Reference};
use support::{CLASSES, fixture_checkpoint, manifest_folder, runtime_fixtures};

/// Largest difference between Python's answer and the naive reference, of every output.
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

    // The declared shapes are what strict inference finds by itself. It gives the segment axis a name of its own.
    let declared = answer["declared"].as_object().unwrap();
    assert!(declared.len() >= 3, "{answer}");
    for (name, declared) in declared {
        let (declared, inferred) = (declared.as_array().unwrap(), &answer["inferred"][name]);
        let inferred = inferred.as_array().unwrap_or_else(|| panic!("{name} was not inferred"));
        assert_eq!(declared.len(), inferred.len(), "{name}: {answer}");
        for (declared, inferred) in declared.iter().zip(inferred) {
            if declared == "segments" {
                let symbol = inferred.as_str().unwrap_or_default();
                assert!(!symbol.is_empty() && symbol != "batch", "{name}: {answer}");
            } else {
                assert_eq!(declared, inferred, "{name}: {answer}");
            }
        }
    }

    let checkpoint = Checkpoint::open(&fixture_checkpoint(kind.head())).unwrap();
    let weights =
        support::load_tensors(&fixture_checkpoint(kind.head()).join("weights.safetensors"));
    let reference = Reference { network: &checkpoint.run().network, weights: &weights };
    let answers = reference.segments(&card.golden.input.samples());
    assert!(!answers.is_empty());
    let last = answers.last().unwrap();
    let near = |output: &str, expected: &[f64]| {
        let found = data(&answer, output);
        assert_eq!(found.len(), expected.len(), "{output}");
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= TOLERANCE, "{output}: {found} not {expected}");
        }
    };
    let outputs = answer["outputs"].as_object().unwrap().len();
    match kind {
        GraphKind::Clip => {
            near("probabilities", &mean(&answers, |a| &a.probabilities));
            near("embedding", &mean(&answers, |a| &a.embedding));
        }
        _ => {
            near("probabilities", &last.probabilities);
            near("embedding", &last.embedding);
        }
    }
    if kind.takes_any_length() {
        let each: Vec<f64> = answers.iter().flat_map(|a| a.probabilities.clone()).collect();
        near("segment_probabilities", &each);
        assert_eq!(outputs, 3);
    } else {
        near("logits", &last.logits);
        if kind == GraphKind::Step {
            near("h_next", &last.embedding);
            near("c_next", &last.cell);
        }
        assert_eq!(outputs, if kind == GraphKind::Step { 5 } else { 3 });
    }
}

fn mean(answers: &[Answer], part: impl Fn(&Answer) -> &Vec<f64>) -> Vec<f64> {
    let sum = |i: usize| answers.iter().map(|answer| part(answer)[i]).sum::<f64>();
    (0..part(&answers[0]).len()).map(|i| sum(i) / answers.len() as f64).collect()
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
