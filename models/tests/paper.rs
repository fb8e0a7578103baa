//! The presets against the figures of the paper and those checked by hand for it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use leitmotif_models::{HeadKind, Network, NetworkError, ParamKind};

fn preset(name: &str, head: HeadKind) -> Network {
    Network::preset(name).unwrap().with_head(head)
}

#[test]
fn trainable_parameters_with_222_classes_are_the_checked_ones() {
    let expected = [
        ("model1", 826_526, 2_271_390),
        ("model2", 3_070_046, 8_843_358),
        ("model3", 777_118, 2_221_982),
        ("model4", 777_118, 2_221_982),
    ];
    for (name, dense, lstm) in expected {
        assert_eq!(preset(name, HeadKind::Dense).costs(222).trainable(), dense, "{name} dense");
        assert_eq!(preset(name, HeadKind::Lstm).costs(222).trainable(), lstm, "{name} lstm");
    }
}

#[test]
fn convolutions_cost_the_checked_multiply_adds() {
    let convolutions = |name| {
        let costs = preset(name, HeadKind::Dense).costs(222);
        costs
            .layers
            .iter()
            .filter(|c| c.step.starts_with("block"))
            .map(|c| c.multiply_adds)
            .sum::<u64>()
    };
    assert_eq!(convolutions("model1"), 568_941_120);
    assert_eq!(convolutions("model3"), 190_187_712);
    assert_eq!(convolutions("model4"), 190_187_712);
}

#[test]
fn the_presets_cut_a_clip_as_the_paper_does() {
    for (name, segments) in [("model1", 7), ("model2", 7), ("model3", 23), ("model4", 46)] {
        let network = preset(name, HeadKind::Lstm);
        assert_eq!(network.segments_in(465_984), segments, "{name}");
        assert_eq!(network.window, segments, "{name}");
        assert!(network.clip_samples() <= 465_984, "{name}");
    }
}

#[test]
fn every_preset_closes_and_survives_toml_and_json() {
    for name in Network::preset_names() {
        let network = Network::preset(name).unwrap();
        assert_eq!(network.name, name);
        assert_eq!(Network::from_toml(&network.to_toml().unwrap()).as_ref(), Ok(&network));
        let json = serde_json::to_string(&network).unwrap();
        assert_eq!(serde_json::from_str::<Network>(&json).unwrap(), network);
    }
}

fn complaint(text: &str) -> String {
    Network::from_toml(text).unwrap_err().to_string()
}

const GOOD: &str = r#"
name = "mine"
segment = 27
window = 2
head = { kind = "dense", units = 4 }
blocks = [{ filters = 2, stride = 3 }, { filters = 2, pool = 3 }, { filters = 4, pool = 3 }]
"#;

#[test]
fn arithmetic_that_does_not_close_names_the_block_and_the_length_needed() {
    assert!(Network::from_toml(GOOD).is_ok());
    let no = complaint(&GOOD.replace("segment = 27", "segment = 30"));
    assert!(
        no.contains("block 2") && no.contains("10 positions") && no.contains("exactly 27"),
        "{no}"
    );
    let no = complaint(&GOOD.replace("segment = 27", "segment = 28"));
    assert!(
        no.contains("block 1") && no.contains("28 positions") && no.contains("exactly 27"),
        "{no}"
    );
    let no = complaint(&GOOD.replace("segment = 27", "segment = 81"));
    assert!(no.contains("leaves 3 positions") && no.contains("exactly 27"), "{no}");
}

#[test]
fn advice_never_names_a_segment_that_is_not_allowed() {
    let deep = format!("blocks = [{}]", "{ filters = 2, pool = 65536 }, ".repeat(40));
    let no = complaint(&(GOOD.split("blocks").next().unwrap().to_owned() + &deep));
    assert!(no.contains("more than 16777216 samples") && !no.contains("exactly"), "{no}");
}

#[test]
fn a_clip_that_no_memory_holds_is_refused() {
    let clip = |window: usize, hop: usize| {
        let text = GOOD.replace("window = 2", &format!("window = {window}\nhop = {hop}"));
        Network::from_toml(&text)
    };
    let no = clip(65_536, 16_777_216).unwrap_err().to_string();
    assert!(no.contains("1099494850587 samples") && no.contains("67108864"), "{no}");
    let most = Network::MOST_CLIP_SAMPLES;
    assert_eq!(clip(2, 1 << 24).map(|n| n.clip_samples()), Ok((1 << 24) + 27));
    assert_eq!(clip(5, (most - 27) / 4).map(|n| n.clip_samples()), Ok(most - 1));
    assert!(clip(5, (most - 27) / 4 + 1).is_err());
    // A hundred clips of the paper in a row are still a network's.
    assert!(most > 100 * 465_984);
}

