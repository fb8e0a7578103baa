//! `leitmotif evaluate`: predictions and scores of a model on a part of a prepared data set, equal to the trainer's.

mod dataset;
mod error;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use leitmotif::{Card, Recognizer};
use leitmotif_models::text::{count, first_names, printable};
use leitmotif_models::{ClassId, HeadKind, Prediction, Predictions, Scores};

use self::dataset::{Clip, Dataset, Split};
use crate::console::{INTERRUPTED, STOP, log, progress, stop_on_ctrl_c, wait_if_ending};
use crate::files;
use crate::model::{Model, RunOptions};

#[derive(clap::Args)]
pub(crate) struct Evaluate {
    #[command(flatten)]
    model: Model,
    /// Folder of the data set, made by leitmotif-train prepare
    dataset: PathBuf,
    /// Name of the split, e.g. song-seed1
    #[arg(long)]
    split: String,
    /// Allow another split than the one it was trained on: it may have been trained on the songs that test it
    #[arg(long)]
    other_split: bool,
    /// Part of the split
    #[arg(long, value_enum, default_value = "test")]
    part: Part,
    /// Write the predictions for every clip to this file
    #[arg(long, value_name = "FILE")]
    predictions: Option<PathBuf>,
    /// Print the scores as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: RunOptions,
}

/// The part of a split that a clip belongs to, by its name in the split's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Part {
    Train,
    Validation,
    Test,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Train => "train",
            Part::Validation => "validation",
            Part::Test => "test",
        }
    }
}

/// How many names of left-out artists are printed.
const NAMED_ARTISTS: usize = 5;

impl Evaluate {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        stop_on_ctrl_c("this clip")?;
        self.predictions.iter().try_for_each(|file| files::check_writable(file))?;
        let recognizer = self.options.open(&self.model.model)?;
        let card = recognizer.card().clone();
        let split = Split::read(&self.dataset, &self.split)?;
        if !self.other_split {
            check_split(&card, &self.split, &split)?;
        }
        let dataset = Dataset::open(&self.dataset, &split, self.part, &card.classes)?;
        ensure!(
            dataset.sample_rate == card.sample_rate,
            "the data set is at {} and the model takes {}: prepare it again",
            dataset.sample_rate,
            card.sample_rate
        );
        if !dataset.left_out.is_empty() {
            log(&format!(
                "{} left out: the model has no class for {}",
                count(dataset.left_out.values().sum(), "clip"),
                first_names(dataset.left_out.keys(), NAMED_ARTISTS)
            ));
        }
        let Some(predictions) = predict(&recognizer, &card, &dataset)? else {
            log("stopped; there are no scores of a part of the clips");
            return Ok(ExitCode::from(INTERRUPTED));
        };
        if let Some(file) = &self.predictions {
            files::replace(file, predictions.to_lines()?.as_bytes())?;
        }
        let scores = Scores::of(&predictions).context("there are no clips to evaluate")?;
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&scores)?)?;
        } else {
            let (part, device) = (self.part.name(), recognizer.device().device);
            writeln!(out, "{part} part of {} on {device}", printable(&self.split))?;
            write!(out, "{scores}")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Refuses another split than that of the training, whose songs the model may know.
fn check_split(card: &Card, name: &str, split: &Split) -> anyhow::Result<()> {
    let then = format!("{}-seed{}", card.split.protocol, card.split.seed);
    let same = match &card.split.digest {
        Some(digest) => *digest == split.digest,
        None => then == name,
    };
    let digest = card.split.digest.as_deref().unwrap_or("unknown");
    ensure!(
        same,
        "the model was trained on another split ({then}, digest {digest}; this one: {name}, digest {}), so these clips may \
         be ones that it was trained on: evaluate on its own split, or say --other-split",
        split.digest
    );
    Ok(())
}

/// The answers for all clips; `None` if it was stopped.
fn predict(
    recognizer: &Recognizer,
    card: &Card,
    dataset: &Dataset,
) -> anyhow::Result<Option<Predictions>> {
    let bar = progress(dataset.clips.len());
    let mut predictions = Vec::with_capacity(dataset.clips.len());
    let mut samples = Vec::new();
    for clip in &dataset.clips {
        if STOP.is_cancelled() {
            return Ok(None);
        }
        dataset.read(clip, &mut samples)?;
        predictions.push(predict_clip(recognizer, card, clip, &samples)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Some(Predictions::new(card.classes.clone(), predictions)?))
}

fn predict_clip(
    recognizer: &Recognizer,
    card: &Card,
    clip: &Clip,
    samples: &[f32],
) -> anyhow::Result<Prediction> {
    let answer = recognizer.recognize_samples_at(samples, card.sample_rate);
    wait_if_ending();
    let answer = answer.with_context(|| format!("clip {}", clip.clip))?;
    let weight = match card.graph.head() {
        HeadKind::Dense => answer.segments,
        HeadKind::Lstm => answer.windows,
    };
    let right = answer.timeline.iter().filter(|moment| moment.best() == clip.class);
    Ok(Prediction {
        clip: clip.clip.clone(),
        song: clip.song.clone(),
        truth: ClassId(clip.class),
        segments: answer.segments,
        segments_right: right.count(),
        weight,
        certainty: answer.certainty,
        probabilities: answer.uncalibrated,
    })
}
