//! Random filters, noise and gaps for [augmentation](super::augment): other mixes, loudspeakers, lossy codecs and damage.

use biquad::{Biquad, Coefficients, DirectForm2Transposed, Type};
use leitmotif_models::{Random, SampleRate};

/// Bands of the equalizer.
const BANDS: usize = 4;
/// Their centres in Hz, and their quality: from broad to two thirds of an octave.
const CENTRES: (f64, f64) = (80.0, 7_000.0);
const QUALITY: (f64, f64) = (0.4, 2.0);
/// Where lossy codecs and old recordings end, in Hz.
const CUT_OFF: (f64, f64) = (2_500.0, 7_500.0);
/// The two halves of a Butterworth filter of fourth order.
const BUTTERWORTH: [f64; 2] = [0.541_196_1, 1.306_563];
/// Decibels between the loudest noise and the quietest.
const NOISE_RANGE: f64 = 30.0;
/// Keeps the filters' memory away from denormal numbers, which take many times as long, in digital silence; it is 300 dB
/// below full scale.
const OFFSET: f32 = 1e-15;

/// Raises or lowers four random bands by up to `decibels` each.
pub(crate) fn equalize(samples: &mut [f32], decibels: f64, random: &mut Random) {
    let bands = std::array::from_fn::<_, BANDS, _>(|_| {
        let (low, high) = (CENTRES.0.ln(), CENTRES.1.ln());
        let centre = random.uniform(low, high).exp();
        let quality = random.uniform(QUALITY.0, QUALITY.1);
        let gain = random.uniform(-decibels, decibels);
        section(Type::PeakingEQ(gain as f32), centre, quality)
    });
    run(bands, samples);
}

/// Takes off what is above a random frequency.
pub(crate) fn low_pass(samples: &mut [f32], random: &mut Random) {
    let cut_off = random.uniform(CUT_OFF.0.ln(), CUT_OFF.1.ln()).exp();
    run(BUTTERWORTH.map(|quality| section(Type::LowPass, cut_off, quality)), samples);
}

/// Adds white noise that is by `decibels` to `decibels + 30` quieter than the samples.
pub(crate) fn add_noise(samples: &mut [f32], decibels: f64, random: &mut Random) {
    let energy: f64 = samples.iter().map(|x| f64::from(x * x)).sum();
    let level = (energy / samples.len().max(1) as f64).sqrt();
    let below = decibels + NOISE_RANGE * random.unit();
    // Uniform in ±√3 has a deviation of one.
    let most = (3f64.sqrt() * level * 10f64.powf(-below / 20.0)) as f32;
    for sample in samples {
        // 24 bits of each draw are enough, and fast.
        let unit = (random.next_u64() >> 40) as f32 / (1u32 << 23) as f32 - 1.0;
        *sample += most * unit;
    }
}

/// Noise between white and brown, up to four sine waves, or both, at a random level of 60 dB: what is no music.
pub(crate) fn synthesize(samples: &mut [f32], random: &mut Random) {
    let kind = random.unit();
    let mut sound = vec![0.0; samples.len()];
    if kind < 0.7 {
        // Each low-pass of first order makes its half of the noise 6 dB an octave darker above its frequency.
        let poles = [random.unit().powf(0.25), random.unit()].map(|pole| 0.999 * pole);
        let mut memory = [0.0; 2];
        for sample in &mut sound {
            let white = random.uniform(-1.0, 1.0);
            for (memory, pole) in memory.iter_mut().zip(poles) {
                *memory = pole * *memory + (1.0 - pole * pole).sqrt() * white;
            }
            *sample = memory.iter().sum::<f64>();
        }
    }
    if kind > 0.5 {
        for _ in 0..=random.below(4) {
            let hertz = random.uniform(50f64.ln(), 7_500f64.ln()).exp();
            let turn = std::f64::consts::TAU * hertz / f64::from(SampleRate::NETWORK.0);
            let (phase, level) =
                (random.uniform(0.0, std::f64::consts::TAU), random.uniform(0.1, 1.0));
            for (t, sample) in sound.iter_mut().enumerate() {
                *sample += level * (turn * t as f64 + phase).sin();
            }
        }
    }
    let most = sound.iter().fold(1e-9, |most: f64, x| most.max(x.abs()));
    let factor = 10f64.powf(random.uniform(-60.0, 0.0) / 20.0) / most;
    for (sample, x) in samples.iter_mut().zip(sound) {
        *sample = (factor * x) as f32;
    }
}

