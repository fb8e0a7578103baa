//! The training task: a data set, the artists to be recognised and the three parts of one split.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use leitmotif_dataset::store::{Dataset, Part, samples_digest, split_digest};
use leitmotif_models::text::first_names;
use leitmotif_models::{DatasetNote, SplitNote};
use serde::Serialize;

use crate::error::{DataError, SettingError, TrainError};
use crate::learn::auxiliary::Auxiliary;
use crate::learn::clips::{Clips, Example, dataset_note};

/// A data set with one split.
#[derive(Debug)]
pub struct Task {
    /// The prepared clips.
    pub dataset: Arc<Dataset>,
    /// Artists in the order of the output layer.
    pub classes: Vec<String>,
    /// Training clips.
    pub train: Vec<Example>,
    /// Clips that choose the best checkpoint; may be empty.
    pub validation: Vec<Example>,
    /// Clips for the final scores; may be empty.
    pub test: Vec<Example>,
    /// Music of other artists to train on, too.
    pub auxiliary: Option<Auxiliary>,
    /// Of each part, the artists that are no class, with the number of their clips: no prediction could be right, so
    /// they are left out.
    left_out: BTreeMap<Part, BTreeMap<String, usize>>,
    /// Name of the split's file, e.g. `song-seed1`.
    pub split_name: String,
    /// As [`SplitNote::samples`].
    samples: Option<String>,
    /// As [`SplitNote::digest`].
    digest: String,
}

impl Task {
    /// Opens the data set in `folder` and its split `split_name`; the classes are the artists with a training clip.
    ///
    /// # Errors
    ///
    /// What cannot be read, and a training part with clips of fewer than two artists.
    pub fn open(folder: &Path, split_name: &str) -> Result<Self, TrainError> {
        let dataset = Dataset::open(folder)?;
        let parts = dataset.read_split(split_name)?;
        let train = dataset.clips().iter().zip(&parts).filter(|(_, p)| **p == Some(Part::Train));
        let artists: BTreeSet<&str> = train.map(|(row, _)| row.artist).collect();
        if artists.len() < 2 {
            let (split, found) = (split_name.to_owned(), artists.len());
            return Err(DataError::TooFewArtists { split, found }.into());
        }
        let classes = artists.into_iter().map(str::to_owned).collect();
        Ok(Self::of(dataset, &parts, classes, split_name))
    }

    /// With the music of the data sets in `folders`, if there are any, as [`Auxiliary::open`] says.
    ///
    /// # Errors
    ///
    /// As [`Auxiliary::open`].
    pub fn with_auxiliary(self, folders: &[PathBuf]) -> Result<Self, TrainError> {
        let auxiliary = match folders {
            [] => None,
            folders => Some(Auxiliary::open(folders, &self.dataset, self.classes.len())?),
        };
        Ok(Task { auxiliary, ..self })
    }

    /// The same for a network that was trained on `classes`.
    ///
    /// # Errors
    ///
    /// What cannot be read.
    pub fn open_for(
        folder: &Path,
        split_name: &str,
        classes: &[String],
    ) -> Result<Self, TrainError> {
        let dataset = Dataset::open(folder)?;
        let parts = dataset.read_split(split_name)?;
        Ok(Self::of(dataset, &parts, classes.to_vec(), split_name))
    }

    /// The clips of artists who are not among `classes`, as a test part under the first class, which is not theirs: of
    /// one part of a split, or of a whole data set.
    ///
    /// # Errors
    ///
    /// What cannot be read, and a name of a part that is none.
    pub fn open_unknown(
        folder: &Path,
        split: Option<(&str, &str)>,
        classes: &[String],
    ) -> Result<Self, TrainError> {
        let dataset = Dataset::open(folder)?;
        let mut chosen = vec![true; dataset.clips().len()];
        if let Some((name, part)) = split {
            let parts = dataset.read_split(name)?;
            chosen = parts.iter().map(|p| p.is_some_and(|p| p.to_string() == part)).collect();
        }
        let clips = dataset.clips().iter().zip(chosen).enumerate();
        let test = clips
            .filter(|(_, (row, chosen))| *chosen && !classes.iter().any(|name| name == row.artist))
            .map(|(clip, (row, _))| Example { clip, class: 0, song: clip, samples: row.samples })
            .collect();
        let task = Self::of(dataset, &[], classes.to_vec(), split.map_or("", |(name, _)| name));
        Ok(Task { test, ..task })
    }

    fn of(
        dataset: Dataset,
        parts: &[Option<Part>],
        classes: Vec<String>,
        split_name: &str,
    ) -> Self {
        let class_of: HashMap<&str, usize> =
            classes.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
        let mut songs: HashMap<&str, usize> = HashMap::new();
        let mut left_out = BTreeMap::new();
        let (mut train, mut validation, mut test) = (Vec::new(), Vec::new(), Vec::new());
        for (clip, (row, part)) in dataset.clips().iter().zip(parts).enumerate() {
            let Some(part) = part else { continue };
            let Some(class) = class_of.get(row.artist).copied() else {
                let of_part: &mut BTreeMap<String, usize> = left_out.entry(*part).or_default();
                *of_part.entry(row.artist.to_owned()).or_default() += 1;
                continue;
            };
            let next = songs.len();
            let song = *songs.entry(row.song).or_insert(next);
            let example = Example { clip, class, song, samples: row.samples };
            match part {
                Part::Train => train.push(example),
                Part::Validation => validation.push(example),
                Part::Test => test.push(example),
            }
        }
        let digest = split_digest(dataset.clips(), parts);
        let samples = samples_digest(dataset.clips(), parts);
        let (dataset, split_name) = (Arc::new(dataset), split_name.to_owned());
        Task {
            dataset,
            classes,
            train,
            validation,
            test,
            auxiliary: None,
            left_out,
            split_name,
            digest,
            samples,
        }
    }

