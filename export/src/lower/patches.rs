//! Lowers the first block of an int8 network, where its convolution's stride is its kernel, to products of matrices.
//! <https://onnx.ai/onnx/operators/onnx__MatMul.html>, opset 1; <https://onnx.ai/onnx/operators/onnx__Scan.html>, opset 11;
//! <https://onnx.ai/onnx/operators/onnx__Concat.html>, opset 4; <https://onnx.ai/onnx/operators/onnx__Expand.html>, opset 8;
//! <https://onnx.ai/onnx/operators/onnx__Reshape.html>, opset 5; <https://onnx.ai/onnx/operators/onnx__Gather.html>, opset 1.
//!
//! The waveform stays in floats: eight bits would be too coarse for it. Such a convolution cuts it into patches
//! that do not overlap, so it is one product, and its result has the channels last, as ONNX Runtime's integer kernels need
//! them; a `Conv` leaves them in blocks that are exchanged twice. The bias is a last row of the matrix, multiplied by a one
//! behind each patch, which spares another walk through the largest map of all (ONNX Runtime's `Pad` takes four times as long as
//! `Concat` to put it there). Model 1 as a whole runs 1.2 times as fast.
//!
//! That map, in floats, is by far the largest of the network. So a `Scan` takes the segments one by one and quantizes each
//! while it is in the caches: only its integers, a quarter as large, are ever there for all segments. Model 1 as a whole
//! runs 1.1 times as fast on 32 segments.

use leitmotif_models::{Conv, Precision, Target};
use ndarray::Axis;

use crate::ExportError;
use crate::graph::Attribute::{Body, Int, Ints};
use crate::graph::Dim::{Any, Fixed};
use crate::graph::{Element, Graph, Value};
use crate::lower::conv::Convolution;
use crate::lower::feature_map::Quantizer;
use crate::lower::{Flow, Form, Lower, Place, range, size, stored_weights};

/// Whether a convolution cuts one channel into patches side by side, in the form for which this is written.
pub(crate) fn fits(conv: Conv, form: Form) -> bool {
    let adjoin = conv.in_channels == 1 && conv.stride == conv.kernel && conv.padding == 0;
    adjoin && form.precision == Precision::Int8 && form.target == Target::Cpu
}

/// `[batch, 1, rows, length]` → `[batch, filters, rows, length / kernel]`, quantized behind the ReLU. No ReLU is there: the
/// integers begin at zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstConvolution<'a>(pub(crate) Convolution<'a>);

impl Lower for FirstConvolution<'_> {
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        let Convolution { conv, weight, bias, .. } = self.0;
        let Place { plan, name, .. } = *at;
        let most = range(plan, name)?;
        let positions = plan.network.segment / conv.kernel.max(1);
        let (kernel, patches) = (size("a kernel", conv.kernel)?, size("a segment", positions)?);
        // A zero keeps the batch; the rows take the place of the one channel.
        let shape = graph.integers(&[0, -1, patches, kernel]);
        let cut = graph.node("Reshape", &format!("{name}.patches"), &[flow.x, shape], &[]);
        let places = places(graph, name, cut);
        let ones = ones(graph, name, places);
        let last = [("axis", Int(-1))];
        let cut = graph.node("Concat", &format!("{name}.patches_and_one"), &[cut, ones], &last);
        let shape = graph.integers(&[-1, patches, kernel.saturating_add(1)]);
        let one_by_one = graph.node("Reshape", &format!("{name}.segments"), &[cut, shape], &[]);

        let matrix = weight.index_axis(Axis(1), 0).t().to_owned().into_dyn();
        let weight_name = format!("{name}.conv.weight");
        let w = stored_weights::floats(graph, plan.form, &weight_name, &matrix, 1)?;
        let b = graph.weights(&format!("{name}.conv.bias"), &[1, conv.filters], bias.to_vec());
        let rows = [("axis", Int(0))];
        let both = graph.node("Concat", &format!("{name}.conv.matrix"), &[w, b], &rows);

        let relu = format!("{name}.relu");
        let quantizer = Quantizer::of(graph, &relu, most);
        let body = of_one_segment(graph, name, (positions, conv), both, quantizer);
        let attributes = [("body", Body(Box::new(body))), ("num_scan_inputs", Int(1))];
        let scanned = graph.node("Scan", &format!("{name}.each"), &[one_by_one], &attributes);

        let filters = size("the filters", conv.filters)?;
        let (first_two, map) = (graph.integers(&[0, 1]), graph.integers(&[patches, filters]));
        let rows_of = graph.node("Gather", &format!("{name}.rows"), &[places, first_two], &rows);
        let shape = graph.node("Concat", &format!("{name}.map.shape"), &[rows_of, map], &rows);
        let integers = graph.node("Reshape", &format!("{name}.map"), &[scanned, shape], &[]);
        // No reader follows a shape through Concat, and without its number of axes ONNX Runtime leaves the channels where they are.
        graph.declare(integers, Element::U8, &[Any, Any, Fixed(positions), Fixed(conv.filters)]);
        let perm = [("perm", Ints(vec![0, 3, 1, 2]))];
        let integers = graph.node("Transpose", &format!("{name}.exchanged"), &[integers], &perm);
        let x = quantizer.floats(graph, &relu, integers);
        Ok(Flow { x, scale: Some(quantizer.scale), past_relu: true, ..flow })
    }
}