/// Silences one random stretch of at most `longest` samples.
pub(crate) fn silence(samples: &mut [f32], longest: usize, random: &mut Random) {
    let length = random.below(longest.min(samples.len()) + 1);
    let start = random.below(samples.len() - length + 1);
    if let Some(stretch) = samples.get_mut(start..start + length) {
        stretch.fill(0.0);
    }
}

fn section(kind: Type<f32>, frequency: f64, quality: f64) -> DirectForm2Transposed<f32> {
    let of_nyquist = 2.0 * frequency / f64::from(SampleRate::NETWORK.0);
    let passing = Coefficients { a1: 0.0, a2: 0.0, b0: 1.0, b1: 0.0, b2: 0.0 };
    // Frequencies and qualities here are all in range.
    let coefficients =
        Coefficients::from_normalized_params(kind, of_nyquist as f32, quality as f32);
    DirectForm2Transposed::new(coefficients.unwrap_or(passing))
}

/// All sections sample by sample, so that a processor computes them at once.
fn run<const N: usize>(mut sections: [DirectForm2Transposed<f32>; N], samples: &mut [f32]) {
    for sample in samples {
        *sample = sections.iter_mut().fold(*sample + OFFSET, |x, section| section.run(x));
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;

    fn sine(hertz: f32) -> Vec<f32> {
        (0..16_000).map(|i| (TAU * hertz * i as f32 / 16_000.0).sin()).collect()
    }

    fn level(samples: &[f32]) -> f64 {
        let second_half = &samples[samples.len() / 2..];
        let energy: f64 = second_half.iter().map(|x| f64::from(x * x)).sum();
        10.0 * (energy / second_half.len() as f64).log10()
    }

    #[test]
    fn an_equalizer_changes_tones_within_its_range_and_differs_by_frequency() {
        let mut changes = Vec::new();
        for seed in 0..40 {
            for hertz in [200.0, 1_000.0, 5_000.0] {
                let mut tone = sine(hertz);
                let before = level(&tone);
                equalize(&mut tone, 6.0, &mut Random::from_state(seed));
                changes.push(level(&tone) - before);
            }
        }
        let most = changes.iter().copied().fold(0.0, |a: f64, b| a.max(b.abs()));
        // Four bands may meet.
        assert!((3.0..24.0).contains(&most), "{most}");
        let differ = changes.chunks(3).filter(|of| (of[0] - of[2]).abs() > 1.0).count();
        assert!(differ > 20, "{differ}");
        let mut same = sine(440.0);
        equalize(&mut same, 0.0, &mut Random::from_state(1));
        assert!(same.iter().zip(sine(440.0)).all(|(a, b)| (a - b).abs() < 1e-4));
    }

    #[test]
    fn a_low_pass_keeps_what_is_low() {
        for seed in 0..20 {
            let after = |hertz: f32| {
                let mut tone = sine(hertz);
                low_pass(&mut tone, &mut Random::from_state(seed));
                level(&tone) - level(&sine(hertz))
            };
            assert!(after(500.0).abs() < 0.1, "{}", after(500.0));
            assert!(after(7_900.0) < -3.0, "{}", after(7_900.0));
        }
    }

    #[test]
    fn noise_is_as_quiet_as_it_should_be_and_silence_stays() {
        for seed in 0..20 {
            let mut tone = sine(440.0);
            add_noise(&mut tone, 10.0, &mut Random::from_state(seed));
            let noise: Vec<f32> = tone.iter().zip(sine(440.0)).map(|(a, b)| a - b).collect();
            let below = level(&sine(440.0)) - level(&noise);
            assert!((9.8..40.2).contains(&below), "{below}");
        }
        let mut nothing = vec![0.0; 100];
        add_noise(&mut nothing, 0.0, &mut Random::from_state(1));
        assert_eq!(nothing, [0.0; 100]);
    }

    #[test]
    fn a_gap_is_no_longer_than_asked() {
        let mut lengths = Vec::new();
        for seed in 0..200 {
            let mut ones = vec![1.0; 50];
            silence(&mut ones, 20, &mut Random::from_state(seed));
            lengths.push(ones.iter().filter(|x| **x == 0.0).count());
            assert!(ones.iter().all(|x| *x == 0.0 || *x == 1.0));
        }
        assert_eq!((lengths.iter().min(), lengths.iter().max()), (Some(&0), Some(&20)));
        silence(&mut [], 5, &mut Random::from_state(1));
    }
}
