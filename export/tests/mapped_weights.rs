//! Networks that PyTorch trained: compiled from a mapping file and compared with PyTorch's outputs.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use leitmotif_export::{Checkpoint, CheckpointError};
use leitmotif_models::HeadKind;
use serde_json::Value;
use support::manifest_folder;
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    manifest_folder().join("tests/data/pytorch").join(name)
}

#[test]
fn what_pytorch_trained_answers_alike_as_onnx() {
    for head in [HeadKind::Dense, HeadKind::Lstm] {
        let out = tempfile::tempdir().unwrap();
        let mapping = fixture(&format!("{head}.toml"));
        let output = Command::new(env!("CARGO_BIN_EXE_leitmotif-export"))
            .args(["compile", mapping.to_str().unwrap(), "--json", "--out"])
            .arg(out.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let reports: Value = serde_json::from_slice(&output.stdout).unwrap();
        let graphs = reports["graphs"].as_array().unwrap();
        assert_eq!(graphs.len(), 2);
        for output in graphs.iter().flat_map(|graph| graph["outputs"].as_array().unwrap()) {
            assert!(output["largest"].as_f64().unwrap() < 1e-5, "{head}: {output}");
        }
    }
}

#[test]
fn the_fixtures_separate_classes() {
    for head in [HeadKind::Dense, HeadKind::Lstm] {
        let checkpoint = Checkpoint::open(&fixture(&format!("{head}.toml"))).unwrap();
        let probabilities = checkpoint.probe().probabilities(1, 2);
        let (most, least) =
            probabilities.iter().fold((0f64, 1f64), |(a, b), p| (a.max(*p), b.min(*p)));
        assert!(most - least > 0.1, "{head}: {probabilities:?}");
    }
}

/// The dense fixture with another text of its mapping.
fn edited(old: &str, new: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for file in ["dense.safetensors", "dense.probe.safetensors"] {
        fs::copy(fixture(file), folder.path().join(file)).unwrap();
    }
    let text = fs::read_to_string(fixture("dense.toml")).unwrap();
    assert!(text.contains(old), "{old}");
    let path = folder.path().join("dense.toml");
    fs::write(&path, text.replace(old, new)).unwrap();
    (folder, path)
}

fn refusal(path: &Path) -> CheckpointError {
    Checkpoint::open(path).expect_err("a wrong mapping was read")
}

#[test]
fn a_mapping_that_does_not_fit_is_refused_with_the_reason() {
    for (old, new, reason) in [
        ("version = 1", "version = 2", "it is of version 2"),
        ("epsilon = 1e-5", "epsilon = -1.0", "epsilon is -1"),
        ("epsilon = 1e-5", "epsilom = 1e-5", "epsilom"),
        ("\"block1.conv\"", "\"block9.conv\"", "the network has no block9.conv"),
        ("output = \"classifier\"", "", "nothing is mapped to output"),
        ("\"Ada\", \"Bo\"", "\"Ada\", \"Ada\"", "`Ada` twice"),
        ("segment = 243", "segment = 244", "does not close"),
    ] {
        let (_folder, path) = edited(old, new);
        let error = refusal(&path);
        assert!(matches!(error, CheckpointError::Mapping { .. }), "{error}");
        assert!(error.to_string().contains(reason), "no `{reason}` in: {error}");
    }
}

#[test]
fn tensors_are_named_as_their_file_names_them() {
    let (_folder, path) = edited("\"features.1.1\"", "\"features.1.7\"");
    let error = refusal(&path).to_string();
    for problem in [
        "`features.1.7.weight` [4] is missing",
        "`features.1.7.running_var` [4] is missing",
        "`features.1.1.weight` [4] is not part of the network",
    ] {
        assert!(error.contains(problem), "no `{problem}` in: {error}");
    }
    assert!(!error.contains("num_batches_tracked"), "{error}");
}

#[test]
fn epsilon_and_biases_are_part_of_the_network() {
    // Another ε, or a norm that is left out, is another network: the probe notices.
    for (old, new) in
        [("epsilon = 1e-5", "epsilon = 1e-2"), ("\"block2.norm\" = \"features.1.1\"", "")]
    {
        let (folder, path) = edited(old, new);
        let ignore = "classes = [";
        let text = fs::read_to_string(&path).unwrap();
        let names = ["weight", "bias", "running_mean", "running_var"];
        let list = names.map(|name| format!("\"features.1.1.{name}\"")).join(", ");
        fs::write(&path, text.replace(ignore, &format!("ignore = [{list}]\n{ignore}"))).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_leitmotif-export"))
            .args(["compile", path.to_str().unwrap(), "--out"])
            .arg(folder.path().join("out"))
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains("differs"), "{new}: {error}");
    }
}
