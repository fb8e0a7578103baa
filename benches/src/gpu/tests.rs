use std::fs;

use serde_json::{Value, json};

use super::*;

/// The tables of these files.
fn table_of(files: &[(&str, Value)]) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path().join("2026-01-02-x100");
    fs::create_dir(&folder)?;
    for (name, content) in files {
        fs::write(folder.join(name), content.to_string())?;
    }
    table(&[folder.join(RUN)])
}

fn step(name: &str, parts: Value) -> (String, Value) {
    (format!("{name}.json"), json!({ "step": name, "state": "done", "parts": parts }))
}

fn tables(steps: &[(&str, Value)]) -> anyhow::Result<String> {
    let steps: Vec<(String, Value)> =
        steps.iter().map(|(name, parts)| step(name, parts.clone())).collect();
    let mut files: Vec<(&str, Value)> =
        steps.iter().map(|(name, content)| (name.as_str(), content.clone())).collect();
    files.push((RUN, json!({ "commit": "c0ffee", "command": "run.sh --minutes 8" })));
    table_of(&files)
}

fn assert_lines(table: &str, lines: &[&str]) {
    for line in lines {
        assert!(table.lines().any(|found| found == *line), "no `{line}` in\n{table}");
    }
}

#[test]
fn a_run_without_results_has_a_caption() {
    assert_eq!(tables(&[]).unwrap(), "2026-01-02, commit c0ffee, `run.sh --minutes 8`.\n");
    let bundle = step("smoke", json!({ "bundle": { "commit": "abc" } })).1;
    let built = table_of(&[("smoke.json", bundle), (RUN, json!({ "failed": [] }))]).unwrap();
    assert_eq!(built, "2026-01-02, commit abc.\n");
    assert!(table_of(&[(RUN, json!({}))]).is_err());
    let failed = json!({ "step": "train", "state": "failed: a, b", "parts": {} });
    let failed = table_of(&[("train.json", failed), (RUN, json!({ "commit": "c" }))]).unwrap();
    assert!(failed.starts_with("Failed in this run: `train`: a, b. 2026-01-02,"), "{failed}");
}

#[test]
fn training_has_rows_for_what_was_measured() {
    let speed = |steps: f64| json!({ "batch": 16, "steps_per_second": steps, "clips_per_second": 16.0 * steps, "gpu": { "peak_memory_mib": 2048, "memory_before_mib": 0 } });
    let table = tables(&[(
        "train",
        json!({
            "trains on music, dense, bf16": { "losses": [1, 2] },
            "a, bf16": speed(100.0), "a, tf32": speed(50.0), "a, fp32": speed(25.0),
            "b, bf16": speed(40.0), "b, tf32": speed(80.0), "b, fp32": { "skipped": "out of time" },
            "c, bf16": { "error": "it ended with 1" },
            "a, bf16, no graph": speed(75.0), "a, bf16, not fused": { "skipped": "out of time" },
            "a, bf16-benchmark": speed(110.0), "b, bf16-benchmark": speed(44.0),
        }),
    )]);
    let table = table.unwrap();
    assert_lines(
        &table,
        &[
            "| training: steps/s (clips/s), GPU memory | bf16 | tf32 | 50 epochs of the paper's clips, the fastest |",
            "| `a` | 100.0 (1600), 2.0 GiB | 50.0 (800), 2.0 GiB | 0.22 h (bf16) |",
            "| `b` | 40.0 (640), 2.0 GiB | 80.0 (1280), 2.0 GiB | 0.27 h (tf32) |",
            "| `a`, bf16, as it is | 100.0 | 100 % | 2.0 GiB |",
            "| `a`, bf16, without the CUDA graph | 75.0 | 75 % | 2.0 GiB |",
            "| `a`, bf16, with `--cudnn-benchmark` | 110.0 | 110 % | 2.0 GiB |",
        ],
    );
    assert!(table.contains("Also `a` in fp32 25.0 (400), 2.0 GiB."), "{table}");
    assert!(!table.contains("fused") && !table.contains("`c`"), "{table}");
    assert!(tables(&[("train", json!({ "a, bf16": { "another": "format" } }))]).is_err());
}

