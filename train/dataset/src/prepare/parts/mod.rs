//! Prepares a data set on many machines: each decodes a part of the music, and merging stores what one run would store.
//!
//! Song `i` of the plan belongs to part `i mod n + 1` of `n`: the songs of an artist are spread over all parts, so that
//! parts take about as long. A part holds every song of its own as decoded, or the reason why it cannot be: what depends
//! on other songs (duplicates, the maximum per artist, the minimum of songs) is decided when all parts are
//! [merged](Merge), by the code that decides in [`prepare`](super::prepare). Hence the merged data set has the bytes of
//! one run, as long as decoding gives the same samples on all machines.
//!
//! ```text
//! music.jsonl         settings, and all music that was found: the same bytes in every part of a data set
//! part.journal        one line a song: where its samples are, or why it has none
//! shards/00000.pcm    samples of the songs' clips: 16-bit little-endian mono PCM
//! part.lock           locked by the process that writes
//! ```
//!
//! A part can be killed at any moment; the same command resumes it, and tries unreadable files again.

mod entry;
mod error;
mod journal;
mod make;
mod merge;
mod music_list;
mod number;
mod open;
mod samples;

pub use error::PartError;
pub use make::{PartReport, PartRun, prepare_part};
pub use merge::Merge;
pub use number::{BadPart, PartOf};