    /// All clips that it trains on, auxiliary ones last.
    pub fn clips(&self) -> Clips {
        let more = self.auxiliary.as_ref().map_or(&[][..], Auxiliary::datasets);
        Clips::from(Arc::clone(&self.dataset)).with(more)
    }

    /// How many clips of a part, or of all parts, are left out since their artists are no class, and these artists.
    pub fn left_out(&self, part: Option<&str>) -> (usize, BTreeSet<&String>) {
        let parts = self.left_out.iter();
        let chosen = parts.filter(|(of, _)| part.is_none_or(|name| of.to_string() == name));
        let artists = chosen.flat_map(|(_, artists)| artists);
        artists.fold((0, BTreeSet::new()), |(clips, mut names), (artist, count)| {
            names.insert(artist);
            (clips + count, names)
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
                return Err(SettingError::OutOfRange {
                    name: "--part",
                    found: name.to_owned(),
                    allowed,
                }
                .into());
            }
        };
        if clips.is_empty() {
            let (split, part) = (self.split_name.clone(), name.to_owned());
            return Err(DataError::EmptyPart { split, part }.into());
        }
        Ok(clips)
    }

    /// The data set as a checkpoint records it.
    pub fn dataset_note(&self) -> DatasetNote {
        dataset_note(&self.dataset)
    }

    /// The split as a checkpoint records it: its name read as `PROTOCOL-seedN`, the shares of clips that it really has,
    /// and its digest.
    pub fn split_note(&self) -> SplitNote {
        let (protocol, seed) = match self.split_name.rsplit_once("-seed") {
            Some((protocol, seed)) => (protocol.to_owned(), seed.parse().unwrap_or(0)),
            None => (self.split_name.clone(), 0),
        };
        let train = self.train.len() + self.validation.len();
        let share = |part: usize, whole: usize| {
            (1000.0 * part as f64 / whole.max(1) as f64).round() / 1000.0
        };
        SplitNote {
            protocol,
            seed,
            test_share: share(self.test.len(), train + self.test.len()),
            validation_share: share(self.validation.len(), train),
            digest: Some(self.digest.clone()),
            samples: self.samples.clone(),
        }
    }

    /// How the split that a checkpoint was trained on differs from this one; `None` where it is the same.
    ///
    /// Digests decide; a record without one of the split is compared by what else it holds, one without that of the
    /// samples has them on trust.
    pub fn difference_to(&self, then: &SplitNote) -> Option<String> {
        let now = self.split_note();
        let differs = match (&then.digest, &now.digest) {
            (Some(then), Some(now)) => then != now,
            _ => {
                let rest =
                    |note: &SplitNote| SplitNote { digest: None, samples: None, ..note.clone() };
                rest(then) != rest(&now)
            }
        };
        if differs {
            return Some(format!("then: {}; now: {}", format_split(then), format_split(&now)));
        }
        match (&then.samples, &now.samples) {
            (Some(then), Some(now)) if then != now => Some(format!(
                "the same clips with other audio (digest {then} then, {now} now): the data set was prepared anew from \
                 other files, or by a version that decodes them otherwise"
            )),
            _ => None,
        }
    }
}

/// `song-seed1 with 25.0 % of the clips to test, digest 0123456789abcdef`.
pub(crate) fn format_split(split: &SplitNote) -> String {
    let SplitNote { protocol, seed, test_share, digest, .. } = split;
    let digest = digest.as_deref().unwrap_or("unknown");
    format!(
        "{protocol}-seed{seed} with {:.1} % of the clips to test, digest {digest}",
        100.0 * test_share
    )
}

/// The fields in which two notes differ: `clips 100 then, 90 now`; empty where they are equal.
pub(crate) fn differences(then: &impl Serialize, now: &impl Serialize) -> String {
    let fields = |note: serde_json::Result<serde_json::Value>| match note {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let now = fields(serde_json::to_value(now));
    let differing = fields(serde_json::to_value(then)).into_iter().filter_map(|(name, then)| {
        let now = now.get(&name)?;
        (*now != then).then(|| format!("{name} {then} then, {now} now"))
    });
    differing.collect::<Vec<_>>().join("; ")
}

/// Artists named in a message; the others are counted.
const NAMED_ARTISTS: usize = 5;

/// The artists in which two lists differ.
pub(crate) fn artist_differences(then: &[String], now: &[String]) -> String {
    let only = |what: &str, these: &[String], others: &[String]| {
        let only: Vec<&String> = these.iter().filter(|name| !others.contains(name)).collect();
        (!only.is_empty()).then(|| format!("{what}: {}", format_names(only.into_iter())))
    };
    let sides: Vec<String> =
        [only("only then", then, now), only("only now", now, then)].into_iter().flatten().collect();
    if sides.is_empty() { "the same in another order".to_owned() } else { sides.join("; ") }
}

/// The first names and how many more there are.
pub(crate) fn format_names<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    first_names(names, NAMED_ARTISTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_named() {
        let names = |n: std::ops::Range<usize>| n.map(|i| format!("A{i}")).collect::<Vec<_>>();
        assert_eq!(
            artist_differences(&names(0..4), &names(1..5)),
            "only then: `A0`; only now: `A4`"
        );
        assert_eq!(
            artist_differences(&names(0..9), &names(0..1)),
            "only then: `A1`, `A2`, `A3`, `A4`, `A5` and 3 more"
        );
        let then = DatasetNote { name: "m".into(), clips: 100, songs: 7, ..DatasetNote::default() };
        let now = DatasetNote { clips: 90, ..then.clone() };
        assert_eq!(differences(&then, &now), "clips 100 then, 90 now");
    }
}
