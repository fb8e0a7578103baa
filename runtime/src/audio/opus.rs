//! Opus packets to samples at 48 kHz. The only file that knows the Opus decoder, `ropus`.
//!
//! `ropus` is a port of the fixed-point reference decoder and agrees with the floating-point one as far as 16 bits allow
//! (70 dB and more). `opus-decoder` 0.1.1, the other one written in Rust, panicked on real music in a debug build and
//! took 40 times as long.

use ropus::OpusMSDecoder;

use leitmotif_models::SampleRate;

/// Opus always decodes at this rate, whatever was encoded.
pub(super) const RATE: SampleRate = SampleRate(48_000);
/// The longest packet there may be, 120 ms, in samples of one channel.
const LONGEST: usize = 5_760;

/// A decoder of one stream.
pub(super) struct Opus {
    decoder: OpusMSDecoder,
    /// Channels of the stream.
    channels: usize,
    /// Converts samples of 16 bits to floats, including the header's gain.
    scale: f32,
    /// Samples at the start that the encoder asks to drop.
    skip: usize,
    pcm: Vec<i16>,
    floats: Vec<f32>,
}

impl Opus {
    /// A decoder for the stream that the identification header `head` describes (RFC 7845, section 5.1): mono and
    /// stereo, and surround in Vorbis' order.
    ///
    /// # Errors
    ///
    /// What is wrong with the header, or not supported.
    pub(super) fn new(head: &[u8]) -> Result<Self, String> {
        let Some((
            &[
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                channels,
                skip_low,
                skip_high,
                _,
                _,
                _,
                _,
                gain_low,
                gain_high,
                family,
            ],
            rest,
        )) = head.split_first_chunk::<19>()
        else {
            return Err("its header is too short".to_owned());
        };
        let (count, streams, coupled, mapping) = match (family, rest) {
            (0, _) if channels == 1 => (1, 1, 0, &[0][..]),
            (0, _) if channels == 2 => (2, 1, 1, &[0, 1][..]),
            (1, [streams, coupled, mapping @ ..]) if channels <= 8 => {
                (channels, *streams, *coupled, mapping)
            }
            _ => return Err(format!("{channels} channels in mapping family {family}")),
        };
        let mapping =
            mapping.get(..usize::from(count)).ok_or("its channel mapping is too short")?;
        let decoder = OpusMSDecoder::new(
            RATE.0 as i32,
            i32::from(count),
            i32::from(streams),
            i32::from(coupled),
            mapping,
        )
        .map_err(|code| format!("its channel mapping is refused with {code}"))?;
        // Q7.8 decibels.
        let gain = f32::from(i16::from_le_bytes([gain_low, gain_high])) / 256.0;
        let channels = usize::from(channels);
        Ok(Self {
            decoder,
            channels,
            scale: 10f32.powf(gain / 20.0) / 32_768.0,
            skip: usize::from(u16::from_le_bytes([skip_low, skip_high])),
            pcm: vec![0; LONGEST * channels],
            floats: Vec::new(),
        })
    }

    /// A decoder for the stream that an MP4 file describes: the same header in big-endian numbers ("Encapsulation of
    /// Opus in ISO Base Media File Format", 4.3.2), here after the eight letters that symphonia puts before it.
    ///
    /// # Errors
    ///
    /// As [`Opus::new`].
    pub(super) fn in_mp4(box_: &[u8]) -> Result<Self, String> {
        let mut head = box_.to_vec();
        for (from, to) in [(10, 12), (12, 16), (16, 18)] {
            head.get_mut(from..to).unwrap_or_default().reverse();
        }
        Self::new(&head)
    }

    /// Keeps the samples at the start: the file's edit list cuts them.
    pub(super) fn keep_start(&mut self) {
        self.skip = 0;
    }

    /// The number of channels of the stream.
    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    /// Decodes a packet to its interleaved channels, less the last `trim` samples of each, which lie beyond the stream's
    /// end.
    pub(super) fn decode(&mut self, packet: &[u8], trim: u64) -> Result<&[f32], String> {
        let bytes = i32::try_from(packet.len()).map_err(|_| "an Opus packet is too long")?;
        if bytes == 0 {
            return Err("an Opus packet is empty".to_owned());
        }
        let frames = self
            .decoder
            .decode(Some(packet), bytes, &mut self.pcm, LONGEST as i32, false)
            .map_err(|code| format!("an Opus packet is refused with {code}"))?;
        let frames = usize::try_from(frames).unwrap_or(0);
        let kept = frames.saturating_sub(usize::try_from(trim).unwrap_or(usize::MAX));
        let skipped = self.skip.min(kept);
        self.skip -= skipped;
        let samples =
            self.pcm.get(skipped * self.channels..kept * self.channels).unwrap_or_default();
        self.floats.clear();
        self.floats.extend(samples.iter().map(|&sample| f32::from(sample) * self.scale));
        Ok(&self.floats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(channels: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut head = b"OpusHead\x01".to_vec();
        head.extend([channels, 0x38, 1, 0x80, 0xbb, 0, 0, 0, 0xfa, family]);
        head.extend(rest);
        head
    }

    #[test]
    fn headers_set_channels_delay_and_gain() {
        let opus = Opus::new(&head(2, 0, &[])).unwrap();
        assert_eq!((opus.channels, opus.skip), (2, 312));
        // −6 dB halve the samples.
        assert!((opus.scale * 32_768.0 - 0.5012).abs() < 1e-4, "{}", opus.scale);
        assert_eq!(Opus::new(&head(6, 1, &[4, 2, 0, 4, 1, 2, 3, 5])).unwrap().channels, 6);
    }

    #[test]
    fn headers_in_mp4_are_big_endian() {
        let mut head = b"OpusHead\0".to_vec();
        head.extend([2, 1, 0x38, 0, 0, 0xbb, 0x80, 0xfa, 0, 0]);
        let opus = Opus::in_mp4(&head).unwrap();
        assert_eq!((opus.channels, opus.skip), (2, 312));
        assert!((opus.scale * 32_768.0 - 0.5012).abs() < 1e-4, "{}", opus.scale);
        assert!(Opus::in_mp4(&head[..15]).is_err());
    }

    #[test]
    fn invalid_headers_are_refused() {
        for head in [
            head(0, 0, &[]),
            head(3, 0, &[]),
            head(6, 1, &[4, 2, 0, 4]),
            head(6, 1, &[0, 2, 0, 4, 1, 2, 3, 5]),
            head(6, 1, &[4, 2, 0, 4, 1, 2, 3, 99]),
            head(9, 1, &[9, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]),
            head(2, 255, &[2, 0, 0, 1]),
            b"OpusHead".to_vec(),
        ] {
            assert!(Opus::new(&head).is_err(), "{head:?}");
        }
    }

    #[test]
    fn packets_of_noise_are_refused_or_decoded_but_never_crash() {
        let mut state = 1u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let mut opus = Opus::new(&head(2, 0, &[])).unwrap();
        for length in 0..400 {
            let packet: Vec<u8> = (0..length).map(|_| byte()).collect();
            let decoded = opus.decode(&packet, u64::from(byte()));
            assert!(decoded.map_or(0, <[f32]>::len) <= 2 * LONGEST);
        }
    }
}
