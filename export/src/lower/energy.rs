//! Lowers `Layer::Energy` with the batch norm behind it: `Conv`, `Mul`, `Split`, `Add`, where it pools `AveragePool`, `Log`,
//! and the norm's scale and shift. <https://onnx.ai/onnx/operators/onnx__Conv.html>, opset 11;
//! <https://onnx.ai/onnx/operators/onnx__Split.html>, opset 11: in halves, where no sizes are given;
//! <https://onnx.ai/onnx/operators/onnx__AveragePool.html>, opset 11;
//! <https://onnx.ai/onnx/operators/onnx__Log.html>, opset 6.
//!
//! It computes in 32-bit floats in every precision: 16 bits hold neither the squares of quiet bands nor ε. Its weights
//! are stored in 16 bits at the least: the rounding of eight would let the loud low bands into the quiet high ones. With
//! the lower floor of averaged energies that of sixteen does so, too (probabilities moved by more than 0.01), and they
//! stay in 32.

use leitmotif_models::{Energy, Precision};
use ndarray::{Array1, Array3};

use crate::ExportError;
use crate::graph::Attribute::{Int, Ints};
use crate::graph::Graph;
use crate::lower::conv::{attributes, flat_kernel};
use crate::lower::{Flow, Form, Lower, Place, size, stored_weights};

/// `[batch, 1, rows, length]` → `[batch, pairs, rows, ((length + 2·padding − kernel) / stride + 1) / pool]`; it takes 32-bit
/// floats, and gives what the network computes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogEnergy<'a> {
    pub(crate) energy: Energy,
    /// `[2 · pairs, 1, kernel]`.
    pub(crate) weight: &'a Array3<f32>,
    /// `[2 · pairs]`.
    pub(crate) bias: &'a Array1<f32>,
    /// `[pairs]`, of the norm.
    pub(crate) scale: &'a Array1<f32>,
    /// `[pairs]`, of the norm.
    pub(crate) shift: &'a Array1<f32>,
}

impl Lower for LogEnergy<'_> {
    fn lower(&self, graph: &mut Graph, at: &Place<'_>, flow: Flow) -> Result<Flow, ExportError> {
        let Place { plan, name, .. } = *at;
        let precision = match plan.form.precision {
            _ if self.energy.averages() => Precision::Fp32,
            Precision::Int8 => Precision::Fp16,
            precision => precision,
        };
        let form = Form { precision, ..plan.form };
        let weight = flat_kernel(self.weight);
        let w = stored_weights::floats(graph, form, &format!("{name}.conv.weight"), &weight, 0)?;
        let mut inputs = vec![flow.x, w];
        // Only networks of other programs have one.
        if self.bias.iter().any(|bias| *bias != 0.0) {
            let bias_name = format!("{name}.conv.bias");
            inputs.push(graph.weights(&bias_name, &[self.bias.len()], self.bias.to_vec()));
        }
        let attributes = attributes(self.energy.conv)?;
        let filtered = graph.node("Conv", &format!("{name}.conv"), &inputs, &attributes);
        let squares = graph.node("Mul", &format!("{name}.squares"), &[filtered, filtered], &[]);
        let [a, b] = graph.node_with_outputs(
            "Split",
            &format!("{name}.pairs"),
            &[squares],
            ["first", "second"],
            &[("axis", Int(1))],
        );
        let sums = graph.node("Add", &format!("{name}.sums"), &[a, b], &[]);
        let energies = match self.energy.pool {
            1 => sums,
            pool => {
                let pool = size("a pool", pool)?;
                let attributes = [
                    ("ceil_mode", Int(0)),
                    ("count_include_pad", Int(0)),
                    ("kernel_shape", Ints(vec![1, pool])),
                    ("pads", Ints(vec![0; 4])),
                    ("strides", Ints(vec![1, pool])),
                ];
                graph.node("AveragePool", &format!("{name}.means"), &[sums], &attributes)
            }
        };
        let epsilon = graph.weights(&format!("{name}.epsilon"), &[], vec![self.energy.epsilon]);
        let floored = graph.node("Add", &format!("{name}.floored"), &[energies, epsilon], &[]);
        let logs = graph.node("Log", &format!("{name}.log"), &[floored], &[]);
        let mut per_channel = |part: &str, values: &Array1<f32>| {
            let shape = [1, values.len(), 1, 1];
            graph.weights(&format!("{name}.norm.{part}"), &shape, values.to_vec())
        };
        let (scale, shift) = (per_channel("scale", self.scale), per_channel("shift", self.shift));
        let scaled = graph.node("Mul", &format!("{name}.scaled"), &[logs, scale], &[]);
        let mut x = graph.node("Add", &format!("{name}.energy"), &[scaled, shift], &[]);
        if plan.form.computes_in_half() {
            x = stored_weights::cast(graph, &format!("{name}.half"), x, stored_weights::FLOAT16);
        }
        Ok(Flow { x, scale: None, past_relu: false, ..flow })
    }
}

#[cfg(test)]
mod tests {
    use leitmotif_models::Conv;

    use super::*;
    use crate::graph::Data;
    use crate::lower::Rows;
    use crate::lower::tests::{CUDA_HALF, INT8, lowered, operators};

    fn graph(form: Form) -> Graph {
        pooled(form, 1)
    }

    fn pooled(form: Form, pool: usize) -> Graph {
        let conv = Conv { in_channels: 1, filters: 4, kernel: 3, stride: 2, padding: 1 };
        let energy = Energy::new(conv, pool, true);
        let (weight, bias) = (Array3::ones((4, 1, 3)), Array1::zeros(4));
        let (scale, shift) = (Array1::ones(2), Array1::zeros(2));
        let layer =
            LogEnergy { energy, weight: &weight, bias: &bias, scale: &scale, shift: &shift };
        lowered(&layer, form, Rows::Segments).0
    }

    #[test]
    fn halves_of_the_filters_are_added_and_a_network_without_a_bias_stores_none() {
        let graph = graph(Form::default());
        let expected = ["Conv", "Mul", "Split", "Add", "Add", "Log", "Mul", "Add"];
        assert_eq!(operators(&graph), expected);
        let nodes: Vec<_> = graph.nodes().collect();
        assert_eq!(nodes[2].outputs, ["layer.pairs.first", "layer.pairs.second"]);
        assert_eq!(nodes[0].inputs.len(), 2);
    }

    #[test]
    fn no_weight_has_fewer_than_sixteen_bits_and_no_energy_fewer_than_32() {
        for form in [INT8, CUDA_HALF] {
            let graph = graph(form);
            assert_eq!(operators(&graph)[..3], ["Cast", "Conv", "Mul"]);
            let (name, stored) = graph.constants().next().unwrap();
            assert!(name == "layer.conv.weight" && matches!(stored.data, Data::F16(_)));
        }
        for form in [INT8, CUDA_HALF] {
            let averaged = pooled(form, 2);
            let (_, stored) = averaged.constants().next().unwrap();
            assert!(matches!(stored.data, Data::F32(_)));
        }
        assert_eq!(operators(&graph(INT8)).last(), Some(&"Add"));
        assert_eq!(operators(&graph(CUDA_HALF)).last(), Some(&"Cast"));
    }
}
