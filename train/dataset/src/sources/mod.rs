//! Sources of music: a tagged folder, a manifest, MagnaTagATune, or open game music.
//!
//! Each source returns its [`Track`]s and the files that it leaves out ([`Found`]). It does not decode:
//! [`prepare`](crate::prepare) does, and applies the rules that need the audio.

mod error;
pub mod game_music;
mod left_out;
pub mod magnatagatune;
pub mod manifest;
mod names;
mod raw_tags;
pub mod tagged;
pub mod tags;
mod track;

pub use error::{Problem, SourceError};
pub use left_out::{LeftOut, Reason};
pub use names::{is_pseudo_artist, normalised, song_group};
pub use track::{ArtistFrom, ClipFile, Excerpt, Found, Track};
