//! One training step: forward pass, cross-entropy, gradients, Adam.

use std::time::{Duration, Instant};

use leitmotif_models::HeadKind;
use tch::{Device, Kind, Tensor};

use crate::error::{NotFinite, TrainError};
use crate::learn::adam::Adam;
use crate::learn::config::FitConfig;
use crate::learn::feed::DeviceBatch;
use crate::learn::reduce::{Local, reduce};
use crate::learn::repeated::{Overwritten, Repeated};
use crate::model::host::{copy, to_device};
use crate::model::native;
use crate::model::network::Model;
use crate::ranks::group::Ranks;

/// What a step measured, before it changed the weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepResult {
    /// Mean cross-entropy in nats over the outputs, label smoothing and mixup included.
    pub loss: f64,
    /// Euclidean norm of the gradients of all trainable parameters together, before they are clipped.
    pub gradient_norm: f64,
    /// Outputs whose most probable class is that of the target.
    pub correct: usize,
    /// Outputs in the batch: a dense head has one for each segment, an LSTM one for each clip.
    pub outputs: usize,
}

impl StepResult {
    /// What of it is no finite number, if anything: the weights are none either, then.
    pub fn not_finite(&self) -> Option<NotFinite> {
        match *self {
            StepResult { loss, .. } if !loss.is_finite() => Some(NotFinite::Loss(loss)),
            StepResult { gradient_norm: norm, .. } if !norm.is_finite() => {
                Some(NotFinite::GradientNorm(norm))
            }
            _ => None,
        }
    }
}

/// A [`StepResult`] that is still on the device: reading it waits for the step.
#[derive(Debug)]
pub struct Measured {
    /// Loss, norm of the gradients, correct outputs: f64 `[3]`.
    values: Tensor,
    outputs: usize,
}

impl Measured {
    /// Results that the host knows.
    #[cfg(test)]
    pub(crate) fn of(values: &[f64; 3], outputs: usize) -> Self {
        Measured { values: Tensor::from_slice(values), outputs }
    }

    /// Copies the results of some steps to the host, all at once.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses, and what went wrong on the device in these steps.
    pub fn read(steps: &[Measured]) -> Result<Vec<StepResult>, TrainError> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let values: Vec<&Tensor> = steps.iter().map(|step| &step.values).collect();
        let together = Tensor::f_cat(&values, 0)?.f_to_device(Device::Cpu)?;
        let mut host = vec![0.0; together.numel()];
        together.f_copy_data(&mut host, together.numel())?;
        let rows = host.as_chunks::<3>().0.iter().zip(steps);
        let results = rows.map(|([loss, gradient_norm, correct], step)| StepResult {
            loss: *loss,
            gradient_norm: *gradient_norm,
            correct: *correct as usize,
            outputs: step.outputs,
        });
        Ok(results.collect())
    }
}

/// Trains `model` on one batch with categorical cross-entropy and Adam (Nibbeling 2018, section 3.2).
///
/// The targets have the model's auxiliary classes last. By `exposure` > 0 the probabilities of clips of these are also
/// drawn to be even over the others: it is the weight of the mean cross-entropy of an even target (Hendrycks et al. 2019,
/// Outlier Exposure).
///
/// # Errors
/// A batch whose shape does not fit the network, and whatever libtorch refuses, e.g. memory.
pub fn train_step(
    model: &Model,
    adam: &mut Adam,
    batch: &DeviceBatch,
    learning_rate: f64,
    exposure: f64,
) -> Result<Measured, TrainError> {
    let numbers = StepNumbers::next(model, adam, learning_rate)?;
    device_step(model, adam, batch, &numbers, exposure)
}

/// The part of a step of one batch that is on the device alone.
fn device_step(
    model: &Model,
    adam: &Adam,
    batch: &DeviceBatch,
    numbers: &StepNumbers,
    exposure: f64,
) -> Result<Measured, TrainError> {
    Pass::new(model, adam, batch, &numbers.key, exposure)?.end_step(adam, &numbers.rates)
}

