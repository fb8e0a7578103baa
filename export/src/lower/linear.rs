//! Lowers `Layer::Dense` (with its folded batch norm) and `Layer::Output` to `MatMul` and `Add`.
//! <https://onnx.ai/onnx/operators/onnx__MatMul.html>, opset 13.
//!
//! Torch keeps a linear map as `[outputs, inputs]`; `MatMul` multiplies from the right, so the stored matrix is the
//! transpose. `Gemm` would take torch's layout, but only two axes, and the segments are a third.

use ndarray::{Array1, Array2};

use crate::ExportError;
use crate::graph::{Graph, Value};
use crate::lower::{Form, store};

/// `[…, inputs]` → `[…, outputs]`.
pub(crate) fn lower(
    graph: &mut Graph,
    form: Form,
    name: &str,
    weight: &Array2<f32>,
    bias: &Array1<f32>,
    x: Value,
) -> Result<Value, ExportError> {
    let transposed = weight.t().to_owned().into_dyn();
    let w = store::floats(graph, form, &format!("{name}.weight"), &transposed, 1)?;
    let b = graph.weights(&format!("{name}.bias"), &[bias.len()], bias.to_vec());
    let product = graph.node("MatMul", &format!("{name}.matmul"), &[x, w], &[]);
    Ok(graph.node("Add", &format!("{name}.add"), &[product, b], &[]))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::graph::Data;

    #[test]
    fn the_stored_matrix_is_the_transpose() {
        let mut graph = Graph::new("test", "");
        let (weight, bias) = (array![[1.0, 2.0], [3.0, 4.0]], array![5.0, 6.0]);
        lower(&mut graph, Form::default(), "output", &weight, &bias, Value::NONE).unwrap();
        let stored: Vec<_> = graph.constants().collect();
        assert_eq!(stored[0].1.data, Data::F32(vec![1.0, 3.0, 2.0, 4.0]));
        assert_eq!(stored[1].1.data, Data::F32(vec![5.0, 6.0]));
    }
}
