//! Whether a file declares and holds what compiling its checkpoint again gives.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use leitmotif::Recognizer;
use leitmotif::session::{Port, Session};
use leitmotif_export::{Artifact, Part, Shape, Summary, differences};
use leitmotif_models::Card;

use crate::session::on_cpu;

/// Nodes and stored tensors, to the bit.
pub(super) fn same_weights(bytes: &[u8], path: &Path, expected: &Artifact) -> Result<()> {
    let found =
        differences((bytes, path), (expected.bytes(), Path::new("the file compiled again")))?;
    let first = found.iter().find(|found| matches!(found.part, Part::Graph | Part::Weights));
    match first {
        None => Ok(()),
        Some(found) => {
            bail!(
                "its {} are not what compiling again gives: {}: {}",
                found.part,
                found.name,
                found.what
            )
        }
    }
}

/// Whether a file of int8 gives the golden answer of its own card.
pub(super) fn own_golden_answer(path: &Path) -> Result<()> {
    let test = Recognizer::open_with(path, &on_cpu())?.self_test()?;
    ensure!(
        test.passed(),
        "it misses its own golden answer by {:.1e}, where {:.0e} is allowed",
        test.largest_difference,
        test.tolerance
    );
    Ok(())
}

/// Every field of the card but `tools`, `version` and `opset`: another version of the compiler may have made it. The opset
/// must be the file's own.
pub(super) fn same_card(card: &Card, expected: &Artifact, bytes: &[u8], path: &Path) -> Result<()> {
    let own = Summary::of(bytes, path)?.opsets.get("ai.onnx").copied();
    ensure!(
        own == Some(i64::from(card.opset)),
        "its card has opset {}, and the file itself {}",
        card.opset,
        own.map_or("none".to_owned(), |opset| opset.to_string())
    );
    // Read from text, as `card` was.
    let expected = Card::from_json(&expected.card().to_json()?)?;
    let (tools, version, opset) = (card.tools.clone(), card.version, card.opset);
    let expected = Card { tools, version, opset, ..expected };
    let expected = serde_json::to_value(expected)?;
    let found = serde_json::to_value(card)?;
    let fields = expected.as_object().into_iter().flatten();
    let other: Vec<String> = fields
        .filter(|(field, value)| found.get(field) != Some(value))
        .map(|(field, _)| format!("`{field}`"))
        .collect();
    ensure!(other.is_empty(), "its card differs from the checkpoint: {}", other.join(", "));
    Ok(())
}

/// What other programs read beside the card.
pub(super) fn same_keys(session: &Session, expected: &Artifact) -> Result<()> {
    for (key, value) in expected.metadata().iter().filter(|(key, _)| *key != Card::KEY) {
        ensure!(
            session.metadata(key).as_ref() == Some(value),
            "its metadata key `{key}` is not the checkpoint's"
        );
    }
    Ok(())
}

/// Inputs and outputs with their axes.
pub(super) fn same_ports(session: &Session, expected: &Artifact) -> Result<()> {
    for (what, found, expected) in [
        ("inputs", session.inputs(), expected.inputs()),
        ("outputs", session.outputs(), expected.outputs()),
    ] {
        let port = |(name, dims): &(String, Shape)| (name.clone(), Some(dims.clone()));
        let expected: Vec<Declared> = expected.iter().map(port).collect();
        let port = |port: &Port| (port.name.clone(), port.dims.clone());
        let found: Vec<Declared> = found.iter().map(port).collect();
        ensure!(
            found == expected,
            "its {what} are {}, where {} are expected",
            format_ports(&found),
            format_ports(&expected)
        );
    }
    Ok(())
}

/// An input or output by name, with its axes where it is a tensor of f32.
type Declared = (String, Option<Shape>);

fn format_ports(ports: &[Declared]) -> String {
    let axis = |axis: &Option<usize>| axis.map_or("any".to_owned(), |size| size.to_string());
    let text = |(name, dims): &Declared| match dims {
        None => format!("{name} (no f32)"),
        Some(dims) => {
            format!("{name} [{}]", dims.iter().map(axis).collect::<Vec<_>>().join(", "))
        }
    };
    ports.iter().map(text).collect::<Vec<_>>().join(", ")
}
