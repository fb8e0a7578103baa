//! libtorch, the exporter and ONNX Runtime together: an exported checkpoint gives libtorch's outputs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod tones;

use std::sync::atomic::AtomicBool;

use leitmotif::Device;
use leitmotif::session::{NamedTensor, Session, SessionOptions};
use leitmotif_export::{Checkpoint, FP32_TOLERANCE, Probe, compile};
use leitmotif_models::checkpoint::LAST;
use leitmotif_models::{GraphKind, HeadKind};
use leitmotif_train::learn::config::FitConfig;
use leitmotif_train::learn::fit::fit;
use leitmotif_train::learn::start::Start;

#[test]
fn an_exported_checkpoint_gives_the_outputs_of_libtorch() {
    let networks = [HeadKind::Dense, HeadKind::Lstm].into_iter().flat_map(|head| {
        let pooled = tones::POOLS.map(|pool| tones::pooled_network(pool, head));
        [tones::network(head), tones::image_network(head)].into_iter().chain(pooled)
    });
    for network in networks {
        let head = network.head.kind;
        let folder = tempfile::tempdir().unwrap();
        let task = tones::task(&folder.path().join("data"), false);
        let out = folder.path().join("run");
        // An LSTM takes this number of segments as its window.
        let config = FitConfig { epochs: 1, segments: Some(3), ..tones::config() };
        let (network, config) = (Box::new(network), Box::new(config));
        let start = Start::Fresh { network, config, pretrained: None };
        fit(&out, &task, start, tch::Device::Cpu, &AtomicBool::new(false)).unwrap();

        let checkpoint = Checkpoint::open(&out.join(LAST)).unwrap();
        for kind in GraphKind::of_head(head) {
            let artifact = compile(&checkpoint, kind, "tiny").unwrap();
            let options = SessionOptions::on(Device::Cpu);
            let mut session = Session::from_bytes(artifact.bytes(), &options).unwrap();
            let largest = difference(&mut session, kind, checkpoint.probe());
            assert!(largest <= f64::from(FP32_TOLERANCE), "{}: {largest:e}", kind.name());
        }
    }
}

/// Largest difference of a probability from those of the probe.
fn difference(session: &mut Session, kind: GraphKind, probe: &Probe) -> f64 {
    let (rows, segments) = (probe.rows(), probe.segments());
    assert!(rows > 1 && segments == if kind.head() == HeadKind::Lstm { 3 } else { 4 });
    let mut largest = 0.0f64;
    let mut compare = |expected: &[f64], found: &[f32]| {
        assert_eq!(expected.len(), found.len());
        for (a, b) in expected.iter().zip(found) {
            assert!(b.is_finite());
            largest = largest.max((a - f64::from(*b)).abs());
        }
    };
    let named = |outputs: &[NamedTensor], name: &str| {
        outputs.iter().find(|output| output.name == name).unwrap().data.clone()
    };
    for row in 0..rows {
        let waveform = probe.waveform(row);
        let cut = |segment: usize| &waveform[segment * 243..(segment + 1) * 243];
        match kind {
            GraphKind::Clip | GraphKind::Sequence => {
                let outputs = session.run(&[("waveform", &[1, waveform.len()], waveform)]).unwrap();
                let expected = match kind {
                    GraphKind::Clip => probe.mean_over_segments(|s| probe.probabilities(row, s)),
                    _ => probe.probabilities(row, segments - 1),
                };
                compare(&expected, &named(&outputs, "probabilities"));
            }
            GraphKind::Segment => {
                for segment in 0..segments {
                    let outputs = session.run(&[("waveform", &[1, 243], cut(segment))]).unwrap();
                    let found = named(&outputs, "probabilities");
                    compare(&probe.probabilities(row, segment), &found);
                }
            }
            GraphKind::Step => {
                let (mut h, mut c) = (vec![0.0; 16], vec![0.0; 16]);
                for segment in 0..segments {
                    let outputs = session
                        .run(&[
                            ("waveform", &[1, 243], cut(segment)),
                            ("h", &[1, 16], &h),
                            ("c", &[1, 16], &c),
                        ])
                        .unwrap();
                    let found = named(&outputs, "probabilities");
                    compare(&probe.probabilities(row, segment), &found);
                    (h, c) = (named(&outputs, "h_next"), named(&outputs, "c_next"));
                }
            }
        }
    }
    largest
}
