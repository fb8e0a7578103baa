//! Compiled graphs in ONNX Runtime against the naive reference, over the unfolded weights in torch's conventions.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::path::Path;

use leitmotif::Device;
use leitmotif::session::{NamedTensor, Session, SessionOptions};
use leitmotif_export::{Checkpoint, FP32_TOLERANCE, compile};
use leitmotif_models::{GraphKind, HeadKind};

use support::reference::Answer;
use support::{CLASSES, ODD, TINY, Tiny, noise, pooled};

/// Embeddings and states are sums without a softmax behind them; see `verify.rs`.
const VECTOR_TOLERANCE: f64 = 1e-5;

fn open(tiny: &Tiny, kind: GraphKind) -> Session {
    let folder = tempfile::tempdir().unwrap();
    tiny.save(folder.path());
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let artifact = compile(&checkpoint, kind, "test").unwrap();
    let options = SessionOptions::on(Device::Cpu);
    Session::from_bytes(artifact.bytes(), &options).unwrap()
}

fn close(what: &str, outputs: &[NamedTensor], name: &str, shape: &[usize], expected: &[f64]) {
    let found = outputs.iter().find(|output| output.name == name).expect(name);
    assert_eq!(found.shape, shape, "{what}: shape of {name}");
    assert_eq!(found.data.len(), expected.len());
    let tolerance =
        if name.contains("prob") { f64::from(FP32_TOLERANCE) } else { VECTOR_TOLERANCE };
    for (found, expected) in found.data.iter().zip(expected) {
        // Not a fold over `max`, which drops NaN.
        let difference = (f64::from(*found) - expected).abs();
        assert!(difference <= tolerance, "{what}: {name} is {found}, not {expected}");
    }
}

fn flat(answers: &[&Answer], part: impl Fn(&Answer) -> &Vec<f64>) -> Vec<f64> {
    answers.iter().flat_map(|answer| part(answer).clone()).collect()
}

fn mean(answers: &[Answer], part: impl Fn(&Answer) -> &Vec<f64>) -> Vec<f64> {
    let sum = |i: usize| answers.iter().map(|answer| part(answer)[i]).sum::<f64>();
    (0..part(&answers[0]).len()).map(|i| sum(i) / answers.len() as f64).collect()
}

/// `clip` or `sequence` on batches and lengths of its own choosing.
fn check_whole_files(toml: &str, head: HeadKind) {
    let tiny = Tiny::new(toml, head, 11, 1);
    let network = &tiny.run.network;
    let kind = GraphKind::of_head(head)[0];
    let mut session = open(&tiny, kind);
    let (segment, hop) = (network.segment, network.hop);
    let lengths =
        [segment, segment + hop - 1, segment + hop, network.clip_samples() + 2 * hop + hop / 2];
    for (length, batch) in lengths.into_iter().flat_map(|length| [(length, 1), (length, 3)]) {
        let what = format!("{} {} {batch}×{length}", network.name, kind.name());
        let rows: Vec<Vec<f32>> = (0..batch).map(|row| noise(length, 100 + row)).collect();
        let outputs =
            session.run(&[("waveform", &[batch as usize, length], &rows.concat())]).unwrap();
        let answers: Vec<Vec<Answer>> =
            rows.iter().map(|row| tiny.reference().segments(row)).collect();
        let segments = network.segments_in(length);
        let all: Vec<&Answer> = answers.iter().flatten().collect();
        let (probabilities, embedding) = match head {
            HeadKind::Dense => (
                answers.iter().flat_map(|row| mean(row, |a| &a.probabilities)).collect(),
                answers.iter().flat_map(|row| mean(row, |a| &a.embedding)).collect(),
            ),
            HeadKind::Lstm => {
                let last: Vec<&Answer> = answers.iter().map(|row| row.last().unwrap()).collect();
                (flat(&last, |a| &a.probabilities), flat(&last, |a| &a.embedding))
            }
        };
        let (batch, classes) = (batch as usize, CLASSES.len());
        close(&what, &outputs, "probabilities", &[batch, classes], &probabilities);
        close(&what, &outputs, "embedding", &[batch, network.head.units], &embedding);
        let shape = [batch, segments, classes];
        let each = flat(&all, |a| &a.probabilities);
        close(&what, &outputs, "segment_probabilities", &shape, &each);
    }
}

#[test]
fn clip_graph_of_the_worked_example() {
    check_whole_files(TINY, HeadKind::Dense);
}

#[test]
fn clip_graph_of_odd_sizes_with_overlap() {
    check_whole_files(ODD, HeadKind::Dense);
}

