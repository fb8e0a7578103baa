//! Initial values of a network's tensors, drawn from a seed and each tensor's own name.
//!
//! libtorch's own initialisers are not used: their generator's state cannot be saved, and their defaults differ.

use leitmotif_models::{Init, Param, Random, SampleRate};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::TrainError;
use crate::model::host::to_host;
use crate::model::tensors::Values;

/// Initial values of the first convolution's filters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FirstFilters {
    /// Random, as the description has it.
    #[default]
    Described,
    /// Windowed cosines of random phase at frequencies spaced evenly in mel; for long filters.
    Mel,
}

/// The initial values of `param` by its [`Init`] (Glorot and Bengio 2010; orthogonal: Saxe et al. 2014).
pub(crate) fn initial_values(param: &Param, seed: u64) -> Result<Values, TrainError> {
    let mut random = Random::derive(seed, &param.name, &[]);
    let count = param.values();
    let data = match param.init {
        Init::GlorotUniform { fan_in, fan_out } => {
            let limit = (6.0 / (fan_in + fan_out).max(1) as f64).sqrt();
            (0..count).map(|_| random.uniform(-limit, limit) as f32).collect()
        }
        Init::Orthogonal => {
            let (rows, cols) = match param.shape.as_slice() {
                [rows, cols] => (*rows, *cols),
                _ => (count, 1),
            };
            orthogonal(rows, cols, &mut random)?
        }
        Init::MelPairs => return Ok(mel_pairs(&param.shape)),
        Init::Zeros => vec![0.0; count],
        Init::Ones => vec![1.0; count],
        Init::ForgetBias { units } => {
            (0..count).map(|i| if (units..2 * units).contains(&i) { 1.0 } else { 0.0 }).collect()
        }
    };
    Ok(Values { shape: param.shape.clone(), data })
}

/// A row-major `[rows, cols]` matrix with orthonormal rows or columns, whichever are fewer, uniform over all such.
fn orthogonal(rows: usize, cols: usize, random: &mut Random) -> Result<Vec<f32>, TrainError> {
    let (tall, wide) = (rows.max(cols), rows.min(cols));
    let normal: Vec<f64> = (0..tall * wide).map(|_| random.normal()).collect();
    let matrix = Tensor::f_from_slice(&normal)?.f_reshape([tall as i64, wide as i64])?;
    let (q, r) = Tensor::f_linalg_qr(&matrix, "reduced")?;
    // QR is unique, and Q uniform, only once R's diagonal is made positive (Mezzadri 2007).
    let q = q.f_mul(&r.f_diagonal(0, 0, 1)?.f_sign()?)?;
    let q = if rows < cols { q.f_transpose(0, 1)? } else { q };
    Ok(to_host(&q.f_to_kind(Kind::Float)?)?.data)
}

/// Highest frequency of the filters, in hertz; half of the sample rate is 8 kHz.
const HIGHEST: f64 = 7600.0;

/// Filters `[filters, in_channels, kernel]`: Hann-windowed cosines from 40 Hz to 7.6 kHz of Euclidean norm √2.
///
/// The norm keeps the variance of white noise through a ReLU (He et al. 2015); a batch norm follows anyway.
pub fn mel_filters(shape: &[usize], seed: u64) -> Values {
    let [filters, in_channels, kernel] = match shape {
        [a, b, c] => [*a, *b, *c],
        _ => [0, 0, 0],
    };
    let mut random = Random::derive(seed, "mel filters", &[]);
    let mut data = Vec::with_capacity(filters * in_channels * kernel);
    for filter in 0..filters {
        let hertz = mel_spaced(40.0, filter, filters);
        for _ in 0..in_channels {
            let phase = random.uniform(0.0, std::f64::consts::TAU);
            data.extend(windowed_wave(kernel, hertz, phase, std::f64::consts::SQRT_2));
        }
    }
    Values { shape: shape.to_vec(), data }
}

