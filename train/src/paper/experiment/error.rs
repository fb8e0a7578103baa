//! What can be wrong with experiments and their results.

use std::path::{Path, PathBuf};

use leitmotif_models::NetworkError;

use crate::error::TrainError;
use crate::plot::charts::ChartError;
use leitmotif_dataset::split::SplitError;

/// Every variant says what to do, or names the file to look at.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// No experiment of this name.
    #[error(
        "there is no experiment `{name}`; there are all, {known}, and any .toml file that describes one"
    )]
    Unknown {
        /// The name asked for.
        name: String,
        /// All names.
        known: String,
    },
    /// No scale of this name.
    #[error("there is no scale `{name}`; there are {known}, and any .toml file that describes one")]
    UnknownScale {
        /// The name asked for.
        name: String,
        /// All names.
        known: String,
    },
    /// An experiment or scale that does not say what it should.
    #[error("{file}: {reason}")]
    Description {
        /// The file, or the name it is built in under.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// An experiment that names a network there is not.
    #[error("{file}: line `{line}`: {source}")]
    Network {
        /// The file.
        file: String,
        /// The line's label.
        line: String,
        /// What is wrong with the network.
        source: NetworkError,
    },
    /// The results belong to other music.
    #[error(
        "{} holds results of the data set `{then}` ({then_digest}), and this is `{now}` ({now_digest}); give another folder with --out",
        path.display()
    )]
    OtherDataset {
        /// The results folder.
        path: PathBuf,
        /// Name then.
        then: String,
        /// Digest then.
        then_digest: String,
        /// Name now.
        now: String,
        /// Digest now.
        now_digest: String,
    },
    /// Somebody divided the clips anew while runs were under way.
    #[error(
        "the split {split} of the data set was replaced after these runs were planned; start the same command again, or put the old split back"
    )]
    SplitChanged {
        /// The split.
        split: String,
    },
    /// A folder without results.
    #[error("{} holds no results of experiments; `leitmotif-train experiment all --dataset DIR --out {}` makes some", path.display(), path.display())]
    NoResults {
        /// The folder.
        path: PathBuf,
    },
    /// Nothing to report yet.
    #[error("none of the {runs} runs in {} is finished; go on with `leitmotif-train experiment`, then report", path.display())]
    NothingFinished {
        /// The results folder.
        path: PathBuf,
        /// Runs that are wanted.
        runs: usize,
    },
    /// Whatever is finished is no longer what was asked for.
    #[error(
        "every finished run in {} was given other epochs after its experiment, as {key} ({given} instead of {asked}); remove its folder there and run the experiment again",
        path.join("runs").display()
    )]
    OnlyLengthened {
        /// The results folder.
        path: PathBuf,
        /// The first of them.
        key: String,
        /// Epochs that its experiment asks for.
        asked: usize,
        /// Epochs that it has.
        given: usize,
    },
    /// A file of the results that cannot be read.
    #[error("{}: {reason}; remove it and run the experiment again", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Runs that could not be brought to an end, while the others were.
    #[error("{} of the runs failed; the first, {first}: {reason}", others + 1)]
    RunsFailed {
        /// Key of the first.
        first: String,
        /// Why it failed.
        reason: String,
        /// How many more failed.
        others: usize,
    },
    /// A chart that the plotting library refuses.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// A split cannot be made.
    #[error("{0}")]
    Split(#[from] SplitError),
    /// Everything that runs can meet.
    #[error(transparent)]
    Train(#[from] TrainError),
}

impl ExperimentError {
    /// An I/O error with its file.
    pub(crate) fn file(path: &Path, source: std::io::Error) -> Self {
        TrainError::file(path, source).into()
    }

    /// A file of the results that cannot be what it should.
    pub(crate) fn broken(path: &Path, reason: impl ToString) -> Self {
        ExperimentError::Broken { path: path.to_owned(), reason: reason.to_string() }
    }
}

impl From<leitmotif_dataset::store::StoreError> for ExperimentError {
    fn from(error: leitmotif_dataset::store::StoreError) -> Self {
        ExperimentError::Train(error.into())
    }
}

impl From<tch::TchError> for ExperimentError {
    fn from(error: tch::TchError) -> Self {
        ExperimentError::Train(error.into())
    }
}
