//! Inputs and outputs of a graph, whatever runs it.

/// An input or output as the graph declares it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its dimensions, each `None` where any size is accepted; `None` as a whole if it is not a tensor of `f32`.
    pub dims: Option<Vec<Option<usize>>>,
}

/// An output of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Name of the output.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its values in row-major order.
    pub data: Vec<f32>,
}

/// An input of one run: its name, its dimensions and its values.
pub(super) type Input<'a> = (&'a str, &'a [usize], &'a [f32]);
