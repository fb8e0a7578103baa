//! One recognizer for many callers: turns, cancelling, limits, batches, options of a call.
#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use leitmotif::{
    Average, Batch, CancelToken, Device, Error, RecognizeOptions, Recognizer, SampleRate,
    SessionOptions,
};
use support::{GRAPHS, SEGMENT, data, largest_difference, noise, tiny, wav, with_wrong_golden};

fn open(graph: &str, options: &SessionOptions) -> Recognizer {
    Recognizer::open_with(tiny(graph), options).unwrap()
}

fn cpu() -> SessionOptions {
    SessionOptions::on(Device::Cpu).with_threads(1)
}

#[test]
fn callers_on_many_threads_get_the_answers_of_one() {
    for graph in GRAPHS {
        for sessions in [1, 3] {
            let recognizer = open(graph, &cpu().with_sessions(sessions));
            assert_eq!(recognizer.most_sessions(), sessions);
            let songs: Vec<Vec<f32>> = (0..4).map(|seed| noise(seed, 40 * SEGMENT)).collect();
            let expected: Vec<_> =
                songs.iter().map(|song| recognizer.recognize_samples(song).unwrap()).collect();
            std::thread::scope(|scope| {
                for (song, expected) in songs.iter().zip(&expected).cycle().take(12) {
                    let recognizer = recognizer.clone();
                    scope.spawn(move || {
                        let answer = recognizer.recognize_samples(song).unwrap();
                        assert_eq!(answer.uncalibrated, expected.uncalibrated);
                        assert_eq!(answer.embedding, expected.embedding);
                        assert_eq!(answer.timeline, expected.timeline);
                    });
                }
            });
        }
    }
}

#[test]
fn a_token_cancels_all_that_have_it_and_no_other() {
    let recognizer = open("segment", &cpu().with_sessions(1));
    let cancel = CancelToken::new();
    let options = RecognizeOptions::new().with_cancel(&cancel);
    let long = noise(1, 400_000 * SEGMENT);
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| recognizer.recognize_samples_with(&long, &options)))
            .collect();
        std::thread::sleep(Duration::from_millis(300));
        let began = Instant::now();
        cancel.cancel();
        for caller in callers {
            assert!(matches!(caller.join().unwrap(), Err(Error::Cancelled)));
        }
        // The whole of it takes half a minute.
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    });
    assert!(cancel.is_cancelled());
    recognizer.recognize_samples(&noise(1, SEGMENT)).unwrap();
}

#[test]
fn two_threads_may_cancel_at_once_and_before_anything_began() {
    let recognizer = open("clip", &cpu());
    let cancel = CancelToken::new();
    let options = RecognizeOptions::new().with_cancel(&cancel);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| cancel.clone().cancel());
        }
    });
    for samples in [0, SEGMENT, 90 * SEGMENT] {
        let answer = recognizer.recognize_samples_with(&noise(1, samples), &options);
        assert!(matches!(answer, Err(Error::Cancelled)), "{samples}: {answer:?}");
    }
}

#[test]
fn a_model_whose_file_is_replaced_stays_what_it_was_opened_as() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.onnx");
    std::fs::copy(tiny("clip"), &model).unwrap();
    let recognizer = Recognizer::open_with(&model, &cpu().with_sessions(3)).unwrap();
    let song = noise(1, 90 * SEGMENT);
    let expected = recognizer.recognize_samples(&song).unwrap();
    std::fs::write(&model, "replaced").unwrap();
    // Callers at once have sessions that are opened now.
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let answer = recognizer.recognize_samples(&song).unwrap();
                assert_eq!(answer.uncalibrated, expected.uncalibrated);
            });
        }
    });
}

#[test]
fn a_recording_has_its_time() {
    let recognizer = open("segment", &cpu());
    let limit = Duration::from_millis(50);
    let options = RecognizeOptions::new().with_time_limit(limit);
    let long = noise(1, 400_000 * SEGMENT);
    match recognizer.recognize_samples_with(&long, &options) {
        Err(Error::TimeLimit { limit: found }) => assert_eq!(found, limit),
        other => panic!("{other:?}"),
    }
    let enough = RecognizeOptions::new().with_time_limit(Duration::from_secs(3600));
    let answer = recognizer.recognize_samples_with(&noise(1, 9 * SEGMENT), &enough).unwrap();
    assert!(answer.timing.network <= answer.timing.total);
    assert!(answer.timing.network > Duration::ZERO);
}

