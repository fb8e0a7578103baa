//! Whether int8 pays on this machine: its file and that in fp32 for the same target, run in turns.

use std::time::{Duration, Instant};

use anyhow::Result;
use leitmotif::{RecognizeOptions, Recognizer};
use leitmotif_export::{Checkpoint, Recipe, compile_as};
use leitmotif_models::{Fixed, GraphKind, Precision};
use serde::Serialize;

use crate::session::on_cpu;

/// Pairs of runs; medians are taken.
const PAIRS: usize = 7;
/// Of music in one run, at least.
const SECONDS: f64 = 10.0;

/// Medians over [`PAIRS`] alternating runs on one thread.
#[derive(Debug, Serialize)]
pub(crate) struct Speed {
    /// Seconds of the fp32 file for the same target.
    fp32_seconds: f64,
    /// Seconds of the int8 file.
    int8_seconds: f64,
    /// Of music.
    of_seconds: f64,
    /// fp32 divided by int8: above 1, int8 is faster.
    ratio: f64,
    threads: usize,
}

impl Speed {
    /// The sentence that is printed.
    pub(crate) fn describe(&self) -> String {
        let Self { fp32_seconds, int8_seconds, of_seconds, ratio, .. } = self;
        let verdict = if *ratio < 1.0 {
            format!("slower than fp32 here ({ratio:.2} times its speed): for speed take fp32")
        } else {
            format!("{ratio:.2} times as fast as fp32 here")
        };
        format!(
            "speed: int8 is {verdict}; {:.1} and {:.1} ms for {of_seconds:.0} s of music, one thread of this CPU",
            1e3 * int8_seconds,
            1e3 * fp32_seconds
        )
    }
}

/// Runs int8 and fp32 of the graph that takes whole recordings; `None` where nothing is int8 or it cannot run alone.
///
/// # Errors
/// Where ONNX Runtime fails.
pub(crate) fn compare(checkpoint: &Checkpoint, recipe: &Recipe) -> Result<Option<Speed>> {
    if recipe.precision != Precision::Int8 || recipe.embedding_only {
        return Ok(None);
    }
    let [whole, _] = GraphKind::of_head(checkpoint.run().network.head.kind);
    let int8 = Recipe { fixed: Fixed::default(), ..recipe.clone() };
    let fp32 = Recipe { target: recipe.target, ..Recipe::named(&recipe.name) };
    let open = |recipe: &Recipe| -> Result<Recognizer> {
        let artifact = compile_as(checkpoint, whole, recipe)?;
        Ok(Recognizer::from_bytes(artifact.bytes(), &on_cpu().with_threads(1))?)
    };
    let (int8, fp32) = (open(&int8)?, open(&fp32)?);
    let golden = fp32.card().golden.input.samples();
    let rate = f64::from(fp32.card().sample_rate.0);
    let times = (SECONDS * rate / golden.len().max(1) as f64).ceil() as usize;
    let music = golden.repeat(times.max(1));
    let options = RecognizeOptions::new().with_timeline(false);
    let run = |recognizer: &Recognizer| -> Result<Duration> {
        let began = Instant::now();
        recognizer.recognize_samples_with(&music, &options)?;
        Ok(began.elapsed())
    };
    let (mut of_int8, mut of_fp32) = (Vec::new(), Vec::new());
    // The first pair warms up.
    for pair in 0..=PAIRS {
        let (first, second) = if pair % 2 == 0 { (&int8, &fp32) } else { (&fp32, &int8) };
        let (first, second) = (run(first)?, run(second)?);
        let (own, other) = if pair % 2 == 0 { (first, second) } else { (second, first) };
        if pair > 0 {
            of_int8.push(own.as_secs_f64());
            of_fp32.push(other.as_secs_f64());
        }
    }
    let ratios = of_fp32.iter().zip(&of_int8).map(|(fp32, int8)| fp32 / int8).collect();
    Ok(Some(Speed {
        fp32_seconds: median(of_fp32),
        int8_seconds: median(of_int8),
        of_seconds: music.len() as f64 / rate,
        ratio: median(ratios),
        threads: 1,
    }))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
