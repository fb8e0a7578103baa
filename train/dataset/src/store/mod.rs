//! A prepared data set: a folder of clips that training and evaluation read.
//!
//! ```text
//! dataset.toml        name, licence, sample rate, clip length, numbers of clips, songs and artists
//! clips.csv           one row per clip: artist, song, and where its samples are
//! shards/00000.pcm    samples of the clips, concatenated: 16-bit little-endian mono PCM, at most 512 MiB per file
//! splits/NAME.csv     clip,part: the training, validation and test clips of a split
//! journal.csv         exists only while the data set is written
//! dataset.lock        locked by the process that writes
//! ```
//!
//! [`DatasetWriter`] writes one and can be killed at any moment, [`Dataset`] reads one and validates what it reads,
//! [`write_split`] and [`Dataset::read_split`] store splits, [`split_digest`] identifies a split, [`samples_digest`] the audio of its clips.
//!
//! Positions and lengths count samples, not bytes. The same songs in the same order give the same bytes, whether or
//! not the writer was interrupted.
//!
//! ```
//! use leitmotif_dataset::store::{ClipRow, Dataset, DatasetInfo, DatasetWriter};
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let info = DatasetInfo { name: "two notes".into(), clip_samples: 4, ..DatasetInfo::default() };
//! let mut writer = DatasetWriter::create_or_resume(folder, info)?;
//! let (clip, song, artist) = ("a.wav#0".into(), "a.wav".into(), "A".into());
//! let row = ClipRow { clip, song, artist, samples: 4, ..ClipRow::default() };
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
mod sample_digest;
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
pub use sample_digest::SampleDigest;
pub use split::{Part, samples_digest, split_digest, write_split};
pub use writer::DatasetWriter;
