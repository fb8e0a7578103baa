//! A convolution of kernel 1, which mixes the channels of each position: what squeeze-and-excitation, a residual
//! block's skip and attention's scores are made of. <https://onnx.ai/onnx/operators/onnx__Conv.html>, opset 11.
//!
//! Torch keeps a linear map as `[outputs, inputs]`; the kernel's two axes of one come behind. In int8 it computes in
//! floats over weights of eight bits.

use ndarray::{Array1, Array2, Axis};

use crate::ExportError;
use crate::graph::Attribute::{Int, Ints};
use crate::graph::{Graph, Value};
use crate::lower::{Form, stored_weights};

/// `[batch, inputs, rows, length]` → `[batch, outputs, rows, length]`; `in_half` where `x` is of 16-bit floats.
pub(crate) fn pointwise(
    graph: &mut Graph,
    (form, in_half): (Form, bool),
    name: &str,
    x: Value,
    weight: &Array2<f32>,
    bias: Option<&Array1<f32>>,
) -> Result<Value, ExportError> {
    let weight = weight.clone().insert_axis(Axis(2)).insert_axis(Axis(3)).into_dyn();
    let (weight_name, bias_name) = (format!("{name}.weight"), format!("{name}.bias"));
    let mut inputs = vec![x];
    inputs.push(match in_half {
        true => stored_weights::half(graph, &weight_name, &weight)?,
        false => stored_weights::floats(graph, form, &weight_name, &weight, 0)?,
    });
    if let Some(bias) = bias {
        inputs.push(match in_half {
            true => stored_weights::half(graph, &bias_name, &bias.clone().into_dyn())?,
            false => graph.weights(&bias_name, &[bias.len()], bias.to_vec()),
        });
    }
    let attributes = [
        ("dilations", Ints(vec![1, 1])),
        ("group", Int(1)),
        ("kernel_shape", Ints(vec![1, 1])),
        ("pads", Ints(vec![0, 0, 0, 0])),
        ("strides", Ints(vec![1, 1])),
    ];
    Ok(graph.node("Conv", name, &inputs, &attributes))
}

#[cfg(test)]
mod tests {
    use leitmotif_models::{Precision, Target};
    use ndarray::array;

    use super::*;
    use crate::lower::tests::operators;

    #[test]
    fn two_axes_of_one_come_behind_the_matrix() {
        let mut graph = Graph::new("test", "", 11);
        let x = graph.input("x", &[], "");
        let weight = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        pointwise(&mut graph, (Form::default(), false), "y", x, &weight, None).unwrap();
        let (name, stored) = graph.constants().next().unwrap();
        assert_eq!((name.as_str(), &stored.shape[..]), ("y.weight", &[2, 3, 1, 1][..]));
        assert_eq!(graph.nodes().next().unwrap().inputs.len(), 2);
    }

    #[test]
    fn int8_computes_it_in_floats() {
        let form = Form { target: Target::Cpu, precision: Precision::Int8 };
        let mut graph = Graph::new("test", "", 13);
        let x = graph.input("x", &[], "");
        pointwise(&mut graph, (form, false), "y", x, &array![[1.0]], Some(&array![2.0])).unwrap();
        assert_eq!(operators(&graph), ["Cast", "Mul", "Conv"]);
    }
}
