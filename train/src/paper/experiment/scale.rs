//! How large the experiments are: epochs, runs, splits, batches, and smaller networks under the paper's names.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use leitmotif_dataset::split::{Protocol, SplitRequest};
use leitmotif_models::{Network, NetworkError};
use serde::{Deserialize, Serialize};

use super::error::{DescriptionError, ExperimentError};
use crate::learn::config::FitConfig;

const BUILT_IN: [(&str, &str); 3] = [
    ("paper", include_str!("../../../scales/paper.toml")),
    ("small", include_str!("../../../scales/small.toml")),
    ("five-splits", include_str!("../../../scales/five-splits.toml")),
];

/// Share of the clips outside the test part that early stopping validates on, where a scale has no `validation`.
const VALIDATION: f64 = 0.1;

/// How the choice begins that says what the command line changed.
const BY_COMMAND_LINE: &str = "By the command line: ";

/// What every run of every experiment has in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Short name.
    pub name: String,
    /// One line for the report.
    #[serde(rename = "about")]
    pub description: String,
    /// Passes over the training part.
    pub epochs: usize,
    /// The scale's own epochs, where the command line asked for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_epochs: Option<usize>,
    /// Runs on each split, with seeds 1, 2, ….
    pub runs: usize,
    /// Splits, with seeds 1, 2, ….
    pub splits: usize,
    /// Share of each artist's clips to test on.
    pub test: f64,
    /// Share of the clips outside the test part to validate on.
    pub validation: f64,
    /// Clips in a batch.
    pub batch: usize,
    /// Adam's constant learning rate.
    #[serde(rename = "rate")]
    pub learning_rate: f64,
    /// Momentum of batch norms, where it is not the networks' own.
    #[serde(default)]
    pub norm_momentum: Option<f32>,
    /// Epochs without better validation after which a run ends and its best epoch is evaluated; no early stopping where absent.
    #[serde(default)]
    pub patience: Option<usize>,
    /// Decisions that the paper leaves open, for the report.
    #[serde(default)]
    pub choices: Vec<String>,
    /// Networks in place of the presets of these names.
    #[serde(default)]
    pub networks: BTreeMap<String, Network>,
}

/// What the command line changes.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScaleChanges {
    /// Epochs.
    pub epochs: Option<usize>,
    /// Runs on each split.
    pub runs: Option<usize>,
    /// Splits.
    pub splits: Option<usize>,
    /// Early stopping.
    pub patience: Option<usize>,
}

