//! The order of an LSTM's gates: the only place that knows both conventions.
//!
//! Torch stacks input, forget, cell, output (i, f, g, o) along the first axis of each tensor; ONNX wants
//! input, output, forget, cell (i, o, f, c), and torch's two biases end to end in one tensor.

use ndarray::{Array, Array1, Axis, RemoveAxis};

/// For each gate of ONNX, where torch keeps it: i ← 0, o ← 3, f ← 1, c ← 2.
const TORCH_POSITION: [usize; 4] = [0, 3, 1, 2];

/// Reorders a tensor `[4·units, …]` from torch's gates i, f, g, o to ONNX's i, o, f, c.
pub(crate) fn onnx_gate_order<D: RemoveAxis>(torch: &Array<f32, D>) -> Array<f32, D> {
    let units = torch.len_of(Axis(0)) / 4;
    let rows: Vec<usize> =
        TORCH_POSITION.iter().flat_map(|gate| gate * units..(gate + 1) * units).collect();
    torch.select(Axis(0), &rows)
}

/// Torch's two biases `[4·units]` as ONNX's one `[8·units]`: reordered input bias, then reordered recurrent bias.
pub(crate) fn onnx_bias(bias_ih: &Array1<f32>, bias_hh: &Array1<f32>) -> Array1<f32> {
    onnx_gate_order(bias_ih).iter().chain(&onnx_gate_order(bias_hh)).copied().collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn one_unit_goes_from_ifgo_to_iofc() {
        let torch = array![1.0, 2.0, 3.0, 4.0];
        assert_eq!(onnx_gate_order(&torch), array![1.0, 4.0, 2.0, 3.0]);
    }

    #[test]
    fn rows_of_a_gate_stay_together() {
        let torch = array![[10.0], [11.0], [20.0], [21.0], [30.0], [31.0], [40.0], [41.0]];
        let onnx = array![[10.0], [11.0], [40.0], [41.0], [20.0], [21.0], [30.0], [31.0]];
        assert_eq!(onnx_gate_order(&torch), onnx);
    }

    #[test]
    fn biases_stand_end_to_end_input_first() {
        let (ih, hh) = (array![1.0, 2.0, 3.0, 4.0], array![5.0, 6.0, 7.0, 8.0]);
        assert_eq!(onnx_bias(&ih, &hh), array![1.0, 4.0, 2.0, 3.0, 5.0, 8.0, 6.0, 7.0]);
    }
}