#[test]
fn costs_of_an_absurd_network_stop_at_the_largest_number() {
    let wide = "{ filters = 65536, kernel = 65535 }";
    let blocks = format!(
        "blocks = [{wide}, {wide}, {{ filters = 2, stride = 3, pool = 59049 }}, {{ filters = 2, pool = 81 }}]"
    );
    let text = GOOD.split("blocks").next().unwrap().to_owned() + &blocks;
    let network = Network::from_toml(&text.replace("segment = 27", "segment = 14348907")).unwrap();
    let mut costs = network.costs(Network::MOST_CLASSES);
    assert_eq!(costs.multiply_adds(), u64::MAX);
    assert_eq!(costs.trainable() >> 48, 1);
    costs.layers[0].activation_bytes = u64::MAX;
    assert_eq!(costs.peak_bytes(), u64::MAX);
}

#[test]
fn a_network_built_without_windows_has_a_clip_of_one_segment() {
    let network = Network { window: 0, ..preset("model1", HeadKind::Dense) };
    assert_eq!(network.clip_samples(), network.segment);
}

#[test]
fn what_is_missing_or_unknown_is_named_with_its_line() {
    let no = complaint(&GOOD.replace("{ filters = 2, pool = 3 }", "{ pool = 3 }"));
    assert!(no.contains("filters") && no.contains("line 6"), "{no}");
    let no = complaint(&GOOD.replace("pool = 3 }]", "pools = 3 }]"));
    assert!(no.contains("pools") && no.contains("line 6"), "{no}");
    let no = complaint(&GOOD.replace("\"dense\"", "\"gru\""));
    assert!(no.contains("gru") && no.contains("lstm"), "{no}");
    let no = complaint(&GOOD.replace("filters = 4", "filters = -4"));
    assert!(no.contains("-4"), "{no}");
}

#[test]
fn numbers_out_of_range_are_named() {
    for (from, to, place) in [
        ("filters = 4", "filters = 0", "block 3: `filters` is 0"),
        ("units = 4", "units = 0", "head: `units` is 0"),
        ("window = 2", "window = 0", "network: `window` is 0"),
        ("segment = 27", "segment = 4000000000", "`segment` is 4000000000"),
        ("stride = 3", "stride = 0", "block 1: `stride` is 0"),
        ("pool = 3 }]", "pool = 3, padding = 3 }]", "block 3: `padding` is 3"),
        ("stride = 3", "kernel = 4000000000", "block 1: `kernel`"),
    ] {
        let no = complaint(&GOOD.replace(from, to));
        assert!(no.contains(place), "{no}");
    }
    let blocks = GOOD.split("blocks").next().unwrap().to_owned() + "blocks = []";
    assert_eq!(Network::from_toml(&blocks), Err(NetworkError::NoBlocks));
}

const POOLED: &str = r#"
name = "mine"
segment = 1000
window = 2
pool = "statistics"
head = { kind = "dense", units = 4, dropout = 0.5 }
blocks = [
  { kind = "energy", filters = 3, kernel = 40, stride = 16 },
  { kind = "residual", filters = 4, squeeze = 2, pool = 3 },
]
"#;

#[test]
fn what_a_kind_of_block_does_not_have_is_named_with_the_block() {
    assert!(Network::from_toml(POOLED).is_ok());
    for (from, to, words) in [
        (
            "stride = 16",
            "stride = 16, squeeze = 2",
            "block 1: a block of kind `energy` has no `squeeze`",
        ),
        ("\"residual\"", "\"energy\"", "block 2: a block of kind `energy` measures the waveform"),
        ("\"residual\"", "\"conv\"", "block 2: a block of kind `conv` has no `squeeze`"),
        (
            "filters = 4",
            "filters = 4, kernel = 4",
            "block 2: a block of kind `residual` adds its input",
        ),
        (
            "filters = 4",
            "filters = 4, stride = 2",
            "block 2: a block of kind `residual` keeps the length",
        ),
        (
            "filters = 4",
            "filters = 4, padding = 0",
            "block 2: a block of kind `residual` keeps the length",
        ),
        ("squeeze = 2", "squeeze = 5", "block 2: `squeeze` is 5, but it must be from 1 to 4"),
        ("squeeze = 2", "squeeze = 0", "block 2: `squeeze` is 0"),
        (
            "squeeze = 2",
            "trainable = false",
            "block 2: a block of kind `residual` is always trained",
        ),
        ("dropout = 0.5", "dropout = 1.0", "head: `dropout` is 1,"),
        ("dropout = 0.5", "dropout = -0.5", "head: `dropout` is -0.5"),
        ("dropout = 0.5", "dropout = nan", "head: `dropout` is NaN"),
        ("\"statistics\"", "\"median\"", "median"),
        ("\"residual\"", "\"dilated\"", "dilated"),
        (
            "segment = 1000",
            "segment = 71",
            "a segment of 71 samples is too short: block 2 gets 2 positions",
        ),
        ("segment = 1000", "segment = 39", "block 1 gets 39 positions and leaves none"),
    ] {
        let no = complaint(&POOLED.replace(from, to));
        assert!(no.contains(words), "{no}");
    }
}

