//! The ears: an audio file in, mono samples at one rate out.
//!
//! ```text
//! file → decode → mean of the channels → resample → segments
//! ```
//!
//! [`AudioReader`] streams a file in memory that does not grow with its length, [`read_all`] is the
//! same with the samples collected, and [`Segmenter`] cuts a stream into the overlapping or adjoining
//! segments that a network sees. Training, calibration and serving use these and nothing else, so that
//! no network meets samples of another kind than it learnt from.
//!
//! # What is heard
//!
//! - **Formats**: MP3, Vorbis and FLAC (native and Ogg), WAV and AIFF (integer and float PCM), AAC-LC and
//!   ALAC in MP4, AAC-LC in ADTS; Opus in Ogg with the feature `opus`. The content decides, never the
//!   file name's extension.
//! - **Stream**: the container's default audio track, else its first. Cover art, video and text are
//!   passed over. Where one recording follows another in one file (chained Ogg), both are heard.
//! - **Channels**: the plain mean of all of them, a subwoofer channel included.
//! - **Start and end**: silence that an encoder added is cut where the file says how much: LAME's tag in
//!   MP3, granule positions in Ogg, the edit list in MP4. Files that do not say keep it.
//! - **Damage**: a packet that cannot be decoded is passed over and counted in
//!   [`AudioInfo::skipped_packets`]; a file that stops early is heard as far as it goes and says so in
//!   [`AudioInfo::truncated`].

mod decode;
mod error;
mod files;
mod mp4;
#[cfg(feature = "opus")]
mod opus;
mod reader;
mod resample;
mod segments;

pub use error::AudioError;
pub use files::MusicFiles;
pub use reader::{AudioInfo, AudioReader, read_all};
pub use resample::{Resampler, UnsupportedRate};
pub use segments::Segmenter;
