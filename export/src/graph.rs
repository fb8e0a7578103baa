//! A small ONNX graph as plain data, with a builder that names every value.
//!
//! Nothing here knows protobuf: the lowerings build a graph, and `onnx/write.rs` encodes it.

use std::collections::BTreeMap;

/// One axis of an input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dim {
    /// Known when compiling.
    Fixed(usize),
    /// Named and free: `batch`, `samples`, `segments`.
    Named(&'static str),
    /// Free and without a name.
    Any,
}

/// The element type of a value between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    F32,
    U8,
}

/// Values of a stored tensor; the element type follows from the variant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 16-bit floats, as their bits.
    F16(Vec<u16>),
    /// 64-bit integers: shapes, axes, indices.
    I64(Vec<i64>),
    /// 32-bit integers: biases of integer convolutions.
    I32(Vec<i32>),
    /// 8-bit integers with a sign: weights.
    I8(Vec<i8>),
    /// 8-bit integers without one: zero points of feature maps.
    U8(Vec<u8>),
}

/// A tensor stored in the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Data,
}

/// Value of a node's attribute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
    Text(&'static str),
    Texts(Vec<&'static str>),
    /// A graph that a node runs, such as the body of a `Scan`.
    Body(Box<Graph>),
}

/// One operator; an empty name is an optional input or output left out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) operator: &'static str,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    pub(crate) attributes: Vec<(&'static str, Attribute)>,
}

/// An input or output of the graph, or a value whose type is declared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) element: Element,
    pub(crate) dims: Vec<Dim>,
    pub(crate) doc: &'static str,
}

/// A value that flows between nodes. It stays valid when the value is renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value(usize);

impl Value {
    /// An optional input or output that is left out.
    pub(crate) const NONE: Value = Value(0);
}

/// A graph under construction; nodes are kept in the order of execution.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Graph {
    pub(crate) name: String,
    pub(crate) doc: String,
    /// Version of the default operator set, in which its nodes are written.
    pub(crate) opset: u32,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    nodes: Vec<Building>,
    constants: Vec<(Value, Tensor)>,
    /// Values whose shapes readers cannot infer, with their element types and axes.
    declared: Vec<(Value, Element, Vec<Dim>)>,
    /// Name of each value by its number; the first is the empty name of what is left out.
    names: Vec<String>,
    /// Integer constants already stored, so that equal axes are stored once.
    integers: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, PartialEq)]
struct Building {
    name: String,
    operator: &'static str,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
    attributes: Vec<(&'static str, Attribute)>,
}

impl Graph {
    /// An empty graph.
    pub(crate) fn new(name: &str, doc: &str, opset: u32) -> Self {
        Graph {
            name: name.to_owned(),
            doc: doc.to_owned(),
            opset,
            inputs: Vec::new(),
            outputs: Vec::new(),
            nodes: Vec::new(),
            constants: Vec::new(),
            declared: Vec::new(),
            names: vec![String::new()],
            integers: BTreeMap::new(),
        }
    }

    /// Declares an input of 32-bit floats.
    pub(crate) fn input(&mut self, name: &str, dims: &[Dim], doc: &'static str) -> Value {
        self.inputs.push(port(name, Element::F32, dims, doc));
        self.value(name)
    }

    /// A value of the graph `around` this one, which is a body in it. It must not become an output there, because its new
    /// name would not be used here.
    pub(crate) fn outer(&mut self, around: &Graph, value: Value) -> Value {
        self.value(&around.name_of(value))
    }

    /// Declares the type of `value`, where readers cannot infer it.
    pub(crate) fn declare(&mut self, value: Value, element: Element, dims: &[Dim]) {
        self.declared.push((value, element, dims.to_vec()));
    }

    /// Stores a tensor of floats in row-major order.
    pub(crate) fn weights(&mut self, name: &str, shape: &[usize], data: Vec<f32>) -> Value {
        self.tensor(name, shape, Data::F32(data))
    }

    /// Stores a tensor in row-major order.
    pub(crate) fn tensor(&mut self, name: &str, shape: &[usize], data: Data) -> Value {
        let value = self.value(name);
        self.constants.push((value, Tensor { shape: shape.to_vec(), data }));
        value
    }

    /// A vector of integers; equal vectors are stored once.
    pub(crate) fn integers(&mut self, data: &[i64]) -> Value {
        let parts: Vec<String> = data.iter().map(|n| integer_name(*n)).collect();
        self.integer_tensor(format!("integers_{}", parts.join("_")), &[data.len()], data)
    }

    /// One integer without axes; equal ones are stored once.
    pub(crate) fn integer(&mut self, data: i64) -> Value {
        self.integer_tensor(format!("integer_{}", integer_name(data)), &[], &[data])
    }

    fn integer_tensor(&mut self, name: String, shape: &[usize], data: &[i64]) -> Value {
        if let Some(known) = self.integers.get(&name) {
            return *known;
        }
        let value = self.tensor(&name, shape, Data::I64(data.to_vec()));
        self.integers.insert(name, value);
        value
    }

