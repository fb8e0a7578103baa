//! Filter analysis: for the first layer each filter's frequency response, for deeper layers the spectrum of the input that
//! maximises the filter's activation (Lee et al. 2017), found by gradient ascent from faint noise.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use leitmotif_models::{Network, Random};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::error::ExperimentError;
use super::results_dir;
use crate::error::{ModelError, TrainError};
use crate::model::host::to_host;
use crate::model::network::Model;
use crate::model::tensors::Tensors;

const FILE: &str = "learned.json";
/// Bands of a response, from 0 to 8 kHz.
pub const BANDS: usize = 64;
/// Fewest samples of an input for gradient ascent, as in Lee et al.; less than a segment.
const SAMPLES: usize = 729;
/// Steps of gradient ascent.
const STEPS: usize = 30;
/// Root mean square of the noise at the start and of a step.
const STEP_RMS: f64 = 0.01;
/// Most samples in a batch of inputs.
const SAMPLES_ON_CPU: usize = 1 << 18;
const SAMPLES_ON_GPU: usize = 1 << 22;

/// The filters of one network, by layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilterAnalysis {
    /// One entry for each block.
    pub layers: Vec<LayerAnalysis>,
}

/// The filters of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerAnalysis {
    /// Name of the block.
    pub layer: String,
    /// Samples of its filters (first layer) or of the inputs found (deeper layers).
    pub samples: usize,
    /// Sorted by centre frequency.
    pub filters: Vec<FilterResponse>,
}

/// One filter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilterResponse {
    /// Its number in the layer, from 0.
    pub filter: usize,
    /// Spectral centroid: mean of the frequencies, weighted by power.
    pub centre_hz: f64,
    /// Magnitude by band, as a share of the largest.
    pub response: Vec<f64>,
}

impl FilterAnalysis {
    /// Whether a run has been analysed.
    pub fn exists(run: &Path) -> bool {
        run.join(FILE).exists()
    }

    /// The analysis of a run.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn read(run: &Path) -> Result<Self, ExperimentError> {
        results_dir::read_json(&run.join(FILE))
    }

    /// Writes it into the run's folder.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn write(&self, run: &Path) -> Result<(), ExperimentError> {
        results_dir::write_json(&run.join(FILE), self)
    }

    /// Analyses every layer.
    ///
    /// # Errors
    ///
    /// `Interrupted` once `stop` is set; anything libtorch refuses.
    pub fn of(model: &Model, stop: &AtomicBool) -> Result<Self, TrainError> {
        let blocks = model.network().blocks.len();
        let layers = (1..=blocks).map(|block| {
            let waves = match block {
                1 => first_filters(&model.values()?)?,
                _ => maximising_inputs(model, block, stop)?,
            };
            layer(block, &waves)
        });
        Ok(FilterAnalysis { layers: layers.collect::<Result<_, TrainError>>()? })
    }
}

/// The first layer's filters, `[filters, kernel]`, out of a network's weights.
fn first_filters(values: &Tensors) -> Result<Tensor, TrainError> {
    const FIRST: &str = "block1.conv.weight";
    let missing = || ModelError::NoSuchTensor { name: FIRST.to_owned() };
    let first = values.get(FIRST).ok_or_else(missing)?;
    let filters = first.shape.first().copied().unwrap_or(1).max(1) as i64;
    Ok(Tensor::f_from_slice(&first.data)?.f_reshape([filters, -1])?)
}

