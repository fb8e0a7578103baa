//! The reference: the network once more, layer by layer, in f64 over the weights as they were trained, sharing no
//! arithmetic with the compiler. [`tapped`](crate::tapped) makes a compiled file give the same outputs, to compare.

use leitmotif_models::{Conv, Layer, Precision, Shape, TimePool};
use ndarray::{Array1, Array2, Array3, Array4};

use crate::weights::Tensors;
use crate::{Checkpoint, CheckpointError};

/// The output of one layer for one segment.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerOutput {
    /// `block1`…, in residual blocks `block2.first` and `block2.second`, `pool`, and under a dense head `dense` and
    /// `output`.
    pub layer: String,
    /// Channels one after the other, each with its positions; or units, or logits.
    pub values: Vec<f64>,
}

/// How far a layer may be from the reference: the root mean square of the differences over that of the values.
///
/// In fp32 sums of some hundred products lose about 1e-7 of themselves, layer after layer. Eleven bits lose 5e-4 at most for
/// every weight and, on a GPU, every sum. Eight bits lose some hundredths in every map, the more the less of its range
/// is filled: beyond a third the layer's output carries little of the reference.
pub fn layer_tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::Fp32 => 1e-5,
        Precision::Fp16 => 1e-2,
        Precision::Int8 => 0.33,
    }
}

