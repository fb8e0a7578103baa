//! Adam (Kingma and Ba 2014), our own because tch's optimizer gives no access to its state, and a run must resume
//! exactly.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::error::{ModelError, TrainError};
use crate::model::flat::FlatBuffer;
use crate::model::host::{on_device, to_host};
use crate::model::tensors::{Tensors, select};

/// Settings of [`Adam`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamConfig {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay: share of a weight taken off per step, times the learning rate (Loshchilov and Hutter
    /// 2017). Not of vectors: biases and batch norms.
    pub weight_decay: f64,
    /// Longer gradients, all together by their Euclidean norm, are shortened to this; never where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_gradients: Option<f64>,
}

impl Default for AdamConfig {
    /// Keras 2.1's defaults.
    fn default() -> Self {
        AdamConfig {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-7,
            weight_decay: 0.0,
            clip_gradients: None,
        }
    }
}

/// The optimizer and its moments.
///
/// All tensors lie in one buffer, as do their moments: a step is a few operations however many tensors there are, and
/// not ten for each.
#[derive(Debug)]
pub struct Adam {
    config: AdamConfig,
    steps: u64,
    params: FlatBuffer,
    means: Tensor,
    squares: Tensor,
    /// One at values that decay, zero at biases and batch norms; absent without weight decay.
    decaying: Option<Tensor>,
}

impl Adam {
    /// Zero moments for the named tensors, whose values move into one buffer: they stay the tensors that they were.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses, e.g. memory.
    pub fn new(config: AdamConfig, params: &[(&str, Tensor)]) -> Result<Self, TrainError> {
        let params = FlatBuffer::take_in(params)?;
        let (means, squares) = (params.zeros()?, params.zeros()?);
        let decaying = match config.weight_decay > 0.0 {
            true => Some(params.mask(|shape| shape.len() > 1)?),
            false => None,
        };
        Ok(Adam { config, steps: 0, params, means, squares, decaying })
    }

    /// Steps counted so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Counts a step and returns what it needs beside the gradients, f32 `[3]` on the host: the learning rate over the
    /// first bias correction, the root of the second, and the negative share of the values that weight decay takes.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses.
    pub fn next_rates(&mut self, learning_rate: f64) -> Result<Tensor, TrainError> {
        self.steps += 1;
        let AdamConfig { beta1, beta2, weight_decay, .. } = self.config;
        let steps = self.steps as f64;
        let (bias1, bias2) = (1.0 - beta1.powf(steps), 1.0 - beta2.powf(steps));
        let rates = [learning_rate / bias1, bias2.sqrt(), -learning_rate * weight_decay];
        Ok(Tensor::f_from_slice(&rates.map(|rate| rate as f32))?)
    }

    /// Gradients in the order and shapes of the tensors given to [`Adam::new`], as one tensor for [`Adam::step`].
    ///
    /// # Errors
    ///
    /// Gradients of other shapes.
    pub fn gather(&self, gradients: &[Tensor]) -> Result<Tensor, TrainError> {
        tch::no_grad(|| self.params.gather(gradients))
    }

    /// Updates every tensor in place, once, and returns the Euclidean norm of all gradients together before they are
    /// clipped, a scalar on their device; `gradient` is what [`Adam::gather`] made of them, `rates` is what
    /// [`Adam::next_rates`] gave, on the device. The host does not wait for the device.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses.
    pub fn step(&self, gradient: &Tensor, rates: &Tensor) -> Result<Tensor, TrainError> {
        let norm = tch::no_grad(|| gradient.f_norm())?;
        self.step_with_norm(gradient, norm, rates)
    }

