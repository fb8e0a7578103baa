//! Everything in a results folder that a report looks at.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use leitmotif_models::{Predictions, RunRecord, Scores};

use crate::learn::checkpoint::read_record;
use crate::learn::config::FitConfig;
use crate::learn::history::History;
use crate::learn::start::recorded_config;
use crate::paper::experiment::error::ExperimentError;
use crate::paper::experiment::execute::judged;
use crate::paper::experiment::filters::Learned;
use crate::paper::experiment::machine::Session;
use crate::paper::experiment::plan::{Asked, State, state};
use crate::paper::experiment::results_dir::{self, ResultsNote, SplitFile};
use crate::paper::experiment::spec::{self, Experiment};
use leitmotif_dataset::split::SplitRequest;
use leitmotif_models::checkpoint::{LAST, PREDICTIONS};

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
    /// Finished runs that are no longer what was asked for, by key. They are no part of `runs`.
    pub lengthened: BTreeMap<String, Lengthened>,
    /// The splits.
    pub splits: Vec<SplitFile>,
    /// Runs that the experiments want.
    pub wanted: usize,
}

/// A run that `fit --resume --epochs N` made longer than its experiment asks: its answers are those of other epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengthened {
    /// Epochs that the experiment asks for.
    pub asked: usize,
    /// Epochs that the run was given.
    pub given: usize,
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
    /// The split that was asked for; the record has the shares that came out, and the name of a file.
    pub split: SplitRequest,
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
    pub line: &'a spec::Line,
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
    /// `NoResults`, `NothingFinished`, `OnlyLengthened`, or a file that cannot be read.
    pub fn read(path: &Path) -> Result<Self, ExperimentError> {
        let note = results_dir::note(path)?;
        let note = note.ok_or_else(|| ExperimentError::NoResults { path: path.to_owned() })?;
        let mut asked: Vec<Asked> = results_dir::read_all(&path.join("experiments"))?;
        let place = |asked: &Asked| {
            Experiment::names().position(|n| n == asked.experiment.name).unwrap_or(usize::MAX)
        };
        asked.sort_by_key(place);
        let wanted: BTreeMap<&String, usize> = asked
            .iter()
            .flat_map(|a| a.runs.iter().flatten().map(|key| (key, a.scale.epochs)))
            .collect();
        let splits: Vec<SplitFile> = results_dir::read_all(&path.join("splits"))?;
        let (mut runs, mut lengthened) = (BTreeMap::new(), BTreeMap::new());
        for (key, epochs) in &wanted {
            if state(path, key)? != State::Finished {
                continue;
            }
            let run = Run::read(path, key, &splits)?;
            // The key says what was asked for; of all settings, only the epochs can be changed later.
            let lasting = Lengthened { asked: *epochs, given: run.config.epochs };
            if lasting.given == lasting.asked {
                runs.insert((*key).clone(), run);
            } else {
                lengthened.insert((*key).clone(), lasting);
            }
        }
        let wanted = wanted.len();
        let path = path.to_owned();
        match lengthened.first_key_value() {
            _ if !runs.is_empty() => {}
            None => return Err(ExperimentError::NothingFinished { path, runs: wanted }),
            Some((key, Lengthened { asked, given })) => {
                let (key, asked, given) = (key.clone(), *asked, *given);
                return Err(ExperimentError::OnlyLengthened { path, key, asked, given });
            }
        }
        let path = path.as_path();
        let mut genres = Genres::default();
        for clip in results_dir::clips(path)? {
            genres.add(&clip.clip, &clip.artist, &clip.genre);
        }
        Ok(Results { note, genres, asked, runs, lengthened, splits, wanted })
    }

    /// The lines of an experiment.
    pub fn lines<'a>(&'a self, asked: &'a Asked) -> Vec<Line<'a>> {
        let lines = asked.experiment.lines.iter().zip(&asked.runs);
        let of = |(line, keys): (&'a spec::Line, &'a Vec<String>)| Line {
            line,
            runs: keys.iter().filter_map(|key| self.runs.get(key)).collect(),
            wanted: keys.len(),
        };
        lines.map(of).collect()
    }
}

impl Run {
    fn read(results: &Path, key: &str, splits: &[SplitFile]) -> Result<Self, ExperimentError> {
        let run = results_dir::run(results, key);
        let last = run.join(LAST);
        let newest = read_record(&last)?;
        let config = recorded_config(&last, &newest)?;
        let checkpoint = run.join(judged(&config));
        let record = read_record(&checkpoint)?;
        let name = format!("{}-seed{}", record.split.protocol, record.split.seed);
        // A split of the same name may have been made anew, with other clips.
        let same = |split: &&SplitFile| split.name == name && split.digest == record.split.digest;
        let split = splits.iter().find(same).map(|split| split.request);
        let unknown =
            || ExperimentError::broken(&run, format!("its split {name} is none of the results'"));
        let split = split.ok_or_else(unknown)?;
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
        Ok(Run { key, record, config, split, history, predictions, scores, sessions, learned })
    }
}

impl Genres {
    /// A clip with the genres of its album; its artist has them too.
    pub fn add(&mut self, clip: &str, artist: &str, column: &str) {
        let genres: BTreeSet<String> = results_dir::genres(column).map(str::to_owned).collect();
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
