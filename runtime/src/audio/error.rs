//! What can be wrong with an audio file, told by what its owner can do about it.

use std::{io, path::PathBuf};

/// An audio file that cannot be heard. Every variant names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// There is no such file.
    #[error("there is no file {}; check the path", path.display())]
    NotFound {
        /// The path as it was asked for.
        path: PathBuf,
    },
    /// A folder, a device or a pipe.
    #[error("{} is not a regular file; name one audio file", path.display())]
    NotAFile {
        /// The path as it was asked for.
        path: PathBuf,
    },
    /// The system refuses to read it.
    #[error("{} cannot be read ({source}); check its permissions and its disk", path.display())]
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
    /// The content is of no format that is known here, whatever its name ends with.
    #[error(
        "{} holds no audio format known here; convert it to FLAC, WAV, MP3, Vorbis, Opus or AAC-LC",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The container is known and what it holds is not.
    #[error("{} holds {codec}, which cannot be decoded: {advice}", path.display())]
    UnsupportedCodec {
        /// The file.
        path: PathBuf,
        /// The codec as far as the file tells.
        codec: String,
        /// What to do about it.
        advice: String,
    },
    /// A sound container without a single sample of sound.
    #[error("{} holds no audio; it may be cut off or a picture or video only", path.display())]
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
    /// Not one packet of it could be decoded, or its structure makes no sense.
    #[error("{} is damaged ({reason}); fetch it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// A float file holds a NaN, an infinity or a number beyond all sound.
    ///
    /// It is refused, because a network answers NaN to a NaN, and leaving samples out would hide that the
    /// file is broken.
    #[error(
        "{} holds a sample that is no number or absurdly large, {seconds:.3} seconds from the start; \
         export the file again from its source",
        path.display()
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Where the first such sample lies.
        seconds: f64,
    },
    /// A tag, a table or a packet so large that it would not fit into the memory set aside for it.
    #[error(
        "{} holds a header or a packet of more than {mebibytes} MiB; remove its pictures, or convert it to FLAC, WAV, \
         MP3, Vorbis or AAC-LC",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What may be read for one, in units of 2²⁰ bytes.
        mebibytes: u64,
    },
    /// The file was given up after its [`TimeLimit`](super::TimeLimit).
    #[error(
        "{} was given up after {seconds:.1} seconds; if its disk is not just slow, convert it to FLAC, WAV, MP3, Vorbis \
         or AAC-LC",
        path.display()
    )]
    TookTooLong {
        /// The file.
        path: PathBuf,
        /// How long it was worked on.
        seconds: f64,
    },
    /// A sample rate that no recording has.
    #[error(
        "{} claims a rate of {rate} Hz; rates from 1,000 to 192,000 Hz are supported, and round ones up to 768,000 Hz; \
         export it again at another rate",
        path.display()
    )]
    UnsupportedRate {
        /// The file.
        path: PathBuf,
        /// The rate the file claims, or the one that was asked for.
        rate: u32,
    },
}
