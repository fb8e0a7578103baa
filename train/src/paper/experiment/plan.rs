//! The runs that experiments need on a data set, each once however many need it.

use std::collections::BTreeMap;
use std::path::Path;

use leitmotif_dataset::split::{LeakReport, SplitRequest, split};
use leitmotif_dataset::store::{Clips, Dataset, Part, StoreError, split_digest, write_split};
use leitmotif_models::Network;
use leitmotif_models::text::short_hex;
use sha2::{Digest, Sha256};

use super::error::{DescriptionError, ExperimentError};
use super::results_dir::{PlannedExperiment, SplitFile, training_digest};
use super::scale::Scale;
use super::spec::Experiment;
use crate::learn::config::FitConfig;

/// Experiments with everything that they need.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The experiments with the keys of their runs.
    pub experiments: Vec<PlannedExperiment>,
    /// Every run once, in the order in which they are first needed.
    pub runs: Vec<PlannedRun>,
    /// The splits of these runs.
    pub splits: Vec<PlannedSplit>,
}

/// A run to be done once.
#[derive(Clone, Debug)]
pub struct PlannedRun {
    /// Name of its folder: readable, and unique by configuration, seed, data set and split.
    pub key: String,
    /// Its network.
    pub network: Network,
    /// Its settings.
    pub config: FitConfig,
    /// Name of its split.
    pub split: String,
    /// Digest of that split when this was planned; the key depends on it.
    pub split_digest: String,
    /// Whether its filters are analysed.
    pub analyse_filters: bool,
}

/// A split that exists or can be made.
#[derive(Clone, Debug)]
pub struct PlannedSplit {
    /// Name of its file.
    pub name: String,
    /// What it is made from.
    pub request: SplitRequest,
    /// The part of each clip.
    pub parts: Vec<Option<Part>>,
    /// Artists that are left out, and why.
    pub without: Vec<String>,
    /// Whether the data set has it already.
    pub exists: bool,
}

/// The settings of a recipe by its name, with some changed; or what is wrong.
pub type Recipes<'a> = dyn Fn(&str, &toml::Table) -> Result<FitConfig, String> + 'a;

impl Plan {
    /// Plans `experiments` at `scale` on a data set, without writing anything. `recipes` gives the settings of a recipe with
    /// some changed, or says what is wrong with them.
    ///
    /// # Errors
    ///
    /// An unknown network or recipe, a split that cannot be made.
    pub fn new(
        experiments: &[(String, Experiment)],
        scale: &Scale,
        dataset: &Dataset,
        recipes: &Recipes<'_>,
    ) -> Result<Self, ExperimentError> {
        let dataset_digest = training_digest(dataset.clips());
        let mut plan = Plan { experiments: Vec::new(), runs: Vec::new(), splits: Vec::new() };
        let mut digests = BTreeMap::new();
        for (file, experiment) in experiments {
            let mut keys = Vec::new();
            let mut epochs = BTreeMap::new();
            for series in &experiment.series {
                let network = scale.network(&series.network).map_err(|source| {
                    let (file, line) = (file.clone(), series.label.clone());
                    DescriptionError::Network { file, line, source }
                })?;
                let network = network.with_head(series.head);
                let recipe = series.recipe.as_deref().map(|recipe| {
                    recipes(recipe, &series.settings).map_err(|reason| {
                        let (file, line) = (file.clone(), series.label.clone());
                        DescriptionError::Recipe { file, line, reason }
                    })
                });
                let recipe = recipe.transpose()?;
                if let Some(recipe) = &recipe {
                    epochs.insert(series.label.clone(), recipe.epochs);
                }
                let mut series_keys = Vec::new();
                for split_seed in 1..=scale.splits as u64 {
                    let request = scale.split(series.split, split_seed);
                    let name = plan.split(dataset, request)?;
                    let split_digest = digests.entry(name.clone()).or_insert_with(|| {
                        let of = plan.splits.iter().find(|split| split.name == name);
                        of.map(|split| split_digest(dataset.clips(), &split.parts))
                            .unwrap_or_default()
                    });
                    for seed in 1..=scale.runs as u64 {
                        let config = match &recipe {
                            Some(recipe) => FitConfig { seed, ..recipe.clone() },
                            None => scale.config(seed),
                        };
                        let key = key(&network, &config, &name, [&dataset_digest, split_digest])?;
                        let analyse_filters = experiment.analyse_filters && series_keys.is_empty();
                        match plan.runs.iter_mut().find(|run| run.key == key) {
                            Some(known) => known.analyse_filters |= analyse_filters,
                            None => plan.runs.push(PlannedRun {
                                key: key.clone(),
                                network: network.clone(),
                                config,
                                split: name.clone(),
                                split_digest: split_digest.clone(),
                                analyse_filters,
                            }),
                        }
                        series_keys.push(key);
                    }
                }
                keys.push(series_keys);
            }
            let (experiment, scale) = (experiment.clone(), scale.clone());
            plan.experiments.push(PlannedExperiment { experiment, scale, runs: keys, epochs });
        }
        Ok(plan)
    }

