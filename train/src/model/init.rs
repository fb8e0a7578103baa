//! Initial values of a network's tensors, drawn from a seed and each tensor's own name.
//!
//! libtorch's own initialisers are not used: their generator's state cannot be saved, and their defaults differ.

use leitmotif_models::{Init, Param, Random};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::TrainError;
use crate::model::host::to_host;
use crate::model::mel::{mel_bank, mel_pairs};
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
        Init::MelBank => return Ok(mel_bank(&param.shape)),
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
}
