//! MPEG audio frames (MP3 and its older layers) to samples. The only file that knows their decoder, `nanomp3-core`.
//!
//! It is a port of minimp3 without `unsafe`. symphonia 0.6's decoder refuses joint stereo whose channels have different
//! block types, and takes a fifth to a third longer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use leitmotif_models::SampleRate;
use nanomp3_core::{DecodeError, Decoder, FrameInfo, MAX_SAMPLES_PER_FRAME};

/// A stream is noise with sync words in it, not MPEG audio, if fewer than one in so many of its frames are readable.
/// Of damaged music most frames are; of noise, which changes its rate or layer with every frame, almost none.
const READABLE: u64 = 2;

/// A decoder of one stream.
pub(super) struct Mpeg {
    layer: &'static str,
    decoder: Box<Decoder>,
    /// The channels of the last frame, interleaved.
    pcm: Vec<f32>,
    /// Version, layer, rate and whether it is mono, of the last frame.
    kind: Option<[u8; 3]>,
    /// Whether the last frame is of another kind than the one before it.
    changed: bool,
    /// Whether a frame was decoded.
    started: bool,
    frames: u64,
    /// Frames that were decoded, and are of the same kind as the ones before them.
    readable: u64,
}

/// The samples of a frame.
pub(super) struct Frame<'a> {
    pub(super) rate: SampleRate,
    pub(super) channels: usize,
    /// The channels, interleaved.
    pub(super) samples: &'a [f32],
}

impl Mpeg {
    /// A decoder for frames of any layer; a stream of this one, `mp1` to `mp3`.
    pub(super) fn new(layer: &'static str) -> Self {
        Self {
            layer,
            decoder: Box::new(Decoder::new()),
            pcm: vec![0.0; MAX_SAMPLES_PER_FRAME],
            kind: None,
            changed: false,
            started: false,
            frames: 0,
            readable: 0,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.layer
    }

    /// Whether a frame has another rate, layer or number of channels than the one before it.
    pub(super) fn is_another(&self, frame: &[u8]) -> bool {
        kind(frame).is_some_and(|kind| self.kind.is_some_and(|before| before != kind))
    }

    /// Decodes anew from a frame of another kind on, because files were concatenated, if `next` is of that kind too; else
    /// the frame is a chance sync word in damaged data, and to be skipped. Whether it is accepted.
    pub(super) fn accept_another(&mut self, frame: &[u8], next: Option<&[u8]>) -> bool {
        if next.and_then(kind) != kind(frame) {
            self.frames += 1;
            return false;
        }
        *self.decoder = Decoder::new();
        self.kind = kind(frame);
        self.changed = true;
        true
    }

    /// Decodes one whole frame.
    ///
    /// A frame may have bits in the ones before it. The first frames of a stream that was cut are silent for that, as of
    /// ffmpeg; later ones are errors, since a frame between them was lost.
    pub(super) fn decode(&mut self, frame: &[u8]) -> Result<Frame<'_>, String> {
        let same = !std::mem::take(&mut self.changed);
        self.kind = kind(frame).or(self.kind);
        self.frames += 1;
        // nanomp3-core 0.2.0 reads past a table at mixed blocks of 8 kHz, which only damage makes of ordinary files.
        let attempt = AssertUnwindSafe(|| self.decoder.decode(frame, &mut self.pcm).1);
        let Ok(decoded) = catch_unwind(attempt) else {
            *self.decoder = Decoder::new();
            return Err("an MPEG frame has blocks that its rate does not have".to_owned());
        };
        let (info, frames) = match decoded {
            Ok(info) => {
                self.started = true;
                self.readable += u64::from(same);
                (info, info.samples_produced)
            }
            Err(DecodeError::ReservoirUnavailable(info)) if !self.started => {
                self.pcm.fill(0.0);
                (info, layer_3_frames(&info))
            }
            Err(error) => return Err(format!("an MPEG frame is refused: {error}")),
        };
        let channels = usize::from(info.channels.num());
        let samples = self.pcm.get(..frames * channels).unwrap_or_default();
        Ok(Frame { rate: SampleRate(info.sample_rate), channels, samples })
    }