#[test]
fn peers_are_compared_with_the_median_of_ours() {
    let mode =
        |late: f64| json!({ "fed_steps_per_second": late / 2.0, "late_steps_per_second": late });
    let ours = json!({ "bf16": [{ "steps_per_second": 90 }, { "error": "e" }, { "steps_per_second": 110 }] });
    let table = tables(&[(
        "peers",
        json!({
            "two ranks on one GPU": { "skipped": "s" },
            "a": { "ours": ours, "theirs": { "modes": { "eager": mode(25.0), "bf16": mode(50.0), "fp32": { "error": "e" } } } },
            "a, compiled": { "ours": ours, "theirs": { "modes": { "compile-bf16": mode(200.0) } } },
            "b": { "ours": ours, "theirs": { "modes": { "eager": mode(20.0), "bf16": mode(40.0) } } },
        }),
    )]);
    let table = table.unwrap();
    assert_lines(
        &table,
        &[
            "| `a`, `torch.compile`, channels last, bf16 | 200.0 | 100.0 | 0.50×, 1.00× |",
            "| `a`, channels last, bf16 | 50.0 | 25.0 | 2.00×, 4.00× |",
            "| `a`, Conv1d, TF32 in convolutions | 25.0 | 12.5 | 4.00×, 8.00× |",
            "| `b`, channels last, bf16 | 40.0 | 20.0 | 2.50×, 5.00× |",
        ],
    );
    assert_eq!(table.matches("| `").count(), 4, "{table}");
}

#[test]
fn the_operator_is_compared_with_the_cards_copy() {
    let block = |samples: u64, kind: &str| {
        json!({
            "shape": [16, 64, 7, samples], "pool": 3, "kind": kind,
            "bytes": { "forward": 1e6 * samples as f64, "backward": 2e6 * samples as f64 },
            "fused": { "forward_ms": 0.5, "backward_ms": 1.0 }, "libtorch": { "forward_ms": 1.0, "backward_ms": 3.0 },
        })
    };
    let mut blocks: Vec<Value> = (1000..1004).map(|samples| block(samples, "bf16")).collect();
    blocks.push(block(5000, "f32"));
    let limits = json!({ "device copy, GB/s read and written": 4000.0 });
    let kernels = |limits: Value| {
        let parts = json!({ "kernels": { "blocks": blocks }, "limits": limits });
        tables(&[("serve", parts)]).unwrap()
    };
    let table = kernels(limits);
    assert_lines(
        &table,
        &[
            "| 64 channels of 1003 samples, pool 3 | 0.500 ms | 1.000 ms (2.0×) | 2.01, 50 % | 1.000 ms | 3.000 ms (3.0×) | 2.01, 50 % |",
        ],
    );
    assert!(!table.contains("of 1000 samples") && !table.contains("of 5000 samples"), "{table}");
    let table = kernels(json!({ "skipped": "s" }));
    assert!(table.contains("| 2.01 | 1.000 ms") && !table.contains('%'), "{table}");
}

