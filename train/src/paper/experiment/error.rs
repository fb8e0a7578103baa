//! What can be wrong with experiments, their results and their report.

use std::path::{Path, PathBuf};

use leitmotif_dataset::split::SplitError;
use leitmotif_dataset::store::StoreError;
use leitmotif_models::NetworkError;

use crate::error::{SettingError, TrainError};
use crate::plot::charts::ChartError;

/// A cause of any type: the message of its error names the file, the cause says what is wrong there.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What stops an experiment or a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// An experiment or a scale that cannot be used.
    #[error(transparent)]
    Description(#[from] DescriptionError),
    /// A results folder that cannot be used.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// A report that cannot be made or written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A split that cannot be made.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// Some runs failed; all others are finished.
    #[error("{} of the runs failed; the first is {first}", others + 1)]
    RunsFailed {
        /// Key of the first.
        first: String,
        /// Why it failed.
        source: Box<TrainError>,
        /// How many more failed.
        others: usize,
    },
    /// What can go wrong while a run trains.
    #[error(transparent)]
    Train(#[from] TrainError),
}

/// An experiment or a scale that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptionError {
    /// No experiment has this name.
    #[error(
        "there is no experiment `{name}`; choose all, {known}, or a .toml file that describes one"
    )]
    UnknownExperiment {
        /// The name given.
        name: String,
        /// All names.
        known: String,
    },
    /// No scale has this name.
    #[error("there is no scale `{name}`; choose {known}, or a .toml file that describes one")]
    UnknownScale {
        /// The name given.
        name: String,
        /// All names.
        known: String,
    },
    /// A file that is not TOML, or has fields that are missing or unknown.
    #[error("{file} cannot be read")]
    Toml {
        /// The file, or the name of a built-in description.
        file: String,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// Fields that contradict each other.
    #[error("{file}: {reason}")]
    Inconsistent {
        /// The file, or the name of a built-in description.
        file: String,
        /// Which fields, and what to change.
        reason: String,
    },
    /// A scale with a setting that no run can have.
    #[error("{file} has a wrong setting")]
    Setting {
        /// The file, or the name of a built-in scale.
        file: String,
        /// Which setting, and its range.
        source: SettingError,
    },
    /// A line whose network does not exist.
    #[error("{file}: line `{line}`")]
    Network {
        /// The file.
        file: String,
        /// The line's label.
        line: String,
        /// What is wrong with the network.
        source: NetworkError,
    },
    /// A line whose recipe cannot be used.
    #[error("{file}: line `{line}`: {reason}")]
    Recipe {
        /// The file.
        file: String,
        /// The line's label.
        line: String,
        /// What is wrong with the recipe.
        reason: String,
    },
    /// A split's file that holds other parts than its name says.
    #[error(
        "{} divides the clips in another way than its name says; remove it, or rename it if a network was trained on it",
        path.display()
    )]
    SplitFile {
        /// The file.
        path: PathBuf,
    },
}

/// A results folder that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    /// The results belong to another data set.
    #[error(
        "{} holds results of the data set `{then}` ({then_digest}), and this is `{now}` ({now_digest}); \
         name another folder with --out",
        path.display()
    )]
    OtherDataset {
        /// The results folder.
        path: PathBuf,
        /// Name of the data set of the results.
        then: String,
        /// Its digest.
        then_digest: String,
        /// Name of this data set.
        now: String,
        /// Its digest.
        now_digest: String,
    },
    /// A split was replaced while runs were under way.
    #[error(
        "the split {split} of the data set was replaced after these runs were planned; \
         start the same command again, or restore the old split"
    )]
    SplitChanged {
        /// The split.
        split: String,
    },
    /// A folder without results that is no run's either.
    #[error(
        "{} holds neither results of experiments (results.json) nor a run (last/run.json); \
         name the --out of `leitmotif-train experiment` or of `leitmotif-train fit`",
        path.display()
    )]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// A checkpoint, where its run's folder is needed.
    #[error("{} is a checkpoint; name the folder of its run, which holds it", path.display())]
    CheckpointFolder {
        /// The folder.
        path: PathBuf,
    },
    /// No run is finished yet.
    #[error(
        "none of the {runs} runs in {} is finished; continue with `leitmotif-train experiment`, then report",
        path.display()
    )]
    NothingFinished {
        /// The results folder.
        path: PathBuf,
        /// Runs that are planned.
        runs: usize,
    },
    /// Every finished run has other epochs than its experiment plans.
    #[error(
        "every finished run in {} has other epochs than its experiment plans, such as {key} ({epochs} instead of {planned}); \
         remove its folder there and run the experiment again",
        path.join("runs").display()
    )]
    OnlyOtherEpochs {
        /// The results folder.
        path: PathBuf,
        /// Key of the first.
        key: String,
        /// Epochs that the experiment plans.
        planned: usize,
        /// Epochs that the run was given since.
        epochs: usize,
    },
    /// A file of the results that cannot be used.
    #[error("{} cannot be used (remove it and run the experiment again)", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Cause,
    },
    /// A run's predictions that cannot be used.
    #[error("{} cannot be used (remove it; `fit --resume` writes it again)", path.display())]
    BrokenPredictions {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Cause,
    },
}

/// A report that cannot be made or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A chart that the plotting library refuses.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// A table that cannot become a CSV file.
    #[error("the table {id} cannot be written as CSV")]
    Table {
        /// The table.
        id: String,
        /// Why.
        source: csv::Error,
    },
    /// A file, in the folder of the tables, that no report wrote.
    #[error(
        "{} was not written by a report, so its folder is not replaced; move it away, or name another page with --out",
        path.display()
    )]
    ForeignFile {
        /// The file.
        path: PathBuf,
    },
}

impl ExperimentError {
    /// An I/O error with its file.
    pub(crate) fn file(path: &Path, source: std::io::Error) -> Self {
        TrainError::file(path, source).into()
    }

    /// A file of the results that cannot be used.
    pub(crate) fn broken(path: &Path, source: impl Into<Cause>) -> Self {
        ResultsError::Broken { path: path.to_owned(), source: source.into() }.into()
    }

    /// A run's predictions that cannot be used.
    pub(crate) fn broken_predictions(path: &Path, source: impl Into<Cause>) -> Self {
        ResultsError::BrokenPredictions { path: path.to_owned(), source: source.into() }.into()
    }
}

impl DescriptionError {
    /// A file that is not TOML of the form needed.
    pub(super) fn toml(file: &str, source: toml::de::Error) -> Self {
        DescriptionError::Toml { file: file.to_owned(), source: Box::new(source) }
    }

    /// Fields that contradict each other.
    pub(super) fn inconsistent(file: &str, reason: String) -> Self {
        DescriptionError::Inconsistent { file: file.to_owned(), reason }
    }
}

impl From<StoreError> for ExperimentError {
    fn from(error: StoreError) -> Self {
        ExperimentError::Train(error.into())
    }
}

impl From<ChartError> for ExperimentError {
    fn from(error: ChartError) -> Self {
        ExperimentError::Report(error.into())
    }
}

impl From<tch::TchError> for ExperimentError {
    fn from(error: tch::TchError) -> Self {
        ExperimentError::Train(error.into())
    }
}
