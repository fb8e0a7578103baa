//! Audio decoding: a file in any common format to mono samples at one rate, and those to segments.
//!
//! ```text
//! file → decode → mean of the channels → resample → segments
//! ```
//!
//! [`AudioReader`] streams a file in memory that does not grow with its length, [`read_all`] collects the samples, and
//! [`Segmenter`] cuts a stream into the overlapping or adjoining segments that a network takes. Training, calibration and
//! serving all use this front end, so that a network is served samples of the same kind as those it was trained on.
//!
//! # What is decoded
//!
//! - **Formats**: MP3 and its older layers, Vorbis in mono and stereo, FLAC (native and Ogg), WAV (RF64 too) and AIFF
//!   (integer and float PCM), AAC-LC in mono and stereo in MP4 and ADTS, ALAC in MP4; Opus in Ogg and MP4 with the feature
//!   `opus`. The content decides, never the file name's extension. HE-AAC is refused by name, also if a file declares it
//!   as AAC-LC. Frames of MPEG and ADTS count only where several follow each other. Whatever else a file is, it is refused
//!   by the name of its format.
//! - **Header**: sizes and lengths are hints. Where they are wrong or were never written, the bytes that are there count,
//!   with a note ([`AudioNote`]); zeros, pictures and other bytes in front of the audio are skipped.
//! - **Stream**: the container's default audio track, else the first that can be decoded. Cover art, video and text are
//!   skipped. If recordings follow each other in one file (chained Ogg, concatenated MP3 files), all are decoded.
//! - **Channels**: the plain mean of all of them, including a subwoofer channel; where they cancel each other (−40 dB), the
//!   loudest alone.
//! - **Scale**: all samples lie in `[-1, 1]`, by the one rule of [`Level`]: overshoot is clipped, floats over full scale are
//!   divided by their peak, and those that were never divided are refused.
//! - **Start and end**: padding that an encoder added is cut if the file states its length: LAME's tag in MP3, granule
//!   positions in Ogg, the edit list in MP4, the header of Opus. Other files keep it, including MP4 files that state it in
//!   the tag `iTunSMPB` only.
//! - **Length**: that of the file when it is opened; data appended later is not read.
//! - **Damage**: a packet that cannot be decoded is skipped and counted in [`AudioInfo::skipped_packets`]; a truncated
//!   file is decoded as far as it goes and marked in [`AudioInfo::truncated`]. MPEG audio of which fewer than half of the
//!   frames can be decoded is an error at its end: noise holds sync words too.
//!
//! # Limits
//!
//! Any bytes may be given: the result is audio or an [`AudioError`], never a panic. A panic of a decoder is caught, after
//! the program's panic hook has run. A reader holds less than 64 MiB whatever the file's length, and for a fragmented MP4
//! 2.5 MiB more for each hour (symphonia keeps a row for every fragment): tags and pictures of MP3, FLAC and MP4 are
//! skipped unread, and every other header or packet may take at most 24 MiB to read ([`AudioError::TooLarge`]). The time
//! is limited too: [`TimeLimit`].

mod aac;
mod chunks;
mod decode;
mod error;
mod files;
mod flac;
mod foreign;
mod frames;
mod info;
mod level;
mod limit;
mod mp4;
mod mpeg;
#[cfg(feature = "opus")]
mod opus;
mod reader;
mod resample;
mod segments;
mod source;
mod stream;
mod vorbis;

#[cfg(feature = "onnx")]
pub(crate) use decode::Mixer;
pub use error::AudioError;
pub use files::MusicFiles;
pub use info::{AudioInfo, AudioNote};
pub use level::Level;
pub use limit::TimeLimit;
pub use reader::{AudioReader, read_all};
pub use resample::{Resampler, UnsupportedRate};
pub use segments::Segmenter;
