//! The command `leitmotif-export` from outside.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/command.rs"]
mod command;
mod support;

use std::fs;
use std::path::Path;
use std::process::Output;
use std::process::{Command, Stdio};

use leitmotif_export::{Checkpoint, compile};
use leitmotif_models::{GraphKind, HeadKind};
use serde_json::Value;

use command::{complaint, run, str, text};
use support::{TINY, Tiny, fixture_checkpoint, runtime_fixtures};

fn files(folder: &Path) -> Vec<String> {
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| name(e.unwrap())).collect();
    names.sort();
    names
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

        let reports = text(&run(&[&arguments[..], &["--json", "--force"]].concat()));
        let reports: Value = serde_json::from_str(&reports).unwrap();
        for graph in reports["graphs"].as_array().unwrap() {
            for output in graph["outputs"].as_array().unwrap() {
                assert!(output["largest"].as_f64().unwrap() < 1e-5, "{output}");
            }
            let names: Vec<_> = graph["outputs"].as_array().unwrap().iter().collect();
            let compared = |name: &str| names.iter().any(|output| output["output"] == name);
            assert!(compared("probabilities") && compared("embedding"), "{graph}");
            assert_eq!(compared("c_next"), graph["graph"] == "step", "{graph}");
        }
    }
}

#[test]
fn a_model_is_overwritten_only_with_force() {
    let out = tempfile::tempdir().unwrap();
    let checkpoint = fixture_checkpoint(HeadKind::Dense);
    let arguments = ["compile", str(&checkpoint), "--out", str(out.path())];
    let second = out.path().join("tiny.segment.onnx");
    fs::write(&second, "dear to its owner").unwrap();
    let error = complaint(&run(&arguments));
    assert!(error.contains("tiny.segment.onnx") && error.contains("--force"), "{error}");
    assert_eq!(files(out.path()), ["tiny.segment.onnx"]);
    assert_eq!(fs::read(&second).unwrap(), b"dear to its owner");
    text(&run(&[&arguments[..], &["--force"]].concat()));
    assert_eq!(files(out.path()), ["tiny.clip.onnx", "tiny.segment.onnx"]);
    assert!(fs::read(&second).unwrap().len() > 1000);
}

#[test]
fn a_broken_pipe_is_no_failure() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leitmotif-export"));
    command.args(["inspect", "model1", "--classes", "222"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn the_name_of_the_network_is_the_name_of_the_files() {
    let out = tempfile::tempdir().unwrap();
    let checkpoint = fixture_checkpoint(HeadKind::Dense);
    text(&run(&["compile", str(&checkpoint), "--out", str(out.path())]));
    assert_eq!(files(out.path()), ["tiny.clip.onnx", "tiny.segment.onnx"]);
}

/// A checkpoint whose probe ends with other values than its weights give.
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
fn a_changed_top_class_fails_though_the_difference_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let (checkpoint, out) = (folder.path().join("checkpoint"), folder.path().join("out"));
    let mut tiny = Tiny::new(TINY, HeadKind::Dense, 21, 2);
    // The last answer becomes a near tie of the first two classes, by 1e-5 in the logits; the probe has it the other way.
    let at = tiny.probe["logits"].1.len() - 3;
    for (class, by) in [(0, 20.0), (1, 20.0)] {
        tiny.weights.get_mut("output.bias").unwrap().1[class] += by;
    }
    tiny.probe = tiny.make_probe(2);
    let gap = tiny.probe["logits"].1[at] - tiny.probe["logits"].1[at + 1];
    tiny.weights.get_mut("output.bias").unwrap().1[1] += gap - 1e-5;
    tiny.probe = tiny.make_probe(2);
    tiny.save(&checkpoint);
    text(&run(&["compile", str(&checkpoint), "--out", str(&out.join("honest"))]));
    let logits = &mut tiny.probe.get_mut("logits").unwrap().1;
    assert!(logits[at] > logits[at + 1] && logits[at] - logits[at + 1] < 2e-5, "{logits:?}");
    logits.swap(at, at + 1);
    tiny.save(&checkpoint);
    let error = complaint(&run(&["compile", str(&checkpoint), "--out", str(&out)]));
    assert!(error.contains("`segment_probabilities` has another top class"), "{error}");
    assert_eq!(files(&out), ["honest"]);
}

#[test]
fn a_failure_in_either_graph_leaves_no_file() {
    for blocked in ["tiny.clip.onnx", "tiny.segment.onnx"] {
        for force in [&[][..], &["--force"]] {
            let folder = tempfile::tempdir().unwrap();
            let (checkpoint, out) = (folder.path().join("checkpoint"), folder.path().join("out"));
            Tiny::new(TINY, HeadKind::Dense, 21, 1).save(&checkpoint);
            fs::create_dir_all(out.join(blocked)).unwrap(); // A folder in the way of the file.
            let arguments = ["compile", str(&checkpoint), "--out", str(&out)];
            let error = complaint(&run(&[&arguments[..], force].concat()));
            assert!(error.contains(blocked) && error.contains("is a folder"), "{error}");
            assert_eq!(files(&out), [blocked]);
        }
    }
}

/// The first place of `old` after the first place of `after` becomes `new`, which is as long.
fn edit(bytes: &mut [u8], after: &[u8], old: &[u8], new: &[u8]) {
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|w| w == what);
    let start = find(bytes, after).expect("the place is there");
    let at = start + find(&bytes[start..], old).expect("the old text is there");
    bytes[at..at + new.len()].copy_from_slice(new);
}

