//! How two `.onnx` files differ: graph, weights, card.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use leitmotif_models::Card;
use serde::Serialize;
use serde_json::Value;

use crate::ReadError;
use crate::onnx::read::{Contents, StoredNode, StoredTensor};

/// One thing that is not the same in two files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The part of the file.
    pub part: Part,
    /// Name of the node, tensor, field or key.
    pub name: String,
    /// What differs, the first file's before the second's.
    pub what: String,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Nodes, inputs, outputs, versions.
    Graph,
    /// Stored tensors.
    Weights,
    /// The fields of the card.
    Card,
    /// Other metadata.
    Metadata,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Part::Graph => "graph",
            Part::Weights => "weights",
            Part::Card => "card",
            Part::Metadata => "metadata",
        })
    }
}

/// Every difference between the files `one` and `other`, each given by its bytes and its path for errors.
///
/// # Errors
/// [`ReadError::NotOnnx`] for anything that is no ONNX model, [`ReadError::Incomparable`] for one with
/// content that is not compared: it could not be called equal.
pub fn differences(
    one: (&[u8], &Path),
    other: (&[u8], &Path),
) -> Result<Vec<Difference>, ReadError> {
    let contents = |(bytes, path): (&[u8], &Path)| {
        let contents = Contents::of(bytes, path)?;
        match contents.beyond {
            Some(reason) => Err(ReadError::Incomparable { path: path.to_owned(), reason }),
            None => Ok(contents),
        }
    };
    let (one, other) = (contents(one)?, contents(other)?);
    let mut found = Vec::new();
    let mut differ = |part, name: &str, what| {
        found.push(Difference { part, name: name.to_owned(), what });
    };
    of_graphs(&one, &other, &mut |name, what| differ(Part::Graph, name, what));
    let (tensors, others) = (by_name(&one.tensors), by_name(&other.tensors));
    pairs(&tensors, &others, |name, a, b| {
        if let Some(what) = one_side(a, b).or_else(|| of_tensors(a?, b?)) {
            differ(Part::Weights, name, what);
        }
    });
    let (card, other_card) = (fields(&one), fields(&other));
    pairs(&card, &other_card, |name, a, b| {
        if a != b {
            let format = |value: Option<&Value>| value.map_or("absent".to_owned(), short);
            differ(Part::Card, name, format!("{} → {}", format(a), format(b)));
        }
    });
    pairs(&one.metadata, &other.metadata, |name, a, b| {
        if name != Card::KEY && a != b {
            let format = |text: Option<&String>| text.map_or("absent".to_owned(), |t| cut(t));
            differ(Part::Metadata, name, format!("{} → {}", format(a), format(b)));
        }
    });
    Ok(found)
}

fn of_graphs(one: &Contents, other: &Contents, differ: &mut dyn FnMut(&str, String)) {
    let versions = |c: &Contents| format!("IR {}, opsets {:?}", c.ir_version, c.opsets);
    for (name, a, b) in [
        ("versions", versions(one), versions(other)),
        ("inputs", one.inputs.join("; "), other.inputs.join("; ")),
        ("outputs", one.outputs.join("; "), other.outputs.join("; ")),
    ] {
        if a != b {
            differ(name, format!("{a} → {b}"));
        }
    }
    let (nodes, others) = (nodes_by_name(one), nodes_by_name(other));
    pairs(&nodes, &others, |name, a, b| {
        if let Some(what) = one_side(a, b).or_else(|| of_nodes(a?, b?)) {
            differ(name, what);
        }
    });
    let order = |c: &Contents| c.nodes.iter().map(|n| n.outputs.clone()).collect::<Vec<_>>();
    if nodes == others && order(one) != order(other) {
        differ("order", "the same nodes in another order".to_owned());
    }
}

