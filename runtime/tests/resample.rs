//! Measures the resampler: pass-band, stop-band, lengths, pieces.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use std::f64::consts::TAU;

use leitmotif::audio::{Resampler, UnsupportedRate};
use leitmotif_models::SampleRate;

const TO: SampleRate = SampleRate::NETWORK;
const RATES: [u32; 8] = [44_100, 48_000, 32_000, 22_050, 11_025, 8_000, 96_000, 44_056];

fn resample(samples: &[f32], from: u32) -> Vec<f32> {
    let mut resampler = Resampler::new(SampleRate(from), TO).unwrap();
    let mut out = Vec::new();
    resampler.push(samples, &mut out);
    resampler.finish(&mut out);
    out
}

fn tone(rate: u32, hertz: f64, length: usize) -> Vec<f32> {
    let step = TAU * hertz / f64::from(rate);
    (0..length).map(|n| (step * n as f64 + 0.3).sin() as f32).collect()
}

/// Root mean square without the first and last tenth, where the spectrum of a tone that begins abruptly is wide.
fn level(samples: &[f32]) -> f64 {
    let edge = samples.len() / 10;
    let middle = &samples[edge..samples.len() - edge];
    let power: f64 = middle.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    (power / middle.len() as f64).sqrt()
}

fn decibels(ratio: f64) -> f64 {
    20.0 * ratio.max(1e-12).log10()
}

#[test]
fn the_pass_band_is_flat_within_a_tenth_of_a_decibel_to_seven_kilohertz() {
    for rate in RATES {
        // Below 16 kHz, the band ends with the source's own.
        let top = 7_000.0f64.min(0.4375 * f64::from(rate));
        let mut worst = 0.0f64;
        for step in 1..=35 {
            let hertz = top * f64::from(step) / 35.0;
            let resampled = resample(&tone(rate, hertz, rate as usize), rate);
            let expected = tone(16_000, hertz, resampled.len());
            worst = worst.max(decibels(level(&resampled) / level(&expected)).abs());
            // Not only the same level, but also the same phase.
            let difference: Vec<f32> =
                resampled.iter().zip(&expected).map(|(a, b)| a - b).collect();
            let error = decibels(level(&difference) / level(&expected));
            assert!(error < -38.0, "{rate} Hz, {hertz:.0} Hz: {error:.1} dB");
        }
        println!("{rate} Hz: ripple {worst:.4} dB");
        assert!(worst < 0.1, "{rate} Hz: {worst:.3} dB");
    }
}

#[test]
fn the_stop_band_begins_at_eight_and_a_half_kilohertz() {
    for rate in RATES.into_iter().filter(|&rate| rate > 17_000) {
        let mut worst = f64::MIN;
        let mut hertz = 8_500.0;
        while hertz < 0.499 * f64::from(rate) {
            let source = tone(rate, hertz, rate as usize / 2);
            worst = worst.max(decibels(level(&resample(&source, rate)) / level(&source)));
            hertz += 173.0;
        }
        println!("{rate} Hz: stop-band {worst:.1} dB");
        assert!(worst < -60.0, "{rate} Hz: {worst:.1} dB");
    }
}

#[test]
fn upsampling_adds_no_image_above_the_sources_band() {
    for rate in [8_000, 11_025] {
        // A tone near the upper end of the source's band would have an image above it.
        let hertz = 0.42 * f64::from(rate);
        let resampled = resample(&tone(rate, hertz, rate as usize), rate);
        let expected = tone(16_000, hertz, resampled.len());
        let difference: Vec<f32> = resampled.iter().zip(&expected).map(|(a, b)| a - b).collect();
        let error = decibels(level(&difference) / level(&expected));
        assert!(error < -60.0, "{rate} Hz: {error:.1} dB");
    }
}

#[test]
fn any_pieces_give_the_same_samples_bit_for_bit() {
    let mut state = 3u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    for rate in [44_100, 48_000, 8_000, 16_000, 44_056] {
        let samples: Vec<f32> =
            (0..50_000).map(|_| random() as f32 / (1 << 23) as f32 - 1.0).collect();
        let at_once = resample(&samples, rate);
        for largest in [1, 7, 441, 1152, 5000, 40_000] {
            let mut resampler = Resampler::new(SampleRate(rate), TO).unwrap();
            // A second stream through the same resampler does not depend on the first.
            for _ in 0..2 {
                let (mut out, mut rest) = (Vec::new(), &samples[..]);
                while !rest.is_empty() {
                    let (piece, tail) =
                        rest.split_at((random() as usize % largest + 1).min(rest.len()));
                    resampler.push(piece, &mut out);
                    rest = tail;
                }
                resampler.finish(&mut out);
                assert!(out == at_once, "{rate} Hz in pieces of up to {largest}");
            }
        }
    }
}