#[test]
fn sequence_graph_of_the_worked_example() {
    check_whole_files(TINY, HeadKind::Lstm);
}

#[test]
fn sequence_graph_of_odd_sizes_with_overlap() {
    check_whole_files(ODD, HeadKind::Lstm);
}

#[test]
fn clip_graphs_of_each_pooling_over_time() {
    for toml in pooled() {
        check_whole_files(&toml, HeadKind::Dense);
    }
}

#[test]
fn sequence_graphs_of_each_pooling_over_time() {
    for toml in pooled() {
        check_whole_files(&toml, HeadKind::Lstm);
    }
}

/// `segment` in one batch.
fn check_segments(toml: &str) {
    let tiny = Tiny::new(toml, HeadKind::Dense, 12, 1);
    let network = &tiny.run.network;
    let mut session = open(&tiny, GraphKind::Segment);
    let segments: Vec<Vec<f32>> = (0..4).map(|seed| noise(network.segment, seed)).collect();
    let outputs = session.run(&[("waveform", &[4, network.segment], &segments.concat())]).unwrap();
    let answers: Vec<Answer> =
        segments.iter().map(|segment| tiny.reference().step(segment, &[], &[])).collect();
    let answers: Vec<&Answer> = answers.iter().collect();
    let what = format!("{} segment", network.name);
    let per_class = [4, CLASSES.len()];
    close(&what, &outputs, "probabilities", &per_class, &flat(&answers, |a| &a.probabilities));
    close(&what, &outputs, "logits", &per_class, &flat(&answers, |a| &a.logits));
    let embedding = flat(&answers, |a| &a.embedding);
    close(&what, &outputs, "embedding", &[4, network.head.units], &embedding);
}

#[test]
fn segment_graph_of_the_worked_example() {
    check_segments(TINY);
}

#[test]
fn segment_graph_of_odd_sizes() {
    check_segments(ODD);
}

#[test]
fn segment_graphs_of_the_presets_with_energies() {
    check_segments(include_str!("../../models/presets/compact.toml"));
    check_segments(include_str!("../../models/presets/spectral.toml"));
}

#[test]
fn segment_graphs_of_each_pooling_over_time() {
    for toml in pooled() {
        check_segments(&toml);
    }
}

/// `step` folded over two recordings side by side: at each segment the reference's state and the `sequence` graph's.
fn check_steps(toml: &str) {
    let tiny = Tiny::new(toml, HeadKind::Lstm, 13, 1);
    let network = &tiny.run.network;
    let (batch, units, classes) = (2, network.head.units, CLASSES.len());
    let mut step = open(&tiny, GraphKind::Step);
    let mut sequence = open(&tiny, GraphKind::Sequence);
    let samples = network.clip_samples();
    let rows: Vec<Vec<f32>> = (0..batch as u64).map(|row| noise(samples, 50 + row)).collect();
    let whole = sequence.run(&[("waveform", &[batch, samples], &rows.concat())]).unwrap();
    let whole = whole.iter().find(|output| output.name == "segment_probabilities").unwrap();
    let answers: Vec<Vec<Answer>> = rows.iter().map(|row| tiny.reference().segments(row)).collect();

    let mut state = (vec![0.0; batch * units], vec![0.0; batch * units]);
    for segment in 0..network.window {
        let start = segment * network.hop;
        let waveform: Vec<f32> =
            rows.iter().flat_map(|row| row[start..start + network.segment].to_vec()).collect();
        let outputs = step
            .run(&[
                ("waveform", &[batch, network.segment], &waveform),
                ("h", &[batch, units], &state.0),
                ("c", &[batch, units], &state.1),
            ])
            .unwrap();
        let expected: Vec<&Answer> = answers.iter().map(|row| &row[segment]).collect();
        let what = format!("{} step {segment}", network.name);
        let probabilities = flat(&expected, |a| &a.probabilities);
        close(&what, &outputs, "probabilities", &[batch, classes], &probabilities);
        close(&what, &outputs, "logits", &[batch, classes], &flat(&expected, |a| &a.logits));
        close(&what, &outputs, "embedding", &[batch, units], &flat(&expected, |a| &a.embedding));
        close(&what, &outputs, "h_next", &[batch, units], &flat(&expected, |a| &a.embedding));
        close(&what, &outputs, "c_next", &[batch, units], &flat(&expected, |a| &a.cell));
        let from_sequence: Vec<f64> = (0..batch)
            .flat_map(|row| {
                let at = (row * network.window + segment) * classes;
                whole.data[at..at + classes].iter().map(|p| f64::from(*p)).collect::<Vec<_>>()
            })
            .collect();
        close(&what, &outputs, "probabilities", &[batch, classes], &from_sequence);
        let next = |name: &str| outputs.iter().find(|o| o.name == name).unwrap().data.clone();
        state = (next("h_next"), next("c_next"));
    }
}

