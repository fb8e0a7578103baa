//! Where music comes from: a tagged folder, a manifest, MagnaTagATune, or open game music.
//!
//! Each source lists [`Track`]s and what it leaves out; decoding, and the rules that need the audio, belong to
//! [`prepare`](crate::prepare).

pub mod debian;
mod error;
pub mod game_music;
mod left_out;
pub mod magnatagatune;
pub mod manifest;
mod names;
pub mod tagged;
pub mod tags;
mod track;

pub use error::{Problem, SourceError};
pub use left_out::{LeftOut, Reason};
pub use names::{is_pseudo_artist, normalised, song_group};
pub use track::{ClipFile, Excerpt, Found, Track};
