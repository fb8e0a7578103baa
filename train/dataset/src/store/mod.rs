//! A prepared data set: a folder of clips, cut once, read by training and evaluation ever after.
//!
//! ```text
//! dataset.toml        what it is: name, licence, rate, length of a clip, how many there are
//! clips.csv           one line a clip: who, what, and where its samples lie
//! shards/00000.pcm    samples of the clips end to end: 16-bit little-endian mono, at most 512 MiB a file
//! splits/NAME.csv     clip,part: which clips train, validate and test
//! journal.csv         only while it is being written; dataset.lock keeps a second writer out
//! ```
//!
//! [`DatasetWriter`] makes one and survives being killed at any moment, [`Dataset`] reads one and checks everything
//! that it reads, [`write_split`] and [`Dataset::read_split`] keep the splits, [`split_digest`] identifies one.
//!
//! Positions and lengths count samples, not bytes. The same songs in the same order give the same bytes, whether or
//! not the writing was interrupted.
//!
//! ```
//! use leitmotif_dataset::store::{ClipRow, Dataset, DatasetInfo, DatasetWriter};
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let info = DatasetInfo { name: "two notes".into(), clip_samples: 4, ..DatasetInfo::default() };
//! let mut writer = DatasetWriter::create_or_resume(folder, info)?;
//! let row = ClipRow { clip: "a.wav#0".into(), song: "a.wav".into(), artist: "A".into(), samples: 4, ..ClipRow::default() };
//! writer.append_song(&[row], &[0.0, 0.5, -0.5, 0.0])?;
//! writer.finish()?;
//!
//! let dataset = Dataset::open(folder)?;
//! let mut middle = [0.0; 2];
//! dataset.read(0, 1, &mut middle)?;
//! assert_eq!(middle, [0.5, -0.5]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod clips;
mod clips_file;
mod dataset;
mod error;
mod files;
mod info;
mod journal;
mod layout;
mod pcm;
mod row;
mod shards;
mod split;
mod writer;

#[cfg(test)]
mod tests;

pub use clips::{Clips, TooManyNames};
pub use dataset::Dataset;
pub use error::StoreError;
pub use info::{DATASET_VERSION, DatasetInfo};
pub use pcm::quantize;
pub use row::ClipRow;
pub use split::{Part, split_digest, write_split};
pub use writer::DatasetWriter;
