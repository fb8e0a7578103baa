//! The bytes of every form of the committed checkpoints, by SHA-256: a compiler that writes other bytes is noticed.
//!
//! `UPDATE_FIXTURES=1 cargo test -p leitmotif-export --test digests` rewrites `data/digests.txt`; review the diff.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fmt::Write;
use std::fs;

use leitmotif_export::{Checkpoint, Recipe, compile_as};
use leitmotif_models::text::hex;
use leitmotif_models::{
    Calibration, Fixed, GraphKind, HeadKind, Network, Precision, RangeRule, Target,
};
use sha2::{Digest, Sha256};

use support::{fixture_checkpoint, manifest_folder};

/// Made up, because calibration needs music: a range of another size for each block.
fn calibration(network: &Network) -> Calibration {
    let ranges = network.map_names().zip(1u8..).map(|(block, i)| (block, f32::from(i) / 2.0));
    let source = "made up".to_owned();
    Calibration { rule: RangeRule::MinMax, source, clips: 1, segments: 1, ranges: ranges.collect() }
}

/// Every recipe that has bytes of its own for a graph: each form, then fixed sizes and the embedding alone.
fn recipes(network: &Network, kind: GraphKind) -> Vec<Recipe> {
    let mut recipes = Vec::new();
    for target in Target::ALL {
        for precision in [Precision::Fp32, Precision::Fp16, Precision::Int8] {
            if target.check(precision).is_err() {
                continue;
            }
            let calibration = (precision == Precision::Int8).then(|| calibration(network));
            let recipe = Recipe { target, precision, calibration, ..Recipe::named("tiny") };
            let fixed = Fixed { batch: Some(2), segments: Some(5) };
            recipes.push(Recipe { fixed, ..recipe.clone() });
            if kind.takes_any_length() {
                recipes.push(Recipe { embedding_only: true, ..recipe.clone() });
                recipes.push(Recipe { huggingface: true, ..recipe.clone() });
            }
            recipes.push(recipe);
        }
    }
    recipes
}

#[test]
fn every_form_has_the_bytes_that_it_had() {
    let mut lines = String::new();
    for head in [HeadKind::Dense, HeadKind::Lstm] {
        let checkpoint = Checkpoint::open(&fixture_checkpoint(head)).unwrap();
        for kind in GraphKind::of_head(head) {
            for recipe in recipes(&checkpoint.run().network, kind) {
                let artifact = compile_as(&checkpoint, kind, &recipe).unwrap();
                let digest = hex(&Sha256::digest(artifact.bytes()));
                let form = format!("{} {} {}", kind.name(), recipe.target, recipe.precision);
                let fixed = if recipe.fixed == Fixed::default() { "" } else { " fixed" };
                let embedding = if recipe.embedding_only { " embedding" } else { "" };
                let hub = if recipe.huggingface { " huggingface" } else { "" };
                writeln!(lines, "{digest}  {form}{fixed}{embedding}{hub}").unwrap();
            }
        }
    }
    let path = manifest_folder().join("tests/data/digests.txt");
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        fs::write(&path, &lines).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    for (now, before) in lines.lines().zip(committed.lines()) {
        assert_eq!(now, before, "other bytes; see the head of this file");
    }
    assert_eq!(lines.lines().count(), committed.lines().count());
}
