//! The properties of an audio file.

use leitmotif_models::SampleRate;
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
    /// Whether less was decoded, damaged packets included, than the file's own structure states: it was cut off, or so
    /// damaged that whole stretches were lost. If a file does not state its length (see `duration_seconds`), this is
    /// known only if a packet is incomplete.
    pub truncated: bool,
}
