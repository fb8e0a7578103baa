//! Auxiliary music: songs of other artists, which train the network together with those that it is to recognise.
//!
//! Their artists are further classes during training (multi-task learning, Caruana 1997) and no answer of the network
//! afterwards. With outlier exposure (Hendrycks et al. 2019) their songs also teach it to be undecided between its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use leitmotif_dataset::store::{Dataset, Part, StoreError, split_digest};
use leitmotif_models::DatasetNote;
use serde::{Deserialize, Serialize};

use crate::error::{DataError, TrainError};
use crate::learn::batches::Example;
use crate::learn::task::{Task, dataset_note};

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
    /// The music of the data sets in `folders`, whatever their splits, without all artists of the task's data set: their
    /// songs may be test songs there. Names are compared without regard to case.
    ///
    /// # Errors
    ///
    /// What cannot be read; `NoAuxiliary` where a data set has no other artist.
    pub fn open(folders: &[PathBuf], task: &Task) -> Result<Self, TrainError> {
        let known: BTreeSet<String> =
            task.dataset.artists().iter().map(|artist| artist.to_lowercase()).collect();
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
        let (artists, examples) = number(&datasets, &chosen, task);
        let (clips, digest) = (examples.len(), digests.join(" "));
        let note = AuxiliaryNote { datasets: notes, artists: artists.len(), clips, digest };
        Ok(Auxiliary { artists, examples, datasets, note })
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
    task: &Task,
) -> (Vec<String>, Vec<Example>) {
    let clips = || {
        datasets.iter().zip(chosen).flat_map(|(dataset, chosen)| {
            dataset.clips().iter().zip(chosen.iter().map(Option::is_some))
        })
    };
    let artists: BTreeSet<&str> =
        clips().filter(|(_, chosen)| *chosen).map(|(row, _)| row.artist).collect();
    let class_of: BTreeMap<&str, usize> =
        artists.iter().copied().zip(task.classes.len()..).collect();
    let first_clip = task.dataset.clips().len();
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

/// The clips of a run: those of its data set, and after them those of auxiliary ones.
#[derive(Clone, Debug)]
pub struct Clips {
    first: Arc<Dataset>,
    more: Vec<Arc<Dataset>>,
}

impl From<Arc<Dataset>> for Clips {
    fn from(dataset: Arc<Dataset>) -> Self {
        Clips { first: dataset, more: Vec::new() }
    }
}

impl Clips {
    /// All clips that `task` trains on.
    pub fn of(task: &Task) -> Self {
        let mut clips = Clips::from(Arc::clone(&task.dataset));
        if let Some(auxiliary) = &task.auxiliary {
            clips.more.clone_from(&auxiliary.datasets);
        }
        clips
    }

    /// As [`Dataset::read`].
    ///
    /// # Errors
    ///
    /// As [`Dataset::read`].
    pub fn read(&self, clip: usize, start: u64, out: &mut [f32]) -> Result<(), StoreError> {
        let (dataset, clip) = self.place(clip);
        dataset.read(clip, start, out)
    }

    /// As [`Dataset::read_pcm`].
    ///
    /// # Errors
    ///
    /// As [`Dataset::read_pcm`].
    pub fn read_pcm(&self, clip: usize, start: u64, out: &mut [i16]) -> Result<(), StoreError> {
        let (dataset, clip) = self.place(clip);
        dataset.read_pcm(clip, start, out)
    }

    /// A clip's name, empty where there is no such clip.
    pub fn name(&self, clip: usize) -> String {
        let (dataset, clip) = self.place(clip);
        dataset.clips().get(clip).map(|row| row.clip.to_owned()).unwrap_or_default()
    }

    /// The data set of a clip and its number there; the last data set refuses a number beyond it.
    fn place(&self, mut clip: usize) -> (&Dataset, usize) {
        let mut dataset = &self.first;
        for next in &self.more {
            if clip < dataset.clips().len() {
                break;
            }
            clip -= dataset.clips().len();
            dataset = next;
        }
        (dataset, clip)
    }
}
