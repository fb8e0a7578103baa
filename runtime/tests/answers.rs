//! A recognizer's answers against a plain computation.
#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use leitmotif::session::{NamedTensor, Session};
use leitmotif::{Answer, Device, Error, Recognizer, SessionOptions};
use leitmotif_models::SampleRate;
use support::{
    GRAPHS, SEGMENT, WINDOW, data, edited, largest_difference, noise, tiny, wav, with_value,
    with_wrong_golden,
};

/// ONNX Runtime may add in another order when a graph gets more segments at a time.
const ROUNDING: f32 = 1e-6;

fn cpu() -> SessionOptions {
    SessionOptions::on(Device::Cpu)
}

fn open(graph: &str) -> Recognizer {
    Recognizer::open_with(tiny(graph), &cpu()).unwrap()
}

/// Probabilities in the network's order.
fn probabilities(answer: &Answer) -> Vec<f32> {
    let mut artists = answer.artists.clone();
    artists.sort_by_key(|artist| artist.class);
    artists.iter().map(|artist| artist.probability).collect()
}

fn output(outputs: &[NamedTensor], name: &str) -> Vec<f32> {
    outputs.iter().find(|output| output.name == name).unwrap().data.clone()
}

fn mean(rows: &[Vec<f32>]) -> Vec<f32> {
    let sum = |i: usize| rows.iter().map(|row| f64::from(row[i])).sum::<f64>();
    (0..rows[0].len()).map(|i| (sum(i) / rows.len() as f64) as f32).collect()
}

/// The definition of an answer as a loop: segment by segment through the smallest graph of each head.
fn plain(graph: &str, samples: &[f32], hop: usize) -> (Vec<f32>, Vec<Vec<f32>>, Vec<f32>) {
    let segments: Vec<&[f32]> =
        (0..samples.len()).step_by(hop).filter_map(|s| samples.get(s..s + SEGMENT)).collect();
    if matches!(graph, "clip" | "segment") {
        let mut session = Session::open(&tiny("segment"), &cpu()).unwrap();
        let answers = segments.iter().map(|segment| {
            let outputs = session.run(&[("waveform", &[1, SEGMENT], segment)]).unwrap();
            (output(&outputs, "probabilities"), output(&outputs, "embedding"))
        });
        let (timeline, embeddings): (Vec<_>, Vec<_>) = answers.unzip();
        return (mean(&timeline), timeline, mean(&embeddings));
    }
    let mut session = Session::open(&tiny("step"), &cpu()).unwrap();
    let (mut timeline, mut lasts, mut states) = (vec![], vec![], vec![]);
    for (number, window) in segments.chunks(WINDOW).enumerate() {
        if number > 0 && window.len() * 2 < WINDOW {
            continue;
        }
        let (mut h, mut c) = (vec![0.0; 5], vec![0.0; 5]);
        for segment in window {
            let inputs: [(&str, &[usize], &[f32]); 3] =
                [("waveform", &[1, SEGMENT], segment), ("h", &[1, 5], &h), ("c", &[1, 5], &c)];
            let outputs = session.run(&inputs).unwrap();
            (h, c) = (output(&outputs, "h_next"), output(&outputs, "c_next"));
            timeline.push(output(&outputs, "probabilities"));
        }
        lasts.push(timeline.last().unwrap().clone());
        states.push(h);
    }
    (mean(&lasts), timeline, mean(&states))
}

fn check(recognizer: &Recognizer, graph: &str, samples: &[f32], hop: usize) {
    let answer = recognizer.recognize_samples(samples).unwrap();
    let (expected, timeline, embedding) = plain(graph, samples, hop);
    let what = format!("{graph}, {} samples, hop {hop}", samples.len());
    assert!(largest_difference(&probabilities(&answer), &expected) < ROUNDING, "{what}");
    assert!(largest_difference(&answer.embedding, &embedding) < ROUNDING, "{what}");
    assert_eq!(answer.segments, timeline.len(), "{what}");
    assert_eq!(answer.timeline.len(), timeline.len(), "{what}");
    for (i, (moment, row)) in answer.timeline.iter().zip(&timeline).enumerate() {
        assert!(largest_difference(&moment.probabilities, row) < ROUNDING, "{what}, segment {i}");
        assert_eq!(moment.window, i / WINDOW, "{what}");
        assert_eq!(moment.start_seconds, (i * hop) as f64 / 16_000.0, "{what}");
        assert_eq!(moment.end_seconds, (i * hop + SEGMENT) as f64 / 16_000.0, "{what}");
    }
}

