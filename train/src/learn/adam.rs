//! Adam (Kingma and Ba 2014), our own because tch's optimizer gives no access to its state, and a run must resume
//! exactly.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::error::{ModelError, TrainError};
use crate::model::host::{on_device, to_host};
use crate::model::tensors::{Tensors, check};

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
}

impl Default for AdamConfig {
    /// Keras 2.1's defaults.
    fn default() -> Self {
        AdamConfig { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weight_decay: 0.0 }
    }
}

/// The optimizer and its moments.
#[derive(Debug)]
pub struct Adam {
    config: AdamConfig,
    steps: u64,
    moments: BTreeMap<String, Moments>,
}

#[derive(Debug)]
struct Moments {
    mean: Tensor,
    square: Tensor,
}

impl Adam {
    /// Zero moments for each of the named tensors.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses, e.g. memory.
    pub fn new(config: AdamConfig, params: &[(&str, Tensor)]) -> Result<Self, TrainError> {
        let mut moments = BTreeMap::new();
        for (name, tensor) in params {
            // Like the tensor in its memory order, too.
            let zeros = || tensor.f_detach()?.f_zeros_like();
            moments.insert((*name).to_owned(), Moments { mean: zeros()?, square: zeros()? });
        }
        Ok(Adam { config, steps: 0, moments })
    }

    /// Updates every tensor in place, once; `gradients` has the tensors' order and shapes.
    ///
    /// # Errors
    ///
    /// A tensor that [`Adam::new`] did not see; whatever libtorch refuses.
    pub fn step(
        &mut self,
        params: &[(&str, Tensor)],
        gradients: &[Tensor],
        learning_rate: f64,
    ) -> Result<(), TrainError> {
        self.steps += 1;
        let AdamConfig { beta1, beta2, epsilon, weight_decay } = self.config;
        let steps = self.steps as f64;
        let (bias1, bias2) = (1.0 - beta1.powf(steps), 1.0 - beta2.powf(steps));
        tch::no_grad(|| {
            // An operation in place returns the same tensor.
            for ((name, tensor), gradient) in params.iter().zip(gradients) {
                let moments = self.moments.get_mut(*name).ok_or_else(|| {
                    ModelError::NoSuchTensor { name: format!("moments of {name}") }
                })?;
                let _ = moments.mean.f_lerp_(gradient, 1.0 - beta1)?;
                let _ = moments.square.f_lerp_(&gradient.f_square()?, 1.0 - beta2)?;
                let mut root = moments.square.f_sqrt()?;
                let mut root = root.f_div_scalar_(bias2.sqrt())?;
                let mut change = moments.mean.f_div(&root.f_add_scalar_(epsilon)?)?;
                let change = change.f_mul_scalar_(learning_rate / bias1)?;
                let mut tensor = tensor.shallow_clone();
                if weight_decay > 0.0 && tensor.dim() > 1 {
                    let _ = tensor.f_mul_scalar_(1.0 - learning_rate * weight_decay)?;
                }
                let _ = tensor.f_sub_(&change)?;
            }
            Ok(())
        })
    }

    /// The moments as `NAME.mean` and `NAME.square`, in the shapes of a checkpoint.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses.
    pub fn values(&self) -> Result<Tensors, TrainError> {
        let mut values = Tensors::new();
        for (name, moments) in &self.moments {
            values.insert(format!("{name}.mean"), to_host(&moments.mean)?);
            values.insert(format!("{name}.square"), to_host(&moments.square)?);
        }
        Ok(values)
    }

    /// Restores the moments that [`Adam::values`] returned after `steps` steps; other names in `values` are ignored.
    ///
    /// # Errors
    ///
    /// All missing and misshapen moments, named at once.
    pub fn restore(&mut self, values: &Tensors, steps: u64) -> Result<(), TrainError> {
        let expected = self.values()?;
        let given = values.iter().filter(|(name, _)| expected.contains_key(*name));
        let given: Tensors = given.map(|(name, v)| (name.clone(), v.clone())).collect();
        let shapes = expected.into_iter().map(|(name, v)| (name, v.shape));
        check(shapes, &given).map_err(ModelError::Optimizer)?;
        for (name, moments) in &mut self.moments {
            for (kind, tensor) in [("mean", &mut moments.mean), ("square", &mut moments.square)] {
                if let Some(given) = given.get(&format!("{name}.{kind}")) {
                    tensor.f_copy_(&on_device(given, tensor.device())?)?;
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

    /// Minimises `sum(w^2 / 2)`, whose gradient is `w`.
    fn steps(config: AdamConfig, start: &[f32], count: usize, learning_rate: f64) -> Vec<f32> {
        let tensor = Tensor::from_slice(start);
        let params = [("w", tensor.shallow_clone())];
        let mut adam = Adam::new(config, &params).unwrap();
        for _ in 0..count {
            let gradient = [tensor.copy()];
            adam.step(&params, &gradient, learning_rate).unwrap();
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
        adam.step(&params, &[matrix.zeros_like(), vector.zeros_like()], 0.5).unwrap();
        assert_eq!(f64::try_from(&matrix.squeeze()).unwrap(), f64::from(2.0f32 * 0.95));
        assert_eq!(f64::try_from(&vector.squeeze()).unwrap(), 2.0);
    }

    #[test]
    fn moments_survive_the_round_trip_and_are_checked() {
        let tensor = Tensor::from_slice(&[1.0f32, 2.0]);
        let params = [("w", tensor.shallow_clone())];
        let mut first = Adam::new(AdamConfig::default(), &params).unwrap();
        first.step(&params, &[tensor.copy()], 0.1).unwrap();
        let saved = first.values().unwrap();
        let mut second = Adam::new(AdamConfig::default(), &params).unwrap();
        second.restore(&saved, 1).unwrap();
        let twin = tensor.copy();
        first.step(&params, &[tensor.copy()], 0.1).unwrap();
        second.step(&[("w", twin.shallow_clone())], &[twin.copy()], 0.1).unwrap();
        assert_eq!(Vec::<f32>::try_from(&tensor).unwrap(), Vec::<f32>::try_from(&twin).unwrap());
        let error = second.restore(&Tensors::new(), 1).unwrap_err();
        let message = format!("{:#}", anyhow::Error::from(error));
        assert!(message.contains("w.mean") && message.contains("w.square"), "{message}");
    }
}
