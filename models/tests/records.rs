//! Cards and run records: what is written can be read back, and what cannot be is refused.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;

use leitmotif_models::{
    CARD_VERSION, Card, DatasetNote, Golden, GoldenInput, GraphKind, Network, RUN_VERSION,
    RunRecord, SampleRate, SplitNote,
};

fn network() -> Network {
    Network::preset("example").unwrap()
}

fn classes() -> Vec<String> {
    ["Ada", "Bo"].map(str::to_owned).to_vec()
}

fn card() -> Card {
    let network = network();
    Card {
        version: CARD_VERSION,
        name: "example".into(),
        graph: GraphKind::Clip,
        target: "portable".into(),
        precision: "fp32".into(),
        opset: 13,
        sample_rate: SampleRate::NETWORK,
        segment_samples: network.segment,
        hop_samples: network.hop,
        window_segments: network.window,
        max_seconds_per_call: 60.0,
        embedding_units: network.head.units,
        classes: classes(),
        dataset: DatasetNote::default(),
        split: SplitNote::default(),
        scores: None,
        seed: 1,
        epoch: 1,
        tools: BTreeMap::new(),
        weights_sha256: "0".repeat(64),
        golden: Golden {
            input: GoldenInput { seed: 1, samples: network.clip_samples() },
            probabilities: vec![0.25, 0.75],
            tolerance: 1e-5,
        },
        network,
    }
}

fn run() -> RunRecord {
    let network = network();
    RunRecord {
        version: RUN_VERSION,
        golden: GoldenInput { seed: 1, samples: network.clip_samples() },
        network,
        classes: classes(),
        epoch: 1,
        step: 1,
        seed: 1,
        dataset: DatasetNote::default(),
        split: SplitNote::default(),
        scores: None,
        tools: BTreeMap::new(),
        config: serde_json::json!({}),
    }
}

#[test]
fn what_is_written_is_read_back() {
    assert_eq!(Card::from_json(&card().to_json().unwrap()), Ok(card()));
    assert_eq!(RunRecord::from_json(&run().to_json().unwrap()), Ok(run()));
}

#[test]
fn a_number_that_json_lacks_is_not_written() {
    let mut card = card();
    card.split.test_share = f64::NAN;
    assert!(card.to_json().unwrap_err().to_string().contains("null"));
    let mut run = run();
    run.split.validation_share = f64::INFINITY;
    assert!(run.to_json().unwrap_err().to_string().contains("null"));
}

#[test]
fn bounds_of_a_card_are_judged() {
    let complaint = |change: fn(&mut Card)| {
        let mut card = card();
        change(&mut card);
        card.to_json().err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(complaint(|card| card.max_seconds_per_call = 4_194.304), "");
    assert!(complaint(|card| card.max_seconds_per_call = 4_194.4).contains("at most 4194.304"));
    assert!(
        complaint(|card| card.max_seconds_per_call = 0.0).contains("max_seconds_per_call is 0")
    );
    assert_eq!(complaint(|card| card.golden.tolerance = 0.1), "");
    assert!(complaint(|card| card.golden.tolerance = 0.11).contains("at most 0.1"));
    assert!(complaint(|card| card.golden.tolerance = 0.0).contains("tolerance is 0"));
}
