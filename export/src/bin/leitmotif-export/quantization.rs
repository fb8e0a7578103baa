//! Calibrates int8 and evaluates fp16 and int8 against fp32, by running graphs in ONNX Runtime on real music.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use leitmotif::Recognizer;
use leitmotif::audio::Level;
use leitmotif::session::Session;
use leitmotif_export::{Calibrator, Checkpoint, MOST_LOSS, Recipe, compile, compile_as};
use leitmotif_models::{
    BeforeAfter, Calibration, Card, Fixed, GraphKind, Measured, Precision, RangeRule,
    segment_starts,
};

use crate::music::{Clip, Music, spread};
use crate::session::on_cpu;

/// Clips that calibrate. Ranges settle after some dozen; a hundred also hold the rare loud ones.
const MOST_CLIPS: usize = 128;

/// Segments of one clip that calibrate. Neighbours are alike, so a few spread over the clip give the ranges of all.
const MOST_SEGMENTS: usize = 8;

/// Completes `recipe`: ranges for int8, and what the precision costs on real music.
///
/// # Errors
/// Where int8 has no music to be calibrated with; where the music is silent or the network gives one answer for all of it; where
/// more than [`MOST_LOSS`] of the clips is lost and that is not allowed.
pub(crate) fn complete(
    recipe: &mut Recipe,
    checkpoint: &Checkpoint,
    music: Option<&Music>,
    rule: RangeRule,
    allow_loss: bool,
) -> Result<()> {
    if recipe.precision == Precision::Int8 {
        let music = music.context(
            "int8 is calibrated on real music: name the data set of the training with --calibrate, or a folder of audio files",
        )?;
        recipe.calibration = Some(calibrate(checkpoint, music, rule)?);
    }
    if let Some(music) = music {
        let (measured, answers) = measure(recipe, checkpoint, music)?;
        ensure!(
            allow_loss || measured.clips < 2 || answers.len() > 1,
            "the network answers {} for every clip of {}, so no precision can be evaluated on it; choose other music, or compile anyway with --allow-loss",
            first_name(checkpoint, &answers),
            music.source
        );
        ensure!(
            allow_loss || measured.loss() <= MOST_LOSS,
            "{} costs too much: {measured}; at most {:.0} % may be lost, so take fp16, another --ranges rule or more music, or compile anyway with --allow-loss",
            recipe.precision,
            100.0 * MOST_LOSS
        );
        recipe.measured = Some(measured);
    }
    Ok(())
}

/// The answer of a graph to its own golden input, for the card of int8.
///
/// # Errors
/// Where ONNX Runtime fails.
pub(crate) fn golden_answer(
    checkpoint: &Checkpoint,
    kind: GraphKind,
    recipe: &Recipe,
) -> Result<Vec<f32>> {
    // The recognizer needs free sizes and probabilities; a graph that is cut off or of fixed sizes computes the same.
    let free = Recipe {
        fixed: Fixed::default(),
        embedding_only: false,
        huggingface: false,
        ..recipe.clone()
    };
    let artifact = compile_as(checkpoint, kind, &free)?;
    let recognizer = Recognizer::from_bytes(artifact.bytes(), &on_cpu())?;
    let samples = compile_as(checkpoint, kind, recipe)?.card().golden.input.samples();
    Ok(recognizer.recognize_samples(&samples)?.uncalibrated)
}

fn calibrate(checkpoint: &Checkpoint, music: &Music, rule: RangeRule) -> Result<Calibration> {
    let network = &checkpoint.run().network;
    let mut session = Session::from_bytes(&Calibrator::graph(checkpoint)?, &on_cpu())?;
    let mut calibrator = Calibrator::new(checkpoint);
    let (mut clips, mut segments, mut silent) = (0, 0, 0);
    for clip in spread(&music.calibration, MOST_CLIPS) {
        let Some(samples) = music.samples(clip)? else { continue };
        let starts: Vec<usize> =
            segment_starts(samples.len(), network.segment, network.hop).collect();
        if Level::is_silent(&samples) {
            silent += 1;
        } else if !starts.is_empty() {
            clips += 1;
        }
        let step = starts.len().div_ceil(MOST_SEGMENTS).max(1);
        for start in starts.into_iter().step_by(step) {
            let segment = samples.get(start..start + network.segment).unwrap_or_default();
            if Level::is_silent(segment) {
                continue;
            }
            segments += 1;
            for output in session.run(&[("waveform", &[1, network.segment], segment)])? {
                calibrator.add(&output.name, &output.data)?;
            }
        }
    }
    ensure!(
        segments > 0,
        "{} has nothing to calibrate with: {silent} of its clips are silent and the others cannot be decoded or are shorter than a segment",
        music.source
    );
    Ok(calibrator.finish(rule, &music.source, clips, segments)?)
}

/// Evaluates `recipe` against fp32 on every evaluation clip; also the classes that fp32 answers.
fn measure(
    recipe: &Recipe,
    checkpoint: &Checkpoint,
    music: &Music,
) -> Result<(Measured, BTreeSet<usize>)> {
    let [whole, _] = GraphKind::of_head(checkpoint.run().network.head.kind);
    let before = compile(checkpoint, whole, &recipe.name)?;
    let after = compile_as(checkpoint, whole, recipe)?;
    let before = Recognizer::from_bytes(before.bytes(), &on_cpu())?;
    let after = Recognizer::from_bytes(after.bytes(), &on_cpu())?;
    let mut measured = Measured { source: music.source.clone(), clips: 0, changed: 0, right: None };
    let mut right = BeforeAfter { before: 0, after: 0 };
    let mut answers = BTreeSet::new();
    for clip in &music.evaluation {
        let Some(samples) = music.samples(clip)? else { continue };
        let Some(was) = best(&before, &samples)? else { continue };
        let Some(is) = best(&after, &samples)? else { continue };
        answers.insert(was);
        measured.clips += 1;
        measured.changed += usize::from(was != is);
        if let Some(class) = clip.class {
            right.before += usize::from(was == class);
            right.after += usize::from(is == class);
        }
    }
    ensure!(measured.clips > 0, "no clip of {} is as long as a segment", music.source);
    let known = |clip: &Clip| clip.class.is_some();
    measured.right = music.evaluation.iter().all(known).then_some(right);
    Ok((measured, answers))
}

fn first_name<'a>(checkpoint: &'a Checkpoint, classes: &BTreeSet<usize>) -> &'a str {
    let class = classes.first().and_then(|class| checkpoint.run().classes.get(*class));
    class.map_or("nothing", String::as_str)
}

/// The most probable class; `None` where there is less than a segment.
fn best(recognizer: &Recognizer, samples: &[f32]) -> Result<Option<usize>> {
    match recognizer.recognize_samples(samples) {
        Ok(answer) => Ok(answer.best().map(|score| score.class)),
        Err(leitmotif::Error::TooShort { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What was calibrated and measured, a line each.
pub(crate) fn format_quantization(card: &Card) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(Calibration { rule, source, clips, segments, .. }) = &card.calibration {
        lines.push(format!(
            "calibrated on {segments} segments of {clips} clips ({source}), ranges by {rule}"
        ));
    }
    if let Some(measured) = &card.measured {
        lines.push(format!("measured: {measured}"));
    }
    lines
}
