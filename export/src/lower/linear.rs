//! Lowers `Layer::Dense` (with its folded batch norm) and `Layer::Output` to `Gemm`, or to `MatMul` and `Add`.
//! <https://onnx.ai/onnx/operators/onnx__Gemm.html>, opset 7; <https://onnx.ai/onnx/operators/onnx__MatMul.html>, opset 1.
//!
//! Torch keeps a linear map as `[outputs, inputs]`, and `Gemm` takes that as it is, but knows two axes only. With the
//! segments as a third, `MatMul` multiplies from the right, so the stored matrix is the transpose.

use leitmotif_models::Target;
use ndarray::{Array1, Array2};

use crate::ExportError;
use crate::graph::Attribute::Int;
use crate::graph::{Graph, Value};
use crate::lower::{Form, Rows, store};

/// `[…, inputs]` → `[…, outputs]`.
pub(crate) fn lower(
    graph: &mut Graph,
    form: Form,
    name: &str,
    (weight, bias): (&Array2<f32>, &Array1<f32>),
    rows: Rows,
    x: Value,
) -> Result<Value, ExportError> {
    let (weight_name, bias_name) = (format!("{name}.weight"), format!("{name}.bias"));
    match rows {
        Rows::Single => {
            let w = store::floats(graph, form, &weight_name, &weight.to_owned().into_dyn(), 0)?;
            let b = graph.weights(&bias_name, &[bias.len()], bias.to_vec());
            let as_torch = [("transA", Int(0)), ("transB", Int(1))];
            Ok(graph.node("Gemm", &format!("{name}.gemm"), &[x, w, b], &as_torch))
        }
        Rows::Segments => {
            let transposed = weight.t().to_owned().into_dyn();
            // ONNX Runtime makes an integer product of a MatMul between two DequantizeLinear, whose sums of 16 bits overflow on
            // processors without VNNI: so these weights are widened as for the CPU.
            let form = Form { target: Target::Cpu, ..form };
            let w = store::floats(graph, form, &weight_name, &transposed, 1)?;
            let b = graph.weights(&bias_name, &[bias.len()], bias.to_vec());
            let product = graph.node("MatMul", &format!("{name}.matmul"), &[x, w], &[]);
            Ok(graph.node("Add", &format!("{name}.add"), &[product, b], &[]))
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::graph::Data;

    fn stored(rows: Rows) -> Vec<Data> {
        let mut graph = Graph::new("test", "", 13);
        let (weight, bias) = (array![[1.0, 2.0], [3.0, 4.0]], array![5.0, 6.0]);
        lower(&mut graph, Form::default(), "output", (&weight, &bias), rows, Value::NONE).unwrap();
        graph.constants().map(|(_, tensor)| tensor.data.clone()).collect()
    }

    #[test]
    fn a_matrix_that_multiplies_from_the_right_is_the_transpose() {
        let transposed = [Data::F32(vec![1.0, 3.0, 2.0, 4.0]), Data::F32(vec![5.0, 6.0])];
        assert_eq!(stored(Rows::Segments), transposed);
        assert_eq!(stored(Rows::Single)[0], Data::F32(vec![1.0, 2.0, 3.0, 4.0]));
    }
}
