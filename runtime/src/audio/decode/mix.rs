//! The mean of a block's channels, or one of them where they cancel each other.
//!
//! A channel that is the other's inverse, by a wrong cable or a widening effect, makes the mean silent though both are
//! loud. There the louder channel is decoded instead, and goes on to be until the mean is well audible again, so that it
//! does not change back and forth.

use leitmotif_models::SampleRate;
use symphonia::core::audio::{
    Audio, AudioBuffer, GenericAudioBufferRef, conv::IntoSample, sample::Sample,
};

/// Below this share of the channels' power, the mean is cancelled: −40 dB.
const CANCELLED: f32 = 1e-4;
/// From this share on, it is audible again: −20 dB.
const AUDIBLE: f32 = 1e-2;
/// Power of a channel below which sound is silent, and says nothing: −80 dB.
const SILENT: f32 = 1e-8;
/// Samples over which is decided, from 11 ms on: in single ones, opposite signs are chance. Some containers have packets of
/// one sample.
const LEAST: usize = 512;

/// Mixes one stream.
#[derive(Default)]
pub(crate) struct Mixer {
    /// The channel that is decoded alone.
    alone: Option<usize>,
    /// Samples that were.
    cancelled: u64,
    /// Power of one channel on average and of the mean since the last decision, and over how many samples.
    channel: f32,
    mean: f32,
    samples: usize,
}

impl Mixer {
    /// Seconds for which channels cancelled each other so far.
    pub(super) fn cancelled_seconds(&self, rate: SampleRate) -> f64 {
        rate.seconds(self.cancelled)
    }

    /// Appends a block's mean, or its one channel, to `mono`.
    pub(super) fn mix(&mut self, block: &GenericAudioBufferRef<'_>, mono: &mut Vec<f32>) {
        match block {
            GenericAudioBufferRef::U8(buffer) => self.mix_buffer(buffer, mono),
            GenericAudioBufferRef::U16(buffer) => self.mix_buffer(buffer, mono),
            GenericAudioBufferRef::U24(buffer) => self.mix_buffer(buffer, mono),
            GenericAudioBufferRef::U32(buffer) => self.mix_buffer(buffer, mono),
            GenericAudioBufferRef::S8(buffer) => self.mix_buffer(buffer, mono),
            GenericAudioBufferRef::S16(buffer) => self.mix_buffer(buffer, mono),
            GenericAudioBufferRef::S24(buffer) => self.mix_buffer(buffer, mono),
            GenericAudioBufferRef::S32(buffer) => self.mix_buffer(buffer, mono),
            GenericAudioBufferRef::F32(buffer) => self.mix_buffer(buffer, mono),
            GenericAudioBufferRef::F64(buffer) => self.mix_buffer(buffer, mono),
        }
    }

    fn mix_buffer<S: Sample + IntoSample<f32>>(
        &mut self,
        buffer: &AudioBuffer<S>,
        mono: &mut Vec<f32>,
    ) {
        let mut planes = buffer.iter_planes();
        let Some(first) = planes.next() else { return };
        let start = mono.len();
        mono.extend(floats(first));
        let channels = buffer.num_planes();
        if channels == 1 {
            return;
        }
        let sums = mono.get_mut(start..).unwrap_or_default();
        let mut total = power(sums);
        for plane in planes {
            total += power(plane);
            sums.iter_mut().zip(floats(plane)).for_each(|(sum, sample)| *sum += sample);
        }
        let share = 1.0 / channels as f32;
        sums.iter_mut().for_each(|sum| *sum *= share);
        if let Some(alone) = self.alone(total * share, sums, || loudest(buffer.iter_planes()))
            && let Some(plane) = buffer.iter_planes().nth(alone)
        {
            sums.iter_mut().zip(floats(plane)).for_each(|(sum, sample)| *sum = sample);
        }
    }

