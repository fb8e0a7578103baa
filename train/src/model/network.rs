//! A network of libtorch tensors, built from its description layer by layer.
//!
//! Segments are the height axis of two-dimensional convolutions (`[batch, 1, segments, samples]`, kernels 1×k), which
//! never mix them; the exported graphs use the same layout.

use std::collections::BTreeMap;

use leitmotif_models::{
    BatchNorm, Conv, Conv2d, Energy, HeadKind, Layer, Network, Param, ParamKind, TimePool,
    segment_count,
};
use tch::{Device, Kind, Tensor};

use crate::error::{ModelError, TrainError};
use crate::model::dropout::{dropout, dropout_key};
use crate::model::flat::flatten_lstm;
use crate::model::host::{on_device, to_host};
use crate::model::init::initial_values;
use crate::model::layers::{
    Excitation, Scores, image, log_energy, map_of, max_pool, squeeze_excite, time_pool,
};
use crate::model::native::{self, Norm};
use crate::model::precision::Precision;
use crate::model::tensors::{Tensors, check, select};

/// A network with its tensors on one device (Lee et al. 2017; Nibbeling 2018, section 3.1, heads in section 3.4).
#[derive(Debug)]
pub struct Model {
    network: Network,
    classes: usize,
    device: Device,
    tensors: BTreeMap<String, Tensor>,
    trainable: Vec<String>,
    frozen_blocks: bool,
    norm_momentum: Option<f32>,
    precision: Precision,
    fused: bool,
    seed: u64,
    auxiliary: usize,
}

/// The outputs of a forward pass; an LSTM's row `s` depends on the segments `0..=s`.
#[derive(Debug)]
pub struct Output {
    /// f32 [batch, segments, classes], before the softmax.
    pub logits: Tensor,
    /// f32 [batch, segments, auxiliary classes], before the softmax: of a training pass, where there are such classes.
    pub auxiliary: Option<Tensor>,
    /// f32 [batch, segments, units]: the tanh layer, or the LSTM's h.
    pub embedding: Tensor,
}

impl Model {
    /// A network with the initial values of its description, drawn from `seed` and each tensor's own name.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses, e.g. memory.
    pub fn new(
        network: Network,
        classes: usize,
        seed: u64,
        device: Device,
    ) -> Result<Self, TrainError> {
        let values = network
            .params(classes)
            .into_iter()
            .map(|param| Ok((param.name.clone(), initial_values(&param, seed)?)))
            .collect::<Result<Tensors, TrainError>>()?;
        Self::from_values(network, classes, &values, device)
    }

    /// A network with the given values, which must fit it.
    ///
    /// # Errors
    ///
    /// All missing, surplus and misshapen tensors and those with a NaN or infinity, named at once.
    pub fn from_values(
        network: Network,
        classes: usize,
        values: &Tensors,
        device: Device,
    ) -> Result<Self, TrainError> {
        let params = network.params(classes);
        let shapes = params.iter().map(|p| (p.name.clone(), p.shape.clone()));
        check(shapes, values).map_err(ModelError::Weights)?;
        let mut tensors = BTreeMap::new();
        let mut trainable = Vec::new();
        for param in params {
            let Some(given) = values.get(&param.name) else { continue };
            let tensor = on_device(given, device)?;
            if param.kind == ParamKind::Trainable {
                // The handle returned is the same tensor.
                let _ = tensor.f_set_requires_grad(true)?;
                trainable.push(param.name.clone());
            }
            tensors.insert(param.name, tensor);
        }
        let model = Model {
            network,
            classes,
            device,
            tensors,
            trainable,
            frozen_blocks: false,
            norm_momentum: None,
            precision: Precision::Fp32,
            fused: false,
            seed: 0,
            auxiliary: 0,
        };
        if let (HeadKind::Lstm, Device::Cuda(_)) = (model.network.head.kind, device) {
            let _ = flatten_lstm(&model.lstm_params("lstm")?.map(Tensor::shallow_clone))?;
        }
        Ok(model)
    }