const IMAGE: &str = r#"
name = "mine"
segment = 1000
window = 2
pool = "mean"
blocks = [
  { kind = "energy", filters = 6, kernel = 40, stride = 8, pool = 2 },
  { kind = "conv2d", filters = 4, pool = 2 },
]
head = { kind = "dense", units = 4 }
"#;

#[test]
fn two_dimensions_have_bands_and_time_and_one_norm_of_all_bands() {
    let network = Network::from_toml(IMAGE).unwrap();
    // (1000 − 40) / 8 + 1 = 121 positions, the mean of two 60; then half of the bands and of the positions.
    let shapes: Vec<String> =
        network.steps(3).iter().map(|step| format!("{} {}", step.name, step.output)).collect();
    let expected = ["block1 60×6", "bands 6×60×1", "block1 6×60×1", "block2 6×60×4"];
    assert_eq!(shapes[..4], expected);
    assert!(shapes.iter().any(|shape| shape == "block2 3×30×4"), "{shapes:?}");
    assert!(shapes.iter().any(|shape| shape == "positions 90×4"), "{shapes:?}");
    let shape = |name: &str| {
        network.params(3).into_iter().find(|param| param.name == name).map(|param| param.shape)
    };
    assert_eq!(shape("block1.norm.weight"), Some(vec![1]));
    assert_eq!(shape("block2.conv.weight"), Some(vec![4, 1, 3, 3]));
    assert_eq!(shape("dense.weight"), Some(vec![4, 4]));
    assert_eq!(network, Network::from_toml(&network.to_toml().unwrap()).unwrap());
    let costs = network.costs(3);
    let of = |layer: usize| costs.layers[layer].multiply_adds;
    assert_eq!((of(0), of(3)), (60 * 2 * 40 * 12, 6 * 60 * 9 * 4));

    for (from, to, words) in [
        ("\"conv2d\"", "\"conv2d\", kernel = 4", "block 2: a block of kind `conv2d` keeps bands"),
        ("\"conv2d\"", "\"conv2d\", kernel = 1", "`kernel` is 1"),
        ("\"conv2d\"", "\"conv2d\", stride = 2", "takes no `stride`"),
        ("\"conv2d\"", "\"conv2d\", squeeze = 2", "has no `squeeze`"),
        ("filters = 6", "filters = 1", "block 2: a block of kind `conv2d` pools more bands"),
        ("pool = \"mean\"\n", "", "the network needs a `pool`"),
        ("\"energy\"", "\"conv\"", "needs the bands of an energy block"),
        ("\"energy\"", "\"conv2d\"", "needs the bands of an energy block"),
        ("4, pool = 2 },", "4 }, { filters = 2 },", "cannot come behind a block of kind `conv2d`"),
    ] {
        let no = complaint(&IMAGE.replacen(from, to, 1));
        assert!(no.contains(words), "{no}");
    }
}

#[test]
fn only_where_positions_are_pooled_over_time_may_a_length_not_divide() {
    let no = complaint(&POOLED.replace("pool = \"statistics\"\n", ""));
    assert!(no.contains("block 2") && no.contains("61 positions"), "{no}");
    let network = Network::from_toml(POOLED).unwrap();
    let steps = network.steps(2);
    let pooled = steps.iter().find(|step| step.name == "pool").unwrap();
    // (1000 − 40) / 16 + 1 = 61; of 61 positions 20 windows of 3, and one left over.
    assert_eq!((pooled.input.length(), pooled.output.values()), (20, 8));
}

#[test]
fn a_description_says_nothing_of_what_the_paper_does_not_have() {
    for name in ["model1", "model2", "model3", "model4", "example", "demo"] {
        let network = Network::preset(name).unwrap();
        let text = serde_json::to_string(&network).unwrap();
        for word in ["kind\":\"conv", "squeeze", "dropout", "\"pool\":\""] {
            assert!(!text.contains(word), "{text}");
        }
    }
}

#[test]
fn an_unknown_preset_lists_those_there_are() {
    let no = Network::preset("model5").unwrap_err().to_string();
    assert!(no.contains("model5") && no.contains("model4") && no.contains("demo"), "{no}");
}

#[test]
fn filters_that_are_not_trained_stay_so_in_a_written_description() {
    let fixed = Network::preset("spectral").unwrap();
    let read = Network::from_toml(&fixed.to_toml().unwrap()).unwrap();
    assert_eq!(read, fixed);
    let kind = |network: &Network| {
        network.params(3).into_iter().find(|p| p.name == "block1.conv.weight").unwrap().kind
    };
    assert_eq!(kind(&read), ParamKind::Untrained);
    assert_eq!(kind(&Network::preset("compact").unwrap()), ParamKind::Trainable);
}