#[test]
fn all_four_graphs_answer_as_the_plain_computation() {
    for graph in GRAPHS {
        let recognizer = open(graph);
        for segments in [1, 3, WINDOW, WINDOW + 3, WINDOW + 4, 43] {
            // The remainder after the last whole segment is dropped.
            for left in [0, SEGMENT - 1] {
                let samples = noise(segments as u32, segments * SEGMENT + left);
                check(&recognizer, graph, &samples, SEGMENT);
            }
        }
    }
}

#[test]
fn overlapping_segments_are_cut_at_the_cards_hop() {
    let hop = [("\"hop_samples\":729", "\"hop_samples\":365"), ("\"hop\":729", "\"hop\":365")];
    // The golden clip of a graph for one segment stays one segment.
    for graph in ["segment", "step"] {
        let recognizer = Recognizer::from_bytes(&edited(graph, &hop), &cpu()).unwrap();
        check(&recognizer, graph, &noise(5, 20 * 365 + SEGMENT + 7), 365);
    }
}

#[test]
fn a_long_recording_in_pieces_is_the_clip_graph_on_the_whole_file() {
    // 0.137 seconds are three segments, so the recording takes 15 calls.
    let short = |value: &str| format!("{:.*}", value.len() - 2, 0.137);
    let short = with_value("clip", "max_seconds_per_call", short);
    let pieces = Recognizer::from_bytes(&short, &cpu()).unwrap();
    assert_eq!(pieces.card().max_seconds_per_call, 0.137);
    let samples = noise(9, 43 * SEGMENT + 100);
    let answer = pieces.recognize_samples(&samples).unwrap();

    let mut whole = Session::open(&tiny("clip"), &cpu()).unwrap();
    let outputs = whole.run(&[("waveform", &[1, samples.len()], &samples)]).unwrap();
    let expected = output(&outputs, "probabilities");
    assert!(largest_difference(&probabilities(&answer), &expected) < ROUNDING);
    assert!(largest_difference(&answer.embedding, &output(&outputs, "embedding")) < ROUNDING);
    let rows: Vec<f32> = answer.timeline.iter().flat_map(|m| m.probabilities.clone()).collect();
    assert!(largest_difference(&rows, &output(&outputs, "segment_probabilities")) < ROUNDING);
}

#[test]
fn a_file_and_its_samples_have_one_answer() {
    let song = data("audio/mtat.mp3");
    let (samples, info) = leitmotif::audio::read_all(&song, SampleRate::NETWORK).unwrap();
    for graph in GRAPHS {
        let recognizer = open(graph);
        let of_file = recognizer.recognize_file(&song).unwrap();
        assert_eq!(of_file.audio, Some(info.clone()));
        let of_samples = recognizer.recognize_samples(&samples).unwrap();
        let mut of_file = of_file;
        of_file.audio = None;
        assert_eq!(of_file.uncalibrated, of_samples.uncalibrated);
        assert_eq!(of_file.timeline, of_samples.timeline);
        assert_eq!(of_file.embedding, of_samples.embedding);
    }
}

#[test]
fn a_window_counts_from_half_full() {
    for (graph, segments, counted, windows) in [
        ("sequence", 3, 3, 1),
        ("sequence", WINDOW + 3, WINDOW, 1),
        ("sequence", WINDOW + 4, WINDOW + 4, 2),
        ("clip", WINDOW + 3, WINDOW + 3, 2),
    ] {
        let answer = open(graph).recognize_samples(&noise(1, segments * SEGMENT)).unwrap();
        assert_eq!((answer.segments, answer.windows), (counted, windows), "{graph} {segments}");
    }
}