fn of_nodes(a: &StoredNode, b: &StoredNode) -> Option<String> {
    if a.operator != b.operator {
        return Some(format!("{} → {}", a.operator, b.operator));
    }
    for (what, a, b) in [("inputs", &a.inputs, &b.inputs), ("outputs", &a.outputs, &b.outputs)] {
        if a != b {
            return Some(format!("{what} {} → {}", a.join(", "), b.join(", ")));
        }
    }
    let keys: BTreeSet<&String> = a.attributes.keys().chain(b.attributes.keys()).collect();
    let differing: Vec<&str> = keys
        .into_iter()
        .filter(|key| a.attributes.get(*key) != b.attributes.get(*key))
        .map(String::as_str)
        .collect();
    (!differing.is_empty()).then(|| format!("attributes {}", differing.join(", ")))
}

fn of_tensors(a: &StoredTensor, b: &StoredTensor) -> Option<String> {
    if (&a.kind, &a.shape) != (&b.kind, &b.shape) {
        return Some(format!("{} {:?} → {} {:?}", a.kind, a.shape, b.kind, b.shape));
    }
    if a.whole == b.whole {
        return None;
    }
    let floats = |tensor: &StoredTensor| -> Vec<f32> {
        tensor.raw.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    if a.kind != "FLOAT" || a.raw.len() != b.raw.len() {
        return Some("other values".to_owned());
    }
    let (a, b) = (floats(a), floats(b));
    let gaps = a.iter().zip(&b).filter(|(a, b)| a.to_bits() != b.to_bits());
    let (count, largest) = gaps.fold((0usize, 0f32), |(count, largest), (a, b)| {
        let gap = (a - b).abs();
        (count + 1, if gap.is_nan() { f32::NAN } else { largest.max(gap) })
    });
    Some(format!("{count} of {} values, by {largest:.1e} at most", a.len()))
}

/// Every name of either map with what each holds.
fn pairs<T>(
    one: &BTreeMap<String, T>,
    other: &BTreeMap<String, T>,
    mut each: impl FnMut(&str, Option<&T>, Option<&T>),
) {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    names.into_iter().for_each(|name| each(name, one.get(name), other.get(name)));
}

fn one_side<T>(a: Option<&T>, b: Option<&T>) -> Option<String> {
    match (a, b) {
        (Some(_), None) => Some("only in the first".to_owned()),
        (None, Some(_)) => Some("only in the second".to_owned()),
        _ => None,
    }
}

fn by_name(tensors: &[StoredTensor]) -> BTreeMap<String, StoredTensor> {
    distinct(tensors.iter().map(|tensor| (tensor.name.clone(), tensor.clone())))
}

fn nodes_by_name(contents: &Contents) -> BTreeMap<String, StoredNode> {
    distinct(contents.nodes.iter().map(|node| (node.name.clone(), node.clone())))
}

/// Things by name; of those that share one, which ONNX allows nodes, the second is `NAME (2)`: none is lost.
fn distinct<T>(named: impl Iterator<Item = (String, T)>) -> BTreeMap<String, T> {
    let mut found = BTreeMap::new();
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    for (name, thing) in named {
        let times = met.entry(name.clone()).or_default();
        *times += 1;
        let name = if *times == 1 { name } else { format!("{name} ({times})") };
        found.insert(name, thing);
    }
    found
}

/// The fields of the card; a card that is no JSON object is one field, its text.
fn fields(contents: &Contents) -> BTreeMap<String, Value> {
    let Some(text) = contents.metadata.get(Card::KEY) else { return BTreeMap::new() };
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => fields.into_iter().collect(),
        _ => BTreeMap::from([("text".to_owned(), Value::String(text.clone()))]),
    }
}

fn short(value: &Value) -> String {
    cut(&value.to_string())
}

