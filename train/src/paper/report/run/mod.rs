//! The page of one run: what was trained on what, how it went, what it gets wrong, and every setting.
//!
//! [`read`] reads the run's folder, each other module makes a section of it. Modules import only those above them:

mod read;

mod artists;
mod curves;
mod filters;
mod reliability;
mod scores;
mod settings;
mod songs;

use std::path::Path;

use leitmotif_models::text::{count, thousands};
use leitmotif_models::{HeadKind, SampleRate};
use read::TrainedRun;

use super::document::Report;
use crate::paper::experiment::error::ExperimentError;

/// Test songs below which intervals over songs are too narrow, as for the paper's claims.
const FEW_SONGS: usize = 20;

/// Makes the report of a run's folder.
///
/// # Errors
///
/// A file that cannot be read.
pub(super) fn report(folder: &Path) -> Result<Report, ExperimentError> {
    let run = TrainedRun::read(folder)?;
    let mut sections = vec![scores::section(&run), curves::section(&run)?];
    sections.extend(artists::section(&run));
    sections.extend(songs::section(&run)?);
    sections.extend(reliability::section(&run)?);
    sections.extend([
        filters::section(&run)?,
        settings::network(&run),
        settings::data(&run),
        settings::settings(&run),
        settings::machine(&run),
    ]);
    sections.retain(|section| !section.tables.is_empty() || !section.text.is_empty());
    let record = run.shown();
    let title = format!("Run {}: {} on {}", run.name, record.network.name, record.dataset.name);
    Ok(Report { version: 1, title, summary: summary(&run), caveats: caveats(&run), sections })
}

fn summary(run: &TrainedRun) -> Vec<String> {
    let record = run.shown();
    let (network, classes) = (&record.network, record.classes.len());
    let head = match network.head.kind {
        HeadKind::Dense => "dense",
        HeadKind::Lstm => "LSTM",
    };
    let costs = network.costs(classes);
    let about = match network.description.as_str() {
        "" => String::new(),
        about => format!(" ({about})"),
    };
    let seconds: f64 = run.history.rows().iter().map(|row| row.seconds).sum();
    let chosen = match (run.has_validation(), record.epoch == run.history.best_epoch()) {
        (true, true) => "the best by the validation part",
        (false, true) => "the last, since there is no validation part",
        (_, false) => "not the best",
    };
    let evaluated = match record.scores {
        Some(_) => format!("Evaluated is epoch {}, {chosen}", record.epoch),
        None => "The test part is not evaluated".to_owned(),
    };
    vec![
        format!(
            "Network {}{about} with a {head} head for {classes} artists: {} trainable parameters, {} multiply-adds a segment of {:.2} \
             seconds.",
            network.name,
            thousands(costs.trainable()),
            thousands(costs.multiply_adds()),
            SampleRate::NETWORK.seconds(network.segment as u64),
        ),
        format!(
            "Data set {}: {} of {}. Split by {}, seed {}: {:.1} % of the clips are the test part, {}.",
            record.dataset.name,
            count(record.dataset.clips, "clip"),
            count(record.dataset.songs, "song"),
            record.split.protocol,
            record.split.seed,
            100.0 * record.split.test_share,
            match record.split.validation_share > 0.0 {
                true => format!(
                    "{:.1} % of the others the validation part",
                    100.0 * record.split.validation_share
                ),
                false => "and there is no validation part".to_owned(),
            },
        ),
        format!(
            "{} of {} in {:.1} minutes of training{}. {evaluated}.",
            run.last.epoch,
            count(run.config.epochs, "epoch"),
            seconds / 60.0,
            match &run.config.recipe {
                Some(recipe) => format!(", recipe {recipe}"),
                None => String::new(),
            },
        ),
    ]
}

/// What a reader must know before believing a number.
fn caveats(run: &TrainedRun) -> Vec<String> {
    let mut caveats = Vec::new();
    let record = run.shown();
    let (done, planned) = (run.last.epoch, run.config.epochs);
    if done < planned && !run.history.is_exhausted(run.config.patience) {
        caveats.push(format!(
            "This run is not finished: {done} of {planned} epochs are done. `fit --resume` continues it."
        ));
    } else if record.scores.is_none() {
        caveats.push(match record.split.test_share > 0.0 {
            true => "Its epochs are done, but the test part was not evaluated: `fit --resume` does that.".to_owned(),
            false => "The split has no test part, so there are no scores.".to_owned(),
        });
    }
    if let Some(scores) = &record.scores {
        if scores.songs < FEW_SONGS {
            caveats.push(format!(
                "The test part has {}: intervals over so few are too narrow.",
                count(scores.songs, "song")
            ));
        }
        let untested = scores.artists.iter().filter(|artist| artist.songs == 0);
        let untested: Vec<&str> = untested.map(|artist| artist.artist.as_str()).collect();
        if !untested.is_empty() {
            caveats.push(format!("The test part has no song by {}.", untested.join(", ")));
        }
    }
    if let Some(problem) = &run.predictions_problem {
        caveats.push(problem.clone());
    }
    if !run.config.changes.is_empty() {
        caveats.push(format!("Changed when it was resumed: {}.", run.config.changes.join("; ")));
    }
    caveats
}
