//! A results folder as the report needs it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use leitmotif_dataset::split::SplitRequest;
use leitmotif_models::checkpoint::{LAST, PREDICTIONS};
use leitmotif_models::{Predictions, RunRecord, Scores};

use crate::learn::checkpoint::read_record;
use crate::learn::config::FitConfig;
use crate::learn::history::History;
use crate::learn::start::recorded_config;
use crate::paper::experiment::error::{ExperimentError, ResultsError};
use crate::paper::experiment::filters::FilterAnalysis;
use crate::paper::experiment::machine::Session;
use crate::paper::experiment::results_dir::{
    self, OtherEpochs, PlannedExperiment, ResultsNote, RunStatus, SplitFile, evaluated_checkpoint,
    run_folder, run_status, split_genres,
};
use crate::paper::experiment::spec::{Experiment, Series};

/// The results so far.
#[derive(Debug)]
pub struct Results {
    /// The data set.
    pub note: ResultsNote,
    /// Genres of its clips and artists.
    pub genres: Genres,
    /// The experiments, in the order of the paper; others after them.
    pub experiments: Vec<PlannedExperiment>,
    /// Finished runs by key.
    pub runs: BTreeMap<String, Run>,
    /// Runs with other epochs than planned, by key. They are not among `runs`.
    pub other_epochs: BTreeMap<String, OtherEpochs>,
    /// The splits.
    pub splits: Vec<SplitFile>,
    /// How many runs the experiments plan.
    pub planned: usize,
}

/// A finished run.
#[derive(Debug)]
pub struct Run {
    /// Name of its folder.
    pub key: String,
    /// Of the evaluated checkpoint.
    pub record: RunRecord,
    /// Its settings.
    pub config: FitConfig,
    /// What its split was made from; the record has the shares that resulted, and the name of the file.
    pub split: SplitRequest,
    /// Every epoch.
    pub history: History,
    /// Predictions on the test part.
    pub predictions: Predictions,
    /// Their scores.
    pub scores: Scores,
    /// The machines that trained it.
    pub sessions: Vec<Session>,
    /// What its filters respond to, where that was analysed.
    pub filters: Option<FilterAnalysis>,
}

/// A series of an experiment with its finished runs.
#[derive(Clone, Debug)]
pub struct SeriesResults<'a> {
    /// Its description.
    pub series: &'a Series,
    /// Its finished runs.
    pub runs: Vec<&'a Run>,
    /// How many runs are planned.
    pub planned: usize,
}

/// Genres of clips and of artists.
#[derive(Debug, Default)]
pub struct Genres {
    clips: HashMap<String, BTreeSet<String>>,
    artists: HashMap<String, BTreeSet<String>>,
}

impl Results {
    /// Reads a results folder.
    ///
    /// # Errors
    ///
    /// `Missing`, `NothingFinished`, `OnlyOtherEpochs`, or a file that cannot be read.
    pub fn read(folder: &Path) -> Result<Self, ExperimentError> {
        let path = || folder.to_owned();
        let note = results_dir::read_note(folder)?;
        let note = note.ok_or_else(|| ResultsError::Missing { path: path() })?;
        let mut experiments: Vec<PlannedExperiment> =
            results_dir::read_folder(&folder.join("experiments"))?;
        let place = |planned: &PlannedExperiment| {
            Experiment::names().position(|n| n == planned.experiment.name).unwrap_or(usize::MAX)
        };
        experiments.sort_by_key(place);
        let planned: BTreeMap<&String, usize> =
            experiments.iter().flat_map(PlannedExperiment::epochs_by_key).collect();
        let splits: Vec<SplitFile> = results_dir::read_folder(&folder.join("splits"))?;
        let (mut runs, mut other_epochs) = (BTreeMap::new(), BTreeMap::new());
        for (key, epochs) in &planned {
            match run_status(folder, key, *epochs)? {
                RunStatus::Finished => {
                    runs.insert((*key).clone(), Run::read(folder, key, &splits)?);
                }
                RunStatus::OtherEpochs(other) => {
                    other_epochs.insert((*key).clone(), other);
                }
                RunStatus::InProgress(_) | RunStatus::NotStarted => {}
            }
        }
        let planned = planned.len();
        match other_epochs.first_key_value() {
            _ if !runs.is_empty() => {}
            None => {
                return Err(ResultsError::NothingFinished { path: path(), runs: planned }.into());
            }
            Some((key, OtherEpochs { planned, given })) => {
                let (key, planned, epochs) = (key.clone(), *planned, *given);
                let path = path();
                return Err(ResultsError::OnlyOtherEpochs { path, key, planned, epochs }.into());
            }
        }
        let mut genres = Genres::default();
        for clip in results_dir::read_clips(folder)? {
            genres.add(&clip.clip, &clip.artist, &clip.genre);
        }
        Ok(Results { note, genres, experiments, runs, other_epochs, splits, planned })
    }

