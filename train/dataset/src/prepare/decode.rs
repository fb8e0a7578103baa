//! Decodes the files of a song and cuts them into clips.

use std::path::Path;

use leitmotif::audio::{AudioError, AudioInfo, AudioReader, Level};
use leitmotif_models::SampleRate;
use leitmotif_models::text::{hex, with_causes};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::damage::Damage;
use crate::sources::{LeftOut, Reason, Track};
use crate::store::quantize;

/// Longer files are probably audiobooks or radio, while mixes of three hours are common. Limits memory: a file of this
/// length takes 0.5 GB.
const MAX_HOURS: f64 = 4.0;

/// A decoded song.
#[derive(Default)]
pub(super) struct Song {
    /// Its whole clips, concatenated: mono, 16 kHz, 16 bits, because many songs wait in memory at a time.
    pub(super) clips: Vec<i16>,
    /// Decoded samples, including those after the last whole clip.
    pub(super) samples: usize,
    /// Digest of all 16-bit samples.
    pub(super) digest: AudioDigest,
    /// The whole clips that are silent and therefore not among them, counted from the start of the song.
    pub(super) silent: Vec<usize>,
    /// What was lost, if packets were damaged or the file ends early.
    pub(super) damage: Option<Damage>,
    /// What else is remarkable about its files.
    pub(super) notes: Vec<String>,
    /// Where each clip is a file of its own: those that cannot be used.
    pub(super) unusable_files: Vec<LeftOut>,
}

/// Identifies a song's audio: half of the BLAKE3 of its samples, which takes a tenth of the time of SHA-256 on
/// processors without instructions for it. Serialised as hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct AudioDigest(pub(super) [u8; 16]);

impl AudioDigest {
    pub(super) fn of(hasher: &blake3::Hasher) -> Self {
        AudioDigest(hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

impl Serialize for AudioDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for AudioDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        let digest = u128::from_str_radix(&digits, 16).map_err(serde::de::Error::custom)?;
        Ok(AudioDigest(digest.to_be_bytes()))
    }
}

/// Clip files shorter than this share of a clip are left out; others are padded with silence. Nine tenths of a clip of
/// MagnaTagATune still fill the seven segments of Nibbeling's models 1 and 2; models 3 and 4 see at most 2.7 s of
/// silence.
const MIN_SHARE: f64 = 0.9;

/// Decodes `track`; `Ok(None)` once `stopped` returns true.
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
            Err(reason) => song.unusable_files.push(LeftOut { path: file.id.clone(), reason }),
            Ok(Clip { samples, decoded, damage, notes }) => {
                // Hashing sample by sample would take longer than decoding.
                bytes.clear();
                bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
                hasher.update(&bytes);
                song.clips.extend(samples);
                song.samples += decoded;
                if let Some(damage) = damage {
                    song.damage.get_or_insert_default().add(damage);
                }
                song.notes.extend(notes);
            }
        }
    }
    song.digest = AudioDigest::of(&hasher);
    Ok(Some(song))
}

/// Whether at least one of these clip files of `track`, which were unusable before, can be decoded.
pub(super) fn can_decode_one_of(
    files: &[String],
    track: &Track,
    clip_samples: usize,
    stopped: &dyn Fn() -> bool,
) -> bool {
    track
        .clips
        .iter()
        .filter(|file| files.contains(&file.id))
        .any(|file| !stopped() && clip(&track.path.join(&file.id), clip_samples).is_ok())
}

/// The decoded audio of a clip file.
struct Clip {
    /// Cut or padded with silence to the length of a clip.
    samples: Vec<i16>,
    /// Samples without the padding.
    decoded: usize,
    damage: Option<Damage>,
    notes: Vec<String>,
}

fn clip(path: &Path, clip_samples: usize) -> Result<Clip, Reason> {
    let rate = SampleRate::NETWORK;
    let mut reader = AudioReader::open(path, rate).map_err(reason)?;
    let (mut samples, mut block): (Vec<i16>, Vec<f32>) = Default::default();
    while samples.len() < clip_samples && reader.read(&mut block).map_err(reason)? > 0 {
        samples.extend(block.iter().map(|sample| quantize(*sample)));
        block.clear();
    }
    let min_samples = (MIN_SHARE * clip_samples as f64).ceil() as usize;
    if samples.len() < min_samples {
        let seconds = rate.seconds(samples.len() as u64);
        let needed = rate.seconds(min_samples as u64);
        return Err(Reason::TooShort { seconds, needed });
    }
    let decoded = samples.len().min(clip_samples);
    samples.resize(clip_samples, 0);
    let (damage, notes) = (Damage::of(reader.info()), notes(reader.info()));
    Ok(Clip { samples, decoded, damage, notes })
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
        // Only the samples within the excerpt are used.
        let late = (position + read as u64).saturating_sub(wanted.end) as usize;
        let early = wanted.start.saturating_sub(position).min((read - late) as u64) as usize;
        position += read as u64;
        let wanted_samples =
            block.iter().take(read - late).skip(early).map(|sample| quantize(*sample));
        bytes.clear();
        for sample in wanted_samples {
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
    let decoded = samples.len();
    samples.truncate(decoded / clip_samples * clip_samples);
    let silent = remove_silent(&mut samples, clip_samples);
    if samples.is_empty() {
        return Err(Reason::Silent);
    }
    let info = reader.info();
    Ok(Some(Song {
        clips: samples,
        samples: decoded,
        digest: AudioDigest::of(&hasher),
        silent,
        damage: Damage::of(info),
        notes: notes(info),
        unusable_files: Vec::new(),
    }))
}

/// Removes the clips that are silent by [`Level`]'s rule, and returns their numbers.
fn remove_silent(samples: &mut Vec<i16>, clip_samples: usize) -> Vec<usize> {
    let is_loud = |sample: &i16| f32::from(sample.unsigned_abs()) / 32_768.0 >= Level::SILENCE;
    let clips = samples.chunks(clip_samples).enumerate();
    let silent: Vec<usize> =
        clips.filter(|(_, clip)| !clip.iter().any(is_loud)).map(|(number, _)| number).collect();
    for number in silent.iter().rev() {
        samples.drain(number * clip_samples..(number + 1) * clip_samples);
    }
    silent
}

fn notes(info: &AudioInfo) -> Vec<String> {
    info.notes.iter().map(ToString::to_string).collect()
}

fn reason(error: AudioError) -> Reason {
    match error {
        AudioError::NotFinite { seconds, .. } => Reason::NotNumbers { seconds },
        AudioError::OutOfScale { peak, .. } => Reason::OutOfScale { peak },
        error => Reason::Unreadable { why: with_causes(&error) },
    }
}