/// The output of each block of the checkpoint's network, and of each layer of a dense head, for one segment.
///
/// # Errors
/// [`CheckpointError::Tensors`] where a tensor is not there.
pub fn layer_outputs(
    checkpoint: &Checkpoint,
    segment: &[f32],
) -> Result<Vec<LayerOutput>, CheckpointError> {
    let weights = checkpoint.weights();
    let mut map = vec![segment.iter().copied().map(f64::from).collect::<Vec<f64>>()];
    let mut kept: Vec<Vec<f64>> = Vec::new();
    let mut outputs: Vec<LayerOutput> = Vec::new();
    for step in checkpoint.steps() {
        let tensor = |part: &str| format!("{}.{part}", step.name);
        match step.layer {
            Layer::Conv(conv) => {
                let weight: Array3<f32> = weights.get(&tensor("conv.weight"))?;
                map = convolved(&map, conv, &weight);
                if weights.has(&tensor("conv.bias")) {
                    add(&mut map, &weights.get(&tensor("conv.bias"))?);
                }
            }
            Layer::BatchNorm(norm) => {
                let part =
                    |part: &str| weights.get::<ndarray::Ix1>(&tensor(&format!("norm.{part}")));
                let (scale, shift) = (part("weight")?, part("bias")?);
                let (mean, variance) = (part("running_mean")?, part("running_var")?);
                let parameters = scale.iter().zip(&shift).zip(mean.iter().zip(&variance));
                for (channel, ((scale, shift), (mean, variance))) in map.iter_mut().zip(parameters)
                {
                    let deviation = (f64::from(*variance) + f64::from(norm.epsilon)).sqrt();
                    for x in channel {
                        *x = (*x - f64::from(*mean)) / deviation * f64::from(*scale)
                            + f64::from(*shift);
                    }
                }
            }
            Layer::Relu => map.iter_mut().flatten().for_each(|x| *x = x.max(0.0)),
            Layer::MaxPool { size } => {
                let largest = |window: &[f64]| window.iter().copied().fold(f64::MIN, f64::max);
                for channel in &mut map {
                    *channel = channel.chunks_exact(size).map(largest).collect();
                }
            }
            Layer::Conv2d(_) => {
                let weight: Array4<f32> = weights.get(&tensor("conv.weight"))?;
                map = convolved_2d(&map, step.input, &weight);
                if weights.has(&tensor("conv.bias")) {
                    add(&mut map, &weights.get(&tensor("conv.bias"))?);
                }
            }
            Layer::MaxPool2d { size } => {
                for channel in &mut map {
                    *channel = pooled_2d(channel, step.input, size);
                }
            }
            Layer::Bands => {
                // Band after band, as the rows of one image.
                map = vec![map.concat()];
                continue;
            }
            Layer::Energy(energy) => {
                let weight: Array3<f32> = weights.get(&tensor("conv.weight"))?;
                let mut filtered = convolved(&map, energy.conv, &weight);
                if weights.has(&tensor("conv.bias")) {
                    add(&mut filtered, &weights.get(&tensor("conv.bias"))?);
                }
                let pairs = filtered.iter().zip(filtered.iter().skip(energy.pairs()));
                let epsilon = f64::from(energy.epsilon);
                let log = |energies: &[f64]| (mean(energies) + epsilon).ln();
                let band = |(a, b): (&Vec<f64>, &Vec<f64>)| {
                    let energies: Vec<f64> = a.iter().zip(b).map(|(a, b)| a * a + b * b).collect();
                    energies.chunks_exact(energy.pool).map(log).collect()
                };
                map = pairs.map(band).collect();
            }
            Layer::Fork => {
                kept.clone_from(&map);
                continue;
            }
            Layer::SqueezeExcite(_) => {
                let means: Vec<Vec<f64>> = map.iter().map(|channel| vec![mean(channel)]).collect();
                let mut squeezed = product(&means, &weights.get(&tensor("squeeze.weight"))?);
                add(&mut squeezed, &weights.get(&tensor("squeeze.bias"))?);
                squeezed.iter_mut().flatten().for_each(|x| *x = x.max(0.0));
                let mut excited = product(&squeezed, &weights.get(&tensor("excite.weight"))?);
                add(&mut excited, &weights.get(&tensor("excite.bias"))?);
                for (channel, factor) in map.iter_mut().zip(excited.into_iter().flatten()) {
                    channel.iter_mut().for_each(|x| *x /= 1.0 + (-factor).exp());
                }
            }
            Layer::Add { .. } => {
                if weights.has(&tensor("skip.weight")) {
                    let weight: Array3<f32> = weights.get(&tensor("skip.weight"))?;
                    kept = convolved(&kept, ONE_POSITION, &weight);
                }
                for (x, kept) in map.iter_mut().flatten().zip(kept.iter().flatten()) {
                    *x += kept;
                }
            }
            Layer::TimePool { pool, .. } => {
                let positions = map.first().map_or(0, Vec::len);
                let shares = match pool {
                    TimePool::Mean | TimePool::Statistics => {
                        vec![1.0 / positions as f64; positions]
                    }
                    TimePool::Attention => attention(weights, &map, &tensor)?,
                };
                let weighted = |channel: &[f64]| -> f64 {
                    channel.iter().zip(&shares).map(|(x, share)| x * share).sum()
                };
                let means: Vec<f64> = map.iter().map(|channel| weighted(channel)).collect();
                let mut features = means.clone();
                if pool != TimePool::Mean {
                    features.extend(map.iter().zip(&means).map(|(channel, mean)| {
                        let squares: Vec<f64> =
                            channel.iter().map(|x| (x - mean).powi(2)).collect();
                        (weighted(&squares) + f64::from(TimePool::EPSILON)).sqrt()
                    }));
                }
                map = features.into_iter().map(|feature| vec![feature]).collect();
            }
            Layer::Positions | Layer::Flatten | Layer::Dropout { .. } | Layer::Softmax => continue,
            Layer::Dense { .. } | Layer::Output { .. } => {
                map = product(&map, &weights.get(&tensor("weight"))?);
                if weights.has(&tensor("bias")) {
                    add(&mut map, &weights.get(&tensor("bias"))?);
                }
            }
            Layer::Tanh => map.iter_mut().flatten().for_each(|x| *x = x.tanh()),
            // The output of an LSTM depends on all segments so far; it is compared as an output of the graph.
            Layer::Lstm { .. } => break,
        }
        // Norm, ReLU and pool belong to the layer: its output is that of the last of them.
        outputs.retain(|output| output.layer != step.name);
        outputs.push(LayerOutput { layer: step.name.clone(), values: map.concat() });
    }
    Ok(outputs)
}

/// The convolution of a residual block's skip.
const ONE_POSITION: Conv = Conv { in_channels: 0, filters: 0, kernel: 1, stride: 1, padding: 0 };

