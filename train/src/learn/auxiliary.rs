//! Auxiliary music: songs of other artists, which train the network together with those that it is to recognise.
//!
//! Their artists are further classes during training (multi-task learning, Caruana 1997) and no answer of the network
//! afterwards. With outlier exposure (Hendrycks et al. 2019) their songs also teach it to be undecided between its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use leitmotif_dataset::store::{Dataset, Part, split_digest};
use leitmotif_models::DatasetNote;
use serde::{Deserialize, Serialize};

use crate::error::{DataError, TrainError};
use crate::learn::clips::{Example, dataset_note};

/// How auxiliary music is used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuxiliaryConfig {
    /// Share of the clips of a batch.
    pub share: f64,
    /// Weight of the loss by which these clips' probabilities become even over the artists to recognise; 0 for none.
    pub outlier_exposure: f64,
}

impl Default for AuxiliaryConfig {
    fn default() -> Self {
        AuxiliaryConfig { share: 0.4, outlier_exposure: 0.0 }
    }
}

/// Which music it is, as a run records it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuxiliaryNote {
    /// The data sets.
    pub datasets: Vec<DatasetNote>,
    /// Artists who are auxiliary classes.
    pub artists: usize,
    /// Their clips.
    pub clips: usize,
    /// Identifies these clips by their names.
    pub digest: String,
}

/// Clips of artists who are not in the task's data set.
#[derive(Debug)]
pub struct Auxiliary {
    /// Their artists.
    pub artists: Vec<String>,
    /// Their clips, numbered on from the task's own, as are classes and songs.
    pub examples: Vec<Example>,
    datasets: Vec<Arc<Dataset>>,
    note: AuxiliaryNote,
}

impl Auxiliary {
    /// The music of the data sets in `folders`, whatever their splits, without all artists of `own`, the task's data set with
    /// `classes` classes: their songs may be test songs there. Names are compared without regard to case.
    ///
    /// # Errors
    ///
    /// What cannot be read; `NoAuxiliary` where a data set has no other artist.
    pub fn open(folders: &[PathBuf], own: &Dataset, classes: usize) -> Result<Self, TrainError> {
        let known: BTreeSet<String> =
            own.artists().iter().map(|artist| artist.to_lowercase()).collect();
        let (mut datasets, mut notes, mut digests) = (Vec::new(), Vec::new(), Vec::new());
        let mut chosen = Vec::new();
        // The same music may be in two of the data sets.
        let mut taken: BTreeSet<String> = BTreeSet::new();
        for folder in folders {
            let dataset = Dataset::open(folder)?;
            let is_other = |artist: &str| {
                let name = artist.to_lowercase();
                !known.contains(&name) && !taken.contains(&name)
            };
            let parts: Vec<Option<Part>> = dataset
                .clips()
                .iter()
                .map(|row| is_other(row.artist).then_some(Part::Train))
                .collect();
            if parts.iter().all(Option::is_none) {
                return Err(DataError::NoAuxiliary { path: folder.clone() }.into());
            }
            taken.extend(dataset.artists().iter().map(|artist| artist.to_lowercase()));
            digests.push(split_digest(dataset.clips(), &parts));
            notes.push(dataset_note(&dataset));
            chosen.push(parts);
            datasets.push(Arc::new(dataset));
        }
        let (artists, examples) = number(&datasets, &chosen, own, classes);
        let (clips, digest) = (examples.len(), digests.join(" "));
        let note = AuxiliaryNote { datasets: notes, artists: artists.len(), clips, digest };
        Ok(Auxiliary { artists, examples, datasets, note })
    }

    /// The data sets, in the order in which their clips are numbered.
    pub(crate) fn datasets(&self) -> &[Arc<Dataset>] {
        &self.datasets
    }

    /// As a run records it.
    pub fn note(&self) -> &AuxiliaryNote {
        &self.note
    }
}

/// The chosen clips, numbered after the task's own.
fn number(
    datasets: &[Arc<Dataset>],
    chosen: &[Vec<Option<Part>>],
    own: &Dataset,
    classes: usize,
) -> (Vec<String>, Vec<Example>) {
    let clips = || {
        datasets.iter().zip(chosen).flat_map(|(dataset, chosen)| {
            dataset.clips().iter().zip(chosen.iter().map(Option::is_some))
        })
    };
    let artists: BTreeSet<&str> =
        clips().filter(|(_, chosen)| *chosen).map(|(row, _)| row.artist).collect();
    let class_of: BTreeMap<&str, usize> = artists.iter().copied().zip(classes..).collect();
    let first_clip = own.clips().len();
    // Songs of the task have smaller numbers: there are no more of them than clips.
    let mut songs: HashMap<(&str, &str), usize> = HashMap::new();
    let examples = clips()
        .enumerate()
        .filter(|(_, (_, chosen))| *chosen)
        .filter_map(|(clip, (row, _))| {
            let next = first_clip + songs.len();
            let song = *songs.entry((row.artist, row.song)).or_insert(next);
            let class = *class_of.get(row.artist)?;
            Some(Example { clip: first_clip + clip, class, song, samples: row.samples })
        })
        .collect();
    (artists.into_iter().map(str::to_owned).collect(), examples)
}
