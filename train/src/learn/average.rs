//! An average of the weights over the last steps (Polyak and Juditsky 1992), by which a network is evaluated and saved.

use tch::Tensor;

use crate::error::{ModelError, TrainError};
use crate::model::host::{copy, on_device, to_host};
use crate::model::network::Model;
use crate::model::tensors::{Tensors, select};

/// Exponential moving averages of all tensors of a network, running statistics included.
///
/// Between two steps [`swap`](Self::swap) exchanges them with the network's own, so that it can be evaluated and saved.
#[derive(Debug)]
pub struct WeightAverage {
    decay: f64,
    updates: u64,
    tensors: Vec<Averaged>,
}

#[derive(Debug)]
struct Averaged {
    name: String,
    /// The network's own, with its memory.
    live: Tensor,
    average: Tensor,
}

impl WeightAverage {
    /// Averages that begin with the network's present values. Each step keeps the share `decay` of them, in the first
    /// steps less, (1 + n) / (10 + n), so that initial values are soon forgotten.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses, e.g. memory.
    pub fn new(decay: f64, model: &Model) -> Result<Self, TrainError> {
        let tensors = model.all_tensors().map(|(name, tensor)| {
            let live = tensor.f_detach()?;
            let average = copy(&live)?;
            Ok(Averaged { name: name.to_owned(), live, average })
        });
        let tensors = tensors.collect::<Result<_, TrainError>>()?;
        Ok(WeightAverage { decay, updates: 0, tensors })
    }

    /// Takes in the values after a step.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses.
    pub fn update(&mut self) -> Result<(), TrainError> {
        let updates = self.updates as f64;
        let decay = self.decay.min((1.0 + updates) / (10.0 + updates));
        self.updates += 1;
        for Averaged { live, average, .. } in &mut self.tensors {
            // An operation in place returns the same tensor.
            let _ = average.f_lerp_(live, 1.0 - decay)?;
        }
        Ok(())
    }

    /// Exchanges the averages with the network's values.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses.
    pub fn swap(&mut self) -> Result<(), TrainError> {
        for Averaged { live, average, .. } in &mut self.tensors {
            let own = copy(live)?;
            live.f_copy_(average)?;
            average.f_copy_(&own)?;
        }
        Ok(())
    }

    /// The values that are not in the network, as `NAME.value`: while [swapped](Self::swap) the last step's.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses.
    pub fn values(&self) -> Result<Tensors, TrainError> {
        let values = self.tensors.iter();
        values.map(|of| Ok((key(&of.name), to_host(&of.average)?))).collect()
    }

    /// Goes on from a checkpoint, whose weights, the averages, the network now has: it gets those of the last step, which
    /// `values` has from [`values`](Self::values). Other names in `values` are ignored.
    ///
    /// # Errors
    ///
    /// All missing and misshapen tensors, named at once.
    pub fn restore(&mut self, values: &Tensors, steps: u64) -> Result<(), TrainError> {
        let given = select(self.values()?, values).map_err(ModelError::Optimizer)?;
        for Averaged { name, live, average } in &mut self.tensors {
            average.f_copy_(live)?;
            if let Some(given) = given.get(&key(name)) {
                live.f_copy_(&on_device(given, live.device())?)?;
            }
        }
        self.updates = steps;
        Ok(())
    }
}

fn key(name: &str) -> String {
    format!("{name}.value")
}

#[cfg(test)]
mod tests {
    use leitmotif_models::Network;
    use tch::Device;

    use super::*;

    #[test]
    fn the_average_follows_the_weights_and_changes_places_with_them() {
        let network = Network::preset("example").unwrap();
        let mut model = Model::new(network, 3, 1, Device::Cpu).unwrap();
        let name = "output.bias";
        let set = |model: &mut Model, to: f32| {
            let mut value = model.values().unwrap()[name].clone();
            value.data.fill(to);
            model.set_values(&Tensors::from([(name.to_owned(), value)])).unwrap();
        };
        let of = |values: &Tensors, name: &str| values[name].data[0];
        set(&mut model, 0.0);
        let mut average = WeightAverage::new(0.5, &model).unwrap();
        let mut expected = 0.0;
        for (step, decay) in [1.0 / 10.0, 2.0 / 11.0, 3.0 / 12.0].into_iter().enumerate() {
            let value = step as f32 + 1.0;
            set(&mut model, value);
            average.update().unwrap();
            expected += (1.0 - decay) * (value - expected);
        }
        assert!((of(&average.values().unwrap(), "output.bias.value") - expected).abs() < 1e-6);
        average.swap().unwrap();
        assert!((of(&model.values().unwrap(), name) - expected).abs() < 1e-6);
        let (weights, last) = (model.values().unwrap(), average.values().unwrap());
        assert_eq!(of(&last, "output.bias.value"), 3.0);

        let network = model.network().clone();
        let mut again = Model::from_values(network, 3, &weights, Device::Cpu).unwrap();
        let mut restored = WeightAverage::new(0.5, &again).unwrap();
        restored.restore(&last, 3).unwrap();
        assert_eq!(of(&again.values().unwrap(), name), 3.0);
        for (model, average) in [(&mut again, &mut restored), (&mut model, &mut average)] {
            if of(&model.values().unwrap(), name) != 3.0 {
                average.swap().unwrap();
            }
            set(model, 9.0);
            average.update().unwrap();
        }
        assert_eq!(restored.values().unwrap(), average.values().unwrap());
        assert!(restored.restore(&Tensors::new(), 3).is_err());
    }
}