/// `[positions, kernel + 1]` → `[positions, filters]` in integers: what is done to one segment.
fn of_one_segment(
    graph: &Graph,
    name: &str,
    (positions, conv): (usize, Conv),
    matrix: Value,
    quantizer: Quantizer,
) -> Graph {
    let mut body =
        Graph::new(&format!("{name}.one"), "The first block of one segment.", graph.opset);
    let patches = [Fixed(positions), Fixed(conv.kernel.saturating_add(1))];
    let x = body.input(&format!("{name}.one.patches"), &patches, "patches, each with a one behind");
    let matrix = body.outer(graph, matrix);
    let product = body.node("MatMul", &format!("{name}.conv"), &[x, matrix], &[]);
    let stored = body.outer(graph, quantizer.stored);
    let zero = body.outer(graph, quantizer.zero);
    let quantizer = Quantizer { stored, zero, ..quantizer };
    let integers = quantizer.integers(&mut body, &format!("{name}.relu"), product);
    let map = [Fixed(positions), Fixed(conv.filters)];
    body.output_of(Element::U8, integers, &format!("{name}.one.integers"), &map, "its map");
    body
}

/// The shape of `[batch, rows, positions, kernel]` without its last axis.
fn places(graph: &mut Graph, name: &str, patches: Value) -> Value {
    let (zero, three) = (graph.integers(&[0]), graph.integers(&[3]));
    let shape = graph.shape(patches);
    graph.node("Slice", &format!("{name}.places"), &[shape, zero, three], &[])
}

/// Ones, `[batch, rows, positions, 1]`.
fn ones(graph: &mut Graph, name: &str, places: Value) -> Value {
    let one = graph.integers(&[1]);
    let axis = [("axis", Int(0))];
    let shape = graph.node("Concat", &format!("{name}.ones.shape"), &[places, one], &axis);
    let value = graph.weights(&format!("{name}.one"), &[1], vec![1.0]);
    graph.node("Expand", &format!("{name}.ones"), &[value, shape], &[])
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array3};

    use super::*;
    use crate::lower::Rows;
    use crate::lower::tests::{INT8, lowered, operators};

    const CONV: Conv = Conv { in_channels: 1, filters: 2, kernel: 3, stride: 3, padding: 0 };
    const CPU: Form = Form { target: Target::Cpu, precision: Precision::Int8 };

    #[test]
    fn only_patches_side_by_side_fit() {
        assert!(fits(CONV, CPU));
        assert!(!fits(CONV, INT8) && !fits(CONV, Form { precision: Precision::Fp32, ..CPU }));
        for other in [
            Conv { in_channels: 2, ..CONV },
            Conv { stride: 1, ..CONV },
            Conv { padding: 1, ..CONV },
        ] {
            assert!(!fits(other, CPU), "{other:?}");
        }
    }

    #[test]
    fn the_scan_gives_integers_and_no_relu_is_left() {
        let (weight, bias) = (Array3::ones((2, 1, 3)), Array1::zeros(2));
        let layer = FirstConvolution(Convolution {
            conv: CONV,
            weight: &weight,
            bias: &bias,
            before_pool: false,
        });
        let (graph, flow) = lowered(&layer, CPU, Rows::Segments);
        assert!(flow.past_relu && flow.scale == Some(1.0));
        assert!(!operators(&graph).contains(&"Relu"));
        let scan = graph.nodes().find(|node| node.operator == "Scan").unwrap();
        let Body(body) = &scan.attributes[0].1 else { panic!("{scan:?}") };
        assert_eq!(operators(body), ["MatMul", "QuantizeLinear"]);
        assert_eq!(body.outputs[0].element, Element::U8);
    }
}