#[test]
fn lengths_are_rounded_half_up() {
    for rate in RATES.into_iter().chain([16_000, 1_000, 768_000]) {
        for length in [0, 1, 2, 3, 10, 100, 440, 441, 442, 12_345, 88_200] {
            let exact = length as f64 * 16_000.0 / f64::from(rate);
            assert_eq!(
                resample(&vec![0.5; length], rate).len(),
                (exact + 0.5).floor() as usize,
                "{length} samples at {rate} Hz"
            );
        }
    }
}

/// A tone that rises evenly from one frequency to another and keeps its level.
fn sweep(rate: u32, from: f64, to: f64, seconds: f64) -> Vec<f32> {
    let length = (seconds * f64::from(rate)) as usize;
    (0..length)
        .map(|n| {
            let t = n as f64 / f64::from(rate);
            (TAU * (from * t + (to - from) * t * t / (2.0 * seconds))).sin() as f32
        })
        .collect()
}

#[test]
fn a_sweep_above_eight_and_a_half_kilohertz_is_suppressed() {
    for rate in RATES.into_iter().filter(|&rate| rate > 17_000) {
        let source = sweep(rate, 8_500.0, f64::from(rate) / 2.0, 20.0);
        let resampled = resample(&source, rate);
        // The worst tenth of a second, not the mean; the first one holds the tone's abrupt beginning.
        let worst = resampled.chunks(1_600).skip(1).take(197).map(level).fold(0.0, f64::max);
        let worst = decibels(worst * 2f64.sqrt());
        println!("{rate} Hz: loudest moment of the sweep {worst:.1} dB");
        assert!(worst < -60.0, "{rate} Hz: {worst:.1} dB");
    }
}

#[test]
fn a_sweep_to_seven_kilohertz_keeps_its_level() {
    for rate in RATES.into_iter().filter(|&rate| rate > 17_000) {
        let resampled = resample(&sweep(rate, 50.0, 7_000.0, 20.0), rate);
        for (moment, tenth) in resampled.chunks_exact(1_600).enumerate().skip(2).take(196) {
            let off = decibels(level(tenth) * 2f64.sqrt());
            // A tenth of a second is not a whole number of periods; near 50 Hz that alone is a hundredth of a decibel.
            assert!(off.abs() < 0.1, "{rate} Hz, {:.1} s: {off:.3} dB", moment as f64 / 10.0);
        }
    }
}

#[test]
fn an_hour_does_not_drift() {
    for (rate, hertz) in [(44_100, 997.0), (44_056, 1_003.0)] {
        let mut resampler = Resampler::new(SampleRate(rate), TO).unwrap();
        let step = TAU * hertz / f64::from(rate);
        let (mut resampled, mut total) = (Vec::new(), 0);
        for second in 0..3_600 {
            let from = second * rate as usize;
            let samples: Vec<f32> =
                (from..from + rate as usize).map(|n| (step * n as f64).sin() as f32).collect();
            total += resampled.len();
            resampled.clear();
            resampler.push(&samples, &mut resampled);
        }
        resampler.finish(&mut resampled);
        assert_eq!(total + resampled.len(), 3_600 * 16_000, "{rate} Hz");
        let step = TAU * hertz / 16_000.0;
        let worst = resampled[..resampled.len() - 1_000]
            .iter()
            .enumerate()
            .map(|(n, &sample)| (f64::from(sample) - (step * (total + n) as f64).sin()).abs());
        let worst = worst.fold(0.0, f64::max);
        // A drift of one sample in the whole hour would be 0.4.
        assert!(worst < 1e-3, "{rate} Hz: off by {worst}");
    }
}

#[test]
fn a_click_keeps_its_position() {
    let mut samples = vec![0.0; 44_100];
    samples[22_050] = 1.0;
    let resampled = resample(&samples, 44_100);
    let loudest =
        (0..resampled.len()).max_by(|&a, &b| resampled[a].total_cmp(&resampled[b])).unwrap();
    assert_eq!(loudest, 8_000);
    assert!(
        (resampled[7_999] - resampled[8_001]).abs() < 1e-5,
        "symmetric: no delay of a fraction"
    );
}

#[test]
fn rates_out_of_range_are_refused() {
    // The last ones are in range but have no simple ratio to 16 kHz: their blocks would have millions of samples.
    for rate in [0, 999, 768_001, u32::MAX, 767_999, 192_001, 700_001] {
        assert_eq!(Resampler::new(SampleRate(rate), TO).err(), Some(UnsupportedRate(rate)));
        assert_eq!(Resampler::new(TO, SampleRate(rate)).err(), Some(UnsupportedRate(rate)));
    }
    for rate in [1_000, 44_056, 44_099, 191_999, 192_000, 352_800, 384_000, 705_600, 768_000] {
        assert!(Resampler::new(SampleRate(rate), TO).is_ok(), "{rate} Hz");
    }
}
