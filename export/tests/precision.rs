//! fp16, int8 and other targets: each computes what fp32 computes, as nearly as it can, in fewer bytes.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use leitmotif::Device;
use leitmotif::session::{Session, SessionOptions};
use leitmotif_export::{
    Artifact, Calibrator, Checkpoint, ExportError, FP16_TOLERANCE, FP32_TOLERANCE, INT8_TOLERANCE,
    LowerError, Recipe, compile, compile_as,
};
use leitmotif_models::{Calibration, GraphKind, HeadKind, Precision, RangeRule, Target};

use support::{ODD, TINY, Tiny, noise, pooled};

fn checkpoint(toml: &str, head: HeadKind) -> Checkpoint {
    let folder = tempfile::tempdir().unwrap();
    Tiny::new(toml, head, 31, 1).save(folder.path());
    Checkpoint::open(folder.path()).unwrap()
}

fn session(model: &[u8]) -> Session {
    Session::from_bytes(model, &SessionOptions::on(Device::Cpu)).unwrap()
}

fn calibrated(checkpoint: &Checkpoint, rule: RangeRule) -> Calibration {
    let mut session = session(&Calibrator::graph(checkpoint).unwrap());
    let mut calibrator = Calibrator::new(checkpoint);
    let segment = checkpoint.run().network.segment;
    for seed in 200..232 {
        let outputs = session.run(&[("waveform", &[1, segment], &noise(segment, seed))]).unwrap();
        for output in outputs {
            calibrator.add(&output.name, &output.data).unwrap();
        }
    }
    calibrator.finish(rule, "noise", 32, 32).unwrap()
}

fn recipe(checkpoint: &Checkpoint, target: Target, precision: Precision) -> Recipe {
    let calibration =
        (precision == Precision::Int8).then(|| calibrated(checkpoint, RangeRule::Mse));
    Recipe { target, precision, calibration, ..Recipe::named("x") }
}

