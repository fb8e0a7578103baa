//! Compares a compiled file with the trained network layer by layer.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use leitmotif::session::{NamedTensor, Session};
use leitmotif_export::{Checkpoint, layer_outputs, layer_tolerance, tap_name, tapped};
use leitmotif_models::{Card, GraphKind};
use serde::Serialize;

use crate::session::on_cpu;

/// How far one layer is from the reference.
#[derive(Debug, Serialize)]
pub(crate) struct Departure {
    /// `block1`….
    pub(crate) layer: String,
    /// Root mean square of the differences, over that of the reference.
    pub(crate) relative: f64,
    /// The largest difference allowed.
    pub(crate) tolerance: f64,
}

/// Compares every layer for the golden segment, in order.
///
/// # Errors
/// Where the file cannot be run, or a layer departs: the error names the first.
pub(crate) fn layers(path: &Path, checkpoint: &Checkpoint) -> Result<Vec<Departure>> {
    let bytes = fs::read(path)?;
    let card = Session::from_bytes(&bytes, &on_cpu())?.metadata(Card::KEY);
    let card = Card::from_json(&card.context("it has no card")?)?;
    ensure!(
        card.fixed.is_free(),
        "layers are compared with one segment, and the sizes of this file are fixed; compile it without --batch and --segments"
    );
    ensure!(
        !card.huggingface,
        "the layers of Hugging Face's form are those of the file that was compiled beside its folder: compare that one"
    );
    let segment = checkpoint.probe().waveform(0).get(..card.segment_samples).unwrap_or_default();
    let mut expected = layer_outputs(checkpoint, segment)?;
    if card.embedding_only {
        expected.retain(|layer| layer.layer != "output");
    }
    let names: Vec<String> = expected.iter().map(|layer| layer.layer.clone()).collect();
    let mut session = Session::from_bytes(&tapped(&bytes, path, &names)?, &on_cpu())?;
    let found = run(&mut session, &card, segment)?;
    let mut departures = Vec::new();
    for layer in expected {
        let name = tap_name(&layer.layer);
        let output = found.iter().find(|output| output.name == name);
        let output = output.with_context(|| format!("it gives nothing for {}", layer.layer))?;
        ensure!(
            output.data.len() == layer.values.len(),
            "{} gives {} values, where {} are expected",
            layer.layer,
            output.data.len(),
            layer.values.len()
        );
        departures.push(Departure {
            relative: relative(&layer.values, &output.data),
            tolerance: layer_tolerance(card.precision),
            layer: layer.layer,
        });
    }
    let departs = |layer: &&Departure| layer.relative.is_nan() || layer.relative > layer.tolerance;
    let first = departures.iter().find(departs);
    match first {
        None => Ok(departures),
        Some(Departure { layer, relative, tolerance }) => Err(anyhow::anyhow!(
            "{layer} is the first layer that departs from the trained network: by {relative:.1e} of its values, where {tolerance:.0e} is allowed"
        )),
    }
}

fn run(session: &mut Session, card: &Card, segment: &[f32]) -> Result<Vec<NamedTensor>> {
    let zeros = vec![0.0; card.embedding_units];
    let (shape, state) = ([1, segment.len()], [1, card.embedding_units]);
    let mut inputs: Vec<(&str, &[usize], &[f32])> = vec![("waveform", &shape, segment)];
    if card.graph == GraphKind::Step {
        inputs.extend([("h", &state[..], &zeros[..]), ("c", &state, &zeros)]);
    }
    Ok(session.run(&inputs)?)
}

fn relative(expected: &[f64], found: &[f32]) -> f64 {
    let square = |sum: f64, value: f64| sum + value * value;
    let gaps = expected.iter().zip(found).map(|(expected, found)| expected - f64::from(*found));
    let all = expected.iter().copied().fold(0.0, square);
    // A layer of nothing but zeros has no size to compare with.
    (gaps.fold(0.0, square) / if all > 0.0 { all } else { 1.0 }).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_departure_is_relative_to_the_reference() {
        assert_eq!(relative(&[3.0, 4.0], &[3.0, 4.0]), 0.0);
        assert_eq!(relative(&[3.0, 4.0], &[3.0, 3.5]), 0.1);
        assert!(relative(&[3.0, 4.0], &[f32::NAN, 4.0]).is_nan());
        assert_eq!(relative(&[0.0], &[0.5]), 0.5);
    }
}