#[test]
fn segments_overlap_at_any_hop_in_both_graphs_of_a_dense_head() {
    let samples = noise(7, 12 * SEGMENT + 100);
    for hop in [1, 300, SEGMENT, 2 * SEGMENT] {
        let samples = if hop == 1 { &samples[..SEGMENT + 20] } else { &samples[..] };
        let options = RecognizeOptions::new().with_hop(hop);
        let answers = ["clip", "segment"]
            .map(|graph| open(graph, &cpu()).recognize_samples_with(samples, &options).unwrap());
        // By definition: each segment alone.
        let starts = (0..=samples.len() - SEGMENT).step_by(hop);
        let recognizer = open("clip", &cpu());
        let alone: Vec<_> = starts
            .map(|start| recognizer.recognize_samples(&samples[start..start + SEGMENT]).unwrap())
            .collect();
        for answer in &answers {
            assert_eq!(answer.segments, alone.len());
            for (number, (moment, alone)) in answer.timeline.iter().zip(&alone).enumerate() {
                assert!(largest_difference(&moment.probabilities, &alone.uncalibrated) < 1e-6);
                assert_eq!(moment.start_seconds, (number * hop) as f64 / 16_000.0);
            }
        }
        assert!(largest_difference(&answers[0].uncalibrated, &answers[1].uncalibrated) < 1e-6);
        let used = ((alone.len() - 1) * hop + SEGMENT) as f64 / 16_000.0;
        assert_eq!(answers[0].used_seconds, used);
    }
    for (graph, hop) in [("clip", 0), ("step", 300), ("sequence", 300)] {
        let options = RecognizeOptions::new().with_hop(hop);
        let answer = open(graph, &cpu()).recognize_samples_with(&samples, &options);
        assert!(matches!(answer, Err(Error::Hop { hop: found, .. }) if found == hop));
    }
}

#[test]
fn logits_are_averaged_on_request() {
    // The small networks of the other tests hardly differ between segments.
    let recognizer = Recognizer::open_with(support::zoo("game-music.clip.onnx"), &cpu()).unwrap();
    // Louder and louder noise, of which it is uncertain.
    let song: Vec<f32> =
        noise(3, 400_000).iter().enumerate().map(|(at, x)| x * at as f32 / 4e5).collect();
    let options = RecognizeOptions::new().with_average(Average::Logits);
    let answer = recognizer.recognize_samples_with(&song, &options).unwrap();
    let rows: Vec<&Vec<f32>> = answer.timeline.iter().map(|moment| &moment.probabilities).collect();
    let mean = |class: usize| {
        rows.iter().map(|row| f64::from(row[class]).ln()).sum::<f64>() / rows.len() as f64
    };
    let expected: Vec<f64> = (0..rows[0].len()).map(|class| mean(class).exp()).collect();
    let sum: f64 = expected.iter().sum();
    let expected: Vec<f32> = expected.iter().map(|value| (value / sum) as f32).collect();
    let difference = largest_difference(&answer.uncalibrated, &expected);
    assert!(difference < 1e-5, "{difference}: {:?} {expected:?}", answer.uncalibrated);
    let plain = recognizer.recognize_samples(&song).unwrap();
    assert!(largest_difference(&plain.uncalibrated, &expected) > 1e-3, "the test shows nothing");
}

#[test]
fn only_what_was_asked_for_is_kept() {
    let recognizer = open("clip", &cpu());
    let options = RecognizeOptions::new().with_top(2).with_timeline(false);
    let answer = recognizer.recognize_samples_with(&noise(3, 50 * SEGMENT), &options).unwrap();
    assert_eq!((answer.artists.len(), answer.timeline.len(), answer.segments), (2, 0, 50));
    assert_eq!(answer.uncalibrated.len(), 3);
}

#[test]
fn channels_are_mixed() {
    let recognizer = open("clip", &cpu());
    let (left, right) = (noise(1, 20 * SEGMENT), noise(2, 20 * SEGMENT));
    let both: Vec<f32> = left.iter().zip(&right).flat_map(|(l, r)| [*l, *r]).collect();
    let mixed: Vec<f32> = left.iter().zip(&right).map(|(l, r)| (l + r) / 2.0).collect();
    let options = RecognizeOptions::new();
    let stereo = recognizer.recognize_interleaved(&both, 2, SampleRate::NETWORK, &options).unwrap();
    let mono = recognizer.recognize_samples(&mixed).unwrap();
    assert!(largest_difference(&stereo.uncalibrated, &mono.uncalibrated) < 1e-6);
    let inverted: Vec<f32> = left.iter().flat_map(|sample| [*sample, -sample]).collect();
    let inverted =
        recognizer.recognize_interleaved(&inverted, 2, SampleRate::NETWORK, &options).unwrap();
    let alone = recognizer.recognize_samples(&left).unwrap();
    assert_eq!(inverted.artists, alone.artists, "the louder of two that cancel each other counts");
    let none = recognizer.recognize_interleaved(&both, 0, SampleRate::NETWORK, &options);
    assert!(matches!(none, Err(Error::TooShort { .. })));
}

