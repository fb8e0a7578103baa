//! The clips of a run, of one data set or of several.

use std::collections::BTreeSet;
use std::sync::Arc;

use leitmotif_dataset::store::{Dataset, StoreError};
use leitmotif_models::DatasetNote;

/// A clip with its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// Index of the clip among those of the run, which of a run without auxiliary music are its data set's.
    pub clip: usize,
    /// Index of its artist among the classes, then the auxiliary ones.
    pub class: usize,
    /// Number of its song, unique in the run.
    pub song: usize,
    /// Samples it has.
    pub samples: u64,
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
    /// With the clips of `more` behind them.
    pub(crate) fn with(self, more: &[Arc<Dataset>]) -> Self {
        Clips { more: more.to_vec(), ..self }
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

/// A data set as a checkpoint records it.
pub(crate) fn dataset_note(dataset: &Dataset) -> DatasetNote {
    let info = dataset.info();
    let songs: BTreeSet<&str> = dataset.clips().iter().map(|clip| clip.song).collect();
    DatasetNote {
        name: info.name.clone(),
        licence: info.licence.clone(),
        notes: info.notes.clone(),
        clips: dataset.clips().len(),
        songs: songs.len(),
    }
}