/// For each filter of a block the input that maximises its activation, `[filters, samples]`.
fn maximising_inputs(model: &Model, block: usize, stop: &AtomicBool) -> Result<Tensor, TrainError> {
    let network = model.network();
    let filters = network.blocks.get(block - 1).map_or(0, |b| b.filters);
    let samples = input_samples(network, block);
    let limit = if model.device() == Device::Cpu { SAMPLES_ON_CPU } else { SAMPLES_ON_GPU };
    let at_once = (limit / samples).max(1);
    let mut found = Vec::new();
    for first in (0..filters).step_by(at_once) {
        let rows = at_once.min(filters - first);
        // Every filter starts from the same noise, so that differences come from the filters alone.
        let mut random = Random::derive(1, "exciting", &[block as u64]);
        let noise: Vec<f32> = (0..samples).map(|_| (STEP_RMS * random.normal()) as f32).collect();
        let noise = Tensor::f_from_slice(&noise)?.f_to_device(model.device())?;
        let mut x = noise.f_unsqueeze(0)?.f_repeat([rows as i64, 1])?;
        for _ in 0..STEPS {
            if stop.load(Ordering::Relaxed) {
                return Err(TrainError::Interrupted);
            }
            x = x.f_detach()?.f_set_requires_grad(true)?;
            let activations =
                model.excitation(&x, block)?.f_mean_dim([2i64].as_slice(), false, Kind::Float)?;
            let own = activations.f_narrow(1, first as i64, rows as i64)?.f_diagonal(0, 0, 1)?;
            let gradients =
                Tensor::f_run_backward(&[&own.f_sum(Kind::Float)?], &[&x], false, false)?;
            let Some(gradient) = gradients.first() else { break };
            x = tch::no_grad(|| {
                let power =
                    gradient.f_square()?.f_mean_dim([1i64].as_slice(), true, Kind::Float)?;
                // A dead filter has no gradient, and keeps its noise.
                let size = power.f_sqrt()?.f_clamp_min(1e-20)?;
                x.f_add(&gradient.f_div(&size)?.f_mul_scalar(STEP_RMS)?)
            })?;
        }
        found.push(x.f_detach()?.f_to_device(Device::Cpu)?);
    }
    Ok(Tensor::f_cat(&found, 0)?)
}

/// Samples that a whole number of a block's positions depends on: at least [`SAMPLES`], but no more than a segment.
fn input_samples(network: &Network, block: usize) -> usize {
    let needed = |positions: usize| {
        let before = network.blocks.iter().take(block).rev().enumerate();
        before.fold(positions, |length, (i, b)| {
            let pooled = if i == 0 { length } else { length.saturating_mul(b.pool) };
            let within = pooled.saturating_sub(1).saturating_mul(b.stride);
            within.saturating_add(b.kernel).saturating_sub(2 * b.padding).max(1)
        })
    };
    let enough = (1..=SAMPLES).map(needed).find(|samples| *samples >= SAMPLES);
    enough.unwrap_or(network.segment).min(network.segment)
}

/// The spectra of `[filters, samples]`, sorted.
fn layer(block: usize, waves: &Tensor) -> Result<LayerAnalysis, TrainError> {
    let samples = waves.size().get(1).copied().unwrap_or(0);
    // At least two frequencies to each band.
    let length = samples.max(4 * BANDS as i64);
    let mean = waves.f_mean_dim([1i64].as_slice(), true, Kind::Float)?;
    // The mean of a short filter belongs to its response; the mean of a long input comes from the noise.
    let waves = if block == 1 { waves.shallow_clone() } else { waves.f_sub(&mean)? };
    let magnitudes = to_host(&waves.f_fft_rfft(length, 1, "backward")?.f_abs()?)?;
    let per_row = magnitudes.shape.get(1).copied().unwrap_or(1).max(1);
    let rows = magnitudes.data.chunks_exact(per_row).enumerate();
    let mut filters: Vec<FilterResponse> =
        rows.map(|(filter, row)| FilterResponse::of(filter, row)).collect();
    filters.sort_by(|a, b| a.centre_hz.total_cmp(&b.centre_hz));
    let samples = usize::try_from(samples).unwrap_or(0);
    Ok(LayerAnalysis { layer: format!("block{block}"), samples, filters })
}

impl LayerAnalysis {
    /// The frequency responses of the first layer's filters, out of a network's weights.
    ///
    /// # Errors
    ///
    /// `NoSuchTensor` for weights without a first convolution; anything libtorch refuses.
    pub fn of_first(weights: &Tensors) -> Result<Self, TrainError> {
        layer(1, &first_filters(weights)?)
    }
}