#[test]
fn a_reader_gives_the_answer_of_its_file() {
    let recognizer = open("clip", &cpu());
    let file = data("audio/mtat.mp3");
    let reader = std::fs::File::open(&file).unwrap();
    let of_reader =
        recognizer.recognize_reader(reader, "upload", &RecognizeOptions::new()).unwrap();
    let of_file = recognizer.recognize_file(&file).unwrap();
    assert_eq!(of_reader.uncalibrated, of_file.uncalibrated);
    assert_eq!(of_reader.audio, of_file.audio);
}

#[test]
fn a_model_that_computes_something_else_is_refused_on_request() {
    let wrong = with_wrong_golden("clip");
    assert!(Recognizer::from_bytes(&wrong, &cpu().with_warm_up(true)).is_ok());
    let opened = Recognizer::from_bytes(&wrong, &cpu().with_self_test(true));
    assert!(matches!(opened, Err(Error::SelfTest { .. })), "{opened:?}");
    for graph in GRAPHS {
        open(graph, &cpu().with_self_test(true).with_warm_up(true));
    }
}

/// Files of which every third is none.
fn files(folder: &std::path::Path, count: usize) -> Vec<PathBuf> {
    (0..count)
        .map(|number| {
            let file = folder.join(format!("{number}.wav"));
            match number % 3 {
                2 => std::fs::write(&file, "no audio").unwrap(),
                // Lengths differ, so that files end in another order than they begin.
                _ => wav(&file, 16_000, &noise(number as u32, (count - number) * 4 * SEGMENT)),
            }
            file
        })
        .collect()
}

#[test]
fn a_bad_file_of_a_batch_harms_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path(), 30);
    let recognizer = open("clip", &cpu().with_sessions(2));
    let alone: Vec<_> = files.iter().map(|file| recognizer.recognize_file(file)).collect();
    for batch in [Batch::new(&recognizer).with_jobs(4), Batch::new(&recognizer).in_order()] {
        let found = batch.answers(&files);
        for (number, (found, alone)) in found.iter().zip(&alone).enumerate() {
            match (found, alone) {
                (Ok(found), Ok(alone)) => assert_eq!(found.uncalibrated, alone.uncalibrated),
                (Err(Error::Audio(_)), Err(Error::Audio(_))) => assert_eq!(number % 3, 2),
                other => panic!("{other:?}"),
            }
        }
    }
    let mut order = Vec::new();
    Batch::new(&recognizer).with_jobs(5).in_order().run(&files, |number, path, _| {
        assert_eq!(path, files[number]);
        order.push(number);
        ControlFlow::Continue(())
    });
    assert_eq!(order, (0..files.len()).collect::<Vec<_>>());
}

#[test]
fn a_batch_ends_when_its_caller_or_its_token_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path(), 60);
    let recognizer = open("clip", &cpu());
    let calls = AtomicUsize::new(0);
    Batch::new(&recognizer).run(&files, |_, _, _| match calls.fetch_add(1, Ordering::Relaxed) {
        4 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert_eq!(calls.into_inner(), 5);

    let cancel = CancelToken::new();
    let options = RecognizeOptions::new().with_cancel(&cancel);
    let mut results = 0;
    Batch::new(&recognizer).with_options(&options).in_order().run(&files, |number, _, _| {
        results += 1;
        if number == 6 {
            cancel.cancel();
        }
        ControlFlow::Continue(())
    });
    assert!((7..60).contains(&results), "{results}");

    // Those in work are finished.
    let stop = CancelToken::new();
    let mut results = 0;
    Batch::new(&recognizer).with_jobs(3).with_stop(&stop).in_order().run(
        &files,
        |number, _, answer| {
            assert!(!matches!(answer, Err(Error::Cancelled)));
            assert_eq!(number, results);
            results += 1;
            if number == 6 {
                stop.cancel();
            }
            ControlFlow::Continue(())
        },
    );
    assert!((7..60).contains(&results), "{results}");

    let panicked = std::panic::catch_unwind(|| {
        Batch::new(&recognizer).run(&files, |_, _, _| panic!("a callback may panic"));
    });
    assert!(panicked.is_err());
    recognizer.recognize_file(&files[0]).unwrap();
}

#[test]
fn any_number_of_channels_is_no_panic() {
    let recognizer = open("clip", &cpu());
    for channels in [usize::MAX, 1 << 60] {
        let answer = recognizer.recognize_interleaved(
            &noise(1, 9 * SEGMENT),
            channels,
            SampleRate::NETWORK,
            &RecognizeOptions::new(),
        );
        assert!(matches!(answer, Err(Error::TooShort { .. })), "{answer:?}");
    }
}