/// So much of a text that a line stays a line.
fn cut(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Attribute, Dim, Graph};
    use crate::onnx::write::tests::model;
    use crate::onnx::write::{Model, encode};

    fn between(one: &Model, other: &Model) -> Vec<String> {
        let (one, other) = (encode(one).unwrap(), encode(other).unwrap());
        let found = differences((&one, Path::new("a")), (&other, Path::new("b"))).unwrap();
        found.into_iter().map(|d| format!("{} {}: {}", d.part, d.name, d.what)).collect()
    }

    #[test]
    fn equal_models_do_not_differ() {
        assert!(between(&model(), &model()).is_empty());
    }

    #[test]
    fn every_part_is_compared() {
        let mut other = model();
        other.metadata.insert("b".into(), "3".into());
        other.metadata.insert(Card::KEY.into(), "{\"epoch\":3}".into());
        let axes = [Dim::Named("batch"), Dim::Fixed(3)];
        let mut graph = Graph::new("test", "a test", 14);
        let x = graph.input("x", &axes, "");
        let w = graph.weights("sum.w", &[3], vec![1.0, 2.5, 3.0]);
        let y = graph.node("Add", "sum", &[x, w], &[]);
        let y = graph.node("Softmax", "softmax", &[y], &[("axis", Attribute::Int(1))]);
        let y = graph.node("Relu", "relu", &[y], &[]);
        graph.output(y, "y", &axes, "");
        other.graph = graph;
        let found = between(&model(), &other);
        for line in [
            "graph versions: IR 7, opsets {\"ai.onnx\": 13} → IR 7, opsets {\"ai.onnx\": 14}",
            "graph relu: only in the second",
            "graph softmax: outputs y → softmax",
            "weights sum.w: 1 of 3 values, by 5.0e-1 at most",
            "card epoch: absent → 3",
            "metadata b: 2 → 3",
        ] {
            assert!(found.iter().any(|found| found == line), "no `{line}` in {found:#?}");
        }
        assert_eq!(found.len(), 6, "{found:#?}");
    }

    #[test]
    fn nothing_hides_behind_something_of_the_same_name() {
        let nodes = |last: &'static str| {
            let mut graph = Graph::new("test", "", 13);
            let x = graph.input("x", &[Dim::Fixed(1)], "");
            for (i, name) in ["same", "same", ""].into_iter().enumerate() {
                let mut body = Graph::new("body", "", 13);
                let y = body.outer(&graph, x);
                let operator = if i == 0 { last } else { "Relu" };
                let y = body.node(operator, "inside", &[y], &[]);
                body.output(y, &format!("inside{i}"), &[Dim::Fixed(1)], "");
                let attributes = [("then_branch", Attribute::Body(Box::new(body)))];
                graph.node_with_outputs("If", name, &[x], [["a", "b", "c"][i]], &attributes);
            }
            Model { graph, ..model() }
        };
        assert!(between(&nodes("Relu"), &nodes("Relu")).is_empty());
        let found = between(&nodes("Relu"), &nodes("Tanh"));
        assert_eq!(found, ["graph same.then_branch/inside: Relu → Tanh"]);
    }

    #[test]
    fn files_whose_tensors_lie_elsewhere_are_not_called_alike() {
        let whole = encode(&model()).unwrap();
        let outside = crate::onnx::edit::tests::with_external_data(&whole);
        let error = differences((&whole, Path::new("a")), (&outside, Path::new("b"))).unwrap_err();
        assert!(
            error.to_string().contains("b cannot be compared: its tensor sum.w is stored"),
            "{error}"
        );
    }

    #[test]
    fn attributes_and_shapes_are_compared() {
        let node = |axis: &str| StoredNode {
            name: "n".into(),
            operator: "Softmax".into(),
            inputs: vec![],
            outputs: vec![],
            attributes: [("axis".to_owned(), axis.as_bytes().to_vec())].into(),
        };
        assert_eq!(of_nodes(&node("1"), &node("2")), Some("attributes axis".to_owned()));
        assert_eq!(of_nodes(&node("1"), &node("1")), None);
        assert_eq!(cut(&"é".repeat(61)), format!("{}…", "é".repeat(60)));
    }
}
