//! The runs that experiments want of a data set, each once however many want it.

use std::collections::BTreeMap;
use std::path::Path;

use leitmotif_dataset::store::{Dataset, StoreError, split_digest, write_split};
use leitmotif_models::Network;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::ExperimentError;
use super::results_dir::{self, PlannedSplit};
use super::scale::Scale;
use super::spec::Experiment;
use crate::learn::checkpoint::{is_checkpoint, read_record};
use crate::learn::config::FitConfig;
use leitmotif_dataset::split::{SplitRequest, split};
use leitmotif_models::checkpoint::{BEST, LAST};

/// Everything that was asked for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The experiments with the keys of their runs.
    pub asked: Vec<Asked>,
    /// Every run once, in the order in which they are first wanted.
    pub runs: Vec<Wanted>,
    /// The splits of these runs.
    pub splits: Vec<PlannedSplit>,
}

/// A file of `experiments/` in the results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The experiment.
    pub experiment: Experiment,
    /// How large it was asked for.
    pub scale: Scale,
    /// The keys of each line's runs.
    pub runs: Vec<Vec<String>>,
}

/// A run to be done once.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Name of its folder: readable, and unique by configuration, seed, data set and split.
    pub key: String,
    /// Its network.
    pub network: Network,
    /// Its settings.
    pub config: FitConfig,
    /// Name of its split.
    pub split: String,
    /// Digest of that split when this was planned; the key holds it.
    pub split_digest: String,
    /// Whether what its filters have learnt is looked at.
    pub learned: bool,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Judged and done.
    Finished,
    /// Begun; so many epochs are done.
    Begun(usize),
    /// Nothing is there yet.
    Waiting,
}

impl Plan {
    /// Plans `experiments` at `scale` on a data set, without writing anything.
    ///
    /// # Errors
    ///
    /// A network there is not, a split that cannot be made.
    pub fn new(
        experiments: &[(String, Experiment)],
        scale: &Scale,
        dataset: &Dataset,
    ) -> Result<Self, ExperimentError> {
        let music = results_dir::digest(dataset.clips());
        let mut plan = Plan { asked: Vec::new(), runs: Vec::new(), splits: Vec::new() };
        let mut digests = BTreeMap::new();
        for (file, experiment) in experiments {
            let mut keys = Vec::new();
            for line in &experiment.lines {
                let network = scale.network(&line.network).map_err(|source| {
                    let (file, line) = (file.clone(), line.label.clone());
                    ExperimentError::Network { file, line, source }
                })?;
                let network = network.with_head(line.head);
                let mut of_line = Vec::new();
                for split_seed in 1..=scale.splits as u64 {
                    let request = scale.split(line.split, split_seed);
                    let name = plan.split(dataset, request)?;
                    let split_digest = digests.entry(name.clone()).or_insert_with(|| {
                        let of = plan.splits.iter().find(|split| split.name == name);
                        of.map(|split| split_digest(dataset.clips(), &split.parts))
                            .unwrap_or_default()
                    });
                    for seed in 1..=scale.runs as u64 {
                        let config = scale.config(seed);
                        let key = key(&network, &config, &name, [&music, split_digest])?;
                        let learned = experiment.learned && of_line.is_empty();
                        match plan.runs.iter_mut().find(|run| run.key == key) {
                            Some(known) => known.learned |= learned,
                            None => plan.runs.push(Wanted {
                                key: key.clone(),
                                network: network.clone(),
                                config,
                                split: name.clone(),
                                split_digest: split_digest.clone(),
                                learned,
                            }),
                        }
                        of_line.push(key);
                    }
                }
                keys.push(of_line);
            }
            let (experiment, scale) = (experiment.clone(), scale.clone());
            plan.asked.push(Asked { experiment, scale, runs: keys });
        }
        Ok(plan)
    }

    /// The name of the split that was asked for, planned where it is not yet.
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
        // Somebody's own split of the plain name may have other shares; it stays, and ours says its shares in its name.
        for name in [request.name(), exact.clone()] {
            let there = match dataset.read_split(&name) {
                Ok(parts) if parts == made.parts => true,
                Ok(_) => continue,
                Err(StoreError::NoSplit { .. }) => false,
                Err(error) => return Err(error.into()),
            };
            let without = made.excluded_artists.clone();
            let planned =
                PlannedSplit { name: name.clone(), request, parts: made.parts, without, there };
            self.splits.push(planned);
            return Ok(name);
        }
        let file = dataset.folder().join("splits").join(format!("{exact}.csv"));
        let reason = "it divides the clips otherwise than this program does; \
                      remove it, or rename it if something was trained on it";
        Err(ExperimentError::Description {
            file: file.display().to_string(),
            reason: reason.to_owned(),
        })
    }

    /// Writes the splits that are missing.
    pub fn write_splits(&self, dataset: &Dataset) -> Result<(), ExperimentError> {
        for split in self.splits.iter().filter(|split| !split.there) {
            write_split(dataset.folder(), &split.name, dataset.clips(), &split.parts)?;
        }
        Ok(())
    }
}

/// How far the run of that key is.
///
/// # Errors
///
/// A record that cannot be read.
pub fn state(results: &Path, key: &str) -> Result<State, ExperimentError> {
    let run = results_dir::run(results, key);
    let last = run.join(LAST);
    if !is_checkpoint(&last) {
        return Ok(State::Waiting);
    }
    let record = read_record(&last)?;
    // The scores of the best come last of all.
    let judged = record.scores.is_some() && read_record(&run.join(BEST))?.scores.is_some();
    Ok(if judged { State::Finished } else { State::Begun(record.epoch) })
}

/// A run's key. What it is called, where it runs and on how many threads makes no other run.
fn key(
    network: &Network,
    config: &FitConfig,
    split: &str,
    digests: [&str; 2],
) -> Result<String, ExperimentError> {
    let bare = Network { description: String::new(), classes: None, ..network.clone() };
    let text = serde_json::to_string(&(&bare, &config.bare(), digests))
        .map_err(|e| ExperimentError::broken(Path::new(split), e))?;
    let hash: String =
        Sha256::digest(text).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
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
    fn a_key_tells_apart_what_makes_another_run_and_nothing_else() {
        let network = Network::preset("model1").unwrap();
        let config = FitConfig::default();
        let digests = ["music", "split"];
        let one = of(&network, &config, digests);
        assert!(one.starts_with("model1-dense-song-seed1-run1-"), "{one}");
        for same in [
            FitConfig { threads: 7, ..config.clone() },
            FitConfig { device: "cuda".to_owned(), ..config.clone() },
            FitConfig { changes: vec!["threads 1 to 7".to_owned()], ..config.clone() },
        ] {
            assert_eq!(of(&network, &same, digests), one);
        }
        let described = Network { description: "another".to_owned(), ..network.clone() };
        assert_eq!(of(&described, &config, digests), one);
        for other in [
            FitConfig { seed: 2, ..config.clone() },
            FitConfig { epochs: 21, ..config.clone() },
            FitConfig { rate: 2e-3, ..config.clone() },
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
