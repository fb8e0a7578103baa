//! A network loaded into tract, which is written in Rust: no shared library is opened.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

use super::placement::{Placement, TRACT};
use super::tensor::{Input, NamedTensor, Port};

/// A plan of tract. Axes of any size stay symbols, so that one plan runs recordings of every length.
pub(super) struct TractSession {
    plan: Arc<TypedRunnableModel>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    metadata: BTreeMap<String, String>,
    placement: Placement,
}

impl std::fmt::Debug for TractSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TractSession").field("placement", &self.placement).finish_non_exhaustive()
    }
}

impl TractSession {
    pub(super) fn open(model: &[u8]) -> Result<Self, String> {
        without_panic(|| Self::parse(model).map_err(one_line))
    }

    fn parse(bytes: &[u8]) -> TractResult<Self> {
        let onnx = tract_onnx::onnx();
        let proto = onnx.proto_model_for_read(&mut Cursor::new(bytes))?;
        let model = onnx.model_for_proto_model(&proto)?.into_optimized()?;
        let facts = |outlets: &[OutletId]| -> TractResult<Vec<_>> {
            outlets.iter().map(|outlet| Ok(dims(model.outlet_fact(*outlet)?))).collect()
        };
        let (inputs, outputs) = names(&proto);
        let inputs = ports(inputs, facts(model.input_outlets()?)?);
        let outputs = ports(outputs, facts(model.output_outlets()?)?);
        let metadata =
            proto.metadata_props.into_iter().map(|prop| (prop.key, prop.value)).collect();
        let mut operators = BTreeMap::new();
        for node in model.nodes() {
            *operators.entry(node.op.name().into_owned()).or_default() += 1;
        }
        let placement = Placement { providers: [(TRACT.to_owned(), operators)].into() };
        Ok(Self { plan: model.into_runnable()?, inputs, outputs, metadata, placement })
    }

    pub(super) fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    pub(super) fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    pub(super) fn metadata(&self, key: &str) -> Option<String> {
        self.metadata.get(key).cloned()
    }

    pub(super) fn placement(&self) -> &Placement {
        &self.placement
    }

    /// All outputs, in the graph's order.
    pub(super) fn run(&self, inputs: &[Input<'_>]) -> Result<Vec<NamedTensor>, String> {
        if let Some((name, ..)) =
            inputs.iter().find(|(name, ..)| self.inputs.iter().all(|port| port.name != *name))
        {
            return Err(format!("there is no input `{name}`"));
        }
        let mut values = tvec![];
        for port in &self.inputs {
            let given = inputs.iter().find(|(name, ..)| *name == port.name);
            let (_, shape, data) =
                given.ok_or_else(|| format!("input `{}` is missing", port.name))?;
            check(port, shape, data.len())?;
            values.push(Tensor::from_shape(shape, data).map_err(one_line)?.into());
        }
        let found = without_panic(|| self.plan.run(values).map_err(one_line))?;
        let named = self.outputs.iter().zip(&found);
        named
            .map(|(port, value)| {
                let data = value.to_plain_array_view::<f32>().map_err(one_line)?;
                let (shape, data) = (value.shape().to_vec(), data.iter().copied().collect());
                Ok(NamedTensor { name: port.name.clone(), shape, data })
            })
            .collect()
    }

    /// The named outputs, which must have these dimensions, in that order.
    pub(super) fn run_shaped(
        &self,
        inputs: &[Input<'_>],
        outputs: &[(&str, &[usize])],
    ) -> Result<Vec<NamedTensor>, String> {
        let mut found = self.run(inputs)?;
        let mut take = |(name, shape): &(&str, &[usize])| {
            let at = found.iter().position(|output| output.name == *name);
            let output =
                found.swap_remove(at.ok_or_else(|| format!("there is no output `{name}`"))?);
            match output.shape == *shape {
                true => Ok(output),
                false => Err(format!("output `{name}` is {:?}, not {shape:?}", output.shape)),
            }
        };
        outputs.iter().map(&mut take).collect()
    }
}

/// tract itself would panic, or read what is there.
fn check(port: &Port, shape: &[usize], values: usize) -> Result<(), String> {
    let elements = shape.iter().try_fold(1_usize, |all, dim| all.checked_mul(*dim));
    if elements != Some(values) {
        return Err(format!("input `{}` has {values} values, not those of {shape:?}", port.name));
    }
    let Some(dims) = &port.dims else {
        return Err(format!("input `{}` is not a tensor of f32", port.name));
    };
    let fits = |(dim, size): (&Option<usize>, &usize)| dim.is_none_or(|dim| dim == *size);
    if dims.len() == shape.len() && dims.iter().zip(shape).all(fits) {
        return Ok(());
    }
    Err(format!("input `{}` is {shape:?}, and the graph has {dims:?}", port.name))
}

/// The names of the graph's inputs and outputs, in its order.
fn names(proto: &ModelProto) -> (Vec<String>, Vec<String>) {
    let Some(graph) = &proto.graph else { return Default::default() };
    // Files of old list weights among the inputs.
    let weights = |name: &String| graph.initializer.iter().any(|weights| weights.name == *name);
    let inputs = graph.input.iter().map(|input| input.name.clone());
    let outputs = graph.output.iter().map(|output| output.name.clone());
    (inputs.filter(|name| !weights(name)).collect(), outputs.collect())
}

fn dims(fact: &TypedFact) -> Option<Vec<Option<usize>>> {
    (fact.datum_type == f32::datum_type()).then(|| {
        fact.shape
            .iter()
            .map(|dim| dim.to_i64().ok().and_then(|dim| usize::try_from(dim).ok()))
            .collect()
    })
}

fn ports(names: Vec<String>, dims: Vec<Option<Vec<Option<usize>>>>) -> Vec<Port> {
    names.into_iter().zip(dims).map(|(name, dims)| Port { name, dims }).collect()
}

/// Runs `work` and turns a panic inside tract into an error.
fn without_panic<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("tract panicked".to_owned()))
}

fn one_line(error: impl std::fmt::Display) -> String {
    format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ")
}
