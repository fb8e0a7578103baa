//! Open game music: real recordings with known artists under free licences, from Debian packages.
//!
//! `train/dataset/data/open-game-music.csv` lists each file with its package and SHA-256. A package is fetched into a
//! temporary folder of the cache and unpacked there; its listed files are verified and then renamed into place. A
//! killed run therefore leaves nothing incomplete, and the next run fetches what is missing.

mod cache;
mod debian;
mod find;
mod list;

pub use debian::{Debian, DownloadError};
pub use find::{FetchEvent, default_cache, find};
pub use list::{LIST, ListEntry, MusicSet, entries};
