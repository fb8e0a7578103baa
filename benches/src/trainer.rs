//! Trains one network on the same batch again and again, with the training step of `fit`.
//!
//! Included by the two programs that use it, not a module of the library: the other programs must not load libtorch.

use leitmotif_benches::{cases, fresh};
use leitmotif_models::Network;
use leitmotif_train::error::TrainError;
use leitmotif_train::learn::adam::{Adam, AdamConfig};
use leitmotif_train::learn::batches::Batch;
use leitmotif_train::learn::feed::DeviceBatch;
use leitmotif_train::learn::step::{Measured, train_step};
use leitmotif_train::model::network::Model;

/// A network, its optimizer and its batch of [`cases::BATCH`] clips.
pub(crate) struct Trainer {
    model: Model,
    adam: Adam,
    batch: DeviceBatch,
}

impl Trainer {
    /// Initial weights and a batch of noise, on the CPU.
    pub(crate) fn new(network: &Network) -> Result<Self, TrainError> {
        let classes = fresh::classes(network);
        let shape = [cases::BATCH, network.window, network.segment];
        let mut targets = vec![0.0; cases::BATCH * classes];
        // Clip 0 is of class 0, clip 1 of class 1.
        targets.iter_mut().step_by(classes + 1).for_each(|target| *target = 1.0);
        let segments = fresh::noise(7, shape.iter().product());
        let model = Model::new(network.clone(), classes, 1, tch::Device::Cpu)?;
        let adam = Adam::new(AdamConfig::default(), &model.trainable()?)?;
        let batch = Batch { segments, shape, targets };
        Ok(Trainer { model, adam, batch: DeviceBatch::upload(&batch, tch::Device::Cpu)? })
    }

    /// One training step; returns the loss.
    pub(crate) fn step(&mut self) -> Result<f64, TrainError> {
        let step = train_step(&self.model, &mut self.adam, &self.batch, 1e-3, 0.0)?;
        let loss = Measured::read(&[step])?.first().map_or(f64::NAN, |step| step.loss);
        Ok(loss)
    }
}