    /// [`Adam::step`] with the norm of the gradients, whose last bits depend on the processor and its threads.
    ///
    /// # Errors
    ///
    /// As [`Adam::step`].
    pub fn step_with_norm(
        &self,
        gradient: &Tensor,
        norm: Tensor,
        rates: &Tensor,
    ) -> Result<Tensor, TrainError> {
        let AdamConfig { beta1, beta2, epsilon, clip_gradients, .. } = self.config;
        let (mut means, mut squares) = (self.means.shallow_clone(), self.squares.shallow_clone());
        tch::no_grad(|| {
            let gradient = match clip_gradients {
                None => gradient.shallow_clone(),
                // A norm of zero gives infinity here, and so a factor of one.
                Some(most) => {
                    let factor = norm.f_reciprocal()?.f_mul_scalar(most)?.f_clamp_max(1.0)?;
                    gradient.f_mul(&factor)?
                }
            };
            // An operation in place returns the same tensor.
            let _ = means.f_lerp_(&gradient, 1.0 - beta1)?;
            let _ = squares.f_lerp_(&gradient.f_square()?, 1.0 - beta2)?;
            let mut root = squares.f_sqrt()?;
            let mut root = root.f_div_(&rates.f_get(1)?)?;
            let mut change = means.f_div(&root.f_add_scalar_(epsilon)?)?;
            let change = change.f_mul_(&rates.f_get(0)?)?;
            let mut values = self.params.values();
            if let Some(decaying) = &self.decaying {
                let kept = decaying.f_mul(&rates.f_get(2)?)?.f_add_scalar(1.0)?;
                let _ = values.f_mul_(&kept)?;
            }
            let _ = values.f_sub_(&change)?;
            Ok(norm)
        })
    }

    /// The moments as `NAME.mean` and `NAME.square`, in the shapes of a checkpoint.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses.
    pub fn values(&self) -> Result<Tensors, TrainError> {
        let mut values = Tensors::new();
        for (kind, moments) in [("mean", &self.means), ("square", &self.squares)] {
            for (name, view) in self.params.views_of(moments)? {
                values.insert(format!("{name}.{kind}"), to_host(&view)?);
            }
        }
        Ok(values)
    }

