//! The paper's experiments: which runs each one wants, which of them are done, and what is kept of them.
//!
//! An [`spec::Experiment`] names lines (network, head, split) and the paper's own values; a [`scale::Scale`] says how large
//! everything is; [`plan::Plan`] is both together on one data set, each run once, and [`execute::work`] does what is left of it.
//! A results folder holds all that a report needs, and no music:
//!
//! ```text
//! results.json             the data set: name, counts, digest
//! clips.csv                song, artist, album and genres of every clip
//! splits/NAME.json         parts of a split, and what they share
//! experiments/NAME.json    an experiment as it was asked for last, with its scale and the keys of its runs
//! runs/KEY/                a run of `fit`, beside it machine.json and learned.json
//! ```

pub mod error;
pub mod estimate;
pub mod execute;
pub mod filters;
pub mod machine;
pub mod plan;
pub mod results_dir;
pub mod scale;
pub mod spec;