    /// The series of an experiment with their finished runs.
    pub fn series<'a>(&'a self, planned: &'a PlannedExperiment) -> Vec<SeriesResults<'a>> {
        let series = planned.experiment.series.iter().zip(&planned.runs);
        let with_runs = |(series, keys): (&'a Series, &'a Vec<String>)| SeriesResults {
            series,
            runs: keys.iter().filter_map(|key| self.runs.get(key)).collect(),
            planned: keys.len(),
        };
        series.map(with_runs).collect()
    }
}

impl Run {
    fn read(results: &Path, key: &str, splits: &[SplitFile]) -> Result<Self, ExperimentError> {
        let run = run_folder(results, key);
        let last = run.join(LAST);
        let newest = read_record(&last)?;
        let config = recorded_config(&last, &newest)?;
        let checkpoint = run.join(evaluated_checkpoint(&config));
        let record = read_record(&checkpoint)?;
        let name = format!("{}-seed{}", record.split.protocol, record.split.seed);
        // A split of the same name may have been replaced, with other clips.
        let same = |split: &&SplitFile| split.name == name && split.digest == record.split.digest;
        let split = splits.iter().find(same).map(|split| split.request);
        let unknown =
            || ExperimentError::broken(&run, format!("its split {name} is not among the results"));
        let split = split.ok_or_else(unknown)?;
        let path = checkpoint.join(PREDICTIONS);
        let text = fs::read_to_string(&path).map_err(|e| ExperimentError::file(&path, e))?;
        let predictions =
            Predictions::from_lines(&text).map_err(|e| ExperimentError::broken(&path, e))?;
        let missing = || ExperimentError::broken(&path, "it holds no predictions");
        let scores = record.scores.clone().ok_or_else(missing)?;
        let history = History::read(&run, newest.epoch)?;
        let sessions = Session::read(&run)?;
        let filters =
            FilterAnalysis::exists(&run).then(|| FilterAnalysis::read(&run)).transpose()?;
        let key = key.to_owned();
        Ok(Run { key, record, config, split, history, predictions, scores, sessions, filters })
    }
}

impl Genres {
    /// Adds a clip with the genres of its album, which its artist has, too.
    pub fn add(&mut self, clip: &str, artist: &str, column: &str) {
        let genres: BTreeSet<String> = split_genres(column).map(str::to_owned).collect();
        self.artists.entry(artist.to_owned()).or_default().extend(genres.iter().cloned());
        self.clips.insert(clip.to_owned(), genres);
    }

    /// Genres of a clip: its album's.
    pub fn of_clip(&self, clip: &str) -> impl Iterator<Item = &String> {
        self.clips.get(clip).into_iter().flatten()
    }

    /// Whether an artist has one of the clip's genres on any album.
    pub fn share(&self, clip: &str, artist: &str) -> bool {
        let artist = self.artists.get(artist);
        artist.is_some_and(|has| self.of_clip(clip).any(|genre| has.contains(genre)))
    }
}