/// The shares of the positions, which sum to one.
fn attention(
    weights: &Tensors,
    map: &[Vec<f64>],
    tensor: &dyn Fn(&str) -> String,
) -> Result<Vec<f64>, CheckpointError> {
    let (hidden, score) =
        (weights.get(&tensor("hidden.weight"))?, weights.get(&tensor("score.weight"))?);
    let bias = weights.get(&tensor("hidden.bias"))?;
    let positions = map.first().map_or(0, Vec::len);
    let exponentials = (0..positions).map(|position| {
        let at: Vec<Vec<f64>> = map
            .iter()
            .map(|channel| channel.get(position).copied().into_iter().collect())
            .collect();
        let mut units = product(&at, &hidden);
        add(&mut units, &bias);
        units.iter_mut().flatten().for_each(|x| *x = x.tanh());
        product(&units, &score).concat().iter().sum::<f64>().exp()
    });
    let exponentials: Vec<f64> = exponentials.collect();
    let sum: f64 = exponentials.iter().sum();
    Ok(exponentials.into_iter().map(|x| x / sum).collect())
}

fn mean(channel: &[f64]) -> f64 {
    channel.iter().sum::<f64>() / channel.len().max(1) as f64
}

fn convolved(map: &[Vec<f64>], conv: Conv, weight: &Array3<f32>) -> Vec<Vec<f64>> {
    let length = map.first().map_or(0, Vec::len);
    let room = (length + 2 * conv.padding).saturating_sub(conv.kernel);
    let positions = room / conv.stride.max(1) + 1;
    let filter = |taps: ndarray::ArrayView2<'_, f32>| {
        let mut sums = vec![0.0; positions];
        for (channel, taps) in map.iter().zip(taps.rows()) {
            for (tap, weight) in taps.iter().enumerate() {
                let weight = f64::from(*weight);
                for (position, sum) in sums.iter_mut().enumerate() {
                    let at = (position * conv.stride + tap).checked_sub(conv.padding);
                    *sum += weight * at.and_then(|at| channel.get(at)).copied().unwrap_or(0.0);
                }
            }
        }
        sums
    };
    weight.outer_iter().map(filter).collect()
}

fn convolved_2d(map: &[Vec<f64>], shape: Shape, weight: &Array4<f32>) -> Vec<Vec<f64>> {
    let Shape::Image { bands, length, .. } = shape else { return Vec::new() };
    let inside = |at: usize, tap: usize, padding: usize, end: usize| {
        (at + tap).checked_sub(padding).filter(|at| *at < end)
    };
    let filter = |taps: ndarray::ArrayView3<'_, f32>| {
        let padding = taps.dim().2 / 2;
        let mut sums = vec![0.0; bands * length];
        for (at, sum) in sums.iter_mut().enumerate() {
            for ((channel, band, position), weight) in taps.indexed_iter() {
                let band = inside(at / length, band, padding, bands);
                let position = inside(at % length, position, padding, length);
                let (Some(band), Some(position)) = (band, position) else { continue };
                let x = map.get(channel).and_then(|map| map.get(band * length + position));
                *sum += f64::from(*weight) * x.copied().unwrap_or(0.0);
            }
        }
        sums
    };
    weight.outer_iter().map(filter).collect()
}

/// What is left after the last whole window is dropped in both axes.
fn pooled_2d(channel: &[f64], shape: Shape, size: usize) -> Vec<f64> {
    let Shape::Image { bands, length, .. } = shape else { return Vec::new() };
    let (rows, columns) = (bands / size, length / size);
    let window = |at: usize| {
        let first = at / columns * size * length + at % columns * size;
        let values =
            (0..size).flat_map(|row| channel.iter().skip(first + row * length).take(size).copied());
        values.fold(f64::MIN, f64::max)
    };
    (0..rows * columns).map(window).collect()
}

fn product(map: &[Vec<f64>], weight: &Array2<f32>) -> Vec<Vec<f64>> {
    let inputs: Vec<f64> = map.concat();
    let row = |row: ndarray::ArrayView1<'_, f32>| {
        vec![row.iter().zip(&inputs).map(|(w, x)| f64::from(*w) * x).sum()]
    };
    weight.outer_iter().map(row).collect()
}

fn add(map: &mut [Vec<f64>], bias: &Array1<f32>) {
    for (channel, bias) in map.iter_mut().zip(bias) {
        channel.iter_mut().for_each(|x| *x += f64::from(*bias));
    }
}
