//! `leitmotif-export diff`: how two files differ.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use leitmotif_export::differences;
use leitmotif_models::text::printable;
use serde_json::json;

/// Prints every difference between two `.onnx` files and returns whether there is none.
///
/// # Errors
/// Where a file cannot be read or is no ONNX model.
pub(crate) fn diff(one: &Path, other: &Path, json: bool, out: &mut impl Write) -> Result<bool> {
    let read =
        |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let found = differences((&read(one)?, one), (&read(other)?, other))?;
    if json {
        writeln!(out, "{}", json!({ "same": found.is_empty(), "differences": found }))?;
        return Ok(found.is_empty());
    }
    for difference in &found {
        let text = format!("{}: {}", difference.name, difference.what);
        writeln!(out, "{:<9} {}", difference.part, printable(&text))?;
    }
    Ok(found.is_empty())
}
