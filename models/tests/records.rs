//! Cards and run records: what is written can be read back, and what cannot be is refused.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use leitmotif_models::{
    CARD_VERSION, Calibration, Card, CardError, Confidence, DatasetNote, Fixed, Golden,
    GoldenInput, GraphKind, Measured, Network, Precision, RUN_VERSION, RangeRule, ReliabilityBin,
    RunError, RunRecord, SampleRate, SplitNote, Target, UnfinishedEpoch, UnknownSongs,
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
        target: Target::Portable,
        precision: Precision::Fp32,
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
        confidence: None,
        seed: 1,
        epoch: 1,
        tools: BTreeMap::new(),
        weights_sha256: "0".repeat(64),
        golden: Golden {
            input: GoldenInput { seed: 1, samples: network.clip_samples() },
            probabilities: vec![0.25, 0.75],
            tolerance: 1e-5,
        },
        fixed: Fixed::default(),
        embedding_only: false,
        huggingface: false,
        calibration: None,
        measured: None,
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
        unfinished: None,
        seed: 1,
        dataset: DatasetNote::default(),
        split: SplitNote::default(),
        scores: None,
        confidence: None,
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
fn a_record_within_an_epoch_is_read_back_to_the_bit_and_one_between_two_has_no_field_for_it() {
    assert!(!run().to_json().unwrap().contains("unfinished"));
    // A parser that rounds twice reads a neighbour of this number.
    let loss = 0.001_258_925_411_794_167_5;
    let epoch =
        UnfinishedEpoch { steps: 3, loss, seconds: 1.0 / 3.0, ..UnfinishedEpoch::default() };
    let run = RunRecord { unfinished: Some(epoch), ..run() };
    assert_eq!(RunRecord::from_json(&run.to_json().unwrap()), Ok(run));
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

/// A card of int8 with everything that version 2 added.
fn int8() -> Card {
    let ranges = network().map_names().map(|block| (block, 2.5)).collect();
    let (source, clips) = ("noise".to_owned(), 3);
    let calibration =
        Calibration { rule: RangeRule::Mse, source: source.clone(), clips, segments: 21, ranges };
    let measured = Measured { source, clips, changed: 1, right: None };
    let (target, precision) = (Target::Cpu, Precision::Int8);
    Card { target, precision, calibration: Some(calibration), measured: Some(measured), ..card() }
}

#[test]
fn a_card_tells_how_it_was_calibrated_and_what_that_cost() {
    let text = int8().to_json().unwrap();
    assert_eq!(Card::from_json(&text), Ok(int8()));
    for word in ["\"rule\":\"mse\"", "\"block6\":2.5", "\"changed\":1", "\"target\":\"cpu\""] {
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn cards_of_version_1_are_read_and_newer_ones_than_ours_are_not() {
    let text = card().to_json().unwrap();
    assert!(!text.contains("calibration") && !text.contains("measured"), "{text}");
    let of = |version: &str| Card::from_json(&text.replace("{\"version\":2", version));
    assert_eq!(of("{\"version\":1"), Ok(Card { version: 1, ..card() }));
    for (version, found) in [("{\"version\":3", 3), ("{\"version\":0", 0)] {
        assert_eq!(of(version), Err(CardError::Version { found }));
    }
    // A field that a later leitmotif adds within the version.
    assert_eq!(of("{\"mood\":\"blue\",\"version\":2"), Ok(card()));
}

fn confidence() -> Confidence {
    let bin = ReliabilityBin { from: 0.8, to: 1.0, songs: 9, right: 8, mean: 0.875 };
    let unknown = UnknownSongs { source: "others".into(), songs: 8, accepted: 1 };
    Confidence {
        temperature: 0.625,
        threshold: 0.75,
        keep: 0.8,
        source: "noise, song-seed1, validation".into(),
        songs: 10,
        kept: 8,
        kept_right: 7,
        loss_before: 1.5,
        loss_after: 1.25,
        reliability: vec![bin],
        unknown: Some(unknown),
    }
}

#[test]
fn temperature_and_threshold_go_with_records_and_older_ones_have_none() {
    let card = Card { confidence: Some(confidence()), ..card() };
    assert_eq!(Card::from_json(&card.to_json().unwrap()), Ok(card));
    let run = RunRecord { confidence: Some(confidence()), ..run() };
    assert_eq!(RunRecord::from_json(&run.to_json().unwrap()), Ok(run));
    // What was written before has no such field, and without one the same is written.
    assert!(!self::card().to_json().unwrap().contains("confidence"));
    assert!(!self::run().to_json().unwrap().contains("confidence"));
}

#[test]
fn a_confidence_that_cannot_be_is_refused() {
    let spoil = |change: fn(&mut Confidence)| {
        let mut spoilt = confidence();
        change(&mut spoilt);
        let run = RunRecord { confidence: Some(spoilt.clone()), ..run() }.to_json();
        assert!(matches!(run, Err(RunError::Confidence(_))), "{run:?}");
        Card { confidence: Some(spoilt), ..card() }.to_json().unwrap_err().to_string()
    };
    assert!(spoil(|c| c.temperature = 0.0).contains("a temperature of 0"));
    assert!(spoil(|c| c.threshold = 1.5).contains("a threshold of 1.5"));
    assert!(spoil(|c| c.kept = 11).contains("7 right of 11 kept of 10"));
    assert!(spoil(|c| c.reliability[0].right = 10).contains("reliability"));
    assert!(spoil(|c| c.unknown.as_mut().unwrap().accepted = 9).contains("9 accepted of 8"));
}

#[test]
fn fixed_sizes_are_those_of_calls() {
    let complaint = |fixed| Card { fixed, ..card() }.to_json().err().map(|e| e.to_string());
    let fixed = |batch, segments| Fixed { batch, segments };
    assert_eq!(complaint(fixed(Some(3), None)), None);
    assert_eq!(complaint(fixed(None, Some(7))), None);
    assert!(complaint(fixed(Some(0), None)).unwrap().contains("a batch of none"));
    assert!(complaint(fixed(None, Some(8))).unwrap().contains("a window has 7"));
    // The golden input is what one call takes.
    assert!(complaint(fixed(None, Some(2))).unwrap().contains("1458 are a call"));
    assert!(!card().to_json().unwrap().contains("fixed"));
}

#[test]
fn a_form_that_is_none_is_refused() {
    let complaint = |change: fn(&mut Card)| {
        let mut card = int8();
        change(&mut card);
        card.to_json().unwrap_err().to_string()
    };
    assert!(complaint(|card| card.target = Target::Cuda).contains("no integer convolutions"));
    assert!(complaint(|card| card.calibration = None).contains("without its calibration"));
    assert!(complaint(|card| card.precision = Precision::Fp16).contains("a model in fp16"));
    fn ranges(card: &mut Card) -> &mut std::collections::BTreeMap<String, f32> {
        &mut card.calibration.as_mut().unwrap().ranges
    }
    assert!(
        complaint(|card| ranges(card).clear())
            .contains("its network needs those of [block1, block2,")
    );
    let zero = complaint(|card| {
        ranges(card).insert("block2".into(), 0.0);
    });
    assert!(zero.contains("the range of block2 is 0"), "{zero}");
}

#[test]
fn hugging_faces_form_is_of_whole_recordings_of_any_length() {
    let hub = Card { huggingface: true, ..card() };
    assert_eq!((hub.waveform_input(), card().waveform_input()), ("input_values", "waveform"));
    assert_eq!(Card::from_json(&hub.to_json().unwrap()), Ok(hub.clone()));
    assert!(!card().to_json().unwrap().contains("huggingface"));
    for bad in [
        Card { embedding_only: true, ..hub.clone() },
        Card { fixed: Fixed { batch: Some(2), segments: None }, ..hub },
    ] {
        let error = bad.to_json().unwrap_err().to_string();
        assert!(error.contains("any length"), "{error}");
    }
}