    /// Appends the mean of interleaved channels to `mono`, or of two one of them; or the only channel. More than two are
    /// not compared.
    pub(crate) fn mix_interleaved(
        &mut self,
        channels: usize,
        samples: &[f32],
        mono: &mut Vec<f32>,
    ) {
        if channels != 2 {
            let share = 1.0 / channels as f32;
            let frames = samples.chunks_exact(channels.max(1));
            mono.extend(frames.map(|frame| share * frame.iter().sum::<f32>()));
            return;
        }
        let frames = samples.as_chunks::<2>().0;
        let start = mono.len();
        mono.extend(frames.iter().map(|[left, right]| (left + right) * 0.5));
        let sums = mono.get_mut(start..).unwrap_or_default();
        let loudest = || {
            let side = |of: fn(&[f32; 2]) -> f32| frames.iter().map(of).collect::<Vec<f32>>();
            let planes = [side(|[left, _]| *left), side(|[_, right]| *right)];
            loudest(planes.iter().map(Vec::as_slice))
        };
        match self.alone(power(samples) * 0.5, sums, loudest) {
            Some(0) => sums.iter_mut().zip(frames).for_each(|(sum, [left, _])| *sum = *left),
            Some(_) => sums.iter_mut().zip(frames).for_each(|(sum, [_, right])| *sum = *right),
            None => {}
        }
    }

    /// The channel to decode alone in a block of this mean, whose channels have this power on average. A block that is too
    /// short to decide about is decoded as the one before it.
    fn alone(
        &mut self,
        channel: f32,
        mean: &[f32],
        loudest: impl FnOnce() -> usize,
    ) -> Option<usize> {
        self.channel += channel;
        self.mean += power(mean);
        self.samples += mean.len();
        if self.samples >= LEAST {
            if self.channel > SILENT * self.samples as f32 {
                if self.mean < CANCELLED * self.channel {
                    self.alone.get_or_insert_with(loudest);
                } else if self.mean > AUDIBLE * self.channel {
                    self.alone = None;
                }
            }
            (self.channel, self.mean, self.samples) = (0.0, 0.0, 0);
        }
        if self.alone.is_some() {
            self.cancelled += mean.len() as u64;
        }
        self.alone
    }
}

fn floats<S: Sample + IntoSample<f32>>(plane: &[S]) -> impl Iterator<Item = f32> {
    plane.iter().map(|&sample| IntoSample::<f32>::into_sample(sample))
}

/// The number of the channel with the most power, the first of equals.
fn loudest<'a, S: Sample + IntoSample<f32> + 'a>(planes: impl Iterator<Item = &'a [S]>) -> usize {
    let powers = planes.map(power);
    let loudest = powers.enumerate().reduce(|a, b| if b.1 > a.1 { b } else { a });
    loudest.map_or(0, |(channel, _)| channel)
}

