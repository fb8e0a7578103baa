//! The scale of a file of floats, by the rule of [`Level`]: measured before its first sample is decoded.

use std::path::Path;

use symphonia::core::formats::FormatReader;

use super::{codec, mix::Mixer, open};
use crate::audio::{AudioError, AudioNote, Level, limit::Budget};

/// The demuxer, still or again before its first packet, and what samples are multiplied with: less than 1 for floats over
/// full scale, with a note.
///
/// # Errors
///
/// [`AudioError::OutOfScale`].
pub(super) fn measure(
    path: &Path,
    mut format: Box<dyn FormatReader>,
    budget: &Budget,
    notes: &mut Vec<AudioNote>,
) -> Result<(Box<dyn FormatReader>, f32), AudioError> {
    if !is_float_pcm(path, format.as_ref()) {
        return Ok((format, 1.0));
    }
    let peak = peak(path, format.as_mut(), budget)?;
    let gain = Level::gain(peak)
        .ok_or_else(|| AudioError::OutOfScale { path: path.to_path_buf(), peak })?;
    if gain < 1.0 {
        notes.push(AudioNote::Scaled { peak });
    }
    budget.allow_bytes();
    Ok((open::again(path, format)?, gain))
}

/// Whether the track to decode is stored as floats.
fn is_float_pcm(path: &Path, format: &dyn FormatReader) -> bool {
    // An error is that of the same choice later.
    open::choose(path, format).is_ok_and(|(_, parameters, _)| codec::is_float_pcm(parameters))
}

/// The peak of a track of floats, mixed as it will be. What cannot be decoded, or is not finite, is reported when it is
/// decoded for its samples.
fn peak(path: &Path, format: &mut dyn FormatReader, budget: &Budget) -> Result<f32, AudioError> {
    let (track, _, mut codec) = open::choose(path, format)?;
    let track = track.id;
    let (mut mixer, mut mono, mut peak) = (Mixer::default(), Vec::new(), 0.0f32);
    loop {
        budget.allow_bytes();
        let Ok(Some(packet)) = format.next_packet() else { return Ok(peak) };
        mono.clear();
        if packet.track_id == track && codec.decode(&packet, &mut mixer, &mut mono).is_ok() {
            let finite = mono.iter().filter(|sample| sample.is_finite());
            peak = finite.fold(peak, |peak, sample| peak.max(sample.abs()));
        }
    }
}
