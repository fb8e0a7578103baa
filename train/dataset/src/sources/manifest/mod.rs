//! A CSV manifest: one song per row.
//!
//! Columns: `path` and `artist` (required), `album`, `title`, `song_group`, `genre` (several are separated by `;`), and
//! `start_seconds` and `end_seconds` where the song is only an excerpt of the file. Paths are relative to the manifest.
//!
//! Invalid rows are errors: all of them are reported together, with line and column. Audio files that are missing or
//! damaged are found by `prepare`, which leaves them out.

mod find;
mod rows;

pub use find::find;
pub use rows::COLUMNS;