/// What a step needs of the host beside its batch, on the device.
#[derive(Debug)]
struct StepNumbers {
    /// Adam's.
    rates: Tensor,
    /// Dropout's.
    key: Tensor,
}

impl StepNumbers {
    /// Those of the next step, which it counts.
    fn next(model: &Model, adam: &mut Adam, learning_rate: f64) -> Result<Self, TrainError> {
        let rates = to_device(&adam.next_rates(learning_rate)?, model.device())?;
        let key = dropout_key(model, adam.steps(), 0)?;
        Ok(StepNumbers { rates, key })
    }
}

/// Dropout's key of the pass of this number, from 1, over the rows of its batch from `first_row` on, on the device.
fn dropout_key(model: &Model, pass: u64, first_row: usize) -> Result<Tensor, TrainError> {
    to_device(&model.dropout_key_from(pass, first_row)?, model.device())
}

/// A forward and a backward pass, on the device.
#[derive(Debug)]
struct Pass {
    /// As [`Adam::gather`] makes them.
    gradient: Tensor,
    /// Mean over the outputs, a scalar.
    loss: Tensor,
    /// A scalar.
    correct: Tensor,
    outputs: usize,
}

impl Pass {
    fn new(
        model: &Model,
        adam: &Adam,
        batch: &DeviceBatch,
        key: &Tensor,
        exposure: f64,
    ) -> Result<Self, TrainError> {
        let output = model.forward(&batch.segments, Some(key))?;
        let sequence = model.network().head.kind == HeadKind::Lstm;
        // Of a dense head every segment is an example, of an LSTM the last.
        let examples = |logits: Tensor| match sequence {
            true => logits.f_narrow(1, logits.size().get(1).copied().unwrap_or(1) - 1, 1),
            false => Ok(logits),
        };
        let own = examples(output.logits)?;
        let auxiliary = output.auxiliary.map(examples).transpose()?;
        let logits = match &auxiliary {
            None => own.shallow_clone(),
            Some(auxiliary) => Tensor::f_cat(&[&own, auxiliary], -1)?,
        };
        let cross_entropy =
            logits.f_log_softmax(-1, Kind::Float)?.f_neg()?.f_mul(&batch.targets)?;
        let mut loss = cross_entropy.f_sum_dim_intlist(-1, false, Kind::Float)?;
        if let Some(auxiliary) = auxiliary.filter(|_| exposure > 0.0) {
            let even = own.f_log_softmax(-1, Kind::Float)?.f_mean_dim(-1, false, Kind::Float)?;
            let (first, count) =
                (model.classes() as i64, auxiliary.size().last().copied().unwrap_or(0));
            let share = batch.targets.f_narrow(-1, first, count)?;
            let share = share.f_sum_dim_intlist(-1, false, Kind::Float)?;
            loss = loss.f_add(&even.f_mul(&share.f_mul_scalar(-exposure)?)?)?;
        }
        let outputs = loss.numel();
        let loss = loss.f_mean(Kind::Float)?;
        let params = model.trainable()?;
        let inputs: Vec<&Tensor> = params.iter().map(|(_, tensor)| tensor).collect();
        let gradients = Tensor::f_run_backward(&[&loss], &inputs, false, false)?;
        let gradient = adam.gather(&gradients)?;
        let correct = logits
            .f_argmax(-1, false)?
            .f_eq_tensor(&batch.targets.f_argmax(-1, false)?)?
            .f_sum(Kind::Int64)?;
        Ok(Pass { gradient, loss: loss.f_detach()?, correct, outputs })
    }

    /// Adds what another pass found, for a mean.
    fn add(&mut self, other: &Pass) -> Result<(), TrainError> {
        // An operation in place returns the same tensor.
        let _ = self.gradient.f_add_(&other.gradient)?;
        let _ = self.loss.f_add_(&other.loss)?;
        let _ = self.correct.f_add_(&other.correct)?;
        self.outputs += other.outputs;
        Ok(())
    }

