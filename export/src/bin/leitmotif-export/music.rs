//! The real music on which int8 is calibrated and fp16 and int8 are evaluated.
//!
//! A prepared data set is calibrated on its training clips and evaluated on its validation and test clips. Of a folder of
//! audio files every other one is for calibration and the rest for evaluation. No clip is for both.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use leitmotif::audio::{AudioError, AudioReader, MusicFiles};
use leitmotif_dataset::store::{Dataset, Part, split_digest};
use leitmotif_export::Checkpoint;
use leitmotif_models::text::with_causes;
use leitmotif_models::{RunRecord, SampleRate};

/// Most samples of one clip that are used: half a minute, as long as a clip of MagnaTagATune. A folder may hold whole
/// songs, and two minutes of one song give no other ranges than thirty seconds.
const MOST_SAMPLES: usize = 30 * SampleRate::NETWORK.0 as usize;

/// Clips for calibration and for evaluation.
#[derive(Debug)]
pub(crate) struct Music {
    /// Its name on the card.
    pub(crate) source: String,
    dataset: Option<Dataset>,
    /// For calibration.
    pub(crate) calibration: Vec<Clip>,
    /// For evaluation.
    pub(crate) evaluation: Vec<Clip>,
}

/// A clip or a file.
#[derive(Clone, Debug)]
pub(crate) struct Clip {
    place: Place,
    /// The artist, as an index of the network's classes; `None` where it is not known.
    pub(crate) class: Option<usize>,
}

#[derive(Clone, Debug)]
enum Place {
    /// A row of the data set.
    Prepared(usize),
    File(PathBuf),
}

impl Music {
    /// Opens a data set, or a folder of audio files. `split` is the name of a split of the data set; without it that of
    /// the training.
    ///
    /// # Errors
    /// Where `folder` is neither; where the split is not the one of the training, because then an evaluation clip may have
    /// been a training clip; where there are no clips for calibration or none for evaluation, or all are of one artist.
    pub(crate) fn open(
        folder: &Path,
        split: Option<&str>,
        checkpoint: &Checkpoint,
    ) -> Result<Self> {
        let music = if folder.join("dataset.toml").exists() {
            Self::prepared(folder, split, checkpoint.run())?
        } else {
            ensure!(
                split.is_none(),
                "--split is for a prepared data set, and {} is none: it has no dataset.toml",
                folder.display()
            );
            Self::of_files(folder)?
        };
        for (clips, purpose) in
            [(&music.calibration, "calibration"), (&music.evaluation, "evaluation")]
        {
            ensure!(!clips.is_empty(), "{} has no clip for {purpose}", music.source);
        }
        Ok(music)
    }

    fn prepared(folder: &Path, split: Option<&str>, run: &RunRecord) -> Result<Self> {
        let dataset = Dataset::open(folder)?;
        let name = match split {
            Some(name) => name.to_owned(),
            None if run.split.protocol.is_empty() => bail!(
                "the checkpoint does not record its split: name the one that it was trained on with --split"
            ),
            None => format!("{}-seed{}", run.split.protocol, run.split.seed),
        };
        let parts = dataset.read_split(&name)?;
        if let Some(digest) = &run.split.digest {
            ensure!(
                *digest == split_digest(dataset.clips(), &parts),
                "split {name} of {} is not the one that the network was trained on: evaluation clips may be among its training clips",
                folder.display()
            );
        }
        // On the card too: evaluation clips may have been training clips.
        let taken_on_trust = match run.split.digest {
            Some(_) => "",
            None => " (on trust: the checkpoint keeps no digest of its split)",
        };
        let mut music = Music {
            source: format!("{}, split {name}{taken_on_trust}", dataset.info().name),
            dataset: None,
            calibration: Vec::new(),
            evaluation: Vec::new(),
        };
        let class_of: HashMap<&str, usize> = run
            .classes
            .iter()
            .enumerate()
            .map(|(class, artist)| (artist.as_str(), class))
            .collect();
        for (row, (clip, part)) in dataset.clips().iter().zip(parts).enumerate() {
            let class = class_of.get(clip.artist).copied();
            let (Some(part), Some(_)) = (part, class) else { continue };
            let clip = Clip { place: Place::Prepared(row), class };
            match part {
                Part::Train => music.calibration.push(clip),
                Part::Validation | Part::Test => music.evaluation.push(clip),
            }
        }
        let first = music.calibration.first().and_then(|clip| clip.class);
        ensure!(
            music.calibration.is_empty() || music.calibration.iter().any(|c| c.class != first),
            "all training clips of {} are of one artist, whose ranges are not those of the others",
            music.source
        );
        music.dataset = Some(dataset);
        Ok(music)
    }