#[test]
fn serving_names_what_did_not_run() {
    let batches = |speed: f64| json!([{ "batch": 1, "per_second": speed }, { "batch": 64, "too_large": "memory" }]);
    let served = |speed: f64| json!({ "first_answer_seconds": 0.5, "batches": batches(speed) });
    let modes = json!({
        "fp16": [{ "batch": 1, "per_second": 200 }, { "batch": 64, "per_second": 400 }],
        "bf16": [{ "batch": 1, "per_second": 100 }], "fp32": { "error": "e" },
    });
    let part = json!({
        "ours": { "fp32": served(200.0), "tf32": served(250.0), "cuda, tf32": served(999.0), "fp16": served(300.0) },
        "ours, again": { "fp32": served(100.0) },
        "theirs": { "modes": modes, "first_answer_seconds": 5.5 },
    });
    let table = tables(&[("serve", json!({ "a against PyTorch": part }))]).unwrap();
    assert_lines(&table, &["| `a`, 1 | 150 | 250 | 300 | 200 (fp16) | 1.50× |"]);
    assert!(table.contains("`a` with 64: only theirs 400 (fp16)."), "{table}");
    let first = "ours 0.50 s (fp16), 0.50 s (fp32), 0.50 s (tf32), theirs 5.50 s.";
    assert!(table.replace('\n', " ").contains(first), "{table}");
}

#[test]
fn serving_has_a_row_without_what_was_not_asked_for() {
    let served =
        json!({ "first_answer_seconds": 0.5, "batches": [{ "batch": 1, "per_second": 300 }] });
    let theirs = json!({ "modes": { "fp16": [{ "batch": 1, "per_second": 100 }] } });
    let table = tables(&[(
        "serve",
        json!({
            "a against PyTorch": { "ours": { "fp16": served }, "theirs": theirs },
            "b alone": { "ours": { "fp16": served } },
        }),
    )]);
    let table = table.unwrap();
    assert_lines(&table, &["| `a`, 1 | – | – | 300 | 100 (fp16) | 3.00× |"]);
    assert!(table.contains("`b` with 1: only ours 300 (fp16)."), "{table}");
}

#[test]
fn recipes_have_rows_of_their_own() {
    let gpu = json!({ "busy_share": 0.25, "peak_memory_mib": 3072.0, "memory_before_mib": 1024.0 });
    let small = json!({
        "batch": 192, "steps_per_second": 10.0, "clips_per_second": 1920.0, "gpu": gpu,
    });
    let large = json!({ "error": "e" });
    let table =
        tables(&[("train", json!({ "recipe small, bf16": small, "recipe large, bf16": large }))]);
    let table = table.unwrap();
    assert_lines(&table, &["| small, bf16 | 192 | 10.0 (1920), 2.0 GiB | 25 % |"]);
    assert!(!table.contains("large"), "{table}");
}

#[test]
fn what_was_disturbed_is_taken_from_the_runs_between_the_peers() {
    let speed = |steps: f64, beside: &[&str]| {
        json!({
            "batch": 16, "steps_per_second": steps, "clips_per_second": 16.0 * steps, "compiling_beside": beside,
            "gpu": { "peak_memory_mib": 3072.0, "memory_before_mib": 1024.0 },
        })
    };
    let between: Vec<Value> = [70.0, 90.0, 80.0].map(|steps| speed(steps, &[])).to_vec();
    let mode = json!({ "fed_steps_per_second": 10.0, "late_steps_per_second": 20.0 });
    let theirs = json!({ "modes": { "compile-bf16": mode } });
    let table = tables(&[
        (
            "train",
            json!({ "a, bf16": speed(1.0, &["train compile"]), "b, bf16": speed(1.0, &["serve"]) }),
        ),
        (
            "peers",
            json!({ "a": { "ours": { "bf16": between[..1] }, "theirs": { "modes": {} } },
            "a, compile-bf16": { "ours": { "bf16": between }, "theirs": theirs } }),
        ),
    ]);
    let table = table.unwrap();
    assert_lines(&table, &["| `a` | 80.0 (1280), 2.0 GiB | 0.27 h (bf16) |"]);
    assert!(table.contains("| 20.0 | 10.0 | 4.00×, 8.00× |") && !table.contains("`b`"), "{table}");
}

