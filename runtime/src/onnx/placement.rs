//! Which device each node of a graph was given to, by ONNX Runtime itself.

use std::collections::BTreeMap;
use std::fmt;

use leitmotif_models::Device;
use serde::Serialize;

/// How many nodes of a graph run where.
///
/// With ONNX Runtime it is the library's own assignment of nodes to
/// [execution providers](https://onnxruntime.ai/docs/execution-providers/), before it fuses nodes within one; with tract all
/// nodes of its optimised graph, under `tract`. Empty where ONNX Runtime does not say.
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
    pub(super) fn elsewhere(&self, device: Device) -> Option<String> {
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

/// What a graph that was to run on this device alone has elsewhere; `None` where it has nothing. Without an account of its
/// nodes nobody knows.
pub(super) fn misplaced(assigned: &Result<Placement, String>, device: Device) -> Option<String> {
    match (assigned, device) {
        (Ok(placement), _) => placement.elsewhere(device),
        (Err(_), Device::Cpu) => None,
        (Err(reason), _) => Some(format!("no account of its nodes: {reason}")),
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
    fn nodes_elsewhere_are_named() {
        let mixed = placement(&[
            ("CPUExecutionProvider", "Shape", 2),
            (CUDA, "Conv", 9),
            (CUDA, "Relu", 9),
        ]);
        let found = mixed.elsewhere(Device::Cuda(1));
        assert_eq!(found.as_deref(), Some("2 by CPUExecutionProvider (Shape)"));
        assert_eq!(
            mixed.to_string(),
            "18 nodes by CUDAExecutionProvider, 2 by CPUExecutionProvider"
        );
        assert_eq!(mixed.elsewhere(Device::Cpu), None);
        assert_eq!(placement(&[(CUDA, "Conv", 9)]).elsewhere(Device::Cuda(0)), None);
        let unknown = Err("not supported".to_owned());
        assert!(misplaced(&unknown, Device::Cuda(0)).unwrap().ends_with("not supported"));
        assert_eq!(misplaced(&unknown, Device::Cpu), None);
    }
}
