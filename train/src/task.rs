//! What is to be learnt from what: a data set, its artists and the three parts of one split.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use leitmotif::store::{Dataset, Part};
use leitmotif_models::{DatasetNote, SplitNote};

use crate::batches::Example;
use crate::error::TrainError;

/// A data set with one split.
#[derive(Debug)]
pub struct Task {
    /// The prepared clips.
    pub dataset: Arc<Dataset>,
    /// Artists in the order of the output layer.
    pub classes: Vec<String>,
    /// Clips to learn from.
    pub train: Vec<Example>,
    /// Clips to choose a checkpoint by; may be empty.
    pub validation: Vec<Example>,
    /// Clips to judge by; may be empty.
    pub test: Vec<Example>,
    /// Name of the split's file, e.g. `song-seed1`.
    pub split_name: String,
}

impl Task {
    /// Opens the data set in `folder` and its split `split_name`.
    ///
    /// # Errors
    ///
    /// What cannot be read, and a training part with clips of fewer than two artists.
    pub fn open(folder: &Path, split_name: &str) -> Result<Self, TrainError> {
        let dataset = Dataset::open(folder)?;
        let parts = dataset.read_split(split_name)?;
        let classes = dataset.artists().to_vec();
        let class_of: HashMap<&str, usize> =
            classes.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
        let mut songs: HashMap<&str, usize> = HashMap::new();
        let (mut train, mut validation, mut test) = (Vec::new(), Vec::new(), Vec::new());
        for (clip, (row, part)) in dataset.clips().iter().zip(&parts).enumerate() {
            let Some(class) = class_of.get(row.artist.as_str()).copied() else { continue };
            let next = songs.len();
            let song = *songs.entry(row.song.as_str()).or_insert(next);
            let example = Example { clip, class, song, samples: row.samples };
            match part {
                Some(Part::Train) => train.push(example),
                Some(Part::Validation) => validation.push(example),
                Some(Part::Test) => test.push(example),
                None => {}
            }
        }
        let artists: BTreeSet<usize> = train.iter().map(|e| e.class).collect();
        if artists.len() < 2 {
            let (split, found) = (split_name.to_owned(), artists.len());
            return Err(TrainError::TooFewArtists { split, found });
        }
        Ok(Task {
            dataset: Arc::new(dataset),
            classes,
            train,
            validation,
            test,
            split_name: split_name.to_owned(),
        })
    }

    /// The clips of a part by its name: `train`, `validation` or `test`.
    ///
    /// # Errors
    ///
    /// An unknown name, or a part without clips.
    pub fn part(&self, name: &str) -> Result<&[Example], TrainError> {
        let clips = match name {
            "train" => &self.train,
            "validation" => &self.validation,
            "test" => &self.test,
            _ => {
                let allowed = "train, validation or test";
                return Err(TrainError::Setting {
                    name: "--part",
                    found: name.to_owned(),
                    allowed,
                });
            }
        };
        if clips.is_empty() {
            let (split, part) = (self.split_name.clone(), name.to_owned());
            return Err(TrainError::EmptyPart { split, part });
        }
        Ok(clips)
    }

    /// What a checkpoint tells of the music.
    pub fn dataset_note(&self) -> DatasetNote {
        let info = self.dataset.info();
        let songs: BTreeSet<&str> = self.dataset.clips().iter().map(|c| c.song.as_str()).collect();
        DatasetNote {
            name: info.name.clone(),
            licence: info.licence.clone(),
            notes: info.notes.clone(),
            clips: self.dataset.clips().len(),
            songs: songs.len(),
        }
    }

    /// What a checkpoint tells of the split: its name read as `PROTOCOL-seedN`, and the shares of clips that it really has.
    pub fn split_note(&self) -> SplitNote {
        let (protocol, seed) = match self.split_name.rsplit_once("-seed") {
            Some((protocol, seed)) => (protocol.to_owned(), seed.parse().unwrap_or(0)),
            None => (self.split_name.clone(), 0),
        };
        let learning = self.train.len() + self.validation.len();
        let share = |part: usize, whole: usize| {
            (1000.0 * part as f64 / whole.max(1) as f64).round() / 1000.0
        };
        SplitNote {
            protocol,
            seed,
            test_share: share(self.test.len(), learning + self.test.len()),
            validation_share: share(self.validation.len(), learning),
        }
    }
}