#[test]
fn modes_that_are_compiled_apart_count_together() {
    let batches = |speed: f64| json!([{ "batch": 1, "per_second": speed }]);
    let served = |speed: f64| json!({ "first_answer_seconds": 0.5, "batches": batches(speed) });
    let part = json!({
        "ours": { "fp32": served(100.0), "tf32": served(100.0), "fp16": served(100.0) },
        "theirs": { "compile-tf32": { "modes": { "compile-tf32": batches(50.0) } }, "compile-fp16": { "error": "e" } },
    });
    let table = tables(&[("serve", json!({ "a against torch.compile": part }))]).unwrap();
    assert_lines(&table, &["| `a`, 1 | 100 | 100 | 100 | 50 (compile-tf32) | 2.00× |"]);
}

#[test]
fn parity_is_that_of_probabilities() {
    let compared = |graph: &str, largest: f64| {
        let outputs = json!([{ "output": "embedding", "largest": 1.0 }, { "output": "probabilities", "largest": largest }]);
        json!({ "graph": graph, "outputs": outputs })
    };
    let table = tables(&[
        (
            "smoke",
            json!({
                "opens a.segment": { "cuda": compared("segment", 1.2e-8) },
                "opens b.step": { "cuda": { "error": "e" } },
                "gpu": { "name": "X100", "driver_version": "1.2" },
            }),
        ),
        (
            "serve",
            json!({
                "a, portable": { "cuda": compared("clip", 3e-7), "cuda, tf32": compared("clip", 1e-4) },
                "a, cuda-fp16": { "cuda": compared("clip", 2e-4), "cuda, tf32": { "skipped": "s" } },
            }),
        ),
    ]);
    let table = table.unwrap();
    assert_lines(
        &table,
        &[
            "| `a.segment`, fp32 | 1e-8 | not compared |",
            "| `a.clip`, fp32 | 3e-7 | 1e-4 |",
            "| `a.clip`, fp16 | 2e-4 | not compared |",
        ],
    );
    assert!(!table.contains("b.step"), "{table}");
    assert!(table.contains("2026-01-02, X100, driver 1.2, commit c0ffee,"), "{table}");
}

#[test]
fn a_table_is_of_the_run_with_the_most_rows_and_of_several_the_newest() {
    let speed = |steps: f64| json!({ "batch": 16, "steps_per_second": steps, "clips_per_second": 16.0 * steps, "gpu": { "peak_memory_mib": 2048, "memory_before_mib": 0 } });
    let folder = tempfile::tempdir().unwrap();
    let run = |date: &str, train: Value| {
        let folder = folder.path().join(format!("{date}-x100"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("train.json"), step("train", train).1.to_string()).unwrap();
        fs::write(folder.join(RUN), json!({ "commit": "c" }).to_string()).unwrap();
        folder.join(RUN)
    };
    let old = run(
        "2026-01-02",
        json!({ "a, bf16": speed(1.0), "a, bf16, no graph": speed(0.5), "recipe r, bf16": speed(2.0) }),
    );
    let new = run("2026-01-03", json!({ "a, bf16": speed(3.0), "recipe r, bf16": speed(4.0) }));
    let table = table(&[new, old.clone()]).unwrap();
    let (newer, older) = table.split_once("2026-01-03, commit c.\n").unwrap();
    assert!(
        newer.contains("| `a` | 3.0 (48)") && newer.contains("| r, bf16 | 16 | 4.0"),
        "{table}"
    );
    assert!(older.contains("| `a`, bf16, without the CUDA graph | 0.5 "), "{table}");
    assert!(!older.contains("| `a` |") && !older.contains("| r, bf16"), "{table}");
    assert!(older.ends_with("2026-01-02, commit c.\n"), "{table}");
    // A run of which no table is shown is not named.
    let whole = json!({ "a, bf16": speed(1.0), "a, bf16, no graph": speed(0.5), "recipe r, bf16": speed(1.0) });
    let table = super::table(&[run("2026-01-04", whole), old]).unwrap();
    assert_eq!(table.matches("commit c.").count(), 1, "{table}");
}
