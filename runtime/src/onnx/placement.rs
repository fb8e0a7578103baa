//! Which device each node of a graph was given to, by ONNX Runtime itself.

use std::collections::BTreeMap;
use std::fmt;

use leitmotif_models::Device;
use serde::Serialize;

/// Where the nodes of a graph run.
///
/// With ONNX Runtime it is what the library itself says of its assignment of nodes to execution providers, before it
/// fuses nodes within one: see
/// [its documentation](https://onnxruntime.ai/docs/execution-providers/).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Placement {
    /// For each provider, e.g. `CUDAExecutionProvider`, its nodes' operators and how many there are of each.
    pub providers: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Placement {
    /// Nodes that this provider runs.
    pub fn nodes(&self, provider: &str) -> usize {
        self.providers.get(provider).map_or(0, |operators| operators.values().sum())
    }

    /// The nodes that run elsewhere than on this device, in words; `None` where there are none.
    pub(super) fn beside(&self, device: Device) -> Option<String> {
        let provider = match device {
            Device::Cuda(_) => CUDA,
            _ => return None,
        };
        let others = self.providers.iter().filter(|(name, _)| *name != provider);
        let others: Vec<String> = others
            .map(|(name, operators)| {
                let names: Vec<&str> = operators.keys().map(String::as_str).collect();
                format!("{} by {name} ({})", self.nodes(name), names.join(", "))
            })
            .collect();
        (!others.is_empty()).then(|| others.join(", "))
    }
}

impl fmt::Display for Placement {
    /// `41 nodes by CUDAExecutionProvider, 2 by CPUExecutionProvider`; the most first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut providers: Vec<_> =
            self.providers.keys().map(|name| (self.nodes(name), name)).collect();
        providers.sort_by_key(|(nodes, _)| std::cmp::Reverse(*nodes));
        for (number, (nodes, name)) in providers.into_iter().enumerate() {
            match number {
                0 => write!(f, "{nodes} nodes by {name}")?,
                _ => write!(f, ", {nodes} by {name}")?,
            }
        }
        Ok(())
    }
}

const CUDA: &str = "CUDAExecutionProvider";
/// What stands for a provider where tract runs the graph.
pub(super) const TRACT: &str = "tract";

#[cfg(test)]
mod tests {
    use super::*;

    fn placement(nodes: &[(&str, &str, usize)]) -> Placement {
        let mut placement = Placement::default();
        for (provider, operator, count) in nodes {
            let operators = placement.providers.entry((*provider).to_owned()).or_default();
            operators.insert((*operator).to_owned(), *count);
        }
        placement
    }

    #[test]
    fn nodes_beside_the_device_are_named() {
        let mixed = placement(&[
            ("CPUExecutionProvider", "Shape", 2),
            (CUDA, "Conv", 9),
            (CUDA, "Relu", 9),
        ]);
        let beside = mixed.beside(Device::Cuda(1));
        assert_eq!(beside.as_deref(), Some("2 by CPUExecutionProvider (Shape)"));
        assert_eq!(
            mixed.to_string(),
            "18 nodes by CUDAExecutionProvider, 2 by CPUExecutionProvider"
        );
        assert_eq!(mixed.beside(Device::Cpu), None);
        assert_eq!(placement(&[(CUDA, "Conv", 9)]).beside(Device::Cuda(0)), None);
    }
}
