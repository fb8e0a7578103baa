//! The scale of samples: one rule for training and serving.
//!
//! Full scale is 1, and everything that [`AudioReader`](super::AudioReader) returns lies within it. Integers do by
//! themselves. What lossy codecs and resampling overshoot is clipped, as by every decoder to 16 bits. A file of floats may
//! hold music of any level: over full scale all of it is divided by its peak, which keeps its shape, and over
//! [`Level::MOST_PEAK`] it is refused, because integers that were never divided are more likely than music.

/// A stated level of samples.
#[derive(Debug, Clone, Copy)]
pub struct Level;

impl Level {
    /// Peak below which samples are silent: −80 dB of full scale, three steps of 16 bits.
    pub const SILENCE: f32 = 1e-4;
    /// Largest peak that can be that of music: 48 dB over full scale. Integers of 16 bits that were never divided pass it
    /// even where they are quiet.
    pub const MOST_PEAK: f32 = 256.0;

    /// The largest absolute sample; 0 of none. A NaN counts as none.
    pub fn peak(samples: &[f32]) -> f32 {
        samples.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
    }

    /// Whether samples are silent: recordings then have no answer, and clips are not trained on.
    pub fn is_silent(samples: &[f32]) -> bool {
        Self::peak(samples) < Self::SILENCE
    }

    /// What samples of this peak are multiplied with; `None` if the scale is absurd.
    pub fn gain(peak: f32) -> Option<f32> {
        match peak {
            _ if peak > Self::MOST_PEAK => None,
            _ if peak > 1.0 => Some(1.0 / peak),
            _ => Some(1.0),
        }
    }

    /// Clips samples to full scale.
    pub fn clip(samples: &mut [f32]) {
        samples.iter_mut().for_each(|sample| *sample = sample.clamp(-1.0, 1.0));
    }

    /// What samples of an absurd peak should probably have been divided by: full scale of the integers that hold it.
    pub fn divisor(peak: f32) -> &'static str {
        match peak {
            // Resampled or filtered integers overshoot theirs a little.
            _ if peak <= 1.5 * 32_768.0 => "32,768",
            _ if peak <= 1.5 * 8_388_608.0 => "8,388,608",
            _ if peak <= 1.5 * 2_147_483_648.0 => "2,147,483,648",
            _ => "their largest value",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn music_over_full_scale_is_scaled_and_integers_are_refused() {
        assert_eq!(Level::gain(0.0), Some(1.0));
        assert_eq!(Level::gain(1.0), Some(1.0));
        assert_eq!(Level::gain(4.0), Some(0.25));
        assert_eq!(Level::gain(256.0), Some(1.0 / 256.0));
        assert_eq!(Level::gain(257.0), None);
        assert_eq!(Level::divisor(16_000.0), "32,768");
        assert_eq!(Level::divisor(40_000.0), "32,768");
        assert_eq!(Level::divisor(8e6), "8,388,608");
        assert_eq!(Level::divisor(2e9), "2,147,483,648");
        assert_eq!(Level::divisor(f32::INFINITY), "their largest value");
    }

    #[test]
    fn a_peak_is_of_either_sign() {
        assert_eq!(Level::peak(&[0.5, -0.75, f32::NAN, 0.25]), 0.75);
        assert_eq!(Level::peak(&[]), 0.0);
        assert!(Level::is_silent(&[0.0, 1.0 / 32_768.0, -3.0 / 32_768.0]));
        assert!(!Level::is_silent(&[0.0, 0.01]));
    }
}