#[test]
fn less_than_a_segment_is_too_short_and_the_error_has_both_lengths() {
    for graph in GRAPHS {
        match open(graph).recognize_samples(&noise(1, SEGMENT - 1)) {
            Err(Error::TooShort { path: None, needed_seconds, found_seconds }) => {
                assert_eq!(needed_seconds, 729.0 / 16_000.0);
                assert_eq!(found_seconds, 728.0 / 16_000.0);
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(open(graph).recognize_samples(&[]), Err(Error::TooShort { .. })));
    }
}

#[test]
fn a_short_file_is_too_short() {
    let folder = tempfile::tempdir().unwrap();
    let song = folder.path().join("short.wav");
    wav(&song, 16_000, &noise(1, 700));
    let error = open("clip").recognize_file(&song).unwrap_err();
    assert!(matches!(&error, Error::TooShort { path: Some(path), .. } if *path == song));
    assert!(error.to_string().starts_with(&format!("{} is ", song.display())), "{error}");
}

#[test]
fn silence_gets_an_answer() {
    for graph in GRAPHS {
        let answer = open(graph).recognize_samples(&[0.0; 10 * SEGMENT]).unwrap();
        let sum: f32 = answer.artists.iter().map(|artist| artist.probability).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
    }
}

#[test]
fn samples_that_are_not_finite_are_refused_with_their_index() {
    for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut samples = noise(1, 3 * SEGMENT);
        samples[1_000] = odd;
        match open("clip").recognize_samples(&samples) {
            Err(Error::NotFinite { index: 1_000, value }) => assert!(!value.is_finite()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn samples_at_another_rate_are_resampled_to_the_networks() {
    let recognizer = open("clip");
    let answer = recognizer.recognize_samples_at(&noise(1, 48_000), SampleRate(48_000)).unwrap();
    assert_eq!((answer.seconds, answer.segments), (1.0, 21));
    let refused = recognizer.recognize_samples_at(&noise(1, 48_000), SampleRate(0));
    assert!(matches!(refused, Err(Error::UnsupportedRate { rate: 0 })));
}

#[test]
fn artists_are_ranked_and_have_the_networks_names() {
    let answer = open("clip").recognize_samples(&noise(1, 7 * SEGMENT)).unwrap();
    assert!(answer.artists.is_sorted_by(|a, b| a.probability >= b.probability));
    let named = answer.artists.iter().find(|artist| artist.class == 1).unwrap();
    assert_eq!(named.artist, "Bo, \"the\" 🎷");
}

#[test]
fn every_graph_passes_its_self_test() {
    for graph in GRAPHS {
        let test = open(graph).self_test().unwrap();
        assert!(test.passed(), "{graph}: {test:?}");
    }
}

#[test]
fn a_model_that_computes_something_else_fails_its_self_test() {
    let model = with_wrong_golden("clip");
    let test = Recognizer::from_bytes(&model, &cpu()).unwrap().self_test().unwrap();
    assert!(!test.passed());
    let golden = open("clip").card().golden.probabilities.clone();
    let moved = (golden[0] - golden[golden.len() - 1]).abs();
    assert!((test.largest_difference - moved).abs() < ROUNDING, "{test:?}");
}

#[test]
fn many_recognizers_open_and_run_on_many_threads() {
    let samples = noise(3, 20 * SEGMENT);
    let expected = open("clip").recognize_samples(&samples).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let options = cpu().with_threads(1);
                let recognizer = Recognizer::open_with(tiny("clip"), &options).unwrap();
                for _ in 0..5 {
                    let answer = recognizer.recognize_samples(&samples).unwrap();
                    let difference =
                        largest_difference(&probabilities(&answer), &probabilities(&expected));
                    assert!(difference < ROUNDING);
                }
            });
        }
    });
}

#[test]
fn a_recognizer_may_move_to_another_thread() {
    fn send<T: Send>() {}
    send::<Recognizer>();
    send::<Error>();
}
