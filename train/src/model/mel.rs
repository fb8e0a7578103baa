//! Filters of a convolution over the waveform that begin at frequencies spaced evenly in mel.

use std::f64::consts::{FRAC_PI_2, PI, SQRT_2, TAU};

use leitmotif_models::{Random, SampleRate};

use crate::model::tensors::Values;

/// Highest frequency of filters whose windows are as long as the kernel, in hertz; half of the sample rate is 8 kHz.
const HIGHEST: f64 = 7600.0;

/// Filters `[filters, in_channels, kernel]`: Hann-windowed cosines from 40 Hz to 7.6 kHz of Euclidean norm √2.
///
/// The norm keeps the variance of white noise through a ReLU (He et al. 2015); a batch norm follows anyway.
pub(crate) fn mel_filters(shape: &[usize], seed: u64) -> Values {
    let [filters, in_channels, kernel] = dimensions(shape);
    let mut random = Random::derive(seed, "mel filters", &[]);
    let mut data = Vec::with_capacity(filters * in_channels * kernel);
    for hertz in spaced(40.0, HIGHEST, filters) {
        for _ in 0..in_channels {
            let phase = random.uniform(0.0, TAU);
            data.extend(windowed_wave(kernel, kernel, hertz, phase, SQRT_2));
        }
    }
    Values { shape: shape.to_vec(), data }
}

/// Filters of an energy block, `[2 · pairs, 1, kernel]`: Hann-windowed cosines from 60 Hz to 7.6 kHz of Euclidean norm
/// 1, then the sines of the same frequencies.
pub(crate) fn mel_pairs(shape: &[usize]) -> Values {
    let [filters, _, kernel] = dimensions(shape);
    pairs(shape, spaced(60.0, HIGHEST, filters / 2).map(|hertz| (hertz, kernel)))
}

/// Filters of an energy block that averages over time, `[2 · pairs, 1, kernel]`, in the bands of a log-mel spectrogram
/// (the usual triangles over 0 to 8 kHz): Hann-windowed cosines of norm 1 in the middle of the bands, then the sines.
///
/// A window is as long as the band's width asks, at most the kernel: two periods of the distance to the next band, so
/// that its spectrum reaches as far as the triangle. What a short one leaves out, the mean over time has.
pub(crate) fn mel_bank(shape: &[usize]) -> Values {
    let [filters, _, kernel] = dimensions(shape);
    let rate = f64::from(SampleRate::NETWORK.0);
    let edges: Vec<f64> = spaced(0.0, rate / 2.0, filters / 2 + 2).collect();
    let bands = edges.iter().zip(edges.iter().skip(1)).skip(1);
    let window = |(middle, next): (&f64, &f64)| {
        (*middle, ((2.0 * rate / (next - middle)).ceil() as usize).min(kernel))
    };
    pairs(shape, bands.map(window))
}

/// Cosines, then sines, of the frequencies (hertz) and window lengths of `bands`.
fn pairs(shape: &[usize], bands: impl Iterator<Item = (f64, usize)> + Clone) -> Values {
    let [filters, in_channels, kernel] = dimensions(shape);
    let mut data = Vec::with_capacity(filters * in_channels * kernel);
    for phase in [0.0, -FRAC_PI_2] {
        for (hertz, window) in bands.clone() {
            let wave = windowed_wave(kernel, window, hertz, phase, 1.0);
            data.extend(std::iter::repeat_n(wave, in_channels).flatten());
        }
    }
    Values { shape: shape.to_vec(), data }
}

fn dimensions(shape: &[usize]) -> [usize; 3] {
    match shape {
        [filters, in_channels, kernel] => [*filters, *in_channels, *kernel],
        _ => [0, 0, 0],
    }
}

/// `count` frequencies in hertz from `lowest` to `highest`, spaced evenly in mel.
fn spaced(lowest: f64, highest: f64, count: usize) -> impl Iterator<Item = f64> + Clone {
    let mel = |hertz: f64| 2595.0 * (1.0 + hertz / 700.0).log10();
    let (low, high) = (mel(lowest), mel(highest));
    (0..count).map(move |index| {
        let share = index as f64 / count.saturating_sub(1).max(1) as f64;
        700.0 * (10f64.powf((low + share * (high - low)) / 2595.0) - 1.0)
    })
}