impl FilterResponse {
    /// From magnitudes at evenly spaced frequencies from 0 to 8 kHz.
    fn of(filter: usize, magnitudes: &[f32]) -> Self {
        let last = magnitudes.len().saturating_sub(1).max(1) as f64;
        let hertz = |i: usize| 8000.0 * i as f64 / last;
        let power = |m: &f32| f64::from(*m) * f64::from(*m);
        let total: f64 = magnitudes.iter().map(power).sum();
        let moment: f64 = magnitudes.iter().enumerate().map(|(i, m)| hertz(i) * power(m)).sum();
        let mut sums = vec![(0.0, 0usize); BANDS];
        for (i, m) in magnitudes.iter().enumerate() {
            let band = (BANDS as f64 * hertz(i) / 8000.0) as usize;
            if let Some((sum, count)) = sums.get_mut(band.min(BANDS - 1)) {
                *sum += f64::from(*m);
                *count += 1;
            }
        }
        let means: Vec<f64> = sums.iter().map(|(sum, n)| sum / (*n).max(1) as f64).collect();
        let largest = means.iter().copied().fold(0.0, f64::max);
        let share =
            |m: &f64| if largest > 0.0 { (1000.0 * m / largest).round() / 1000.0 } else { 0.0 };
        let centre = if total > 0.0 { moment / total } else { 0.0 };
        FilterResponse {
            filter,
            centre_hz: (10.0 * centre).round() / 10.0,
            response: means.iter().map(share).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tensors::Values;

    fn network() -> Network {
        let toml = "name = \"two\"\nsegment = 2187\nwindow = 1\nhead = { kind = \"dense\", units = 4 }\nblocks = [\
            { filters = 3, kernel = 81, stride = 9, padding = 36, pool = 3 }, { filters = 2, pool = 81 }]";
        Network::from_toml(toml).unwrap()
    }

    /// Filters of 6, 0.5 and 2 kHz; each filter of the second block reads one of them.
    fn model() -> Model {
        let network = network();
        let mut values = Model::new(network.clone(), 2, 1, Device::Cpu).unwrap().values().unwrap();
        let tone = |hertz: f64| {
            (0..81).map(move |t| {
                (std::f64::consts::TAU * hertz * f64::from(t) / 16_000.0).sin() as f32
            })
        };
        let first = [6000.0, 500.0, 2000.0].into_iter().flat_map(tone).collect();
        let second = vec![0., 1., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 1., 0.];
        let set = |shape: &[usize], data| Values { shape: shape.to_vec(), data };
        values.extend(Tensors::from([
            ("block1.conv.weight".to_owned(), set(&[3, 1, 81], first)),
            ("block2.conv.weight".to_owned(), set(&[2, 3, 3], second)),
        ]));
        Model::from_values(network, 2, &values, Device::Cpu).unwrap()
    }

    #[test]
    fn filters_of_known_tones_are_found_and_sorted_by_frequency() {
        let analysis = FilterAnalysis::of(&model(), &AtomicBool::new(false)).unwrap();
        let centres = |layer: usize| -> Vec<(usize, f64)> {
            analysis.layers[layer].filters.iter().map(|f| (f.filter, f.centre_hz)).collect()
        };
        for ((filter, centre), (expected, hertz)) in
            centres(0).into_iter().zip([(1, 500.0), (2, 2000.0), (0, 6000.0)])
        {
            assert!(filter == expected && (centre - hertz).abs() < 250.0, "{:?}", centres(0));
        }
        // The inputs that maximise the filters that read 6 kHz and 2 kHz.
        let deeper = centres(1);
        assert_eq!(deeper.iter().map(|(filter, _)| *filter).collect::<Vec<_>>(), [1, 0]);
        for ((_, centre), hertz) in deeper.iter().zip([2000.0, 6000.0]) {
            assert!((centre - hertz).abs() < 500.0, "{deeper:?}");
        }
        let weights = model().values().unwrap();
        assert_eq!(LayerAnalysis::of_first(&weights).unwrap(), analysis.layers[0]);
        assert!(LayerAnalysis::of_first(&Tensors::new()).is_err());
        let response = &analysis.layers[1].filters[0].response;
        assert_eq!(response.len(), BANDS);
        assert_eq!(leitmotif_models::argmax(response), 16, "{response:?}");
    }

    #[test]
    fn a_signal_stops_the_ascent() {
        let stopped = FilterAnalysis::of(&model(), &AtomicBool::new(true)).unwrap_err();
        assert!(matches!(stopped, TrainError::Interrupted), "{stopped}");
    }

    #[test]
    fn inputs_are_as_long_as_a_filter_needs_and_no_longer_than_a_segment() {
        let model1 = Network::preset("model1").unwrap();
        let samples: Vec<usize> = (2..=10).map(|block| input_samples(&model1, block)).collect();
        assert_eq!(samples, [729, 729, 729, 729, 729, 729, 2187, 6561, 19_683]);
    }
}
