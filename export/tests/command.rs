//! The command `leitmotif-export` from outside.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests stop at a surprise"
)]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use leitmotif_models::HeadKind;
use serde_json::Value;

use support::{TINY, Tiny, fixture_checkpoint, runtime_fixtures};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leitmotif-export"));
    command.args(arguments).env("RUST_BACKTRACE", "0").output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn files(folder: &Path) -> Vec<String> {
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| name(e.unwrap())).collect();
    names.sort();
    names
}

fn str(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn both_graphs_of_a_head_are_written_and_compared() {
    for (head, graphs) in
        [(HeadKind::Dense, ["clip", "segment"]), (HeadKind::Lstm, ["sequence", "step"])]
    {
        let out = tempfile::tempdir().unwrap();
        let folder = out.path().join("new/folder");
        let checkpoint = fixture_checkpoint(head);
        let arguments = ["compile", str(&checkpoint), "--out", str(&folder), "--name", "artists"];
        let table = text(&run(&arguments));
        for word in ["same top class", "probabilities", "wrote", graphs[0], graphs[1]] {
            assert!(table.contains(word), "{table}");
        }
        assert_eq!(files(&folder), graphs.map(|graph| format!("artists.{graph}.onnx")));

        let reports = text(&run(&[&arguments[..], &["--json"]].concat()));
        let reports: Value = serde_json::from_str(&reports).unwrap();
        for graph in reports["graphs"].as_array().unwrap() {
            for output in graph["outputs"].as_array().unwrap() {
                assert!(output["largest"].as_f64().unwrap() < 1e-5, "{output}");
                println!("{} {}", graph["graph"], output);
            }
        }
    }
}

#[test]
fn the_name_of_the_network_is_the_name_of_the_files() {
    let out = tempfile::tempdir().unwrap();
    let checkpoint = fixture_checkpoint(HeadKind::Dense);
    text(&run(&["compile", str(&checkpoint), "--out", str(out.path())]));
    assert_eq!(files(out.path()), ["tiny.clip.onnx", "tiny.segment.onnx"]);
}

/// A checkpoint whose probe ends with something else than its weights say.
fn tampered(folder: &Path, head: HeadKind, tensor: &str, by: f32) {
    let mut tiny = Tiny::new(TINY, head, 21, 3);
    *tiny.probe.get_mut(tensor).unwrap().1.last_mut().unwrap() += by;
    tiny.save(folder);
}

#[test]
fn a_departing_output_is_named_and_no_file_is_left() {
    for (head, tensor, by, output) in [
        (HeadKind::Dense, "logits", 1.0, "`probabilities` differs"),
        (HeadKind::Lstm, "logits", 1.0, "`probabilities` differs"),
        (HeadKind::Dense, "embedding", 0.01, "`embedding` differs"),
        (HeadKind::Lstm, "embedding", 0.01, "`embedding` differs"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (checkpoint, out) = (folder.path().join("checkpoint"), folder.path().join("out"));
        tampered(&checkpoint, head, tensor, by);
        let error = complaint(&run(&["compile", str(&checkpoint), "--out", str(&out)]));
        assert!(error.contains(output) && error.contains("e-"), "{error}");
        assert!(files(&out).is_empty(), "{:?}", files(&out));
    }
}

#[test]
fn a_failure_in_the_second_graph_leaves_no_first_one() {
    let folder = tempfile::tempdir().unwrap();
    let (checkpoint, out) = (folder.path().join("checkpoint"), folder.path().join("out"));
    let tiny = Tiny::new(TINY, HeadKind::Dense, 21, 1);
    tiny.save(&checkpoint);
    fs::create_dir_all(out.join("tiny.segment.onnx")).unwrap(); // A folder in the way of the second file.
    let error = complaint(&run(&["compile", str(&checkpoint), "--out", str(&out)]));
    assert!(error.contains("tiny.segment.onnx"), "{error}");
    assert_eq!(files(&out), ["tiny.segment.onnx"]);
}

#[test]
fn a_tampered_model_fails_verification() {
    let folder = tempfile::tempdir().unwrap();
    let (dense, lstm) = (fixture_checkpoint(HeadKind::Dense), fixture_checkpoint(HeadKind::Lstm));
    let good = runtime_fixtures().join("tiny.clip.onnx");
    text(&run(&["verify", str(&good), str(&dense)]));

    let bias = &support::load_tensors(&dense.join("weights.safetensors"))["output.bias"].1;
    let stored: Vec<u8> = bias.iter().flat_map(|x| x.to_le_bytes()).collect();
    let mut bytes = fs::read(&good).unwrap();
    let at = bytes.windows(stored.len()).position(|window| window == stored).unwrap();
    bytes[at..at + 4].copy_from_slice(&(bias[0] + 0.001).to_le_bytes());
    let model = folder.path().join("tampered.onnx");
    fs::write(&model, bytes).unwrap();
    let error = complaint(&run(&["verify", str(&model), str(&dense)]));
    assert!(error.contains("tampered.onnx") && error.contains("probabilities` differs"), "{error}");

    let error = complaint(&run(&["verify", str(&good), str(&lstm)]));
    assert!(error.contains("its network is not the checkpoint's"), "{error}");
}

#[test]
fn an_unwritable_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("file");
    fs::write(&blocked, "in the way").unwrap();
    let checkpoint = fixture_checkpoint(HeadKind::Dense);
    let out = blocked.join("out");
    let error = complaint(&run(&["compile", str(&checkpoint), "--out", str(&out)]));
    assert!(error.contains(str(&out)), "{error}");
}

#[test]
fn a_name_that_is_a_path_is_refused() {
    let checkpoint = fixture_checkpoint(HeadKind::Dense);
    for name in ["a/b", "..", ""] {
        let error = complaint(&run(&["compile", str(&checkpoint), "--name", name]));
        assert!(error.contains("--name"), "{error}");
    }
}

#[test]
fn a_preset_is_printed_as_the_paper_prints_it() {
    let table = text(&run(&["inspect", "model1", "--head", "lstm", "--classes", "222"]));
    assert!(table.contains("2,271,390"), "{table}");
    let json = text(&run(&["inspect", "model1", "--head", "dense", "--classes", "222", "--json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    let layers = json["layers"].as_array().unwrap();
    let parameters: u64 = layers.iter().map(|l| l["parameters"].as_u64().unwrap()).sum();
    assert_eq!(parameters, 826_526);
}

#[test]
fn a_checkpoint_and_a_model_print_the_same_network() {
    let checkpoint = text(&run(&["inspect", str(&fixture_checkpoint(HeadKind::Lstm))]));
    let model = runtime_fixtures().join("tiny.sequence.onnx");
    let printed = text(&run(&["inspect", str(&model)]));
    assert!(printed.ends_with(&checkpoint), "{printed}\n---\n{checkpoint}");
    for line in [
        "input         waveform [batch, samples]",
        "output        segment_probabilities [batch, segments, 3]",
        "IR 7, opset ai.onnx 13",
        "LSTM 1",
        "metadata      sample_rate = 16000",
    ] {
        assert!(printed.contains(line), "{printed}");
    }
    let json: Value =
        serde_json::from_str(&text(&run(&["inspect", str(&model), "--json"]))).unwrap();
    assert_eq!(json["model"]["operators"]["Conv"], 6);
    assert_eq!(json["card"]["graph"], "sequence");
}

#[test]
fn what_cannot_be_inspected_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.onnx");
    let whole = fs::read(runtime_fixtures().join("tiny.clip.onnx")).unwrap();
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    assert!(complaint(&run(&["inspect", str(&cut)])).contains("cut.onnx"));
    assert!(complaint(&run(&["inspect", "model9"])).contains("model1"));
}