/// A Hann-windowed cosine of Euclidean norm `norm`, its phase counted in the middle, with zeros around its `window`.
fn windowed_wave(kernel: usize, window: usize, hertz: f64, phase: f64, norm: f64) -> Vec<f32> {
    let turn = TAU * hertz / f64::from(SampleRate::NETWORK.0);
    let before = (kernel - window.min(kernel)) / 2;
    let wave: Vec<f64> = (0..window)
        .map(|t| {
            let hann = (PI * (t + 1) as f64 / (window + 1) as f64).sin().powi(2);
            hann * (turn * (t as f64 - (window as f64 - 1.0) / 2.0) + phase).cos()
        })
        .collect();
    let found = wave.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-12);
    let mut padded = vec![0.0; kernel];
    for (value, x) in padded.iter_mut().skip(before).zip(wave) {
        *value = (x * norm / found) as f32;
    }
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_measures_a_tone_whatever_its_phase() {
        let (pairs, kernel) = (8, 400);
        let filters = mel_pairs(&[2 * pairs, 1, kernel]).data;
        let energy = |pair: usize, hertz: f64, phase: f64| {
            let turn = std::f64::consts::TAU * hertz / 16_000.0;
            let product = |filter: usize| {
                let taps = &filters[filter * kernel..(filter + 1) * kernel];
                let tone = (0..kernel).map(|t| (turn * t as f64 + phase).cos());
                taps.iter().zip(tone).map(|(w, x)| f64::from(*w) * x).sum::<f64>()
            };
            product(pair).powi(2) + product(pairs + pair).powi(2)
        };
        let middles: Vec<f64> = spaced(60.0, HIGHEST, pairs).collect();
        for (pair, hertz) in middles.into_iter().enumerate().skip(1) {
            let own = energy(pair, hertz, 0.0);
            for phase in [0.5, 1.0, 2.0] {
                assert!((energy(pair, hertz, phase) / own - 1.0).abs() < 0.02, "{pair} {phase}");
            }
            for other in (0..pairs).filter(|other| *other != pair) {
                assert!(energy(other, hertz, 0.3) < 0.1 * own, "{pair} {other}");
            }
        }
        let norm = filters[..kernel].iter().map(|x| x * x).sum::<f32>();
        assert!((norm - 1.0).abs() < 1e-4);
    }

    #[test]
    fn mel_filters_peak_at_rising_frequencies() {
        let filters = mel_filters(&[8, 1, 243], 1);
        let strength = |filter: &[f32], hertz: f64| {
            let turn = std::f64::consts::TAU * hertz / 16_000.0;
            let (mut re, mut im) = (0.0, 0.0);
            for (t, x) in filter.iter().enumerate() {
                re += f64::from(*x) * (turn * t as f64).cos();
                im += f64::from(*x) * (turn * t as f64).sin();
            }
            re.hypot(im)
        };
        let peaks: Vec<usize> = filters
            .data
            .chunks(243)
            .map(|f| {
                (0..160)
                    .max_by(|a, b| {
                        strength(f, *a as f64 * 50.0).total_cmp(&strength(f, *b as f64 * 50.0))
                    })
                    .unwrap()
            })
            .collect();
        assert!(peaks.windows(2).all(|w| w[0] < w[1]), "{peaks:?}");
        assert!(peaks[7] >= 148, "{peaks:?}");
        let norm = filters.data[..243].iter().map(|x| x * x).sum::<f32>();
        assert!((norm - 2.0).abs() < 1e-4);
    }

    #[test]
    fn a_bank_has_the_bands_of_a_mel_spectrogram() {
        let (pairs, kernel) = (64, 1024);
        let filters = mel_bank(&[2 * pairs, 1, kernel]).data;
        let length = |pair: usize| {
            let taps = &filters[pair * kernel..(pair + 1) * kernel];
            let used = |t: &f32| t.abs() > 1e-9;
            let first = taps.iter().position(used).unwrap();
            let last = taps.iter().rposition(used).unwrap();
            assert!(first.abs_diff(kernel - 1 - last) <= 2, "in the middle");
            let norm = taps.iter().map(|x| x * x).sum::<f32>();
            assert!((norm - 1.0).abs() < 1e-4, "{pair}: {norm}");
            last - first + 1
        };
        // Bands 28 Hz apart at first would need 1,156 samples; 320 Hz apart at the end, 100.
        assert!(length(0) > 1000);
        assert!((90..=110).contains(&length(pairs - 1)), "{}", length(pairs - 1));
        assert!((1..pairs).all(|pair| length(pair) <= length(pair - 1) + 2));
    }
}