    fn of_files(folder: &Path) -> Result<Self> {
        let files = MusicFiles::below(folder)
            .with_context(|| format!("cannot read the folder {}", folder.display()))?;
        if let Some((path, error)) = files.unreadable.first() {
            bail!("cannot read {}: {error}", path.display());
        }
        let clip = |path| Clip { place: Place::File(path), class: None };
        let (mut calibration, mut evaluation) = (Vec::new(), Vec::new());
        for (number, path) in files.music.into_iter().enumerate() {
            if number % 2 == 0 { &mut calibration } else { &mut evaluation }.push(clip(path));
        }
        let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
        Ok(Music { source: format!("folder {name}"), dataset: None, calibration, evaluation })
    }

    /// Mono samples at the network's rate; `None`, after saying so, for a file that cannot be decoded: a folder of music
    /// often holds one, and the others are enough.
    ///
    /// # Errors
    /// Where a clip of a data set cannot be read.
    pub(crate) fn samples(&self, clip: &Clip) -> Result<Option<Vec<f32>>> {
        let mut samples = match (&clip.place, &self.dataset) {
            (Place::Prepared(row), Some(dataset)) => {
                let length = dataset.clips().get(*row).map_or(0, |clip| clip.samples);
                let mut samples = vec![0.0; usize::try_from(length)?.min(MOST_SAMPLES)];
                dataset.read(*row, 0, &mut samples)?;
                samples
            }
            (Place::Prepared(row), None) => bail!("clip {row} of no data set"),
            (Place::File(path), _) => match beginning(path) {
                Ok(samples) => samples,
                Err(error) => {
                    eprintln!("leitmotif-export: not used: {}", with_causes(&error));
                    return Ok(None);
                }
            },
        };
        samples.truncate(MOST_SAMPLES);
        Ok(Some(samples))
    }
}

/// The first samples of a file, at least as many as are used if it has them.
fn beginning(path: &Path) -> Result<Vec<f32>, AudioError> {
    let mut reader = AudioReader::open(path, SampleRate::NETWORK)?;
    let mut samples = Vec::new();
    // No further than needed: a folder may hold hours.
    while samples.len() < MOST_SAMPLES && reader.read(&mut samples)? > 0 {}
    Ok(samples)
}

/// So many of `clips`, spread evenly over all of them.
pub(crate) fn spread(clips: &[Clip], most: usize) -> Vec<&Clip> {
    let step = clips.len().div_ceil(most.max(1)).max(1);
    clips.iter().step_by(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_are_taken_from_the_whole_list() {
        let clip = |row| Clip { place: Place::Prepared(row), class: None };
        let clips: Vec<Clip> = (0..10).map(clip).collect();
        let rows = |most| -> Vec<usize> {
            let row = |clip: &Clip| match clip.place {
                Place::Prepared(row) => row,
                Place::File(_) => panic!("a file"),
            };
            spread(&clips, most).into_iter().map(row).collect()
        };
        assert_eq!(rows(4), [0, 3, 6, 9]);
        assert_eq!(rows(100).len(), 10);
    }
}