impl Scale {
    /// One by its name, or the file at a path that ends in `.toml`.
    ///
    /// # Errors
    ///
    /// An unknown name, a file that cannot be read, numbers out of range.
    pub fn named(name: &str, changes: ScaleChanges) -> Result<Self, ExperimentError> {
        let path = Path::new(name);
        let text = if path.extension().is_some_and(|ending| ending == "toml") {
            fs::read_to_string(path).map_err(|e| ExperimentError::file(path, e))?
        } else if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            (*text).to_owned()
        } else {
            let known = BUILT_IN.map(|(known, _)| known).join(", ");
            return Err(DescriptionError::UnknownScale { name: name.to_owned(), known }.into());
        };
        let mut scale: Scale =
            toml::from_str(&text).map_err(|e| DescriptionError::toml(name, e))?;
        scale.change(changes);
        for (field, number) in
            [("epochs", scale.epochs), ("runs", scale.runs), ("splits", scale.splits)]
        {
            if !(1..=100_000).contains(&number) {
                let reason = format!("`{field}` is {number}, but it must be from 1 to 100000");
                return Err(DescriptionError::inconsistent(name, reason).into());
            }
        }
        scale
            .config(1)
            .check()
            .map_err(|source| DescriptionError::Setting { file: name.to_owned(), source })?;
        if scale.patience.is_some() && scale.validation <= 0.0 {
            let reason = "`patience` watches validation: set `validation` above 0".to_owned();
            return Err(DescriptionError::inconsistent(name, reason).into());
        }
        Ok(scale)
    }

    /// Applies the command line's settings, and notes them among the choices.
    fn change(&mut self, changes: ScaleChanges) {
        let ScaleChanges { epochs, runs, splits, patience } = changes;
        let mut notes = Vec::new();
        self.full_epochs = epochs.filter(|given| *given != self.epochs).and(Some(self.epochs));
        for (unit, setting, given) in [
            ("epochs", &mut self.epochs, epochs),
            ("runs on each split", &mut self.runs, runs),
            ("splits", &mut self.splits, splits),
        ] {
            if let Some(given) = given.filter(|given| given != setting) {
                notes.push(format!("{given} {unit} instead of {setting}"));
                *setting = given;
            }
        }
        if let Some(patience) = patience {
            self.patience = Some(patience);
            if self.validation <= 0.0 {
                self.validation = VALIDATION;
            }
            notes.push(format!("early stopping after {patience} epochs without better validation"));
        }
        if !notes.is_empty() {
            self.choices.push(format!("{BY_COMMAND_LINE}{}.", notes.join(", ")));
        }
    }

    /// What the command line changed, as a sentence.
    pub fn changes(&self) -> Option<&str> {
        self.choices.iter().map(String::as_str).find(|choice| choice.starts_with(BY_COMMAND_LINE))
    }

    /// The epochs that the scale has when the command line changes nothing; of results from before this was kept, those of
    /// the scale of that name.
    pub fn epochs_in_full(&self) -> usize {
        let built_in = || {
            self.changes()?;
            let (_, text) = BUILT_IN.iter().find(|(name, _)| *name == self.name)?;
            Some(toml::from_str::<Scale>(text).ok()?.epochs)
        };
        self.full_epochs.or_else(built_in).unwrap_or(self.epochs)
    }

    /// The network of a series.
    ///
    /// # Errors
    ///
    /// A name that is neither this scale's nor a preset's.
    pub fn network(&self, name: &str) -> Result<Network, NetworkError> {
        self.networks.get(name).cloned().map_or_else(|| Network::preset(name), Ok)
    }

    /// The split of that seed.
    pub fn split(&self, protocol: Protocol, seed: u64) -> SplitRequest {
        SplitRequest { protocol, seed, test: self.test, validation: self.validation }
    }

    /// The settings of the run of that seed.
    pub fn config(&self, seed: u64) -> FitConfig {
        FitConfig {
            epochs: self.epochs,
            batch: self.batch,
            learning_rate: self.learning_rate,
            norm_momentum: self.norm_momentum,
            patience: self.patience,
            watch_test: true,
            seed,
            ..FitConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_scales_are_consistent() {
        let paper = Scale::named("paper", ScaleChanges::default()).unwrap();
        assert_eq!((paper.epochs, paper.runs, paper.splits, paper.batch), (50, 3, 1, 16));
        assert_eq!(paper.network("model1").unwrap(), Network::preset("model1").unwrap());
        let small = Scale::named("small", ScaleChanges::default()).unwrap();
        for (name, window, hop) in [
            ("model1", 7, 59_049),
            ("model2", 7, 59_049),
            ("model3", 23, 19_683),
            ("model4", 46, 9_841),
        ] {
            let network = small.network(name).unwrap();
            assert_eq!((network.window, network.hop), (window, hop), "{name}");
            assert!(network.clip_samples() <= 465_984, "{name}");
        }
        assert!(small.network("model9").unwrap_err().to_string().contains("model9"));
    }

    #[test]
    fn changes_by_the_command_line_are_noted_among_the_choices() {
        let changes =
            ScaleChanges { epochs: Some(3), patience: Some(2), ..ScaleChanges::default() };
        let scale = Scale::named("paper", changes).unwrap();
        assert_eq!((scale.epochs, scale.patience, scale.validation), (3, Some(2), VALIDATION));
        let note = scale.choices.last().unwrap();
        assert!(
            note.contains("3 epochs instead of 50") && note.contains("early stopping"),
            "{note}"
        );
        assert_eq!((scale.changes(), scale.epochs_in_full()), (Some(note.as_str()), 50));
        let older = Scale { full_epochs: None, ..scale };
        assert_eq!(older.epochs_in_full(), 50);
        let own = Scale { name: "own".to_owned(), ..older };
        assert_eq!(own.epochs_in_full(), 3);
        let changes = ScaleChanges { runs: Some(0), ..ScaleChanges::default() };
        assert!(Scale::named("paper", changes).unwrap_err().to_string().contains("`runs` is 0"));
        let unknown = Scale::named("huge", ScaleChanges::default()).unwrap_err().to_string();
        assert!(unknown.contains("paper, small, five-splits"), "{unknown}");
    }
}