/// Filters of an energy block, `[2 · pairs, 1, kernel]`: Hann-windowed cosines from 60 Hz to 7.6 kHz of Euclidean norm
/// 1, then the sines of the same frequencies.
fn mel_pairs(shape: &[usize]) -> Values {
    let [filters, in_channels, kernel] = match shape {
        [a, b, c] => [*a, *b, *c],
        _ => [0, 0, 0],
    };
    let pairs = filters / 2;
    let mut data = Vec::with_capacity(filters * in_channels * kernel);
    for phase in [0.0, -std::f64::consts::FRAC_PI_2] {
        for pair in 0..pairs {
            let wave = windowed_wave(kernel, mel_spaced(60.0, pair, pairs), phase, 1.0);
            data.extend(std::iter::repeat_n(wave, in_channels).flatten());
        }
    }
    Values { shape: shape.to_vec(), data }
}

/// The frequency in hertz of filter `index` of `count`, spaced evenly in mel from `lowest` on.
fn mel_spaced(lowest: f64, index: usize, count: usize) -> f64 {
    let mel = |hertz: f64| 2595.0 * (1.0 + hertz / 700.0).log10();
    let share = index as f64 / count.saturating_sub(1).max(1) as f64;
    let (low, high) = (mel(lowest), mel(HIGHEST));
    700.0 * (10f64.powf((low + share * (high - low)) / 2595.0) - 1.0)
}

/// A Hann-windowed cosine of Euclidean norm `norm`, its phase counted in the middle.
fn windowed_wave(kernel: usize, hertz: f64, phase: f64, norm: f64) -> Vec<f32> {
    let turn = std::f64::consts::TAU * hertz / f64::from(SampleRate::NETWORK.0);
    let wave: Vec<f64> = (0..kernel)
        .map(|t| {
            let window =
                (std::f64::consts::PI * (t + 1) as f64 / (kernel + 1) as f64).sin().powi(2);
            window * (turn * (t as f64 - (kernel as f64 - 1.0) / 2.0) + phase).cos()
        })
        .collect();
    let found = wave.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-12);
    wave.iter().map(|x| (x * norm / found) as f32).collect()
}

#[cfg(test)]
mod tests {
    use leitmotif_models::{HeadKind, Network, ParamKind};

    use super::*;

    fn param(name: &str, shape: &[usize], init: Init) -> Param {
        Param { name: name.to_owned(), shape: shape.to_vec(), kind: ParamKind::Trainable, init }
    }

    #[test]
    fn glorots_values_fill_their_range() {
        let init = Init::GlorotUniform { fan_in: 4, fan_out: 2 };
        let values = initial_values(&param("w", &[50, 100], init), 1).unwrap().data;
        let most = values.iter().fold(0f32, |m, v| m.max(v.abs()));
        assert!((0.99..=1.0).contains(&most), "{most}");
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.02, "{mean}");
    }

    #[test]
    fn orthogonal_columns_are_orthonormal() {
        for (rows, cols) in [(12, 3), (3, 12)] {
            let w = initial_values(&param("w", &[rows, cols], Init::Orthogonal), 5).unwrap();
            assert_eq!(w.data.len(), rows * cols);
            let w = Tensor::from_slice(&w.data).reshape([rows as i64, cols as i64]);
            let w = if rows > cols { w } else { w.transpose(0, 1) };
            let product = w.transpose(0, 1).matmul(&w);
            let off = (product - Tensor::eye(3, (Kind::Float, tch::Device::Cpu))).abs().max();
            assert!(f64::try_from(off).unwrap() < 1e-6);
        }
    }

    #[test]
    fn the_forget_gate_starts_open() {
        let network = Network::preset("example").unwrap().with_head(HeadKind::Lstm);
        let bias = network.params(3).into_iter().find(|p| p.name == "lstm.bias_ih").unwrap();
        let values = initial_values(&bias, 1).unwrap().data;
        let units = network.head.units;
        assert!(values[..units].iter().chain(&values[2 * units..]).all(|v| *v == 0.0));
        assert!(values[units..2 * units].iter().all(|v| *v == 1.0));
    }

    #[test]
    fn seeds_and_names_draw_apart_and_repeat() {
        let draw = |name, seed| {
            initial_values(&param(name, &[3, 3], Init::Orthogonal), seed).unwrap().data
        };
        assert_eq!(draw("a", 1), draw("a", 1));
        assert_ne!(draw("a", 1), draw("a", 2));
        assert_ne!(draw("a", 1), draw("b", 1));
    }

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
        for pair in 1..pairs {
            let hertz = mel_spaced(60.0, pair, pairs);
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
}
