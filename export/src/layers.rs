//! The network once more, layer by layer: in f64, over the weights as they were trained, and sharing no arithmetic with the
//! compiler. It says what should leave each layer; [`tapped`] makes a compiled file say what does.

use std::path::Path;

use leitmotif_models::{Conv, Layer, Precision};
use ndarray::{Array1, Array2, Array3};
use onnx_protobuf::{AttributeProto, NodeProto, ValueInfoProto, attribute_proto::AttributeType};
use protobuf::{EnumOrUnknown, Message};

use crate::read::parse;
use crate::{Checkpoint, ExportError};

/// What leaves one layer for one segment.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerOutput {
    /// `block1`…, and under a dense head `dense` and `output`.
    pub layer: String,
    /// Channels one after the other, each with its positions; or units, or logits.
    pub values: Vec<f64>,
}

/// How far a layer may be from what is due, as the root of the mean square of the differences over that of the values.
///
/// In fp32 sums of some hundred products lose about 1e-7 of themselves, layer after layer. Eleven bits lose 5e-4 at most for
/// every weight and, on a GPU, every sum. Eight bits lose some hundredths in every map, the more the less of its range
/// is filled: a third is where a layer no longer says what it said.
pub fn layer_tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::Fp32 => 1e-5,
        Precision::Fp16 => 1e-2,
        Precision::Int8 => 0.33,
    }
}

/// What should leave each block of the checkpoint's network, and each layer of a dense head, for one segment.
///
/// # Errors
/// [`ExportError::Tensors`] where a tensor is not there.
pub fn layer_outputs(
    checkpoint: &Checkpoint,
    segment: &[f32],
) -> Result<Vec<LayerOutput>, ExportError> {
    let weights = checkpoint.weights();
    let mut map = vec![segment.iter().copied().map(f64::from).collect::<Vec<f64>>()];
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
            Layer::Flatten | Layer::Softmax => continue,
            Layer::Dense { .. } | Layer::Output { .. } => {
                map = product(&map, &weights.get(&tensor("weight"))?);
                if weights.has(&tensor("bias")) {
                    add(&mut map, &weights.get(&tensor("bias"))?);
                }
            }
            Layer::Tanh => map.iter_mut().flatten().for_each(|x| *x = x.tanh()),
            // What an LSTM says depends on all segments so far; its outputs are compared as they are.
            Layer::Lstm { .. } => break,
        }
        // A layer goes on in its norm, its ReLU and its pool: the last word counts.
        outputs.retain(|output| output.layer != step.name);
        outputs.push(LayerOutput { layer: step.name.clone(), values: map.concat() });
    }
    Ok(outputs)
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

/// What [`tapped`] calls the output of a layer.
pub fn tap_name(layer: &str) -> String {
    format!("layer.{layer}")
}

/// The file with what leaves each of `layers` as one more output, [`tap_name`] and in f32; `path` is for the error only.
///
/// # Errors
/// [`ExportError::NotOnnx`] for anything that is no ONNX model, [`ExportError::NoLayer`] where none of the nodes that a
/// layer ends with is there.
pub fn tapped(bytes: &[u8], path: &Path, layers: &[String]) -> Result<Vec<u8>, ExportError> {
    let mut model = parse(bytes, path)?;
    let graph = model.graph.mut_or_insert_default();
    for layer in layers {
        let ends = ["pool.floats", "relu.floats", "pool", "relu", "tanh", "gemm", "add"];
        let ends = ends.iter().map(|end| format!("{layer}.{end}"));
        // By the node: a value that is an output of the graph has that output's name.
        let node = ends.filter_map(|end| graph.node.iter().find(|node| node.name == end)).next();
        let value = node.and_then(|node| node.output.first()).cloned();
        let value = value
            .ok_or_else(|| ExportError::NoLayer { path: path.to_owned(), layer: layer.clone() })?;
        let name = tap_name(layer);
        graph.node.push(NodeProto {
            name: name.clone(),
            op_type: "Cast".to_owned(),
            input: vec![value],
            output: vec![name.clone()],
            attribute: vec![AttributeProto {
                name: "to".to_owned(),
                i: crate::lower::FLOAT,
                type_: EnumOrUnknown::new(AttributeType::INT),
                ..Default::default()
            }],
            ..Default::default()
        });
        graph.output.push(float_of_any_shape(name));
    }
    model.write_to_bytes().map_err(|error| ExportError::Encode { reason: error.to_string() })
}

fn float_of_any_shape(name: String) -> ValueInfoProto {
    use onnx_protobuf::{TypeProto, type_proto};
    let tensor = type_proto::Tensor {
        elem_type: i32::try_from(crate::lower::FLOAT).unwrap_or_default(),
        ..Default::default()
    };
    let value = Some(type_proto::Value::TensorType(tensor));
    let type_ = protobuf::MessageField::some(TypeProto { value, ..Default::default() });
    ValueInfoProto { name, type_, ..Default::default() }
}
