//! The row of one file, as in `answers.schema.json`, and as CSV.

use leitmotif::Answer;
use leitmotif_models::Card;
use serde::Serialize;

use crate::gallery::Similar;

/// Version of rows and of the object that holds them. What is added to them does not raise it.
pub(super) const VERSION: u32 = 1;

/// The model that answers.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ModelName {
    pub(super) model: String,
    /// First 16 hexadecimal digits of the weights' SHA-256.
    pub(super) weights: String,
}

/// The JSON object of one file.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    pub(super) version: u32,
    pub(super) file: &'a str,
    #[serde(flatten)]
    pub(super) model: &'a ModelName,
    #[serde(flatten)]
    pub(super) outcome: Outcome<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Outcome<'a> {
    Answer {
        /// `null` where neither the card nor the user has a threshold.
        unknown: Option<bool>,
        silent: bool,
        #[serde(flatten)]
        answer: &'a Answer,
        /// With `--gallery`.
        #[serde(skip_serializing_if = "Option::is_none")]
        gallery: Option<&'a Similar>,
    },
    Error {
        error: &'a str,
    },
}

impl ModelName {
    pub(super) fn of(card: &Card) -> Self {
        let weights = card.weights_sha256.chars().take(16).collect();
        Self { model: card.name.clone(), weights }
    }
}

/// The columns of CSV, for so many artists.
pub(super) fn csv_columns(artists: usize) -> Vec<String> {
    let fixed = ["file", "model", "weights", "seconds", "silent", "unknown", "certainty", "error"];
    let ranks = (1..=artists).flat_map(|k| [format!("artist_{k}"), format!("probability_{k}")]);
    fixed.map(str::to_owned).into_iter().chain(ranks).collect()
}

impl Row<'_> {
    /// The values of [`csv_columns`]; those that an answer does not have are empty.
    pub(super) fn csv_values(&self, artists: usize) -> Vec<String> {
        let ModelName { model, weights } = self.model;
        let mut values = vec![self.file.to_owned(), model.clone(), weights.clone()];
        match &self.outcome {
            Outcome::Error { error } => {
                values.extend([const { String::new() }; 4]);
                values.push((*error).to_owned());
            }
            Outcome::Answer { unknown, silent, answer, .. } => {
                values.extend([
                    format!("{:.3}", answer.seconds),
                    silent.to_string(),
                    unknown.map(|unknown| unknown.to_string()).unwrap_or_default(),
                    answer.certainty.to_string(),
                    String::new(),
                ]);
                let ranked = answer.artists.iter().take(artists);
                values.extend(ranked.flat_map(|a| [a.artist.clone(), a.probability.to_string()]));
            }
        }
        values.resize(csv_columns(artists).len(), String::new());
        values
    }
}
