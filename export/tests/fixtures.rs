//! The committed tiny checkpoints and the `.onnx` files compiled from them, which the runtime's tests use.
//!
//! `UPDATE_FIXTURES=1 cargo test -p leitmotif-export --test fixtures` writes both anew; review the diff. The weights are
//! seeded random numbers (`support/mod.rs`), the probe is the answer of `support/reference.rs`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests stop at a surprise"
)]

mod support;

use std::fs;

use leitmotif_export::{Checkpoint, ExportError, compile};
use leitmotif_models::{GraphKind, HeadKind};

use support::{TINY, Tiny, fixture_checkpoint, runtime_fixtures};

/// Weights are drawn from these seeds.
fn seed(head: HeadKind) -> u64 {
    match head {
        HeadKind::Dense => 1,
        HeadKind::Lstm => 2,
    }
}

#[test]
fn committed_files_are_what_the_compiler_makes_today() {
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    for head in [HeadKind::Dense, HeadKind::Lstm] {
        let folder = fixture_checkpoint(head);
        if update {
            Tiny::new(TINY, head, seed(head), 2).save(&folder);
        }
        let checkpoint = Checkpoint::open(&folder).unwrap();
        for kind in GraphKind::of_head(head) {
            let artifact = compile(&checkpoint, kind, "tiny").unwrap();
            let path = runtime_fixtures().join(artifact.file_name());
            if update {
                fs::create_dir_all(runtime_fixtures()).unwrap();
                artifact.write(&path, |_| Ok::<(), ExportError>(())).unwrap();
            }
            assert!(
                fs::read(&path).unwrap() == artifact.bytes(),
                "{} is not what the compiler makes; see this file's head",
                path.display()
            );
        }
    }
}
