//! Everything in a results folder that a report looks at.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use leitmotif_models::{Predictions, RunRecord, Scores};

use crate::begin::recorded_config;
use crate::checkpoint::read_record;
use crate::config::FitConfig;
use crate::experiment::error::ExperimentError;
use crate::experiment::folder::{self, ResultsNote, SplitFile};
use crate::experiment::learned::Learned;
use crate::experiment::machine::Session;
use crate::experiment::plan::{Asked, State, state};
use crate::experiment::runs::judged;
use crate::experiment::{file, file::Experiment};
use crate::fit::{LAST, PREDICTIONS};
use crate::history::History;

/// What has been run so far.
#[derive(Debug)]
pub struct Results {
    /// The music.
    pub note: ResultsNote,
    /// Genres of its clips and artists.
    pub genres: Genres,
    /// The experiments, in the order of the paper; others after them.
    pub asked: Vec<Asked>,
    /// Finished runs by key.
    pub runs: BTreeMap<String, Run>,
    /// The splits.
    pub splits: Vec<SplitFile>,
    /// Runs that the experiments want.
    pub wanted: usize,
    /// Those that are done.
    pub finished: usize,
}

/// A finished run.
#[derive(Debug)]
pub struct Run {
    /// Name of its folder.
    pub key: String,
    /// Of the checkpoint that is judged.
    pub record: RunRecord,
    /// Its settings.
    pub config: FitConfig,
    /// All its epochs.
    pub history: History,
    /// Answers for the test part.
    pub predictions: Predictions,
    /// What they are worth.
    pub scores: Scores,
    /// On what it was done.
    pub sessions: Vec<Session>,
    /// What its filters have learnt, where that was looked at.
    pub learned: Option<Learned>,
}

/// A line of an experiment with those of its runs that are finished.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// What it is.
    pub line: &'a file::Line,
    /// Its finished runs.
    pub runs: Vec<&'a Run>,
    /// How many it wants.
    pub wanted: usize,
}

/// Which genres clips and artists have.
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
    /// `NoResults`, `NothingFinished`, or a file that cannot be read.
    pub fn read(path: &Path) -> Result<Self, ExperimentError> {
        let note = folder::note(path)?;
        let note = note.ok_or_else(|| ExperimentError::NoResults { path: path.to_owned() })?;
        let mut asked: Vec<Asked> = folder::read_all(&path.join("experiments"))?;
        let place = |asked: &Asked| {
            Experiment::names().position(|n| n == asked.experiment.name).unwrap_or(usize::MAX)
        };
        asked.sort_by_key(place);
        let keys: BTreeSet<&String> = asked.iter().flat_map(|a| a.runs.iter().flatten()).collect();
        let mut runs = BTreeMap::new();
        for key in &keys {
            if state(path, key)? == State::Finished {
                runs.insert((*key).clone(), Run::read(path, key)?);
            }
        }
        let wanted = keys.len();
        if runs.is_empty() {
            return Err(ExperimentError::NothingFinished { path: path.to_owned(), runs: wanted });
        }
        let mut genres = Genres::default();
        for clip in folder::clips(path)? {
            genres.add(&clip.clip, &clip.artist, &clip.genre);
        }
        let splits = folder::read_all(&path.join("splits"))?;
        Ok(Results { note, genres, asked, finished: runs.len(), runs, splits, wanted })
    }

    /// The lines of an experiment.
    pub fn lines<'a>(&'a self, asked: &'a Asked) -> Vec<Line<'a>> {
        let lines = asked.experiment.lines.iter().zip(&asked.runs);
        let of = |(line, keys): (&'a file::Line, &'a Vec<String>)| Line {
            line,
            runs: keys.iter().filter_map(|key| self.runs.get(key)).collect(),
            wanted: keys.len(),
        };
        lines.map(of).collect()
    }

    /// Finished runs by what they have in common beside their seeds: `model1, lstm, by song`.
    pub fn subjects(&self) -> Vec<(String, Vec<&Run>)> {
        let mut subjects: Vec<(String, Vec<&Run>)> = Vec::new();
        for asked in &self.asked {
            for (line, keys) in asked.experiment.lines.iter().zip(&asked.runs) {
                for run in keys.iter().filter_map(|key| self.runs.get(key)) {
                    let network = &run.record.network;
                    let name =
                        format!("{}, {}, by {}", network.name, network.head.kind, line.split);
                    let place = subjects.iter().position(|(known, _)| *known == name);
                    match place.and_then(|place| subjects.get_mut(place)) {
                        Some((_, runs)) if runs.iter().any(|known| known.key == run.key) => {}
                        Some((_, runs)) => runs.push(run),
                        None => subjects.push((name, vec![run])),
                    }
                }
            }
        }
        subjects
    }
}

impl Run {
    fn read(results: &Path, key: &str) -> Result<Self, ExperimentError> {
        let run = folder::run(results, key);
        let last = run.join(LAST);
        let newest = read_record(&last)?;
        let config = recorded_config(&last, &newest)?;
        let checkpoint = run.join(judged(&config));
        let record = read_record(&checkpoint)?;
        let path = checkpoint.join(PREDICTIONS);
        let text = fs::read_to_string(&path).map_err(|e| ExperimentError::file(&path, e))?;
        let predictions =
            Predictions::from_lines(&text).map_err(|e| ExperimentError::broken(&path, e))?;
        let missing = || ExperimentError::broken(&path, "it answers for no clip");
        let scores = record.scores.clone().ok_or_else(missing)?;
        let history = History::read(&run, newest.epoch)?;
        let sessions = Session::read(&run)?;
        let learned = Learned::is_there(&run).then(|| Learned::read(&run)).transpose()?;
        let key = key.to_owned();
        Ok(Run { key, record, config, history, predictions, scores, sessions, learned })
    }
}

impl Genres {
    /// A clip with the genres of its album; its artist has them too.
    pub fn add(&mut self, clip: &str, artist: &str, column: &str) {
        let genres: BTreeSet<String> = folder::genres(column).map(str::to_owned).collect();
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
