//! The paper's experiments: which runs they need, which of them are done, and the results folder.
//!
//! An [`spec::Experiment`] lists series (network, head, split) and the paper's own values; a [`scale::Scale`] holds epochs,
//! seeds and network sizes. [`plan::Plan`] is both together on one data set, each run once; [`estimate::Speeds`] estimates how
//! long its runs take, and [`execute::execute`] does what is left of it. [`results_dir`] reads and writes the results folder,
//! which holds everything that a report needs, and no music:
//!
//! ```text
//! results.json             the data set: name, counts, digest
//! clips.csv                song, artist, album and genres of every clip
//! splits/NAME.json         parts of a split, and what they share
//! experiments/NAME.json    an experiment as it was last planned, with its scale and the keys of its runs
//! runs/KEY/                a run of `fit`, with machine.json ([`machine`]) and learned.json ([`filters`])
//! ```
//!
//! Modules import only those above them:

pub mod error;

pub mod scale;
pub mod spec;

pub mod results_dir;

pub mod filters;
pub mod machine;

pub mod plan;

pub mod estimate;
pub mod execute;
