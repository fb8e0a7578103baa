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
//! - **Formats**: MP3 and its older layers, Vorbis in mono and stereo, FLAC (native and Ogg), WAV (RF64 too) and AIFF (integer and float PCM),
//!   AAC-LC in mono and stereo in MP4 and ADTS, ALAC in MP4; Opus in Ogg and MP4 with the feature `opus`. The content
//!   decides, never the file name's extension. HE-AAC is refused by name, also where a file hides it behind AAC-LC.
//! - **Stream**: the container's default audio track, else the first that can be decoded. Cover art, video and text are
//!   passed over. Where one recording follows another in one file (chained Ogg, MP3 files put end to end), all are heard.
//! - **Channels**: the plain mean of all of them, a subwoofer channel included.
//! - **Start and end**: silence that an encoder added is cut where the file says how much: LAME's tag in
//!   MP3, granule positions in Ogg, the edit list in MP4, the header of Opus. Files that do not say keep it, and so do
//!   MP4 files that say it in the tag `iTunSMPB` only.
//! - **Length**: that of the file when it is opened; what is appended while it is read is not heard.
//! - **Damage**: a packet that cannot be decoded is passed over and counted in
//!   [`AudioInfo::skipped_packets`]; a file that stops early is heard as far as it goes and says so in
//!   [`AudioInfo::truncated`].
//!
//! # What a file can cost
//!
//! Any bytes may be given: the answer is sound or an [`AudioError`], never a panic. A panic of a decoder is caught, though
//! the program's panic hook hears of it first. A reader holds less than 64 MiB whatever the file's length, a fragmented MP4
//! 2.5 MiB more for each hour (symphonia keeps a row for every fragment): tags and pictures
//! of MP3, FLAC and MP4 are passed over unread, and what else a header or a packet may take to read is bounded by 24 MiB
//! ([`AudioError::TooLarge`]). The time is bounded too: [`TimeLimit`].

mod aac;
mod decode;
mod error;
mod files;
mod limit;
mod mp4;
#[cfg(feature = "opus")]
mod opus;
mod reader;
mod resample;
mod segments;
mod source;
mod vorbis;
mod wave;

pub use error::AudioError;
pub use files::MusicFiles;
pub use limit::TimeLimit;
pub use reader::{AudioInfo, AudioReader, read_all};
pub use resample::{Resampler, UnsupportedRate};
pub use segments::Segmenter;