#[test]
fn a_model_with_other_declarations_fails_verification() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.onnx");
    for (graph, head, after, old, new, complains) in [
        (
            "clip",
            HeadKind::Dense,
            "{\"version\"",
            "\"epoch\":3",
            "\"epoch\":4",
            "checkpoint: `epoch`",
        ),
        ("clip", HeadKind::Dense, "{\"version\"", "CC0-1.0", "CC0-2.0", "checkpoint: `dataset`"),
        ("clip", HeadKind::Dense, "sample_rate\u{12}", "16000", "16001", "key `sample_rate`"),
        ("step", HeadKind::Lstm, "classes\u{12}", "Ada", "Ida", "key `classes`"),
        ("step", HeadKind::Lstm, "c_next\u{12}", "batch", "hatch", ""),
        (
            "clip",
            HeadKind::Dense,
            "embedding_outputs_key\u{12}",
            "emb",
            "EMB",
            "`embedding_outputs_key`",
        ),
    ] {
        let mut bytes = fs::read(runtime_fixtures().join(format!("tiny.{graph}.onnx"))).unwrap();
        edit(&mut bytes, after.as_bytes(), old.as_bytes(), new.as_bytes());
        fs::write(&model, bytes).unwrap();
        let output = run(&["verify", str(&model), str(&fixture_checkpoint(head))]);
        match complains {
            // Another name of a free axis changes nothing.
            "" => drop(text(&output)),
            _ => assert!(complaint(&output).contains(complains), "{output:?}"),
        }
    }
}

#[test]
fn outputs_of_other_names_fail_verification() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.onnx");
    let mut bytes = fs::read(runtime_fixtures().join("tiny.step.onnx")).unwrap();
    let places: Vec<usize> =
        (0..bytes.len() - 6).filter(|at| bytes[*at..].starts_with(b"h_next")).collect();
    places.iter().for_each(|at| bytes[at + 5] = b'T');
    fs::write(&model, bytes).unwrap();
    let error = complaint(&run(&["verify", str(&model), str(&fixture_checkpoint(HeadKind::Lstm))]));
    assert!(error.contains("its outputs are") && error.contains("h_nexT [any, 5]"), "{error}");
}