    /// With training passes in this precision; passes without training are in f32 or, where TF32 is on, TF32.
    pub fn with_precision(self, precision: Precision) -> Self {
        Model { precision, ..self }
    }

    /// Overrides the description's share of the old running statistics that a batch norm keeps (Keras' sense).
    pub fn with_norm_momentum(mut self, momentum: Option<f32>) -> Self {
        self.norm_momentum = momentum;
        self
    }

    /// Batch norm, ReLU and max pooling as one operator in training passes, which a GPU does in a fraction of the time.
    pub fn with_fused_operator(self) -> Self {
        Model { fused: true, ..self }
    }

    /// The seed that dropout's masks follow from.
    pub fn with_dropout_seed(self, seed: u64) -> Self {
        Model { seed, ..self }
    }

    /// With as many further classes, which only training passes have: an output layer of their own, with initial values
    /// from `seed`. They are no part of the network that is evaluated, saved and served.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses, e.g. memory.
    pub fn with_auxiliary_classes(mut self, count: usize, seed: u64) -> Result<Self, TrainError> {
        if count == 0 {
            return Ok(self);
        }
        for param in self.network.params(count) {
            let Some(name) = param.name.strip_prefix("output.") else { continue };
            let name = format!("{AUXILIARY}.{name}");
            let values = initial_values(&Param { name: name.clone(), ..param.clone() }, seed)?;
            let tensor = on_device(&values, self.device)?;
            let _ = tensor.f_set_requires_grad(true)?;
            self.trainable.push(name.clone());
            self.tensors.insert(name, tensor);
        }
        self.auxiliary = count;
        Ok(self)
    }

    /// The auxiliary classes' output layer, by names of their own; empty where there is none.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses.
    pub fn auxiliary_values(&self) -> Result<Tensors, TrainError> {
        let tensors = self.tensors.iter().filter(|(name, _)| is_auxiliary(name));
        tensors.map(|(name, tensor)| Ok((name.clone(), to_host(tensor)?))).collect()
    }

    /// Sets them to those among `values`, where other names are ignored.
    ///
    /// # Errors
    ///
    /// All missing and misshapen tensors, named at once.
    pub fn restore_auxiliary(&mut self, values: &Tensors) -> Result<(), TrainError> {
        let own = self.auxiliary_values()?;
        self.set_values(&select(own, values).map_err(ModelError::Optimizer)?)
    }

    /// What dropout's masks of a training pass follow from, on the host; steps are counted from 1.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses.
    pub fn dropout_key(&self, step: u64) -> Result<Tensor, TrainError> {
        self.dropout_key_from(step, 0)
    }

    /// The same for a pass over a part of the batch, whose first row has this number in it, from 0.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses.
    pub fn dropout_key_from(&self, step: u64, first_row: usize) -> Result<Tensor, TrainError> {
        dropout_key(self.seed, step, first_row)
    }

    /// The running statistics that training passes update.
    pub fn running_statistics(&self) -> Vec<Tensor> {
        let tensors = self.all_tensors().filter(|(name, _)| {
            let is_one = name.ends_with(".running_mean") || name.ends_with(".running_var");
            is_one && !(self.frozen_blocks && is_block(name))
        });
        tensors.map(|(_, tensor)| tensor.shallow_clone()).collect()
    }

    /// Freezes the convolution blocks: their weights *and* their running statistics stay as they are.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses.
    pub fn freeze_convolutions(&mut self) -> Result<(), TrainError> {
        self.frozen_blocks = true;
        self.trainable.retain(|name| !is_block(name));
        for (name, tensor) in &self.tensors {
            if is_block(name) {
                let _ = tensor.f_set_requires_grad(false)?;
            }
        }
        Ok(())
    }

