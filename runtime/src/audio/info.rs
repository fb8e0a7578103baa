//! The properties of an audio file.

use std::fmt;

use leitmotif_models::SampleRate;
use leitmotif_models::text::count;
use serde::Serialize;

/// The properties of an audio file; final once it has been read to its end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AudioInfo {
    /// Short name of the codec: `mp3`, `vorbis`, `flac`, `pcm_s16le`, `aac`, `alac`, `opus`…
    pub codec: String,
    /// The file's own rate, before resampling.
    pub sample_rate: SampleRate,
    /// The file's own number of channels, before mixing.
    pub channels: usize,
    /// Length in seconds as the file states it. MP3 without a Xing or VBRI tag and ADTS do not.
    pub duration_seconds: Option<f64>,
    /// Damaged packets skipped so far.
    pub skipped_packets: usize,
    /// Seconds that they would have lasted, as far as the file tells.
    pub lost_seconds: f64,
    /// Whether less was decoded, damaged packets included, than the file's own structure states: it was cut off, or so
    /// damaged that whole stretches were lost. If a file does not state its length (see `duration_seconds`), this is
    /// known only if a packet is incomplete.
    pub truncated: bool,
    /// What else is remarkable about the file, though it is decoded.
    pub notes: Vec<AudioNote>,
}

/// What is remarkable about a file that is decoded whole all the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AudioNote {
    /// A size in its header is not that of the bytes that are there, which count.
    WrongHeader,
    /// In front of its audio lie zeros, a picture or other bytes that are not audio.
    BytesBefore {
        /// Their number.
        bytes: u64,
    },
    /// Its samples are floats over full scale, all divided by their peak.
    Scaled {
        /// The largest absolute sample before; full scale is 1.
        peak: f32,
    },
    /// Its channels cancel each other, so that their mean is silent: one of them is decoded there.
    Cancelling {
        /// For how many seconds.
        seconds: f64,
    },
}

impl fmt::Display for AudioNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AudioNote::WrongHeader => {
                write!(
                    f,
                    "a size in its header is wrong; it is decoded by the bytes that are there"
                )
            }
            AudioNote::BytesBefore { bytes } => {
                write!(f, "{} in front of the audio are skipped", count(*bytes as usize, "byte"))
            }
            AudioNote::Scaled { peak } => {
                write!(f, "its samples reach {peak:.1} times full scale; they are divided by that")
            }
            AudioNote::Cancelling { seconds } => {
                write!(
                    f,
                    "its channels cancel each other for {seconds:.1} s; one of them is decoded there"
                )
            }
        }
    }
}