    /// The name of the split for this request, which is planned where it is not yet.
    fn split(
        &mut self,
        dataset: &Dataset,
        request: SplitRequest,
    ) -> Result<String, ExperimentError> {
        if let Some(planned) = self.splits.iter().find(|split| split.request == request) {
            return Ok(planned.name.clone());
        }
        let made = split(dataset.clips(), &request)?;
        let percent = |share: f64| (1e4 * share).round() / 100.0;
        let exact = format!(
            "{}-test{}-validation{}-seed{}",
            request.protocol,
            percent(request.test),
            percent(request.validation),
            request.seed
        );
        // The user's own split of the plain name may have other shares: it stays, and ours has its shares in its name.
        for name in [request.name(), exact.clone()] {
            let exists = match dataset.read_split(&name) {
                Ok(parts) if parts == made.parts => true,
                Ok(_) => continue,
                Err(StoreError::NoSplit { .. }) => false,
                Err(error) => return Err(error.into()),
            };
            let without = made.excluded_artists.clone();
            let planned =
                PlannedSplit { name: name.clone(), request, parts: made.parts, without, exists };
            self.splits.push(planned);
            return Ok(name);
        }
        let path = dataset.folder().join("splits").join(format!("{exact}.csv"));
        Err(DescriptionError::SplitFile { path }.into())
    }

    /// Writes the splits that the data set lacks.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn write_splits(&self, dataset: &Dataset) -> Result<(), ExperimentError> {
        for split in self.splits.iter().filter(|split| !split.exists) {
            write_split(dataset.folder(), &split.name, dataset.clips(), &split.parts)?;
        }
        Ok(())
    }
}

impl PlannedSplit {
    /// Its file in the results.
    pub fn to_file(&self, clips: &Clips) -> SplitFile {
        let count = |part| self.parts.iter().filter(|of| **of == Some(part)).count();
        SplitFile {
            name: self.name.clone(),
            request: self.request,
            digest: Some(split_digest(clips, &self.parts)),
            train: count(Part::Train),
            validation: count(Part::Validation),
            test: count(Part::Test),
            without: self.without.clone(),
            leaks: LeakReport::new(clips, &self.parts),
        }
    }
}

/// A run's key, which depends neither on descriptions nor on the device and the number of threads.
fn key(
    network: &Network,
    config: &FitConfig,
    split: &str,
    digests: [&str; 2],
) -> Result<String, ExperimentError> {
    let bare = Network { description: String::new(), classes: None, ..network.clone() };
    let text = serde_json::to_string(&(&bare, &config.bare(), digests))
        .map_err(|e| ExperimentError::broken(Path::new(split), e))?;
    let hash = short_hex(&Sha256::digest(text), 12);
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: String = network.name.chars().take(40).map(plain).collect();
    Ok(format!("{name}-{}-{split}-run{}-{hash}", network.head.kind, config.seed))
}

#[cfg(test)]
mod tests {
    use leitmotif_models::HeadKind;

    use super::*;

    fn of(network: &Network, config: &FitConfig, digests: [&str; 2]) -> String {
        key(network, config, "song-seed1", digests).unwrap()
    }

    #[test]
    fn a_key_depends_on_what_makes_another_run_and_on_nothing_else() {
        let network = Network::preset("model1").unwrap();
        let config = FitConfig::default();
        let digests = ["music", "split"];
        let one = of(&network, &config, digests);
        // Results of earlier versions lie under this key.
        assert_eq!(one, "model1-dense-song-seed1-run1-cbf48057e37d");
        for same in [
            FitConfig { threads: 7, ..config.clone() },
            FitConfig { device: "cuda".to_owned(), ..config.clone() },
            FitConfig { changes: vec!["threads 1 to 7".to_owned()], ..config.clone() },
            FitConfig { checkpoint_minutes: 1.0, keep_checkpoints: 3, ..config.clone() },
        ] {
            assert_eq!(of(&network, &same, digests), one);
        }
        let described = Network { description: "another".to_owned(), ..network.clone() };
        assert_eq!(of(&described, &config, digests), one);
        for other in [
            FitConfig { seed: 2, ..config.clone() },
            FitConfig { epochs: 21, ..config.clone() },
            FitConfig { learning_rate: 2e-3, ..config.clone() },
            FitConfig { patience: Some(3), ..config.clone() },
        ] {
            assert_ne!(of(&network, &other, digests), one);
        }
        let mut wider = network.clone();
        wider.blocks[3].filters += 1;
        let lstm = network.clone().with_head(HeadKind::Lstm);
        for other in [of(&wider, &config, digests), of(&lstm, &config, digests)] {
            assert_ne!(other, one);
        }
        assert_ne!(of(&network, &config, ["other music", "split"]), one);
        assert_ne!(of(&network, &config, ["music", "another split"]), one);
    }
}
