//! The committed tiny checkpoints and the `.onnx` files compiled from them, which the runtime's tests use.
//!
//! `UPDATE_FIXTURES=1 cargo test -p leitmotif-export --test fixtures` rewrites both; review the diff. The weights are
//! seeded random numbers (`support/mod.rs`), the probe is the answer of `support/reference.rs`.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;
use std::path::Path;

use leitmotif_export::{Checkpoint, compile};
use leitmotif_models::{GraphKind, HeadKind};

use support::{TINY, Tiny, fixture_checkpoint, load_tensors, runtime_fixtures};

/// Weights are drawn from these seeds.
fn seed(head: HeadKind) -> u64 {
    match head {
        HeadKind::Dense => 1,
        HeadKind::Lstm => 2,
    }
}

/// One test, because updating writes what both halves read.
#[test]
fn committed_files_are_what_their_generator_and_the_compiler_make_today() {
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    for head in [HeadKind::Dense, HeadKind::Lstm] {
        let folder = fixture_checkpoint(head);
        if update {
            Tiny::new(TINY, head, seed(head), 2).save(&folder);
        }
        same_checkpoint(head, &folder);
        let checkpoint = Checkpoint::open(&folder).unwrap();
        for kind in GraphKind::of_head(head) {
            let artifact = compile(&checkpoint, kind, "tiny").unwrap();
            let path = runtime_fixtures().join(artifact.file_name());
            if update {
                fs::create_dir_all(runtime_fixtures()).unwrap();
                fs::write(&path, artifact.bytes()).unwrap();
            }
            assert!(
                fs::read(&path).unwrap() == artifact.bytes(),
                "{} is not what the compiler makes; see this file's head",
                path.display()
            );
        }
    }
}

fn same_checkpoint(head: HeadKind, committed: &Path) {
    let made = tempfile::tempdir().unwrap();
    Tiny::new(TINY, head, seed(head), 2).save(made.path());
    for file in ["run.json", "weights.safetensors"] {
        let same =
            fs::read(made.path().join(file)).unwrap() == fs::read(committed.join(file)).unwrap();
        assert!(same, "{head}: {file} is not what the generator makes; see this file's head");
    }
    // Exponentials differ by a last digit between systems' mathematical libraries.
    let probe = |folder: &Path| load_tensors(&folder.join("probe.safetensors"));
    let (made, committed) = (probe(made.path()), probe(committed));
    assert!(made.keys().eq(committed.keys()));
    for (name, (shape, values)) in &made {
        let (committed_shape, committed_values) = &committed[name];
        assert_eq!(shape, committed_shape, "{head}: {name}");
        assert_eq!(values.len(), committed_values.len());
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6;
        assert!(values.iter().zip(committed_values).all(near), "{head}: {name}");
    }
}