/// The probabilities of two recordings after each segment, or of one segment of each.
fn answers(artifact: &Artifact) -> Vec<f32> {
    let card = artifact.card();
    let (network, units) = (&card.network, card.embedding_units);
    let samples = match card.graph.takes_any_length() {
        // Something is left over, to be dropped.
        true => network.clip_samples() + network.hop / 2,
        false => network.segment,
    };
    let waveform: Vec<f32> = [noise(samples, 3), noise(samples, 4)].concat();
    let (shape, state) = ([2, samples], vec![0.25; 2 * units]);
    let mut inputs: Vec<(&str, &[usize], &[f32])> = vec![("waveform", &shape, &waveform)];
    let state_shape = [2, units];
    if card.graph == GraphKind::Step {
        inputs.extend([("h", &state_shape[..], &state[..]), ("c", &state_shape, &state)]);
    }
    let outputs = session(artifact.bytes()).run(&inputs).unwrap();
    let wanted =
        if card.graph.takes_any_length() { "segment_probabilities" } else { "probabilities" };
    let found = outputs.into_iter().find(|output| output.name == wanted).unwrap().data;
    assert!(found.iter().all(|p| (0.0..=1.001).contains(p)), "{found:?}");
    found
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Every graph of both heads in a form, against portable fp32.
fn check(target: Target, precision: Precision, allowed: f32) {
    let networks = [TINY, ODD].map(str::to_owned).into_iter().chain(pooled());
    for (toml, head) in
        networks.flat_map(|toml| [HeadKind::Dense, HeadKind::Lstm].map(|h| (toml.clone(), h)))
    {
        let checkpoint = checkpoint(&toml, head);
        let recipe = recipe(&checkpoint, target, precision);
        for kind in GraphKind::of_head(head) {
            let expected = answers(&compile(&checkpoint, kind, "x").unwrap());
            let found = answers(&compile_as(&checkpoint, kind, &recipe).unwrap());
            let difference = largest_difference(&expected, &found);
            let name = &checkpoint.run().network.name;
            assert!(
                difference <= allowed,
                "{name} {} {target} {precision}: {difference}",
                kind.name()
            );
            if precision != Precision::Fp32 {
                assert!(difference > 0.0, "{name} {}: nothing was quantized", kind.name());
            }
        }
    }
}

#[test]
fn every_target_gives_the_same_answers_in_fp32() {
    check(Target::Cpu, Precision::Fp32, FP32_TOLERANCE);
    check(Target::Cuda, Precision::Fp32, FP32_TOLERANCE);
}

#[test]
fn sixteen_bits_move_a_probability_by_less_than_its_tolerance() {
    for target in Target::ALL {
        check(target, Precision::Fp16, FP16_TOLERANCE);
    }
}

/// These networks are four channels wide and get noise, so eight bits cost them more than they cost a real one.
#[test]
fn eight_bits_give_nearly_the_same_answers() {
    check(Target::Portable, Precision::Int8, 0.2);
    check(Target::Cpu, Precision::Int8, 0.2);
}

#[test]
fn the_targets_of_int8_agree_with_each_other() {
    let checkpoint = checkpoint(TINY, HeadKind::Dense);
    let [portable, cpu] = [Target::Portable, Target::Cpu].map(|target| {
        let recipe = recipe(&checkpoint, target, Precision::Int8);
        answers(&compile_as(&checkpoint, GraphKind::Clip, &recipe).unwrap())
    });
    let difference = largest_difference(&portable, &cpu);
    assert!(difference <= INT8_TOLERANCE, "{difference}");
}

#[test]
fn a_card_is_recipe_enough_to_compile_the_same_bytes_again() {
    for head in [HeadKind::Dense, HeadKind::Lstm] {
        let checkpoint = checkpoint(ODD, head);
        let golden = Some(vec![0.5, 0.25, 0.25]);
        let recipe = Recipe { golden, ..recipe(&checkpoint, Target::Cpu, Precision::Int8) };
        for kind in GraphKind::of_head(head) {
            let once = compile_as(&checkpoint, kind, &recipe).unwrap();
            let again = compile_as(&checkpoint, kind, &Recipe::of(once.card())).unwrap();
            assert!(once.bytes() == again.bytes(), "{}", kind.name());
        }
    }
}

#[test]
fn int8_needs_ranges_and_cuda_has_no_int8() {
    let checkpoint = checkpoint(TINY, HeadKind::Dense);
    let of = |target| Recipe { target, precision: Precision::Int8, ..Recipe::named("x") };
    let error = compile_as(&checkpoint, GraphKind::Clip, &of(Target::Cpu)).unwrap_err();
    assert!(
        matches!(&error, ExportError::Lower(LowerError::NotCalibrated { block }) if block == "block1"),
        "{error}"
    );
    let error = compile_as(&checkpoint, GraphKind::Clip, &of(Target::Cuda)).unwrap_err();
    assert!(matches!(error, ExportError::Lower(LowerError::Form(_))), "{error}");
    assert!(error.to_string().contains("fp16"), "{error}");
}

#[test]
fn rules_clip_as_far_as_their_names_promise() {
    let checkpoint = checkpoint(TINY, HeadKind::Dense);
    let ranges = |rule| calibrated(&checkpoint, rule).ranges;
    let (all, most) = (ranges(RangeRule::MinMax), ranges(RangeRule::Percentile));
    let least = ranges(RangeRule::Mse);
    assert_eq!(all.len(), 6);
    for (block, range) in &all {
        assert!(most[block] <= *range && least[block] <= *range, "{block}");
    }
    assert!(most != all && least != all);
}

#[test]
fn noise_that_is_no_number_is_refused() {
    let checkpoint = checkpoint(TINY, HeadKind::Dense);
    let mut calibrator = Calibrator::new(&checkpoint);
    let error = calibrator.add("block1", &[0.5, f32::NAN]).unwrap_err().to_string();
    assert!(error.contains("block1") && error.contains("NaN"), "{error}");
    let error = calibrator.finish(RangeRule::Mse, "nothing", 0, 0).unwrap_err().to_string();
    assert!(error.contains("block1 gave nothing above zero"), "{error}");
}

/// Wide enough that weights are most of a file.
#[test]
fn files_are_as_small_as_their_precision_promises() {
    let toml = include_str!("../../models/presets/example.toml").replace("classes = 64", "");
    for head in [HeadKind::Dense, HeadKind::Lstm] {
        let folder = tempfile::tempdir().unwrap();
        Tiny::new(&toml, head, 31, 1).save(folder.path());
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        let network = &checkpoint.run().network;
        let ranges = network.map_names().map(|block| (block, 1.0)).collect();
        let (rule, source) = (RangeRule::MinMax, "none".to_owned());
        let calibration = Calibration { rule, source, clips: 1, segments: 1, ranges };
        for kind in GraphKind::of_head(head) {
            let size = |target, precision| {
                let calibration =
                    Some(&calibration).filter(|_| precision == Precision::Int8).cloned();
                let recipe = Recipe { target, precision, calibration, ..Recipe::named("x") };
                compile_as(&checkpoint, kind, &recipe).unwrap().bytes().len() as f64
            };
            let whole = size(Target::Portable, Precision::Fp32);
            for target in [Target::Portable, Target::Cpu] {
                let half = size(target, Precision::Fp16) / whole;
                let quarter = size(target, Precision::Int8) / whole;
                assert!(half <= 0.52, "{} {target}: {half}", kind.name());
                assert!(quarter <= 0.30, "{} {target}: {quarter}", kind.name());
            }
        }
    }
}

/// The full `onnx.checker` and strict shape inference accept every form, and Python's ONNX Runtime gives its golden answer.
#[test]
fn python_accepts_every_form() {
    let packages = support::manifest_folder().join("../.deps/site-packages");
    let folder = tempfile::tempdir().unwrap();
    let pooled = pooled().map(|toml| checkpoint(&toml, HeadKind::Lstm));
    let checkpoints = [checkpoint(TINY, HeadKind::Lstm)].into_iter().chain(pooled);
    let precisions = [Precision::Fp32, Precision::Fp16, Precision::Int8];
    let forms = Target::ALL.into_iter().flat_map(|target| precisions.map(|p| (target, p)));
    let forms: Vec<_> = forms.filter(|(target, p)| target.check(*p).is_ok()).collect();
    let checkpoints: Vec<Checkpoint> = checkpoints.collect();
    let all = checkpoints.iter().flat_map(|of| forms.iter().map(move |form| (of, *form)));
    for (checkpoint, (target, precision)) in all {
        for kind in GraphKind::of_head(HeadKind::Lstm) {
            let mut recipe = recipe(checkpoint, target, precision);
            if precision == Precision::Int8 {
                recipe.golden = Some(golden_answer(checkpoint, kind, &recipe));
            }
            let path = folder.path().join("model.onnx");
            std::fs::write(&path, compile_as(checkpoint, kind, &recipe).unwrap().bytes()).unwrap();
            let output = std::process::Command::new("python3")
                .arg(support::manifest_folder().join("tests/onnxruntime_python.py"))
                .arg(&path)
                .env("PYTHONPATH", &packages)
                .output()
                .expect("python3 must be installed; `make doctor` says how");
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{} {target} {precision}: {complaint}", kind.name());
        }
    }
}

/// The graph's own answer to the golden input.
fn golden_answer(checkpoint: &Checkpoint, kind: GraphKind, recipe: &Recipe) -> Vec<f32> {
    let artifact = compile_as(checkpoint, kind, recipe).unwrap();
    let samples = artifact.card().golden.input.samples();
    let (shape, state) = ([1, samples.len()], vec![0.0; artifact.card().embedding_units]);
    let mut inputs: Vec<(&str, &[usize], &[f32])> = vec![("waveform", &shape, &samples)];
    let state_shape = [1, state.len()];
    if kind == GraphKind::Step {
        inputs.extend([("h", &state_shape[..], &state[..]), ("c", &state_shape, &state)]);
    }
    let outputs = session(artifact.bytes()).run(&inputs).unwrap();
    outputs.into_iter().find(|output| output.name == "probabilities").unwrap().data
}