    /// Restores the moments that [`Adam::values`] returned after `steps` steps; other names in `values` are ignored.
    ///
    /// # Errors
    ///
    /// All missing and misshapen moments, named at once.
    pub fn restore(&mut self, values: &Tensors, steps: u64) -> Result<(), TrainError> {
        let given = select(self.values()?, values).map_err(ModelError::Optimizer)?;
        for (kind, moments) in [("mean", &self.means), ("square", &self.squares)] {
            for (name, mut view) in self.params.views_of(moments)? {
                if let Some(given) = given.get(&format!("{name}.{kind}")) {
                    view.f_copy_(&on_device(given, moments.device())?)?;
                }
            }
        }
        self.steps = steps;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tch::nn::OptimizerConfig;
    use tch::{Device, nn};

    use super::*;

    /// One step; returns the norm of the gradients.
    fn step(adam: &mut Adam, gradients: &[Tensor], learning_rate: f64) -> f64 {
        let rates = adam.next_rates(learning_rate).unwrap();
        let gradient = adam.gather(gradients).unwrap();
        f64::try_from(adam.step(&gradient, &rates).unwrap()).unwrap()
    }

    /// Minimises `sum(w^2 / 2)`, whose gradient is `w`.
    fn steps(config: AdamConfig, start: &[f32], count: usize, learning_rate: f64) -> Vec<f32> {
        let tensor = Tensor::from_slice(start);
        let params = [("w", tensor.shallow_clone())];
        let mut adam = Adam::new(config, &params).unwrap();
        for _ in 0..count {
            step(&mut adam, &[tensor.copy()], learning_rate);
        }
        Vec::try_from(&tensor).unwrap()
    }

    #[test]
    fn three_steps_equal_torchs_adam() {
        let start = [1.0f32, -0.3, 20.0, 1e-3];
        let ours = steps(AdamConfig::default(), &start, 3, 0.1);
        let store = nn::VarStore::new(Device::Cpu);
        let mut weight = store.root().zeros("w", &[4]);
        tch::no_grad(|| weight.copy_(&Tensor::from_slice(&start)));
        let mut torchs = nn::Adam { eps: 1e-7, ..nn::Adam::default() }.build(&store, 0.1).unwrap();
        for _ in 0..3 {
            torchs.backward_step(&(weight.square() * 0.5).sum(tch::Kind::Float));
        }
        let torchs = Vec::<f32>::try_from(&weight).unwrap();
        for (a, b) in ours.iter().zip(&torchs) {
            assert!((a - b).abs() <= 2e-6 * b.abs().max(0.1), "{ours:?} {torchs:?}");
        }
    }

    #[test]
    fn a_first_step_is_the_learning_rate_against_the_gradients_sign() {
        // After bias correction the mean is g and the root |g|, so the change is α·g / (|g| + ε).
        let moved = steps(AdamConfig::default(), &[5.0, -0.01], 1, 0.5);
        assert!((moved[0] - 4.5).abs() < 1e-5 && (moved[1] - 0.49).abs() < 1e-4, "{moved:?}");
    }

    #[test]
    fn weight_decay_is_decoupled_and_spares_vectors() {
        let config = AdamConfig { weight_decay: 0.1, ..AdamConfig::default() };
        let matrix = Tensor::from_slice(&[2.0f32]).reshape([1, 1]);
        let vector = Tensor::from_slice(&[2.0f32]);
        let params = [("m", matrix.shallow_clone()), ("v", vector.shallow_clone())];
        let mut adam = Adam::new(config, &params).unwrap();
        step(&mut adam, &[matrix.zeros_like(), vector.zeros_like()], 0.5);
        assert_eq!(f64::try_from(&matrix.squeeze()).unwrap(), f64::from(2.0f32 * 0.95));
        assert_eq!(f64::try_from(&vector.squeeze()).unwrap(), 2.0);
    }

    #[test]
    fn gradients_together_longer_than_the_clip_are_shortened_to_it_and_shorter_ones_stay() {
        // Of 3 and 4 together the norm is 5.
        for (clip, left) in [(Some(2.5), 0.5), (Some(5.0), 1.0), (Some(7.0), 1.0), (None, 1.0)] {
            let (a, b) = (Tensor::from_slice(&[3.0f32]), Tensor::from_slice(&[4.0f32]));
            let config = AdamConfig { clip_gradients: clip, ..AdamConfig::default() };
            let params = [("a", a.shallow_clone()), ("b", b.shallow_clone())];
            let mut adam = Adam::new(config, &params).unwrap();
            assert_eq!(step(&mut adam, &[a.copy(), b.copy()], 0.0), 5.0, "{clip:?}");
            let means = adam.values().unwrap();
            let mean = |name: &str| means[name].data[0];
            for (name, gradient) in [("a.mean", 3.0), ("b.mean", 4.0)] {
                assert!((mean(name) - 0.1 * gradient * left).abs() < 1e-6, "{clip:?}: {means:?}");
            }
            assert_eq!(step(&mut adam, &[a.zeros_like(), b.zeros_like()], 0.0), 0.0);
            assert!((adam.values().unwrap()["a.mean"].data[0] - 0.27 * left).abs() < 1e-6);
        }
    }

    #[test]
    fn moments_survive_the_round_trip_and_are_checked() {
        let tensor = Tensor::from_slice(&[1.0f32, 2.0]);
        let params = [("w", tensor.shallow_clone())];
        let mut first = Adam::new(AdamConfig::default(), &params).unwrap();
        step(&mut first, &[tensor.copy()], 0.1);
        let saved = first.values().unwrap();
        let twin = tensor.copy();
        let mut second = Adam::new(AdamConfig::default(), &[("w", twin.shallow_clone())]).unwrap();
        second.restore(&saved, 1).unwrap();
        step(&mut first, &[tensor.copy()], 0.1);
        step(&mut second, &[twin.copy()], 0.1);
        assert_eq!(Vec::<f32>::try_from(&tensor).unwrap(), Vec::<f32>::try_from(&twin).unwrap());
        let error = second.restore(&Tensors::new(), 1).unwrap_err();
        let message = format!("{:#}", anyhow::Error::from(error));
        assert!(message.contains("w.mean") && message.contains("w.square"), "{message}");
    }
}
