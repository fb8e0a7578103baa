//! Divides the clips of a data set into training, validation and test parts: by clip, recording, song or album.
//!
//! Splits are stratified by artist: each artist has about the requested share of its clips in the test part, and at
//! least one group of clips in each part. The [`Protocol`] defines the groups; a group is never divided between parts.
//! Validation clips are taken from what the test part leaves, by the same rule. The groups of an artist are shuffled by
//! (seed, protocol, artist) alone, so adding or removing an artist does not change the parts of the others.

mod error;
mod groups;
mod leaks;
mod request;
mod stratify;
mod subset;

pub use error::SplitError;
pub use leaks::{LeakReport, PartLeaks};
pub use request::{Protocol, SplitRequest};
pub use stratify::{Split, split};
