//! Checkpoints that must be refused, each with one error that tells all.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;
use std::path::Path;

use leitmotif_export::{Checkpoint, CheckpointError, ExportError, LowerError, compile};
use leitmotif_models::{GraphKind, HeadKind};

use support::{ODD, Tiny};

/// Changes a good checkpoint, then opens and compiles it.
fn refused(change: impl FnOnce(&mut Tiny, &Path)) -> ExportError {
    let folder = tempfile::tempdir().unwrap();
    let mut tiny = Tiny::new(ODD, HeadKind::Dense, 3, 2);
    tiny.save(folder.path());
    change(&mut tiny, folder.path());
    match Checkpoint::open(folder.path()) {
        Err(error) => error.into(),
        Ok(checkpoint) => compile(&checkpoint, GraphKind::Clip, "x").unwrap_err(),
    }
}

fn names(error: &ExportError, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "no `{word}` in: {text}");
    }
}

#[test]
fn a_checkpoint_that_a_killed_trainer_left_under_its_other_name_is_found() {
    let folder = tempfile::tempdir().unwrap();
    Tiny::new(ODD, HeadKind::Dense, 3, 2).save(&folder.path().join(".last.old"));
    Checkpoint::open(&folder.path().join("last")).unwrap();
    assert!(Checkpoint::open(&folder.path().join("best")).is_err());
    let error = Checkpoint::open(folder.path()).unwrap_err();
    assert!(matches!(error, CheckpointError::RunFolder { .. }), "{error}");
}

#[test]
fn missing_surplus_misshapen_and_nan_weights_are_named_at_once() {
    let error = refused(|tiny, folder| {
        tiny.weights.remove("block2.norm.running_var");
        tiny.weights.insert("lstm.weight_ih".into(), (vec![1], vec![0.0]));
        tiny.weights.get_mut("dense.weight").unwrap().0.reverse();
        tiny.weights.get_mut("output.bias").unwrap().1[1] = f32::NAN;
        tiny.save(folder);
    });
    assert!(
        matches!(&error, ExportError::Checkpoint(CheckpointError::Tensors { files }) if files.len() == 1 && files[0].problems.0.len() == 4)
    );
    names(
        &error,
        &[
            "weights.safetensors",
            "`block2.norm.running_var` [3] is missing",
            "`lstm.weight_ih` [1] is not part of the network",
            "`dense.weight` has shape [7, 6] instead of [6, 7]",
            "`output.bias` has 1 values that are NaN",
        ],
    );
}

#[test]
fn nan_weights_are_named_before_the_nan_answers_that_they_gave() {
    let error = refused(|tiny, folder| {
        tiny.weights.get_mut("block1.conv.weight").unwrap().1[0] = f32::NAN;
        tiny.probe.get_mut("logits").unwrap().1.fill(f32::NAN);
        tiny.save(folder);
    });
    let text = error.to_string();
    let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("no `{word}` in: {text}"));
    assert!(at("`block1.conv.weight` has 1 values that are NaN") < at("`logits` has 24 values"));
    assert!(at("weights.safetensors") < at("probe.safetensors"));
}

#[test]
fn a_batch_norm_that_overflows_its_layer_is_named() {
    let error = refused(|tiny, folder| {
        tiny.weights.get_mut("dense.norm.weight").unwrap().1[2] = 3e38;
        tiny.weights.get_mut("dense.norm.running_var").unwrap().1[2] = 0.0;
        tiny.save(folder);
    });
    assert!(
        matches!(&error, ExportError::Lower(LowerError::Overflow { layer }) if layer == "dense"),
        "{error}"
    );
}

#[test]
fn a_probe_of_other_segments_is_refused() {
    let error = refused(|tiny, folder| {
        let (shape, _) = tiny.probe.get_mut("logits").unwrap();
        shape.swap(0, 1);
        tiny.save(folder);
    });
    names(&error, &["probe.safetensors", "`logits`"]);
}

#[test]
fn a_probe_with_fewer_answers_than_inputs_is_refused() {
    let error = refused(|tiny, folder| {
        let (shape, data) = tiny.probe.get_mut("embedding").unwrap();
        shape[0] = 1;
        data.truncate(data.len() / 2);
        tiny.save(folder);
    });
    names(&error, &["`embedding` has shape [1, 4, 6] instead of [2, 4, 6]"]);
}

#[test]
fn an_empty_probe_is_refused() {
    let error = refused(|tiny, folder| {
        for (shape, data) in tiny.probe.values_mut() {
            shape[0] = 0;
            data.clear();
        }
        tiny.save(folder);
    });
    names(&error, &["probe.safetensors", "`waveform`"]);
}

#[test]
fn a_probe_that_does_not_begin_with_the_golden_input_is_refused() {
    let error = refused(|tiny, folder| {
        tiny.probe.get_mut("waveform").unwrap().1[5] = 0.5;
        tiny.save(folder);
    });
    assert!(
        matches!(error, ExportError::Checkpoint(CheckpointError::NotGolden { sample: 5, .. })),
        "{error}"
    );
}

#[test]
fn classes_that_do_not_fit_the_output_layer_are_refused() {
    let error = refused(|tiny, folder| {
        tiny.run.classes.push("Di".into());
        tiny.save(folder);
    });
    names(&error, &["`output.weight` has shape [3, 6] instead of [4, 6]"]);
    names(&error, &["`logits`", "instead of [any, 4, 4]"]);
}

#[test]
fn absent_cut_and_foreign_files_are_named() {
    for file in ["run.json", "weights.safetensors", "probe.safetensors"] {
        let error = refused(|_, folder| fs::remove_file(folder.join(file)).unwrap());
        names(&error, &[file, "cannot read"]);
        let error = refused(|_, folder| {
            let bytes = fs::read(folder.join(file)).unwrap();
            fs::write(folder.join(file), &bytes[..bytes.len() / 2]).unwrap();
        });
        names(&error, &[file]);
        let error = refused(|_, folder| fs::write(folder.join(file), "hello").unwrap());
        names(&error, &[file]);
    }
}
