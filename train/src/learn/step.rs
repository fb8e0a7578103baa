//! One training step: forward pass, cross-entropy, gradients, Adam.

use leitmotif_models::HeadKind;
use tch::{Device, Kind, Tensor};

use crate::error::TrainError;
use crate::learn::adam::Adam;
use crate::learn::batches::Batch;
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

/// Trains `model` on one batch with categorical cross-entropy and Adam (Nibbeling 2018, section 3.2).
///
/// # Shapes
/// `batch.segments` `[clips, segments, samples]`, `batch.targets` `[clips, classes]`.
///
/// # Errors
/// A batch whose shape does not fit the network, and whatever libtorch refuses, e.g. memory.
pub fn train_step(
    model: &Model,
    adam: &mut Adam,
    batch: &Batch,
    learning_rate: f64,
) -> Result<StepResult, TrainError> {
    let shape = batch.shape.map(|d| d as i64);
    let input =
        Tensor::f_from_slice(&batch.segments)?.f_reshape(shape)?.f_to_device(model.device())?;
    let targets = Tensor::f_from_slice(&batch.targets)?
        .f_reshape([shape[0], 1, -1])?
        .f_to_device(model.device())?;
    let mut logits = model.forward(&input, true)?.logits;
    if model.network().head.kind == HeadKind::Lstm {
        logits = logits.f_narrow(1, shape[1] - 1, 1)?;
    }
    // Of a dense head every segment is an example.
    let cross_entropy = logits.f_log_softmax(-1, Kind::Float)?.f_neg()?.f_mul(&targets)?;
    let loss = cross_entropy.f_sum_dim_intlist(-1, false, Kind::Float)?.f_mean(Kind::Float)?;
    let params = model.trainable()?;
    let inputs: Vec<&Tensor> = params.iter().map(|(_, tensor)| tensor).collect();
    let gradients = Tensor::f_run_backward(&[&loss], &inputs, false, false)?;
    let gradient_norm = global_norm(&gradients)?;
    adam.step(&params, &gradients, learning_rate)?;
    let correct = logits
        .f_argmax(-1, false)?
        .f_eq_tensor(&targets.f_argmax(-1, false)?)?
        .f_sum(Kind::Int64)?;
    let [loss, gradient_norm, correct] = read([loss, gradient_norm, correct])?;
    let outputs = cross_entropy.numel() / model.classes();
    Ok(StepResult { loss, gradient_norm, correct: correct as usize, outputs })
}

/// The Euclidean norm of all `tensors` together, on their device.
fn global_norm(tensors: &[Tensor]) -> Result<Tensor, TrainError> {
    let norms = tensors.iter().map(Tensor::f_norm).collect::<Result<Vec<_>, _>>()?;
    Ok(Tensor::f_stack(&norms, 0)?.f_norm()?)
}

/// Copies three scalars to the host at once: each copy waits for the GPU.
fn read(scalars: [Tensor; 3]) -> Result<[f64; 3], TrainError> {
    // f64 holds every f32 and every count exactly.
    let scalars = scalars.map(|scalar| scalar.f_detach()?.f_to_kind(Kind::Double));
    let scalars = scalars.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut values = [0.0; 3];
    let together = Tensor::f_stack(&scalars, 0)?.f_to_device(Device::Cpu)?;
    together.f_copy_data(&mut values, 3)?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use leitmotif_models::Network;

    use super::*;
    use crate::learn::adam::AdamConfig;

    #[test]
    fn the_norm_is_that_of_all_gradients_together() {
        let tensors = [Tensor::from_slice(&[3.0f32]), Tensor::from_slice(&[0.0f32, 4.0])];
        let norm = global_norm(&tensors).unwrap();
        assert_eq!(f64::try_from(norm).unwrap(), 5.0);
    }

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
        let first = train_step(&model, &mut adam, &batch, 0.0).unwrap();
        let second = train_step(&model, &mut adam, &batch, 0.0).unwrap();
        assert_eq!(first, second);
        assert_eq!(first.outputs, clips * network.window);
        assert!(first.correct <= first.outputs && first.gradient_norm > 0.0, "{first:?}");

        let input = Tensor::from_slice(&batch.segments).reshape(shape.map(|d| d as i64));
        let targets = Tensor::from_slice(&batch.targets).reshape([clips as i64, 1, -1]);
        let logits = model.forward(&input, true).unwrap().logits;
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
}
