//! The numbers that the page in `runtime/web` is held to: what this crate computes, in `web/tests/golden.json`, which
//! `UPDATE_FIXTURES=1` writes anew. The page has the same arithmetic in JavaScript and reads the same file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use std::path::Path;

use leitmotif::audio::Resampler;
use leitmotif::pooling::{Mean, largest, windows};
use leitmotif_models::{Confidence, GoldenInput, SampleRate, segment_count};
use serde_json::{Value, json};

/// Rates in simple and in odd ratios to 16 kHz, one whose FFT has a large prime factor, and 16 kHz itself.
const RATES: [(u32, usize); 7] = [
    (44_100, 6_000),
    (48_000, 6_000),
    (22_050, 3_001),
    (8_000, 1_500),
    (96_000, 9_999),
    (10_007, 12_001),
    (16_000, 100),
];
/// Every so many samples are kept, so that the file stays small.
const EVERY: usize = 11;

fn resampled() -> Vec<Value> {
    RATES
        .iter()
        .map(|&(from, samples)| {
            let input = GoldenInput { seed: from, samples }.samples();
            let mut resampler = Resampler::new(SampleRate(from), SampleRate::NETWORK).unwrap();
            let mut out = Vec::new();
            resampler.push(&input, &mut out);
            resampler.finish(&mut out);
            let every = if out.len() > 4_000 { 10 * EVERY } else { EVERY };
            let values: Vec<f32> = out.iter().copied().step_by(every).collect();
            json!({ "from": from, "samples": samples, "length": out.len(), "every": every, "values": values })
        })
        .collect()
}

fn counts() -> Vec<Value> {
    [(465_984, 59_049, 59_049), (465_984, 19_683, 9_841), (10, 11, 3), (11, 11, 3), (20, 4, 6)]
        .iter()
        .map(|&(samples, segment, hop)| {
            json!([samples, segment, hop, segment_count(samples, segment, hop)])
        })
        .collect()
}

fn window_ranges() -> Vec<Value> {
    [(0, 4), (1, 4), (9, 4), (10, 4), (10, 7), (11, 7), (14, 7)]
        .iter()
        .map(|&(segments, window)| {
            let ranges: Vec<_> =
                windows(segments, window).iter().map(|range| [range.start, range.end]).collect();
            json!([segments, window, ranges])
        })
        .collect()
}

fn pooled() -> Value {
    let rows = [[0.7f32, 0.2, 0.1], [0.1, 0.6, 0.3], [0.25, 0.25, 0.5]];
    let (mut mean, mut certainty) = (Mean::new(3), Mean::new(1));
    for row in &rows {
        mean.add(row, 1.0);
        certainty.add(&[largest(row)], 1.0);
    }
    json!({ "rows": rows, "mean": mean.values(), "certainty": certainty.values() })
}

fn calibrated() -> Vec<Value> {
    let probabilities = [0.05f32, 0.5, 0.0, 0.3, 0.15];
    [0.05, 0.419_470_382_171_33, 1.0, 3.5]
        .iter()
        .map(|&temperature| {
            let confidence: Confidence = serde_json::from_value(json!({
                "temperature": temperature, "threshold": 0.5, "keep": 0.8, "source": "", "songs": 0, "kept": 0,
                "kept_right": 0, "loss_before": 0.0, "loss_after": 0.0, "reliability": [],
            }))
            .unwrap();
            let calibrated = confidence.calibrated(&probabilities);
            json!({ "temperature": temperature, "probabilities": probabilities, "calibrated": calibrated })
        })
        .collect()
}

#[test]
fn the_page_is_held_to_what_this_crate_computes() {
    let golden = json!({
        "made_by": "UPDATE_FIXTURES=1 cargo test -p leitmotif --no-default-features --test web",
        "input": { "seed": 7, "samples": GoldenInput { seed: 7, samples: 5 }.samples() },
        "resampled": resampled(),
        "segments": counts(),
        "windows": window_ranges(),
        "pooled": pooled(),
        "calibrated": calibrated(),
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/tests/golden.json");
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, serde_json::to_string(&golden).unwrap() + "\n").unwrap();
    }
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_close(&kept, &golden, "golden");
}

/// Equal but for the last bits of floats, which an FFT of another processor may round otherwise.
fn assert_close(kept: &Value, made: &Value, at: &str) {
    match (kept, made) {
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{at}");
            a.iter()
                .zip(b)
                .enumerate()
                .for_each(|(i, (a, b))| assert_close(a, b, &format!("{at}[{i}]")));
        }
        (Value::Object(a), Value::Object(b)) => {
            assert!(a.keys().eq(b.keys()), "{at}");
            b.iter()
                .for_each(|(key, b)| assert_close(a.get(key).unwrap(), b, &format!("{at}.{key}")));
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!(
                (a - b).abs() < 1e-6,
                "{at}: {a} is kept, {b} is made; UPDATE_FIXTURES=1 writes it anew"
            );
        }
        _ => assert_eq!(kept, made, "{at}"),
    }
}