/// The sum of the squares.
fn power<S: Sample + IntoSample<f32>>(plane: &[S]) -> f32 {
    // One sum would wait for each addition; sixteen are added side by side.
    let mut lanes = [0.0f32; 16];
    let mut add = |samples: &[S]| {
        for (lane, sample) in lanes.iter_mut().zip(floats(samples)) {
            *lane += sample * sample;
        }
    };
    let blocks = plane.chunks_exact(16);
    add(blocks.remainder());
    blocks.for_each(add);
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use symphonia::core::audio::{AudioMut, AudioSpec, layouts::CHANNEL_LAYOUT_STEREO};

    use super::*;

    const FRAMES: usize = 1000;

    /// A block of two channels with these amplitudes of one tone, as 16-bit integers.
    fn mixed(mixer: &mut Mixer, left: f64, right: f64) -> Vec<f32> {
        let mut buffer =
            AudioBuffer::<i16>::new(AudioSpec::new(16_000, CHANNEL_LAYOUT_STEREO), FRAMES);
        buffer.render_silence(None);
        for (channel, amplitude) in [left, right].into_iter().enumerate() {
            for (n, sample) in buffer.plane_mut(channel).unwrap().iter_mut().enumerate() {
                *sample = (amplitude * 32_767.0 * (n as f64 * 0.1).sin()) as i16;
            }
        }
        let mut mono = Vec::new();
        mixer.mix(&GenericAudioBufferRef::S16(&buffer), &mut mono);
        assert_eq!(mono.len(), FRAMES);
        mono
    }

    fn loudness(mono: &[f32]) -> f64 {
        f64::from(2.0 * power(mono) / FRAMES as f32).sqrt()
    }

    #[test]
    fn channels_that_cancel_are_decoded_from_the_louder_one() {
        let mut mixer = Mixer::default();
        assert!((loudness(&mixed(&mut mixer, 0.2, 0.6)) - 0.4).abs() < 0.01);
        assert!((loudness(&mixed(&mut mixer, 0.5, -0.5)) - 0.5).abs() < 0.01);
        // Still faint in the mean, and silence says nothing.
        assert!((loudness(&mixed(&mut mixer, 0.5, -0.45)) - 0.5).abs() < 0.02);
        assert_eq!(loudness(&mixed(&mut mixer, 0.0, 0.0)), 0.0);
        assert!((loudness(&mixed(&mut mixer, 0.5, -0.5)) - 0.5).abs() < 0.01);
        assert_eq!(mixer.cancelled, 4 * FRAMES as u64);
        // The mean again, once it is well audible.
        assert!((loudness(&mixed(&mut mixer, 0.6, 0.2)) - 0.4).abs() < 0.01);
        assert_eq!(mixer.cancelled, 4 * FRAMES as u64);
    }

    #[test]
    fn interleaved_channels_are_mixed_alike() {
        let (mut planes, mut interleaved) = (Mixer::default(), Mixer::default());
        for (left, right) in [(0.2, 0.6), (0.5, -0.505), (0.0, 0.0), (0.6, 0.2), (-0.7, 0.7)] {
            let sides = [left, right].map(|amplitude| {
                let sample = |n| (amplitude * 32_767.0 * f64::sin(n as f64 * 0.1)) as i16;
                (0..FRAMES).map(move |n| f32::from(sample(n)) / 32_768.0).collect::<Vec<f32>>()
            });
            let pairs: Vec<f32> =
                sides[0].iter().zip(&sides[1]).flat_map(|(left, right)| [*left, *right]).collect();
            let mut mono = Vec::new();
            interleaved.mix_interleaved(2, &pairs, &mut mono);
            assert_eq!(mono, mixed(&mut planes, left, right), "{left} {right}");
        }
        assert_eq!(interleaved.cancelled, 3 * FRAMES as u64);
        let mut mono = Vec::new();
        interleaved.mix_interleaved(1, &[0.5, -0.5], &mut mono);
        assert_eq!(mono, [0.5, -0.5]);
    }

    #[test]
    fn single_samples_of_opposite_signs_are_chance() {
        // Two tones, whose sum passes zero between loud samples.
        let samples: Vec<f32> = (0..4_000)
            .flat_map(|n| [(n as f32 * 0.1).sin() * 0.5, (n as f32 * 0.13).cos() * 0.5])
            .collect();
        let (mut mixer, mut whole, mut single) = (Mixer::default(), Vec::new(), Vec::new());
        mixer.mix_interleaved(2, &samples, &mut whole);
        samples.chunks(2).for_each(|pair| mixer.mix_interleaved(2, pair, &mut single));
        assert_eq!(single, whole);
        assert_eq!(mixer.cancelled, 0);
    }

    #[test]
    fn the_louder_of_two_channels_that_cancel_is_chosen() {
        let mut mixer = Mixer::default();
        let mono = mixed(&mut mixer, 0.500, -0.505);
        assert!((loudness(&mono) - 0.505).abs() < 0.002, "{}", loudness(&mono));
    }
}
