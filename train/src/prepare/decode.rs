//! One file to the whole clips of one song.

use std::path::Path;

use leitmotif::audio::{AudioError, AudioReader};
use leitmotif::store::quantize;
use leitmotif_models::SampleRate;

use super::journal::Sound;
use super::{LeftOut, Reason};
use crate::sources::Track;

/// Three-hour mixes are music still; what is longer is an audiobook or a whole day of radio, and would fill the memory (0.5 GB a file).
const MAX_HOURS: f64 = 4.0;

/// A decoded song.
#[derive(Default)]
pub(super) struct Song {
    /// Its whole clips, end to end: mono, 16 kHz, as they will be stored; many songs wait in memory at a time.
    pub(super) clips: Vec<i16>,
    /// Samples decoded, those after the last whole clip among them.
    pub(super) samples: usize,
    /// Hash of all samples as 16-bit numbers.
    pub(super) hash: Sound,
    /// Whether packets were damaged or the file ends early; what could be heard is here.
    pub(super) damaged: bool,
    /// Of a song whose clips are files, those that could not be used.
    pub(super) without: Vec<LeftOut>,
}

/// Shorter clip files than this share of a clip are left out, longer ones padded. A clip of MagnaTagATune that lacks so little still fills
/// the seven segments of the paper's models 1 and 2; models 3 and 4 hear at most 2.7 s of the silence.
const LEAST: f64 = 0.9;

/// Decodes `track`; `Ok(None)` when `stopped` says so.
pub(super) fn song(
    track: &Track,
    clip_samples: usize,
    stopped: &dyn Fn() -> bool,
) -> Result<Option<Song>, Reason> {
    if track.clips.is_empty() {
        return whole_song(track, clip_samples, stopped);
    }
    let mut song = Song::default();
    let mut hasher = blake3::Hasher::new();
    let mut bytes = Vec::new();
    for file in &track.clips {
        if stopped() {
            return Ok(None);
        }
        match clip(&track.path.join(&file.id), clip_samples) {
            Err(reason) => song.without.push(LeftOut { path: file.id.clone(), reason }),
            Ok(Clip { samples, decoded, damaged }) => {
                // A hash of two bytes at a time would take longer than decoding.
                bytes.clear();
                bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
                hasher.update(&bytes);
                song.clips.extend(samples);
                song.samples += decoded;
                song.damaged |= damaged;
            }
        }
    }
    song.hash = Sound::of(&hasher);
    Ok(Some(song))
}

/// Whether one of these clip files of `track`, which could not be used, now can.
pub(super) fn can_hear_one_of(
    lacking: &[String],
    track: &Track,
    clip_samples: usize,
    stopped: &dyn Fn() -> bool,
) -> bool {
    track
        .clips
        .iter()
        .filter(|file| lacking.contains(&file.id))
        .any(|file| !stopped() && clip(&track.path.join(&file.id), clip_samples).is_ok())
}

/// A file that is one clip.
struct Clip {
    /// Cut or padded with silence at its end.
    samples: Vec<i16>,
    /// Samples before that, those beyond a clip left aside.
    decoded: usize,
    damaged: bool,
}

fn clip(path: &Path, clip_samples: usize) -> Result<Clip, Reason> {
    let rate = SampleRate::NETWORK;
    let mut reader = AudioReader::open(path, rate).map_err(reason)?;
    let (mut samples, mut block): (Vec<i16>, Vec<f32>) = Default::default();
    while samples.len() < clip_samples && reader.read(&mut block).map_err(reason)? > 0 {
        samples.extend(block.iter().map(|sample| quantize(*sample)));
        block.clear();
    }
    let least = (LEAST * clip_samples as f64).ceil() as usize;
    if samples.len() < least {
        let (seconds, needed) = (rate.seconds(samples.len() as u64), rate.seconds(least as u64));
        return Err(Reason::TooShort { seconds, needed });
    }
    let decoded = samples.len().min(clip_samples);
    samples.resize(clip_samples, 0);
    let damaged = reader.info().truncated || reader.info().skipped_packets > 0;
    Ok(Clip { samples, decoded, damaged })
}

fn whole_song(
    track: &Track,
    clip_samples: usize,
    stopped: &dyn Fn() -> bool,
) -> Result<Option<Song>, Reason> {
    let rate = SampleRate::NETWORK;
    let mut reader = AudioReader::open(&track.path, rate).map_err(reason)?;
    let limit = (MAX_HOURS * 3600.0 * f64::from(rate.0)) as usize;
    let (mut samples, mut block): (Vec<i16>, Vec<f32>) = Default::default();
    let mut hasher = blake3::Hasher::new();
    let mut loud = false;
    let mut bytes = Vec::new();
    let wanted = track.excerpt.samples(rate);
    let mut position = 0;
    while position < wanted.end {
        if stopped() {
            return Ok(None);
        }
        block.clear();
        let read = reader.read(&mut block).map_err(reason)?;
        if read == 0 {
            break;
        }
        // Of this block only what lies in the excerpt stays.
        let late = (position + read as u64).saturating_sub(wanted.end) as usize;
        let early = wanted.start.saturating_sub(position).min((read - late) as u64) as usize;
        position += read as u64;
        let heard = block.iter().take(read - late).skip(early).map(|sample| quantize(*sample));
        bytes.clear();
        for sample in heard {
            loud |= sample != 0;
            bytes.extend(sample.to_le_bytes());
            samples.push(sample);
        }
        hasher.update(&bytes);
        if samples.len() > limit {
            return Err(Reason::TooLong { hours: MAX_HOURS });
        }
    }
    if samples.len() < clip_samples {
        let needed = rate.seconds(clip_samples as u64);
        return Err(Reason::TooShort { seconds: rate.seconds(samples.len() as u64), needed });
    }
    if !loud {
        return Err(Reason::Silent);
    }
    let decoded = samples.len();
    samples.truncate(decoded / clip_samples * clip_samples);
    let damaged = reader.info().truncated || reader.info().skipped_packets > 0;
    let hash = Sound::of(&hasher);
    Ok(Some(Song { clips: samples, samples: decoded, hash, damaged, without: Vec::new() }))
}

fn reason(error: AudioError) -> Reason {
    match error {
        AudioError::NotFinite { seconds, .. } => Reason::NotNumbers { seconds },
        error => Reason::Unreadable { why: error.to_string() },
    }
}
