//! Predictions and their scores: accuracy by segment, clip and song, per artist, with intervals.
//!
//! Trainer and shipped artifact write the same predictions file, so their scores are one computation.

pub mod bootstrap;
mod f1;
mod file;
mod prediction;
mod scores;
mod song;

pub use bootstrap::Estimate;
pub use file::{Predictions, PredictionsError};
pub use prediction::{Prediction, argmax};
pub use scores::{ArtistScore, Scores};
