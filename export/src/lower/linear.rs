//! Lowers `Layer::Dense` (with its folded batch norm) and `Layer::Output` to `Gemm`, or to `MatMul` and `Add`.
//! <https://onnx.ai/onnx/operators/onnx__Gemm.html>, opset 7; <https://onnx.ai/onnx/operators/onnx__MatMul.html>, opset 1.
//!
//! Torch keeps a linear map as `[outputs, inputs]`, and `Gemm` takes that as it is, but knows two axes only. With the
//! segments as a third, `MatMul` multiplies from the right, so the stored matrix is the transpose.

use leitmotif_models::Target;
use ndarray::{Array1, Array2};

use crate::ExportError;
use crate::graph::Attribute::Int;
use crate::graph::Graph;
use crate::lower::{Flow, Form, Lower, Place, Rows, stored_weights};

/// `[…, inputs]` → `[…, outputs]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linear<'a> {
    /// `[outputs, inputs]`.
    pub(crate) weight: &'a Array2<f32>,
    /// `[outputs]`.
    pub(crate) bias: &'a Array1<f32>,
}

impl Lower for Linear<'_> {
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        let Place { plan, name, .. } = *at;
        let Linear { weight, bias } = *self;
        let (weight_name, bias_name) = (format!("{name}.weight"), format!("{name}.bias"));
        let x = match plan.rows {
            Rows::Single => {
                let weight = weight.to_owned().into_dyn();
                let w = stored_weights::floats(graph, plan.form, &weight_name, &weight, 0)?;
                let b = graph.weights(&bias_name, &[bias.len()], bias.to_vec());
                let as_torch = [("transA", Int(0)), ("transB", Int(1))];
                graph.node("Gemm", &format!("{name}.gemm"), &[flow.x, w, b], &as_torch)
            }
            Rows::Segments => {
                let transposed = weight.t().to_owned().into_dyn();
                // ONNX Runtime makes an integer product of a MatMul between two DequantizeLinear, whose sums of 16 bits overflow
                // on processors without VNNI: so these weights are widened as for the CPU.
                let form = Form { target: Target::Cpu, ..plan.form };
                let w = stored_weights::floats(graph, form, &weight_name, &transposed, 1)?;
                let b = graph.weights(&bias_name, &[bias.len()], bias.to_vec());
                let product = graph.node("MatMul", &format!("{name}.matmul"), &[flow.x, w], &[]);
                graph.node("Add", &format!("{name}.add"), &[product, b], &[])
            }
        };
        Ok(Flow { x, ..flow })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::graph::Data;
    use crate::lower::tests::{INT8, lowered, operators};

    fn graph(form: Form, rows: Rows) -> Graph {
        let (weight, bias) = (array![[1.0, 2.0], [3.0, 4.0]], array![5.0, 6.0]);
        lowered(&Linear { weight: &weight, bias: &bias }, form, rows).0
    }

    #[test]
    fn a_matrix_that_multiplies_from_the_right_is_the_transpose() {
        let stored = |rows| -> Vec<Data> {
            let graph = graph(Form::default(), rows);
            graph.constants().map(|(_, tensor)| tensor.data.clone()).collect()
        };
        let transposed = [Data::F32(vec![1.0, 3.0, 2.0, 4.0]), Data::F32(vec![5.0, 6.0])];
        assert_eq!(stored(Rows::Segments), transposed);
        assert_eq!(stored(Rows::Single)[0], Data::F32(vec![1.0, 2.0, 3.0, 4.0]));
    }

    #[test]
    fn no_integer_product_is_made_of_it() {
        assert_eq!(operators(&graph(INT8, Rows::Segments)), ["Cast", "Mul", "MatMul", "Add"]);
        assert_eq!(operators(&graph(INT8, Rows::Single)), ["DequantizeLinear", "Gemm"]);
    }
}