    /// The description.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The device that holds the tensors.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The trainable tensors in the order of the layers; convolution weights are `[filters, in, 1, kernel]` here.
    ///
    /// # Errors
    ///
    /// None for a network made by this type: it has all its trainable tensors.
    pub fn trainable(&self) -> Result<Vec<(&str, Tensor)>, TrainError> {
        self.trainable
            .iter()
            .map(|name| Ok((name.as_str(), self.tensor(name)?.shallow_clone())))
            .collect()
    }

    /// Every tensor of the network by its name in a checkpoint, in the shapes and the memory that it has here.
    pub fn all_tensors(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        let tensors = self.tensors.iter().filter(|(name, _)| !is_auxiliary(name));
        tensors.map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Number of the network's trainable parameters, i.e. scalar values.
    pub fn trainable_values(&self) -> usize {
        let own = self.trainable.iter().filter(|name| !is_auxiliary(name));
        own.filter_map(|name| self.tensors.get(name)).map(Tensor::numel).sum()
    }

    /// Every tensor by its name in a checkpoint, copied to the host in the checkpoint's shapes.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses.
    pub fn values(&self) -> Result<Tensors, TrainError> {
        self.network
            .params(self.classes)
            .into_iter()
            .map(|param| {
                let values = to_host(self.tensor(&param.name)?)?;
                Ok((param.name, values))
            })
            .collect()
    }

    /// Replaces the values of the tensors named in `values`, in place.
    ///
    /// # Errors
    ///
    /// A tensor that the network lacks, or one of another shape.
    pub fn set_values(&mut self, values: &Tensors) -> Result<(), TrainError> {
        for (name, given) in values {
            let source = on_device(given, self.device)?;
            let mut target = self.tensor(name)?.f_detach()?;
            target.f_copy_(&source)?;
        }
        Ok(())
    }

    /// Runs the network. With `training`, batch norms use the batch's own statistics and update the running ones, and
    /// values are dropped: it is a [`dropout_key`](Self::dropout_key), on the network's device.
    ///
    /// # Shapes
    /// f32, ±1 at full scale: waveforms `[batch, samples]`, which are cut into segments one hop apart, or segments
    /// `[batch, segments, samples of a segment]` → [`Output`].
    ///
    /// # Errors
    ///
    /// An input of another shape, or shorter than one segment; anything libtorch refuses.
    pub fn forward(&self, input: &Tensor, training: Option<&Tensor>) -> Result<Output, TrainError> {
        let segments = self.segments(input)?;
        let clips = segments.size().first().copied().unwrap_or(0);
        // A channel axis of stride one marks the memory as channels-last for libtorch.
        let mut x = segments.f_contiguous()?.f_unsqueeze(3)?.f_permute([0, 3, 1, 2])?;
        let train = training.is_some();
        let mut embedding = None;
        let mut auxiliary = None;
        let mut kept = None;
        let mut dropouts = 0;
        let mut steps = self.network.steps(self.classes).into_iter().peekable();
        while let Some(step) = steps.next() {
            let name = step.name.as_str();
            x = match step.layer {
                Layer::Conv(conv) => self.conv(&self.as_factor(x, train)?, name, conv)?,
                Layer::BatchNorm(norm)
                    if train
                        && self.fuses(name)
                        && steps.peek().is_some_and(|next| next.layer == Layer::Relu) =>
                {
                    let _relu = steps.next();
                    let pool = steps.next_if(|next| matches!(next.layer, Layer::MaxPool { .. }));
                    let size = match pool.map(|pool| pool.layer) {
                        Some(Layer::MaxPool { size }) => size,
                        _ => 1,
                    };
                    self.norm_relu_pool(&x, name, norm, size)?
                }
                Layer::BatchNorm(norm) => self.batch_norm(&x, name, norm, train)?,
                // In place: neither a batch norm's backward pass nor a sum's needs its output.
                Layer::Relu => {
                    let is_pool =
                        |layer| matches!(layer, Layer::MaxPool { .. } | Layer::MaxPool2d { .. });
                    let pool = steps.next_if(|next| is_pool(next.layer));
                    // The same values and gradients in either order, and fewer to clip after pooling.
                    let mut x = match pool.map(|pool| pool.layer) {
                        Some(Layer::MaxPool { size }) => max_pool(&x, [1, size])?,
                        Some(Layer::MaxPool2d { size }) => max_pool(&x, [size, size])?,
                        _ => x,
                    };
                    x.f_relu_()?
                }
                Layer::Fork => {
                    let x = self.as_factor(x, train)?;
                    kept = Some(x.shallow_clone());
                    x
                }
                Layer::Add { kept: channels, channels: to } => {
                    self.add(&x, kept.take(), name, channels != to)?
                }
                Layer::Energy(energy) => self.energy(&x, name, energy)?,
                Layer::Bands => image(&x)?,
                Layer::Conv2d(conv) => self.conv2d(&self.as_factor(x, train)?, name, conv)?,
                Layer::MaxPool2d { size } => max_pool(&x, [size, size])?,
                Layer::Positions => map_of(&x, clips)?,
                Layer::SqueezeExcite(_) => self.squeeze_excite(&x, name)?,
                Layer::MaxPool { size } => max_pool(&x, [1, size])?,
                Layer::Flatten => {
                    x.f_permute([0, 2, 3, 1])?.f_flatten(2, 3)?.f_to_kind(Kind::Float)?
                }
                Layer::TimePool { pool, .. } => self.time_pool(&x, name, pool)?,
                Layer::Dropout { share } => {
                    dropouts += 1;
                    match training {
                        Some(key) => dropout(&x, share, key, dropouts)?,
                        None => x,
                    }
                }
                Layer::Dense { .. } => x.f_linear(self.param(name, "weight")?, None::<&Tensor>)?,
                Layer::Tanh => x.f_tanh()?,
                Layer::Lstm { units, .. } => self.lstm(&x, name, units)?,
                Layer::Output { .. } => {
                    embedding = Some(x.shallow_clone());
                    if train && self.auxiliary > 0 {
                        let weight = self.param(AUXILIARY, "weight")?;
                        auxiliary = Some(x.f_linear(weight, Some(self.param(AUXILIARY, "bias")?))?);
                    }
                    x.f_linear(self.param(name, "weight")?, Some(self.param(name, "bias")?))?
                }
                // The loss and the probe want logits.
                Layer::Softmax => x,
            };
        }
        let embedding = embedding.ok_or(ModelError::NoOutputLayer)?;
        Ok(Output { logits: x, auxiliary, embedding })
    }

    /// The activations of a block's filters before the block's last ReLU; blocks are counted from 1.
    ///
    /// # Shapes
    /// `[rows, samples]` → `[rows, filters, positions]`; any number of samples that leaves a position.
    ///
    /// # Errors
    ///
    /// A block that the network lacks; too few samples.
    pub fn excitation(&self, input: &Tensor, block: usize) -> Result<Tensor, TrainError> {
        let wanted = format!("block{block}");
        let mut x = input.f_unsqueeze(1)?.f_unsqueeze(1)?;
        let mut kept = None;
        for step in self.network.steps(self.classes) {
            let name = step.name.as_str();
            x = match step.layer {
                Layer::Conv(conv) => self.conv(&x, name, conv)?,
                Layer::Energy(energy) => self.energy(&x, name, energy)?,
                Layer::BatchNorm(norm) if is_block(name) => {
                    self.batch_norm(&x, name, norm, false)?
                }
                Layer::Relu => x.f_relu()?,
                Layer::MaxPool { size } => max_pool(&x, [1, size])?,
                Layer::Fork => {
                    kept = Some(x.shallow_clone());
                    x
                }
                Layer::SqueezeExcite(_) => self.squeeze_excite(&x, name)?,
                Layer::Add { kept: channels, channels: to } => {
                    self.add(&x, kept.take(), name, channels != to)?
                }
                _ => break,
            };
            if name == wanted && matches!(step.layer, Layer::BatchNorm(_) | Layer::Add { .. }) {
                return Ok(x.f_squeeze_dim(2)?);
            }
        }
        Err(ModelError::NoSuchTensor { name: wanted }.into())
    }

    fn segments(&self, input: &Tensor) -> Result<Tensor, TrainError> {
        let (segment, hop) = (self.network.segment, self.network.hop);
        let wrong = || ModelError::InputShape { found: input.size(), segment };
        match input.size().as_slice() {
            [_, samples] => {
                let count = segment_count(usize::try_from(*samples).unwrap_or(0), segment, hop);
                if count == 0 {
                    return Err(wrong().into());
                }
                Ok(input.f_unfold(1, segment as i64, hop as i64)?)
            }
            [_, segments, samples] if *segments > 0 && *samples == segment as i64 => {
                Ok(input.shallow_clone())
            }
            _ => Err(wrong().into()),
        }
    }

    fn conv(&self, x: &Tensor, step: &str, conv: Conv) -> Result<Tensor, TrainError> {
        let weight = self.param(step, "conv.weight")?.f_to_kind(x.kind())?;
        let (stride, padding) = ([1, conv.stride as i64], [0, conv.padding as i64]);
        Ok(x.f_conv2d(&weight, None::<&Tensor>, stride, padding, [1, 1], 1)?)
    }

    /// # Shapes
    /// `[images, in, bands, length]` → `[images, filters, bands, length]`.
    fn conv2d(&self, x: &Tensor, step: &str, conv: Conv2d) -> Result<Tensor, TrainError> {
        let weight = self.param(step, "conv.weight")?.f_to_kind(x.kind())?;
        let padding = [conv.padding() as i64; 2];
        Ok(x.f_conv2d(&weight, None::<&Tensor>, [1, 1], padding, [1, 1], 1)?)
    }

    /// In bf16 what a convolution of a training pass takes; an energy block before it is in f32.
    fn as_factor(&self, x: Tensor, train: bool) -> Result<Tensor, TrainError> {
        if train && self.precision == Precision::Bf16 {
            return Ok(x.f_to_kind(Kind::BFloat16)?);
        }
        Ok(x)
    }

    /// # Shapes
    /// `[batch, 1, segments, samples]` → `[batch, pairs, segments, length]`, f32.
    fn energy(&self, x: &Tensor, step: &str, energy: Energy) -> Result<Tensor, TrainError> {
        log_energy(&self.conv(x, step, energy.conv)?, energy)
    }

    fn squeeze_excite(&self, x: &Tensor, step: &str) -> Result<Tensor, TrainError> {
        let layer = |part: &str| -> Result<[&Tensor; 2], TrainError> {
            Ok([
                self.param(step, &format!("{part}.weight"))?,
                self.param(step, &format!("{part}.bias"))?,
            ])
        };
        squeeze_excite(x, &Excitation { squeeze: layer("squeeze")?, excite: layer("excite")? })
    }

    /// Adds what the fork kept, where the channels differ through filters.
    fn add(
        &self,
        x: &Tensor,
        kept: Option<Tensor>,
        step: &str,
        filters: bool,
    ) -> Result<Tensor, TrainError> {
        let kept = kept.ok_or(ModelError::NothingKept)?;
        if !filters {
            return Ok(x.f_add(&kept)?);
        }
        let weight = self.param(step, "skip.weight")?.f_to_kind(kept.kind())?;
        let skip = kept.f_conv2d(&weight, None::<&Tensor>, [1, 1], [0, 0], [1, 1], 1)?;
        Ok(x.f_add(&skip)?)
    }

    fn time_pool(&self, x: &Tensor, step: &str, pool: TimePool) -> Result<Tensor, TrainError> {
        let scores = match pool {
            TimePool::Mean | TimePool::Statistics => None,
            TimePool::Attention => Some(Scores {
                hidden: [self.param(step, "hidden.weight")?, self.param(step, "hidden.bias")?],
                score: self.param(step, "score.weight")?,
            }),
        };
        time_pool(x, pool, scores)
    }

    /// Whether a block's batch norm, its ReLU and its pooling are one operator.
    fn fuses(&self, step: &str) -> bool {
        self.fused && is_block(step) && !self.frozen_blocks
    }

    fn norm_relu_pool(
        &self,
        x: &Tensor,
        step: &str,
        norm: BatchNorm,
        pool: usize,
    ) -> Result<Tensor, TrainError> {
        let tensors = Norm {
            gamma: self.param(step, "norm.weight")?,
            beta: self.param(step, "norm.bias")?,
            running_mean: self.param(step, "norm.running_mean")?,
            running_var: self.param(step, "norm.running_var")?,
            momentum: torch_momentum(self.norm_momentum.unwrap_or(norm.momentum)),
            epsilon: f64::from(norm.epsilon),
        };
        Ok(native::norm_relu_pool(x, tensors, pool as i64)?)
    }

    /// # Shapes
    /// `[batch, channels, segments, length]`, or `[batch, segments, channels]` after the flattening.
    fn batch_norm(
        &self,
        x: &Tensor,
        step: &str,
        norm: BatchNorm,
        train: bool,
    ) -> Result<Tensor, TrainError> {
        let train = train && !(self.frozen_blocks && is_block(step));
        let size = x.size();
        let rows = if size.len() == 3 {
            x.f_reshape([-1, norm.channels as i64])?
        } else {
            x.shallow_clone()
        };
        let normed = rows.f_batch_norm(
            Some(self.param(step, "norm.weight")?),
            Some(self.param(step, "norm.bias")?),
            Some(self.param(step, "norm.running_mean")?),
            Some(self.param(step, "norm.running_var")?),
            train,
            torch_momentum(self.norm_momentum.unwrap_or(norm.momentum)),
            f64::from(norm.epsilon),
            true,
        )?;
        if size.len() == 3 { Ok(normed.f_reshape(size)?) } else { Ok(normed) }
    }

    /// # Shapes
    /// `[batch, segments, features]` → `[batch, segments, units]`, zero initial state.
    fn lstm(&self, x: &Tensor, step: &str, units: usize) -> Result<Tensor, TrainError> {
        let batch = x.size().first().copied().unwrap_or(0);
        let zeros = Tensor::f_zeros([1, batch, units as i64], (Kind::Float, self.device))?;
        let state = [&zeros, &zeros];
        let params = self.lstm_params(step)?;
        let (output, _, _) = x.f_lstm(&state, &params, true, 1, 0.0, true, false, true)?;
        Ok(output)
    }

    /// In libtorch's order.
    fn lstm_params(&self, step: &str) -> Result<[&Tensor; 4], TrainError> {
        Ok([
            self.param(step, "weight_ih")?,
            self.param(step, "weight_hh")?,
            self.param(step, "bias_ih")?,
            self.param(step, "bias_hh")?,
        ])
    }

    fn param(&self, step: &str, name: &str) -> Result<&Tensor, TrainError> {
        self.tensor(&format!("{step}.{name}"))
    }

    fn tensor(&self, name: &str) -> Result<&Tensor, TrainError> {
        let tensor = self.tensors.get(name);
        Ok(tensor.ok_or_else(|| ModelError::NoSuchTensor { name: name.to_owned() })?)
    }
}

/// Keras' momentum is the share of the old running value that is kept, torch's that of the new one.
fn torch_momentum(keras: f32) -> f64 {
    1.0 - f64::from(keras)
}

/// The output layer of auxiliary classes.
const AUXILIARY: &str = "auxiliary";

fn is_auxiliary(name: &str) -> bool {
    name.split_once('.').is_some_and(|(layer, _)| layer == AUXILIARY)
}

/// Whether a tensor or step belongs to a convolution block.
fn is_block(name: &str) -> bool {
    name.starts_with("block")
}
