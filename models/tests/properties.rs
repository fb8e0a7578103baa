//! What holds of every description, card, record and list of predictions that can be read: it is written back to the same, and nothing that is
//! asked of it panics. Fuzzing goes further: `scripts/fuzz`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

use leitmotif_models::{Card, HeadKind, Network, ParamKind, Predictions, RunRecord, Scores};
use proptest::prelude::*;
use proptest::sample::Index;

/// Texts of a file that the project can read, damaged: pieces moved, numbers and letters replaced.
fn damaged(text: String) -> impl Strategy<Value = String> {
    let part = || {
        prop_oneof![
            Just("-1".to_owned()),
            Just("0".to_owned()),
            Just("1e400".to_owned()),
            Just("18446744073709551616".to_owned()),
            Just("null".to_owned()),
            Just("[]".to_owned()),
            Just("\"\u{202e}\"".to_owned()),
            "[0-9]{1,12}",
            "[ -~]{0,6}",
        ]
    };
    prop::collection::vec((any::<Index>(), 0usize..8, part()), 0..5).prop_map(move |changes| {
        let mut letters: Vec<char> = text.chars().collect();
        for (at, length, new) in changes {
            let at = at.index(letters.len().max(1)).min(letters.len());
            let end = letters.len().min(at + length);
            letters.splice(at..end, new.chars());
        }
        letters.into_iter().collect()
    })
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// A network whose arithmetic closes: each block divides the length by its pool or stride.
fn network() -> impl Strategy<Value = Network> {
    let block = (1usize..40, prop_oneof![Just(3usize), Just(5)], 2usize..5);
    (prop::collection::vec(block, 1..6), any::<bool>(), 1usize..40, 1usize..9, 1usize..5).prop_map(|(blocks, lstm, units, window, half)| {
        let segment: usize = blocks.iter().map(|(_, _, pool)| pool).product();
        let kind = if lstm { "lstm" } else { "dense" };
        let hop = (segment / half).max(1);
        let mut text = format!("name = \"any\"\nsegment = {segment}\nhop = {hop}\nwindow = {window}\nhead = {{ kind = \"{kind}\", units = {units} }}\n");
        for (filters, kernel, pool) in blocks {
            text += &format!("[[blocks]]\nfilters = {filters}\nkernel = {kernel}\npool = {pool}\n");
        }
        Network::from_toml(&text).unwrap_or_else(|error| unreachable!("{error}\n{text}"))
    })
}

/// A network with an energy block or none, residual blocks, and a pooling over time.
fn pooled_network() -> impl Strategy<Value = Network> {
    let block = (
        1usize..40,
        prop_oneof![Just(1usize), Just(3), Just(5)],
        1usize..4,
        prop::option::of(1usize..9),
    );
    let pool = prop_oneof![Just("mean"), Just("statistics"), Just("attention")];
    let first = prop::option::of((1usize..20, 1usize..60, 1usize..30));
    (prop::collection::vec(block, 1..4), first, pool, 0u8..9, 3_000usize..9_000).prop_map(|(blocks, first, pool, dropout, segment)| {
        let mut text = format!("name = \"any\"\nsegment = {segment}\nwindow = 3\npool = \"{pool}\"\n");
        text += &format!("head = {{ kind = \"dense\", units = 3, dropout = 0.{dropout} }}\n");
        if let Some((pairs, kernel, stride)) = first {
            text += &format!("[[blocks]]\nkind = \"energy\"\nfilters = {pairs}\nkernel = {kernel}\nstride = {stride}\n");
        }
        for (filters, kernel, pool, squeeze) in blocks {
            text += &format!("[[blocks]]\nkind = \"residual\"\nfilters = {filters}\nkernel = {kernel}\npool = {pool}\n");
            if let Some(squeeze) = squeeze {
                text += &format!("squeeze = {}\n", squeeze.min(filters));
            }
        }
        Network::from_toml(&text).unwrap_or_else(|error| unreachable!("{error}\n{text}"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_network_is_written_and_read_back_and_its_costs_add_up(network in prop_oneof![network(), pooled_network()], classes in 2usize..300) {
        prop_assert_eq!(&Network::from_toml(&network.to_toml().unwrap()).unwrap(), &network);
        let json = serde_json::to_string(&network).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Network>(&json).unwrap(), &network);
        // Shapes of one layer are those of the next.
        let steps = network.steps(classes);
        prop_assert!(steps.windows(2).all(|pair| pair[0].output == pair[1].input));
        let samples = network.clip_samples();
        prop_assert_eq!(network.segments_in(samples), network.window);
        prop_assert_eq!(network.segments_in(samples - 1), network.window - 1);
        for head in [HeadKind::Dense, HeadKind::Lstm] {
            let network = network.clone().with_head(head);
            prop_assert!(!network.params(classes).is_empty());
            let costs = network.costs(classes);
            let values = |p: &leitmotif_models::Param| p.values() as u64;
            let trainable = network.params(classes).iter().filter(|p| p.kind == ParamKind::Trainable).map(values).sum::<u64>();
            prop_assert_eq!(costs.trainable(), trainable);
        }
    }

    #[test]
    fn a_damaged_network_is_read_or_refused(text in prop::sample::select(vec!["demo", "example", "model1", "model4", "compact", "compact"]).prop_map(|name| read(&format!("presets/{name}.toml"))).prop_flat_map(damaged)) {
        if let Ok(network) = Network::from_toml(&text) {
            prop_assert_eq!(&Network::from_toml(&network.to_toml().unwrap()).unwrap(), &network);
            let _ = (network.params(222), network.costs(222), network.segments_in(465_984));
        }
    }

    #[test]
    fn a_damaged_record_is_read_or_refused(text in Just(read("../export/tests/data/tiny-dense/run.json")).prop_flat_map(damaged)) {
        if let Ok(record) = RunRecord::from_json(&text) {
            prop_assert_eq!(RunRecord::from_json(&record.to_json().unwrap()), Ok(record));
        }
    }

    #[test]
    fn a_damaged_card_is_read_or_refused(text in Just(read("../fuzz/corpus/card/tiny.json")).prop_flat_map(damaged)) {
        if let Ok(card) = Card::from_json(&text) {
            let _ = card.max_samples_per_call();
            prop_assert_eq!(Card::from_json(&card.to_json().unwrap()), Ok(card));
        }
    }

    #[test]
    fn damaged_predictions_are_read_or_refused(text in Just(read("../fuzz/corpus/predictions/demo.jsonl")).prop_flat_map(damaged)) {
        if let Ok(predictions) = Predictions::from_lines(&text) {
            if let Some(scores) = Scores::of(&predictions) {
                prop_assert!((0.0..=1.0).contains(&scores.clip_accuracy.value));
            }
            prop_assert_eq!(Predictions::from_lines(&predictions.to_lines().unwrap()), Ok(predictions));
        }
    }
}