    /// Makes means of the sums over `count` passes; outputs are counted.
    fn divide(&mut self, count: usize) -> Result<(), TrainError> {
        let share = 1.0 / count as f64;
        let _ = self.gradient.f_mul_scalar_(share)?;
        let _ = self.loss.f_mul_scalar_(share)?;
        Ok(())
    }

    /// Changes the weights by these gradients.
    fn end_step(&self, adam: &Adam, rates: &Tensor) -> Result<Measured, TrainError> {
        let gradient_norm = adam.step(&self.gradient, rates)?;
        // f64 holds every f32 and every count exactly.
        let scalars = [&self.loss, &gradient_norm, &self.correct]
            .map(|scalar| scalar.f_to_kind(Kind::Double))
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Measured { values: Tensor::f_stack(&scalars, 0)?, outputs: self.outputs })
    }
}

/// The sums over all ranks so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many, one for each step.
    pub count: u32,
    /// What a rank gives into one, in bytes.
    pub bytes: u64,
    /// How long they took together, waiting for the slowest rank included.
    pub time: Duration,
}

/// The steps of a run. On a GPU the first ones are taken as they are; then one is recorded as a CUDA graph and
/// repeated, so that the GPU does not wait for the launches of some hundred kernels. With several batches to a step the
/// graph is of a forward and a backward pass, and Adam's dozen operations are launched by themselves.
#[derive(Debug)]
pub struct Steps {
    exposure: f64,
    /// Batches whose gradients are averaged for a step.
    accumulate: usize,
    /// Clips in a batch, those of other ranks included.
    batch: usize,
    ranks: Option<Ranks>,
    stopped: bool,
    sums: Sums,
    whole: Repeated<Measured>,
    pass: Repeated<Pass>,
}

impl Steps {
    /// Steps on a GPU are repeated from a CUDA graph, unless the settings do without or the library for it is missing.
    pub fn new(device: Device, config: &FitConfig) -> Self {
        let records = device != Device::Cpu && !config.no_cuda_graph && native::available().is_ok();
        Steps {
            exposure: config.auxiliary.outlier_exposure,
            accumulate: config.accumulate.max(1),
            batch: config.batch.max(1),
            ranks: None,
            stopped: false,
            sums: Sums::default(),
            whole: Repeated::new(records),
            pass: Repeated::new(records),
        }
    }

    /// Steps that several ranks take together, each on its own rows of every batch.
    pub fn with_ranks(self, ranks: Option<Ranks>) -> Self {
        Steps { ranks, ..self }
    }

    /// Whether some rank wanted to stop when it took its part in the last step: all know of it at the same one.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// What the sums over all ranks took; `None` for a single process.
    pub fn sums(&self) -> Option<Sums> {
        self.ranks.as_ref().map(|_| self.sums)
    }

