//! MagnaTagATune: 25,863 clips of 29 seconds, each a file of its own, from 5,405 tracks.
//!
//! Law, West, Mandel, Bay and Downie, *Evaluation of algorithms using games: the case of music tagging* (ISMIR 2009).
//! The path of a clip gives its names: `X/artist-album-NN-title-START-END.mp3`. The clips of a track, in the order of
//! time, are one song here; tracks of one artist with the same title are one song group.
//! `train/dataset/data/magnatagatune.toml` lists what is left out.

mod clip;
mod find;
mod genres;
mod listing;
mod rules;
mod summary;

pub use find::{Request, find};
pub use listing::Listing;
pub use rules::Aliases;
pub use summary::{ArtistCounts, GenreGaps, ListCounts, Summary};
