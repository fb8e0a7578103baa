//! From segments to a song, the same way in training and in serving: the [`Mean`] of segments, and the [`windows`] over
//! which an LSTM runs.

mod mean;
mod windows;

pub use mean::{Mean, largest};
pub use windows::{window_counts, windows};
