//! Python's onnx and onnxruntime, given nothing but the file, against the reference.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use leitmotif_export::{Checkpoint, Recipe, compile_as};
use leitmotif_models::{Calibration, Card, GraphKind, HeadKind, Precision, RangeRule, Target};
use serde_json::Value;

use support::reference::{Answer, Reference};
use support::{CLASSES, fixture_checkpoint, manifest_folder, runtime_fixtures};

/// Largest difference between Python's answer and the naive reference, of every output.
const TOLERANCE: f64 = 1e-5;

/// The output of `onnxruntime_python.py` for a committed fixture.
fn ask_about(kind: GraphKind) -> Value {
    ask_python(
        "onnxruntime_python.py",
        &[runtime_fixtures().join(format!("tiny.{}.onnx", kind.name()))],
    )
}

/// The output of a script of this folder for these files.
fn ask_python(script: &str, models: &[PathBuf]) -> Value {
    let packages = manifest_folder().join("../.deps/site-packages");
    assert!(
        packages.join("onnx").is_dir() && packages.join("onnxruntime").is_dir(),
        "Python's onnx and onnxruntime are not in .deps/site-packages; run `make setup` first"
    );
    let output = Command::new("python3")
        .arg(manifest_folder().join("tests").join(script))
        .args(models)
        .env("PYTHONPATH", packages)
        .output()
        .expect("python3 must be installed; `make doctor` says how");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{models:?}: {complaint}");
    assert!(!complaint.contains("[W:onnxruntime"), "onnxruntime warns: {complaint}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn data(answer: &Value, output: &str) -> Vec<f64> {
    let data = answer["outputs"][output]["data"].as_array().unwrap();
    data.iter().map(|value| value.as_f64().unwrap()).collect()
}

fn check(kind: GraphKind) {
    let answer = ask_about(kind);
    assert_eq!((&answer["opset"], &answer["ir"]), (&11.into(), &4.into()));
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
fn the_opset_is_the_least_that_the_operators_of_a_form_need() {
    use Precision::{Fp16, Fp32, Int8};
    use Target::{Cpu, Cuda, Portable};
    let forms = [
        (Portable, Fp32, 11, 4),
        (Portable, Fp16, 11, 4),
        (Portable, Int8, 13, 7),
        (Cpu, Fp32, 13, 7),
        (Cpu, Fp16, 13, 7),
        (Cpu, Int8, 13, 7),
        (Cuda, Fp32, 13, 7),
        (Cuda, Fp16, 13, 7),
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (target, precision, ..) in forms {
        for head in [HeadKind::Dense, HeadKind::Lstm] {
            let checkpoint = Checkpoint::open(&fixture_checkpoint(head)).unwrap();
            let ranges = checkpoint.run().network.map_names().map(|block| (block, 1.0)).collect();
            let calibration = (precision == Int8).then(|| Calibration {
                rule: RangeRule::MinMax,
                source: "made up".to_owned(),
                clips: 1,
                segments: 1,
                ranges,
            });
            let name = format!("{target}-{precision}");
            let recipe = Recipe { target, precision, calibration, ..Recipe::named(&name) };
            for kind in GraphKind::of_head(head) {
                let artifact = compile_as(&checkpoint, kind, &recipe).unwrap();
                let path = folder.path().join(artifact.file_name());
                fs::write(&path, artifact.bytes()).unwrap();
                files.push(path);
            }
        }
    }
    let checked = ask_python("opsets.py", &files);
    let checked: Vec<&[Value]> = checked.as_array().unwrap().chunks(4).collect();
    assert_eq!(checked.len(), forms.len());
    for ((target, precision, opset, ir), graphs) in forms.into_iter().zip(checked) {
        let mut least = 0;
        for graph in graphs {
            assert_eq!((&graph["opset"], &graph["ir"]), (&opset.into(), &ir.into()), "{graph}");
            let operators = graph["operators"].as_object().unwrap().values();
            least = operators.map(|since| since.as_u64().unwrap()).fold(least, u64::max);
        }
        assert_eq!(least, opset, "{target} {precision}: {graphs:#?}");
    }
}

#[test]
fn fixtures_answer_differently_by_segment_and_head() {
    // A fixture whose classes have equal probabilities would hide mistakes.
    for head in [HeadKind::Dense, HeadKind::Lstm] {
        let probe = Checkpoint::open(&fixture_checkpoint(head)).unwrap();
        let probabilities = probe.probe().probabilities(0, 0);
        let (most, least) =
            probabilities.iter().fold((0f64, 1f64), |(a, b), p| (a.max(*p), b.min(*p)));
        assert!(most - least > 0.1, "{head}: {probabilities:?}");
    }
}