    /// Why the stream so far is no MPEG audio, if it is none.
    pub(super) fn unreadable(&self) -> Option<String> {
        let (readable, frames) = (self.readable, self.frames);
        (readable * READABLE < frames).then(|| {
            format!("it holds no readable MPEG audio: {readable} of {frames} frames are decoded")
        })
    }
}

/// Version, layer, rate and whether it is mono, of a frame.
fn kind(frame: &[u8]) -> Option<[u8; 3]> {
    let &[_, version, rate, mode, ..] = frame else { return None };
    Some([version & 0x1e, rate & 0x0c, u8::from(mode >> 6 == 3)])
}

/// Samples of a channel in a frame of layer III: half in the lower rates of MPEG-2.
fn layer_3_frames(info: &FrameInfo) -> usize {
    if info.sample_rate < 32_000 { 576 } else { 1152 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_noise_are_refused_or_decoded_but_never_crash() {
        let mut state = 1u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let mut mpeg = Mpeg::new("mp3");
        for length in 0..2_000 {
            let mut frame: Vec<u8> = (0..length).map(|_| byte()).collect();
            for (place, mask) in frame.iter_mut().zip([0xff, 0xe2]) {
                *place |= mask;
            }
            if mpeg.is_another(&frame) {
                mpeg.accept_another(&frame, Some(&frame));
            }
            if let Ok(frame) = mpeg.decode(&frame) {
                assert!(frame.samples.len() <= MAX_SAMPLES_PER_FRAME);
            }
        }
        assert!(mpeg.unreadable().is_some());
    }

    #[test]
    fn a_frame_of_another_kind_counts_only_if_the_next_is_of_that_kind_too() {
        let frame = |rate: u8| {
            let mut frame = vec![0; 104];
            frame[..4].copy_from_slice(&[0xff, 0xfb, rate, 0xc0]);
            frame
        };
        let (usual, other) = (frame(0x10), frame(0x14));
        let mut mpeg = Mpeg::new("mp3");
        mpeg.decode(&usual).unwrap();
        assert!(mpeg.is_another(&other));
        assert!(!mpeg.accept_another(&other, Some(&usual)));
        assert!(!mpeg.accept_another(&other, None));
        assert!(!mpeg.is_another(&usual));
        assert!(mpeg.accept_another(&other, Some(&other)));
        assert!(!mpeg.is_another(&other) && mpeg.is_another(&usual));
    }

    #[test]
    fn a_frame_at_which_the_decoder_panics_is_refused() {
        // MPEG-2.5, 8,000 Hz, 8 kbit/s, mono: silence, but the second in a mixed block.
        let mut silence = vec![0; 72];
        silence[..4].copy_from_slice(&[0xff, 0xe3, 0x18, 0xc0]);
        let mut mixed = silence.clone();
        mixed[9..11].copy_from_slice(&[0x01, 0xa0]);
        let mut mpeg = Mpeg::new("mp3");
        assert!(mpeg.decode(&silence).is_ok());
        assert!(mpeg.decode(&mixed).is_err());
        assert_eq!(mpeg.decode(&silence).unwrap().samples, [0.0; 576]);
    }

    #[test]
    fn every_layer_and_rate_has_its_number_of_samples() {
        // MPEG-1, 44,100 Hz, 32 kbit/s, mono, all zeros, which is silence.
        for (version, size, samples) in [(0xff, 32, 384), (0xfd, 104, 1152), (0xfb, 104, 1152)] {
            let mut frame = vec![0; size];
            frame[..4].copy_from_slice(&[0xff, version, 0x10, 0xc0]);
            let mut mpeg = Mpeg::new("");
            assert!(!mpeg.is_another(&frame));
            let decoded = mpeg.decode(&frame).unwrap();
            assert_eq!((decoded.rate.0, decoded.channels), (44_100, 1));
            assert_eq!(decoded.samples, vec![0.0; samples]);
            assert!(!mpeg.is_another(&frame) && mpeg.unreadable().is_none());
        }
    }
}
