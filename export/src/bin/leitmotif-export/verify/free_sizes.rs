//! Whether int8 of fixed sizes, in Hugging Face's form or one that ends with the embedding, answers as the whole file of free sizes does.
//!
//! That file is the one that was evaluated on real music. The probe cannot check these: eight bits are too far from the
//! trainer's answers to be compared with them.

use anyhow::{Result, bail};
use leitmotif::session::{NamedTensor, Session};
use leitmotif_export::{Checkpoint, INT8_TOLERANCE, Recipe, compile_as};
use leitmotif_models::{Card, Fixed, GraphKind};

use super::parity::shaped;
use crate::session::{CLIPS_PER_CALL, on_cpu};

/// Largest difference of an embedding or a hidden state, which are within ±1: the integers are the same, but one that is
/// rounded differently moves the layer behind it by some hundredths.
const INT8_EMBEDDING: f32 = 1e-1;

/// Runs both on the probe's rows, again from the first one where the batch is larger, and compares every output that both have
/// and that has bounds: not logits, and not the cell state.
///
/// # Errors
/// An output of another shape, or further away than the integers can be.
pub(super) fn same_answers(
    session: &mut Session,
    card: &Card,
    checkpoint: &Checkpoint,
) -> Result<()> {
    let whole = Recipe {
        fixed: Fixed::default(),
        embedding_only: false,
        huggingface: false,
        ..Recipe::of(card)
    };
    let whole = compile_as(checkpoint, card.graph, &whole)?;
    let mut whole = Session::from_bytes(whole.bytes(), &on_cpu())?;

    let probe = checkpoint.probe();
    let samples = match card.graph.takes_any_length() {
        true => card.network.samples_of(card.fixed.segments.unwrap_or(probe.segments())),
        false => card.segment_samples,
    };
    let rows = card.fixed.batch.unwrap_or(CLIPS_PER_CALL);
    let row = |row| probe.waveform(row % probe.rows().max(1)).get(..samples).unwrap_or_default();
    let waveform: Vec<f32> = (0..rows).flat_map(row).copied().collect();
    let zeros = vec![0.0; rows * card.embedding_units];
    let (shape, state) = ([rows, samples], [rows, card.embedding_units]);
    let mut inputs = vec![("waveform", &shape[..], &waveform[..])];
    if card.graph == GraphKind::Step {
        inputs.extend([("h", &state[..], &zeros[..]), ("c", &state[..], &zeros[..])]);
    }
    let found = match card.huggingface {
        true => {
            let inputs = [(card.waveform_input(), &shape[..], &waveform[..])];
            super::hub_probabilities(card, &session.run(&inputs)?)?
        }
        false => session.run(&inputs)?,
    };
    for expected in whole.run(&inputs)? {
        let is_there = found.iter().any(|found| found.name == expected.name);
        if let Some(allowed) = allowed(&expected.name).filter(|_| is_there) {
            near(&found, &expected, allowed)?;
        }
    }
    Ok(())
}

fn allowed(output: &str) -> Option<f32> {
    match output {
        "logits" | "c_next" => None,
        _ if output.ends_with("probabilities") => Some(INT8_TOLERANCE),
        _ => Some(INT8_EMBEDDING),
    }
}

fn near(outputs: &[NamedTensor], expected: &NamedTensor, allowed: f32) -> Result<()> {
    let name = &expected.name;
    let found = shaped(outputs, name, &expected.shape)?;
    let gap = |(a, b): (&f32, &f32)| (a - b).abs();
    // A NaN is further away than anything.
    let further = |gap: &f32| gap.is_nan() || *gap > allowed;
    let mut gaps = found.data.iter().zip(&expected.data).map(gap);
    match gaps.find(further) {
        None => Ok(()),
        Some(gap) => bail!(
            "`{name}` differs from the file of free sizes by {gap:.1e}, where {allowed:.0e} is allowed"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, shape: &[usize], data: &[f32]) -> NamedTensor {
        NamedTensor { name: name.into(), shape: shape.to_vec(), data: data.to_vec() }
    }

    #[test]
    fn what_is_far_away_misshapen_or_no_number_is_refused() {
        let expected = tensor("probabilities", &[1, 2], &[0.5, 0.5]);
        let compare = |shape: &[usize], data: &[f32]| {
            near(&[tensor("probabilities", shape, data)], &expected, INT8_TOLERANCE)
        };
        compare(&[1, 2], &[0.51, 0.49]).unwrap();
        for (shape, data) in
            [(&[1, 2], [0.53, 0.47]), (&[1, 2], [f32::NAN, 0.5]), (&[2, 1], [0.5, 0.5])]
        {
            compare(shape, &data).unwrap_err();
        }
        assert_eq!(allowed("segment_probabilities"), Some(INT8_TOLERANCE));
        assert_eq!([allowed("logits"), allowed("c_next")], [None, None]);
    }
}