    /// Adds a node with one output, which carries the node's name.
    pub(crate) fn node(
        &mut self,
        operator: &'static str,
        name: &str,
        inputs: &[Value],
        attributes: &[(&'static str, Attribute)],
    ) -> Value {
        let output = self.value(name);
        self.add(operator, name, inputs, &[output], attributes);
        output
    }

    /// The dimensions of `value`; the same node for every use.
    pub(crate) fn shape(&mut self, value: Value) -> Value {
        let is_it = |node: &&Building| node.operator == "Shape" && node.inputs == [value];
        match self.nodes.iter().find(is_it).and_then(|node| node.outputs.first()) {
            Some(known) => *known,
            None => self.node("Shape", &format!("{}.shape", self.name_of(value)), &[value], &[]),
        }
    }

    /// Adds a node with the outputs `NAME.OUTPUT` for each of `outputs`; an empty one is an optional output left out.
    pub(crate) fn node_with_outputs<const N: usize>(
        &mut self,
        operator: &'static str,
        name: &str,
        inputs: &[Value],
        outputs: [&str; N],
        attributes: &[(&'static str, Attribute)],
    ) -> [Value; N] {
        let outputs = outputs.map(|output| match output {
            "" => Value::NONE,
            output => self.value(&format!("{name}.{output}")),
        });
        self.add(operator, name, inputs, &outputs, attributes);
        outputs
    }

    /// Makes `value`, of 32-bit floats, an output called `name`. A value that already is one goes out a second time
    /// through `Identity`.
    pub(crate) fn output(&mut self, value: Value, name: &str, dims: &[Dim], doc: &'static str) {
        self.output_of(Element::F32, value, name, dims, doc);
    }

    /// As [`Self::output`], of any element type.
    pub(crate) fn output_of(
        &mut self,
        element: Element,
        value: Value,
        name: &str,
        dims: &[Dim],
        doc: &'static str,
    ) {
        let taken = self.outputs.iter().any(|port| self.names.get(value.0) == Some(&port.name));
        if taken {
            self.node("Identity", name, &[value], &[]);
        } else if let Some(known) = self.names.get_mut(value.0) {
            name.clone_into(known);
        }
        self.outputs.push(port(name, element, dims, doc));
    }

    /// The nodes with the names of their values, in order of execution.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Node> + '_ {
        let names = |values: &[Value]| values.iter().map(|v| self.name_of(*v)).collect();
        self.nodes.iter().map(move |node| Node {
            name: node.name.clone(),
            operator: node.operator,
            inputs: names(&node.inputs),
            outputs: names(&node.outputs),
            attributes: node.attributes.clone(),
        })
    }

    /// The operator of the node that gives each output of the graph, by the output's name.
    pub(crate) fn operators_of_outputs(&self) -> BTreeMap<String, &'static str> {
        let made = self.nodes().flat_map(|node| {
            let operator = node.operator;
            node.outputs.into_iter().map(move |output| (output, operator))
        });
        made.filter(|(name, _)| self.outputs.iter().any(|port| port.name == *name)).collect()
    }

    /// The stored tensors by name, in the order in which they were stored.
    pub(crate) fn constants(&self) -> impl Iterator<Item = (String, &Tensor)> + '_ {
        self.constants.iter().map(|(value, tensor)| (self.name_of(*value), tensor))
    }

    /// The values that were declared, by name.
    pub(crate) fn declared(&self) -> impl Iterator<Item = Port> + '_ {
        let named = |(value, element, dims): &(Value, Element, Vec<Dim>)| {
            port(&self.name_of(*value), *element, dims, "")
        };
        self.declared.iter().map(named)
    }

    fn value(&mut self, name: &str) -> Value {
        self.names.push(name.to_owned());
        Value(self.names.len() - 1)
    }

    fn name_of(&self, value: Value) -> String {
        self.names.get(value.0).cloned().unwrap_or_default()
    }

    fn add(
        &mut self,
        operator: &'static str,
        name: &str,
        inputs: &[Value],
        outputs: &[Value],
        attributes: &[(&'static str, Attribute)],
    ) {
        self.nodes.push(Building {
            name: name.to_owned(),
            operator,
            inputs: inputs.to_vec(),
            outputs: outputs.to_vec(),
            attributes: attributes.to_vec(),
        });
    }
}

fn port(name: &str, element: Element, dims: &[Dim], doc: &'static str) -> Port {
    Port { name: name.to_owned(), element, dims: dims.to_vec(), doc }
}

/// A number as part of a name: without a minus sign, which some readers take for an operator.
fn integer_name(number: i64) -> String {
    number.to_string().replace('-', "minus")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_renames_its_value_everywhere() {
        let mut graph = Graph::new("test", "", 13);
        let x = graph.input("x", &[Dim::Fixed(1)], "");
        let y = graph.node("Relu", "block1.relu", &[x], &[]);
        graph.node("Tanh", "after", &[y], &[]);
        graph.output(y, "embedding", &[Dim::Fixed(1)], "");
        let nodes: Vec<Node> = graph.nodes().collect();
        assert_eq!(nodes[0].outputs, ["embedding"]);
        assert_eq!(nodes[1].inputs, ["embedding"]);
        assert_eq!(nodes[0].name, "block1.relu");
    }

    #[test]
    fn a_value_that_goes_out_twice_passes_an_identity() {
        let mut graph = Graph::new("test", "", 13);
        let x = graph.input("x", &[Dim::Fixed(1)], "");
        let y = graph.node("Relu", "y", &[x], &[]);
        graph.output(y, "h_next", &[Dim::Fixed(1)], "");
        graph.output(y, "embedding", &[Dim::Fixed(1)], "");
        let nodes: Vec<Node> = graph.nodes().collect();
        assert_eq!((nodes[1].operator, &nodes[1].inputs[..]), ("Identity", &["h_next".into()][..]));
        assert_eq!(nodes[1].outputs, ["embedding"]);
    }

    #[test]
    fn equal_integers_are_stored_once_but_a_scalar_is_no_vector() {
        let mut graph = Graph::new("test", "", 13);
        assert_eq!(graph.integers(&[1]), graph.integers(&[1]));
        assert_ne!(graph.integers(&[1]), graph.integer(1));
        assert_eq!(graph.constants().count(), 2);
    }
}
