//! Predictions and their scores: accuracy by segment, clip and song, per artist, with intervals; and how far their
//! percentages can be believed.
//!
//! Trainer and shipped artifact write the same predictions file, so their scores are one computation.

pub mod bootstrap;
mod confidence;
mod f1;
mod file;
mod prediction;
mod scores;
mod song;

pub use bootstrap::Estimate;
pub use confidence::{Confidence, ReliabilityBin, UnknownSongs};
pub use file::{Predictions, PredictionsError};
pub use prediction::{Prediction, argmax};
pub use scores::{ArtistScore, Scores};