#[test]
fn steps_of_the_worked_example_equal_its_sequence() {
    check_steps(TINY);
}

#[test]
fn steps_of_odd_sizes_equal_their_sequence() {
    check_steps(ODD);
}

#[test]
fn steps_of_each_pooling_over_time_equal_their_sequence() {
    for toml in pooled() {
        check_steps(&toml);
    }
}

/// What one segment holds changes the answer to no other.
#[test]
fn segments_never_mix() {
    for toml in pooled() {
        let tiny = Tiny::new(&toml, HeadKind::Dense, 17, 1);
        let network = &tiny.run.network;
        let (segment, classes) = (network.segment, CLASSES.len());
        let mut session = open(&tiny, GraphKind::Clip);
        let samples = network.samples_of(4);
        let mut answers = |waveform: &[f32]| {
            let outputs = session.run(&[("waveform", &[1, samples], waveform)]).unwrap();
            let each = outputs.into_iter().find(|o| o.name == "segment_probabilities");
            each.unwrap().data
        };
        let before = noise(samples, 3);
        let mut after = before.clone();
        // Of the last segment only: it begins at 900, the one before ends at 1300.
        after[2 * network.hop + segment..].iter_mut().for_each(|x| *x *= 0.1);
        let (before, after) = (answers(&before), answers(&after));
        assert_eq!(before[..3 * classes], after[..3 * classes], "{}", network.name);
        assert_ne!(before[3 * classes..], after[3 * classes..], "{}", network.name);
    }
}

/// Silence is where a logarithm and a root could be infinite.
#[test]
fn silence_has_the_references_answer() {
    for toml in pooled() {
        let tiny = Tiny::new(&toml, HeadKind::Dense, 18, 1);
        let mut session = open(&tiny, GraphKind::Segment);
        let segment = tiny.run.network.segment;
        for loudness in [0.0, 1e-6, 1e-3] {
            let waveform: Vec<f32> = noise(segment, 9).iter().map(|x| x * loudness).collect();
            let outputs = session.run(&[("waveform", &[1, segment], &waveform)]).unwrap();
            let answer = tiny.reference().step(&waveform, &[], &[]);
            let what = format!("{} at {loudness}", tiny.run.network.name);
            close(&what, &outputs, "embedding", &[1, 6], &answer.embedding);
        }
    }
}

#[test]
fn the_same_checkpoint_gives_the_same_bytes() {
    for head in [HeadKind::Dense, HeadKind::Lstm] {
        let folder = tempfile::tempdir().unwrap();
        Tiny::new(ODD, head, 5, 2).save(folder.path());
        for kind in GraphKind::of_head(head) {
            let bytes = || {
                let checkpoint = Checkpoint::open(folder.path()).unwrap();
                compile(&checkpoint, kind, "x").unwrap().bytes().to_vec()
            };
            assert!(bytes() == bytes(), "{}", kind.name());
        }
    }
}

#[test]
fn a_head_has_only_its_own_graphs() {
    let checkpoint = Checkpoint::open(&support::fixture_checkpoint(HeadKind::Dense)).unwrap();
    let error = compile(&checkpoint, GraphKind::Step, "x").unwrap_err().to_string();
    assert!(error.contains("dense") && error.contains("`step`"), "{error}");
}

#[test]
fn the_card_has_the_limit_of_one_call() {
    let checkpoint = Checkpoint::open(&support::fixture_checkpoint(HeadKind::Dense)).unwrap();
    let network = &checkpoint.run().network;
    let card = |kind| compile(&checkpoint, kind, "x").unwrap().card().clone();
    let seconds = network.segment as f64 / 16_000.0;
    assert_eq!(card(GraphKind::Segment).max_seconds_per_call, seconds);
    // The two largest maps are the first convolution's, before and after its batch norm: 2·243·4 floats. Before them,
    // 729 samples of four bytes are cut by indices of eight.
    let segments = (512 << 20) / (2 * 243 * 4 * 4 + 729 * 12);
    let clip = card(GraphKind::Clip).max_seconds_per_call;
    assert_eq!(clip, (segments * network.segment) as f64 / 16_000.0);
    assert!(Path::new(&card(GraphKind::Clip).weights_sha256).as_os_str().len() == 64);
}