    /// One step of Adam on the mean of the gradients of as many batches as the settings accumulate; of one batch it is
    /// a [`train_step`]. `batch` gives each batch by its number in the step: there is one on the device at a time.
    /// Batch norms use and keep the statistics of each batch by itself.
    ///
    /// With several ranks `batch` gives the rows of this one, by whose statistics batch norms go; the mean is over all rows
    /// of all ranks, and so are running statistics afterwards. `stop` says whether this one wants to stop.
    ///
    /// # Errors
    ///
    /// Those of `batch`; as [`train_step`]; another shape than the batch before.
    pub fn take(
        &mut self,
        model: &Model,
        adam: &mut Adam,
        mut batch: impl FnMut(usize) -> Result<DeviceBatch, TrainError>,
        learning_rate: f64,
        stop: bool,
    ) -> Result<Measured, TrainError> {
        let (exposure, count) = (self.exposure, self.accumulate);
        self.stopped = stop;
        if count == 1 && self.ranks.is_none() {
            let batch = batch(0)?;
            let StepNumbers { rates, key } = StepNumbers::next(model, adam, learning_rate)?;
            let adam = &*adam;
            let inputs = [batch.segments, batch.targets, key, rates];
            return self.whole.take(inputs, |[segments, targets, key, rates]| {
                let batch = DeviceBatch { segments, targets };
                device_step(model, adam, &batch, &StepNumbers { rates, key }, exposure)
            });
        }
        let (first, present) = (adam.steps() * count as u64 + 1, &*adam);
        let total = self.batch;
        let own = self.ranks.as_ref().map_or(0..total, |ranks| ranks.share().rows(total));
        let mut pass = |part: usize| -> Result<Pass, TrainError> {
            let batch = batch(part)?;
            let key = dropout_key(model, first + part as u64, own.start)?;
            self.pass.take([batch.segments, batch.targets, key], |[segments, targets, key]| {
                Pass::new(model, present, &DeviceBatch { segments, targets }, &key, exposure)
            })
        };
        let mut mean = pass(0)?;
        for part in 1..count {
            mean.add(&pass(part)?)?;
        }
        if count > 1 {
            mean.divide(count)?;
        }
        if let Some(ranks) = &self.ranks {
            let Pass { gradient, loss, correct, outputs } = mean;
            let weight = (own.len() * ranks.share().size) as f64 / total as f64;
            let local = Local { gradient, loss, correct, statistics: model.running_statistics() };
            let began = Instant::now();
            let all = reduce(ranks, local, weight, stop)?;
            self.stopped = all.stopped;
            self.sums.time += began.elapsed();
            self.sums.count += 1;
            self.sums.bytes = all.bytes;
            let outputs = outputs * total / own.len().max(1);
            mean = Pass { gradient: all.gradient, loss: all.loss, correct: all.correct, outputs };
        }
        let rates = to_device(&adam.next_rates(learning_rate)?, model.device())?;
        mean.end_step(adam, &rates)
    }
}

impl Overwritten for Measured {
    fn copied(&self) -> Result<Self, TrainError> {
        Ok(Measured { values: copy(&self.values)?, outputs: self.outputs })
    }
}

impl Overwritten for Pass {
    fn copied(&self) -> Result<Self, TrainError> {
        let (gradient, outputs) = (copy(&self.gradient)?, self.outputs);
        Ok(Pass { gradient, loss: copy(&self.loss)?, correct: copy(&self.correct)?, outputs })
    }
}

#[cfg(test)]
mod tests {
    use leitmotif_models::Network;

    use super::*;
    use crate::learn::adam::AdamConfig;
    use crate::learn::batches::Batch;
    use crate::model::precision::Precision;

    #[test]
    fn a_step_measures_the_loss_and_the_gradients_that_it_follows() {
        let network = Network::preset("example").unwrap();
        let (clips, classes) = (2, 3);
        let shape = [clips, network.window, network.segment];
        let segments = (0..shape.iter().product()).map(|i| (i as f32 * 0.37).sin()).collect();
        let targets = vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let batch = Batch { segments, shape, targets };
        let model = Model::new(network.clone(), classes, 1, Device::Cpu).unwrap();
        let mut adam = Adam::new(AdamConfig::default(), &model.trainable().unwrap()).unwrap();
        // With a learning rate of zero the second step has the same weights.
        let on_device = DeviceBatch::upload(&batch, Device::Cpu).unwrap();
        let mut step = || train_step(&model, &mut adam, &on_device, 0.0, 0.0).unwrap();
        let measured = Measured::read(&[step(), step()]).unwrap();
        assert_eq!(measured[0], measured[1]);
        let first = measured[0];
        assert_eq!(first.outputs, clips * network.window);
        assert!(first.correct <= first.outputs && first.gradient_norm > 0.0, "{first:?}");

        let input = Tensor::from_slice(&batch.segments).reshape(shape.map(|d| d as i64));
        let targets = Tensor::from_slice(&batch.targets).reshape([clips as i64, 1, -1]);
        let logits = model.forward(&input, Some(&model.dropout_key(1).unwrap())).unwrap().logits;
        let per_output = -(logits.log_softmax(-1, Kind::Float) * targets).sum_dim_intlist(
            -1,
            false,
            Kind::Float,
        );
        let loss = per_output.mean(Kind::Float);
        assert!((first.loss - f64::try_from(&loss).unwrap()).abs() < 1e-6, "{first:?}");
        loss.backward();
        let squares: f64 = model
            .trainable()
            .unwrap()
            .iter()
            .map(|(_, tensor)| f64::try_from(tensor.grad().square().sum(Kind::Double)).unwrap())
            .sum();
        assert!((first.gradient_norm - squares.sqrt()).abs() < 1e-5 * squares.sqrt(), "{first:?}");
    }

