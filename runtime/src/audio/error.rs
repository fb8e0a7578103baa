//! Errors of audio files, one variant for each remedy.

use std::{io, path::PathBuf};

use super::Level;

/// An audio file that cannot be decoded. Every variant names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// There is no such file.
    #[error("there is no file {}; check the path", path.display())]
    NotFound {
        /// The requested path.
        path: PathBuf,
    },
    /// A folder, a device or a pipe.
    #[error("{} is not a regular file; name one audio file", path.display())]
    NotAFile {
        /// The requested path.
        path: PathBuf,
    },
    /// The system cannot read the file.
    #[error("{} cannot be read (check its permissions and its disk)", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file has no bytes.
    #[error("{} is empty (0 bytes); fetch it again", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The content has no supported format, whatever the file name's extension.
    #[error(
        "{} has no supported audio format; convert it to FLAC, WAV, MP3, Vorbis, Opus or AAC-LC",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// A file of another kind: a picture, an archive, a document.
    #[error("{} is no audio file but of the format {format}; name the audio itself", path.display())]
    NotAudio {
        /// The file.
        path: PathBuf,
        /// The format.
        format: String,
    },
    /// Its samples are far over full scale: integers that were never divided, or no audio at all.
    #[error(
        "{}: its samples reach {peak:.0} times full scale; divide them by {} and export it again",
        path.display(), Level::divisor(*peak)
    )]
    OutOfScale {
        /// The file.
        path: PathBuf,
        /// The largest absolute sample; full scale is 1.
        peak: f32,
    },
    /// The container or the codec is known, but not supported.
    #[error("{} holds {codec}, which cannot be decoded: {advice}", path.display())]
    UnsupportedCodec {
        /// The file.
        path: PathBuf,
        /// The codec, as far as it is known.
        codec: String,
        /// A remedy.
        advice: String,
    },
    /// A valid container without a single audio sample.
    #[error("{} holds no audio; it may be cut off, or hold only a picture or video", path.display())]
    NoAudio {
        /// The file.
        path: PathBuf,
    },
    /// The file ends inside its own header.
    #[error("{} is cut off before its audio begins; fetch it again", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// No packet could be decoded, or the structure is invalid.
    #[error("{} is damaged ({reason}); fetch it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The decoder's reason.
        reason: String,
    },
    /// A float file holds a NaN or an infinity.
    ///
    /// It is refused because a network's output for a NaN is NaN, and leaving samples out would hide that the file is
    /// broken.
    #[error(
        "{} holds a sample that is not finite, {seconds:.3} seconds from the start; export the file again from its source",
        path.display()
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Position of the first such sample.
        seconds: f64,
    },
    /// A tag, a table or a packet that exceeds the memory limit.
    #[error(
        "{} holds a header or a packet of more than {mebibytes} MiB; remove its pictures, or convert it to FLAC, WAV, \
         MP3, Vorbis or AAC-LC",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit for one, in units of 2²⁰ bytes.
        mebibytes: u64,
    },
    /// Decoding exceeded the [`TimeLimit`](super::TimeLimit).
    #[error(
        "{} took more than {seconds:.1} seconds to decode; unless this machine is overloaded, convert it to FLAC, WAV, MP3, Vorbis \
         or AAC-LC",
        path.display()
    )]
    TookTooLong {
        /// The file.
        path: PathBuf,
        /// Time spent decoding.
        seconds: f64,
    },
    /// An unsupported sample rate.
    #[error(
        "{} has a sample rate of {rate} Hz; rates from 1,000 to 192,000 Hz are supported, and round ones up to 768,000 Hz; \
         export it again at another rate",
        path.display()
    )]
    UnsupportedRate {
        /// The file.
        path: PathBuf,
        /// The rate that the file states, or the requested one.
        rate: u32,
    },
}