#[test]
fn a_wrong_cell_state_fails_even_where_a_window_is_one_segment() {
    for window in ["window = 1", "window = 7"] {
        let folder = tempfile::tempdir().unwrap();
        let (model, checkpoint) = (folder.path().join("model.onnx"), folder.path().join("run"));
        let toml = TINY.replace("window = 7", window);
        Tiny::new(&toml, HeadKind::Lstm, 2, 1).save(&checkpoint);
        let opened = Checkpoint::open(&checkpoint).unwrap();
        let mut bytes = compile(&opened, GraphKind::Step, "tiny").unwrap().bytes().to_vec();
        fs::write(&model, &bytes).unwrap();
        text(&run(&["verify", str(&model), str(&checkpoint)]));
        // The Squeeze behind `c_next`, the last to name the LSTM's cell state, takes h instead.
        let squeeze = bytes.windows(10).rposition(|w| w == b"\x0A\x08lstm.y_c").unwrap();
        bytes[squeeze + 9] = b'h';
        fs::write(&model, bytes).unwrap();
        let error = complaint(&run(&["verify", str(&model), str(&checkpoint)]));
        assert!(error.contains("`c_next` leads to answers that differ"), "{error}");
    }
}

#[test]
fn a_tampered_model_fails_verification() {
    let folder = tempfile::tempdir().unwrap();
    let (dense, lstm) = (fixture_checkpoint(HeadKind::Dense), fixture_checkpoint(HeadKind::Lstm));
    let good = runtime_fixtures().join("tiny.clip.onnx");
    let passed = text(&run(&["verify", str(&good), str(&dense)]));
    let verdict = passed.lines().last().unwrap();
    let agrees = "tiny.clip.onnx agrees with the trainer: `probabilities` within 1e-5, ";
    assert!(verdict.starts_with("passed: ") && verdict.contains(agrees), "{verdict}");

    let bias = &support::load_tensors(&dense.join("weights.safetensors"))["output.bias"].1;
    let stored: Vec<u8> = bias.iter().flat_map(|x| x.to_le_bytes()).collect();
    let mut bytes = fs::read(&good).unwrap();
    let at = bytes.windows(stored.len()).position(|window| window == stored).unwrap();
    bytes[at..at + 4].copy_from_slice(&(bias[0] + 0.001).to_le_bytes());
    let model = folder.path().join("tampered.onnx");
    fs::write(&model, bytes).unwrap();
    let error = complaint(&run(&["verify", str(&model), str(&dense)]));
    assert!(error.contains("tampered.onnx") && error.contains("probabilities` differs"), "{error}");
    assert!(error.lines().last().unwrap().starts_with("failed: "), "{error}");

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
        "IR 4, opset ai.onnx 11",
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
fn a_checkpoint_is_inspected_without_its_tensors() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(fixture_checkpoint(HeadKind::Dense).join("run.json"), folder.path().join("run.json"))
        .unwrap();
    assert!(text(&run(&["inspect", str(folder.path())])).starts_with("tiny (dense head)"));
}

#[test]
fn a_head_or_classes_that_would_be_ignored_are_refused() {
    let checkpoint = fixture_checkpoint(HeadKind::Dense);
    let model = runtime_fixtures().join("tiny.clip.onnx");
    for what in [str(&checkpoint), str(&model)] {
        for option in [["--head", "lstm"], ["--classes", "9"]] {
            let error = complaint(&run(&[&["inspect", what][..], &option].concat()));
            assert!(error.contains("--head and --classes are for presets"), "{error}");
        }
    }
}

