//! One training step: forward pass, cross-entropy, gradients, Adam.

use leitmotif_models::HeadKind;
use leitmotif_models::text::with_causes;
use tch::{Device, Kind, Tensor};

use crate::console::log;
use crate::error::TrainError;
use crate::learn::adam::Adam;
use crate::learn::config::FitConfig;
use crate::learn::feed::DeviceBatch;
use crate::model::host::to_device;
use crate::model::native::{self, Graph};
use crate::model::network::Model;

/// What a step measured, before it changed the weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepResult {
    /// Mean cross-entropy in nats over the outputs, label smoothing and mixup included.
    pub loss: f64,
    /// Euclidean norm of the gradients of all trainable parameters together.
    pub gradient_norm: f64,
    /// Outputs whose most probable class is that of the target.
    pub correct: usize,
    /// Outputs in the batch: a dense head has one for each segment, an LSTM one for each clip.
    pub outputs: usize,
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
        let key = to_device(&model.dropout_key(adam.steps())?, model.device())?;
        Ok(StepNumbers { rates, key })
    }

    fn copy_from(&self, other: &Self) -> Result<(), TrainError> {
        self.rates.shallow_clone().f_copy_(&other.rates)?;
        self.key.shallow_clone().f_copy_(&other.key)?;
        Ok(())
    }
}

/// The part of a step that is on the device alone.
fn device_step(
    model: &Model,
    adam: &Adam,
    batch: &DeviceBatch,
    numbers: &StepNumbers,
    exposure: f64,
) -> Result<Measured, TrainError> {
    let output = model.forward(&batch.segments, Some(&numbers.key))?;
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
    let cross_entropy = logits.f_log_softmax(-1, Kind::Float)?.f_neg()?.f_mul(&batch.targets)?;
    let mut loss = cross_entropy.f_sum_dim_intlist(-1, false, Kind::Float)?;
    if let Some(auxiliary) = auxiliary.filter(|_| exposure > 0.0) {
        let even = own.f_log_softmax(-1, Kind::Float)?.f_mean_dim(-1, false, Kind::Float)?;
        let (first, count) =
            (model.classes() as i64, auxiliary.size().last().copied().unwrap_or(0));
        let share = batch.targets.f_narrow(-1, first, count)?;
        let share = share.f_sum_dim_intlist(-1, false, Kind::Float)?.f_mul_scalar(-exposure)?;
        loss = loss.f_add(&even.f_mul(&share)?)?;
    }
    let outputs = loss.numel();
    let loss = loss.f_mean(Kind::Float)?;
    let params = model.trainable()?;
    let inputs: Vec<&Tensor> = params.iter().map(|(_, tensor)| tensor).collect();
    let gradients = Tensor::f_run_backward(&[&loss], &inputs, false, false)?;
    let gradient_norm = adam.step(&gradients, &numbers.rates)?;
    let correct = logits
        .f_argmax(-1, false)?
        .f_eq_tensor(&batch.targets.f_argmax(-1, false)?)?
        .f_sum(Kind::Int64)?;
    // f64 holds every f32 and every count exactly.
    let scalars = [loss, gradient_norm, correct]
        .map(|scalar| scalar.f_detach()?.f_to_kind(Kind::Double))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Measured { values: Tensor::f_stack(&scalars, 0)?, outputs })
}

/// The steps of a run. On a GPU the first ones are taken as they are; then one is recorded as a CUDA graph and
/// repeated, so that the GPU does not wait for the launches of some hundred kernels.
#[derive(Debug)]
pub struct Steps {
    recorded: Option<Recorded>,
    /// Steps to take before one is recorded, while kernels are compiled and libraries set up; `None` never records.
    until_recorded: Option<usize>,
    exposure: f64,
}

/// A step that is repeated with other values in the same memory.
#[derive(Debug)]
struct Recorded {
    graph: Graph,
    batch: DeviceBatch,
    numbers: StepNumbers,
    measured: Measured,
}

impl Steps {
    /// In the first, kernels are compiled and cuDNN and cuBLAS set up their memory; the second shows that it stays so.
    const BEFORE_RECORDING: usize = 2;

    /// Steps on a GPU are repeated from a CUDA graph, unless the settings do without or the library for it is missing.
    pub fn new(device: Device, config: &FitConfig) -> Self {
        let records = device != Device::Cpu && !config.no_cuda_graph && native::available().is_ok();
        Steps {
            recorded: None,
            until_recorded: records.then_some(Self::BEFORE_RECORDING),
            exposure: config.auxiliary.outlier_exposure,
        }
    }

    /// [`train_step`], by the same operations.
    ///
    /// # Errors
    ///
    /// As [`train_step`]; another shape than the step before.
    pub fn take(
        &mut self,
        model: &Model,
        adam: &mut Adam,
        batch: &DeviceBatch,
        learning_rate: f64,
    ) -> Result<Measured, TrainError> {
        let exposure = self.exposure;
        let Some(left) = self.until_recorded else {
            return train_step(model, adam, batch, learning_rate, exposure);
        };
        if left > 0 {
            self.until_recorded = Some(left - 1);
            let step = || train_step(model, adam, batch, learning_rate, exposure);
            return native::on_side_stream(step);
        }
        let numbers = StepNumbers::next(model, adam, learning_rate)?;
        let recorded = match self.recorded.take() {
            Some(recorded) => recorded,
            None => match Recorded::new(model, adam, batch, &numbers, exposure) {
                Ok(recorded) => recorded,
                Err(error) => {
                    log!(
                        "no CUDA graph, so each kernel is launched by itself: {}",
                        with_causes(&error)
                    );
                    self.until_recorded = None;
                    return device_step(model, adam, batch, &numbers, exposure);
                }
            },
        };
        let measured = recorded.repeat(batch, &numbers);
        self.recorded = Some(recorded);
        measured
    }
}

impl Recorded {
    fn new(
        model: &Model,
        adam: &Adam,
        like: &DeviceBatch,
        numbers: &StepNumbers,
        exposure: f64,
    ) -> Result<Self, TrainError> {
        let batch = DeviceBatch {
            segments: like.segments.f_zeros_like()?,
            targets: like.targets.f_zeros_like()?,
        };
        let StepNumbers { rates, key } = numbers;
        let numbers = StepNumbers { rates: rates.f_zeros_like()?, key: key.f_zeros_like()? };
        let step = || device_step(model, adam, &batch, &numbers, exposure);
        let (graph, measured) = Graph::capture(step)?;
        Ok(Recorded { graph, batch, numbers, measured })
    }

    fn repeat(&self, batch: &DeviceBatch, numbers: &StepNumbers) -> Result<Measured, TrainError> {
        self.batch.segments.shallow_clone().f_copy_(&batch.segments)?;
        self.batch.targets.shallow_clone().f_copy_(&batch.targets)?;
        self.numbers.copy_from(numbers)?;
        self.graph.replay()?;
        // The next repetition overwrites them.
        let mut values = self.measured.values.f_empty_like()?;
        values.f_copy_(&self.measured.values)?;
        Ok(Measured { values, outputs: self.measured.outputs })
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