    #[test]
    fn gradients_of_several_batches_are_averaged_for_one_step() {
        let network = Network::preset("example").unwrap();
        let batch = |shift: f32| {
            let shape = [2, network.window, network.segment];
            let count = shape.iter().product();
            let segments = (0..count).map(|i| (i as f32 * 0.37 + shift).sin()).collect();
            let batch = Batch { segments, shape, targets: vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0] };
            DeviceBatch::upload(&batch, Device::Cpu).unwrap()
        };
        // What Adam makes of the gradients: its first mean is a tenth of them.
        let step = |shifts: &[f32]| {
            let model = Model::new(network.clone(), 3, 1, Device::Cpu).unwrap();
            let mut adam = Adam::new(AdamConfig::default(), &model.trainable().unwrap()).unwrap();
            let config = FitConfig { accumulate: shifts.len(), ..FitConfig::default() };
            let mut steps = Steps::new(Device::Cpu, &config);
            let measured =
                steps.take(&model, &mut adam, |part| Ok(batch(shifts[part])), 1e-3, false).unwrap();
            assert_eq!(adam.steps(), 1);
            (Measured::read(&[measured]).unwrap()[0], adam.values().unwrap())
        };
        let (one, other, both, twice) =
            (step(&[0.0]), step(&[1.0]), step(&[0.0, 1.0]), step(&[0.0, 0.0]));
        assert_eq!((twice.0.loss, twice.0.gradient_norm), (one.0.loss, one.0.gradient_norm));
        assert_eq!(twice.1, one.1);
        assert_eq!((twice.0.correct, twice.0.outputs), (2 * one.0.correct, 2 * one.0.outputs));
        assert!((both.0.loss - (one.0.loss + other.0.loss) / 2.0).abs() < 1e-6);
        for (name, of_both) in both.1.iter().filter(|(name, _)| name.ends_with(".mean")) {
            for (i, found) in of_both.data.iter().enumerate() {
                let mean = (one.1[name].data[i] + other.1[name].data[i]) / 2.0;
                assert!((found - mean).abs() < 1e-6, "{name}: {found} {mean}");
            }
        }
    }

    #[test]
    fn a_step_in_bf16_differs_from_f32_by_its_rounding() {
        let network = Network::preset("example").unwrap();
        let shape = [2, network.window, network.segment];
        let segments = (0..shape.iter().product()).map(|i| (i as f32 * 0.37).sin()).collect();
        let batch = Batch { segments, shape, targets: vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0] };
        let batch = DeviceBatch::upload(&batch, Device::Cpu).unwrap();
        let step = |precision| {
            let model = Model::new(network.clone(), 3, 1, Device::Cpu).unwrap();
            let model = model.with_precision(precision);
            let mut adam = Adam::new(AdamConfig::default(), &model.trainable().unwrap()).unwrap();
            let measured = train_step(&model, &mut adam, &batch, 1e-3, 0.0).unwrap();
            Measured::read(&[measured]).unwrap()[0]
        };
        let (whole, half) = (step(Precision::Fp32), step(Precision::Bf16));
        let loss = (whole.loss, half.loss, 0.02);
        let norm = (whole.gradient_norm, half.gradient_norm, 0.2);
        for (whole, half, most) in [loss, norm] {
            let difference = (whole - half).abs() / whole;
            assert!(difference > 0.0 && difference < most, "{whole} {half}");
        }
    }
}