#[test]
fn numbers_of_classes_that_no_network_has_are_refused() {
    for classes in ["0", "1", "16777217", "18446744073709551615"] {
        let output = run(&["inspect", "model1", "--classes", classes]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
    text(&run(&["inspect", "model1", "--classes", "16777216"]));
}

#[test]
fn text_in_a_file_cannot_steer_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.onnx");
    let mut bytes = fs::read(runtime_fixtures().join("tiny.clip.onnx")).unwrap();
    edit(&mut bytes, b"class_outputs_key\x12", b"probabilities", b"pro\x1B[31mities");
    fs::write(&model, bytes).unwrap();
    let printed = text(&run(&["inspect", str(&model)]));
    assert!(printed.contains("pro\\u{1b}[31mities") && !printed.contains('\u{1b}'), "{printed}");
    let error = complaint(&run(&["inspect", "red\u{1b}[31m"]));
    assert!(error.contains("red\\u{1b}[31m") && !error.contains('\u{1b}'), "{error}");
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

#[test]
fn verification_runs_on_the_device_asked_for_and_no_other() {
    let (checkpoint, out) = (fixture_checkpoint(HeadKind::Dense), tempfile::tempdir().unwrap());
    let name = ["--out", str(out.path()), "--name", "artists"];
    text(&run(&[&["compile", str(&checkpoint)], &name[..]].concat()));
    let model = out.path().join("artists.clip.onnx");
    let verify =
        |more: &[&str]| run(&[&["verify", str(&model), str(&checkpoint), "--json"], more].concat());
    let tolerance = |output: &Output| {
        let report: Value = serde_json::from_str(&text(output)).unwrap();
        let outputs = report["graphs"][0]["outputs"].as_array().unwrap().clone();
        let of = |output: &Value| output["output"] == "probabilities";
        outputs.iter().find(|output| of(output)).unwrap()["tolerance"].as_f64().unwrap()
    };
    assert!(tolerance(&verify(&["--device", "cpu"])) < 2e-5);
    assert_eq!(tolerance(&verify(&["--tf32"])), 1e-2);
    let cuda = verify(&["--device", "cuda"]);
    if cuda.status.success() {
        assert!(tolerance(&cuda) < 2e-5);
    } else {
        assert!(complaint(&cuda).contains("CUDA"), "{}", String::from_utf8_lossy(&cuda.stderr));
        println!("verification_on_cuda ... skipped: no GPU");
    }
}

#[test]
fn equal_files_have_no_differences_and_others_are_listed() {
    let clip = runtime_fixtures().join("tiny.clip.onnx");
    let same = run(&["diff", str(&clip), str(&clip)]);
    assert_eq!((same.status.code(), same.stdout.len()), (Some(0), 0));

    let out = tempfile::tempdir().unwrap();
    let mut tiny = Tiny::new(TINY, HeadKind::Dense, 1, 2);
    tiny.weights.get_mut("output.bias").unwrap().1[1] += 0.5;
    tiny.run.epoch = 4;
    tiny.probe = tiny.make_probe(2);
    let (checkpoint, models) = (out.path().join("checkpoint"), out.path().join("models"));
    tiny.save(&checkpoint);
    text(&run(&["compile", str(&checkpoint), "--out", str(&models), "--target", "cpu"]));
    let other = models.join("tiny.clip.onnx");
    let output = run(&["diff", str(&clip), str(&other)]);
    assert_eq!(output.status.code(), Some(1));
    let found = String::from_utf8(output.stdout).unwrap();
    for line in [
        "weights   output.bias: 1 of 3 values, by 5.0e-1 at most",
        "card      epoch: 3 → 4",
        "card      target: \"portable\" → \"cpu\"",
        "graph     frame.whole: only in the second",
    ] {
        assert!(found.contains(line), "no `{line}` in:\n{found}");
    }
    let output = run(&["diff", str(&clip), str(&other), "--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["same"], false);
    assert_eq!(json["differences"].as_array().unwrap().len(), found.lines().count());

    let error = run(&["diff", str(&clip), str(&checkpoint.join("run.json"))]);
    assert_eq!(error.status.code(), Some(2), "{error:?}");
    assert!(String::from_utf8_lossy(&error.stderr).contains("run.json is not an ONNX model"));
}

#[test]
fn a_file_is_summed_up_in_bytes_and_its_cost_in_multiply_adds() {
    let model = runtime_fixtures().join("tiny.clip.onnx");
    let printed = text(&run(&["inspect", str(&model)]));
    assert!(
        printed.contains("multiply-adds a segment") && printed.contains("block6 "),
        "{printed}"
    );
    let json: Value =
        serde_json::from_str(&text(&run(&["inspect", str(&model), "--json"]))).unwrap();
    let parts = json["model"]["parts"].as_object().unwrap();
    let sum: u64 = parts.values().map(|bytes| bytes.as_u64().unwrap()).sum();
    assert_eq!(sum, fs::metadata(&model).unwrap().len());
    let layers = json["layers"].as_array().unwrap();
    let all: u64 = layers.iter().map(|layer| layer["multiply_adds"].as_u64().unwrap()).sum();
    assert_eq!(json["multiply_adds_per_segment"], all);
}
