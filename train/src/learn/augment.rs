//! Data augmentation: small random changes to waveforms that leave the artist recognisable.

use leitmotif_models::{Random, SampleRate};
use serde::{Deserialize, Serialize};

use super::filters;

/// Which changes, and how strong; the default changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Loudness: by at most this many decibels up or down, per clip.
    pub gain: f64,
    /// Speed and pitch together: by at most this many semitones up or down, per segment; applied where segments are cut.
    pub speed: f64,
    /// Tone colour: two one-tap filters of lags 1 and 2 with taps in ± this value, per segment.
    pub colour: f64,
    /// Equalizer: four random bands, raised or lowered by at most this many decibels, per segment.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub equalizer: f64,
    /// Share of the segments that lose what is above a random frequency of 2.5 to 7.5 kHz, as in lossy codecs.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub low_pass: f64,
    /// White noise in every segment, this many decibels quieter than the segment or up to 30 more; absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
    /// Longest stretch of a segment that is silenced, in seconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub time_mask: f64,
    /// Whether the sign of half of the clips is inverted.
    pub polarity: bool,
    /// Alpha of mixup's Beta distribution (Zhang et al. 2017); 0 mixes nothing.
    pub mixup: f64,
    /// Share of the clips that mixup mixes.
    pub mixup_share: f64,
    /// Share of the clips that become noise or tones, whose target is every class alike (Outlier Exposure, Hendrycks et
    /// al. 2019): what is no music is nobody's.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub noise_clips: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl Augmentation {
    /// Changes clips in place, all but their speed; `items` are their numbers in the batch at `place`. What is drawn for a
    /// clip depends on its number, not on which others are here. Mixup mixes each clip and its target with the one behind
    /// it, the last with the first, which is a random other one: in a part of a batch the last is not as it would be in the
    /// whole.
    ///
    /// # Shapes
    /// `segments` `[items, any, segment]` of `segment` samples each, `targets` `[items, classes]`, both row-major.
    pub fn apply(
        &self,
        (segments, segment): (&mut [f32], usize),
        targets: &mut [f32],
        items: &[usize],
        seed: u64,
        place: [u64; 2],
    ) {
        let clips = items.len();
        if clips == 0 || *self == Self::default() {
            return;
        }
        let (row, classes) = ((segments.len() / clips).max(1), (targets.len() / clips).max(1));
        let draws = |purpose: &str, item: usize| {
            Random::derive(seed, purpose, &[place[0], place[1], item as u64])
        };
        let mut shares = Vec::with_capacity(clips);
        for (clip, item) in segments.chunks_exact_mut(row).zip(items) {
            let mut random = draws("augmentation", *item);
            if self.colour > 0.0 {
                for samples in clip.chunks_exact_mut(segment.max(1)) {
                    for lag in [1, 2] {
                        add_echo(samples, lag, random.uniform(-self.colour, self.colour) as f32);
                    }
                }
            }
            // Draws of their own: a run that does without filters keeps the other ones.
            self.filter(clip, segment, &mut draws("filters", *item));
            let decibels = random.uniform(-self.gain, self.gain);
            let sign = if self.polarity && random.unit() < 0.5 { -1.0 } else { 1.0 };
            let factor = (sign * 10f64.powf(decibels / 20.0)) as f32;
            clip.iter_mut().for_each(|x| *x *= factor);
            shares.push(if self.mixup > 0.0 { self.own_share(&mut random) } else { 1.0 });
        }
        if self.mixup > 0.0 && clips > 1 {
            mix_with_next(segments, row, &shares);
            mix_with_next(targets, classes, &shares);
        }
        if self.noise_clips > 0.0 {
            let rows = segments.chunks_exact_mut(row).zip(targets.chunks_exact_mut(classes));
            for ((samples, target), item) in rows.zip(items) {
                let mut random = draws("noise clips", *item);
                if random.unit() < self.noise_clips {
                    filters::synthesize(samples, &mut random);
                    target.fill(1.0 / classes as f32);
                }
            }
        }
    }

    /// A clip's own share in its mix: the larger one.
    fn own_share(&self, random: &mut Random) -> f32 {
        let share = random.beta(self.mixup);
        let mixes = random.unit() < self.mixup_share;
        if mixes { share.max(1.0 - share) as f32 } else { 1.0 }
    }

    /// Noise, which the filters colour, then the filters, then a gap.
    fn filter(&self, segments: &mut [f32], segment: usize, random: &mut Random) {
        let longest = SampleRate::NETWORK.samples(self.time_mask);
        for samples in segments.chunks_exact_mut(segment.max(1)) {
            if let Some(decibels) = self.noise {
                filters::add_noise(samples, decibels, random);
            }
            if self.equalizer > 0.0 {
                filters::equalize(samples, self.equalizer, random);
            }
            if self.low_pass > 0.0 && random.unit() < self.low_pass {
                filters::low_pass(samples, random);
            }
            if longest > 0 {
                filters::silence(samples, longest, random);
            }
        }
    }
}

/// `x[t] + tap · x[t − lag]`; the first `lag` samples stay.
fn add_echo(samples: &mut [f32], lag: usize, tap: f32) {
    // From the end, so that each sample added is still the original one.
    for t in (lag..samples.len()).rev() {
        let before = samples.get(t - lag).copied().unwrap_or(0.0);
        if let Some(sample) = samples.get_mut(t) {
            *sample += tap * before;
        }
    }
}

/// Row `i` becomes `shares[i] · row i + (1 − shares[i]) · row i + 1`, the last with the first.
fn mix_with_next(values: &mut [f32], row: usize, shares: &[f32]) {
    let Some(first) = values.get(..row).map(<[f32]>::to_vec) else { return };
    let mut rest = values;
    for share in shares {
        let Some((own, after)) = rest.split_at_mut_checked(row) else { return };
        let next = if after.is_empty() { first.as_slice() } else { &*after };
        for (x, y) in own.iter_mut().zip(next) {
            *x = share * *x + (1.0 - share) * y;
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(count: usize) -> Vec<usize> {
        (0..count).collect()
    }

    #[test]
    fn rows_are_mixed_with_the_next_and_the_last_with_the_first() {
        let mut values = [1.0, 2.0, 10.0, 20.0, 100.0, 200.0];
        mix_with_next(&mut values, 2, &[0.75, 1.0, 0.5]);
        assert_eq!(values, [3.25, 6.5, 10.0, 20.0, 50.5, 101.0]);
    }

    #[test]
    fn an_echo_adds_what_was_there_before() {
        let mut samples = [1.0, 2.0, 3.0, 4.0];
        add_echo(&mut samples, 1, 0.5);
        assert_eq!(samples, [1.0, 2.5, 4.0, 5.5]);
        add_echo(&mut samples, 2, -1.0);
        assert_eq!(samples, [1.0, 2.5, 3.0, 3.0]);
        add_echo(&mut samples[..1], 2, 9.0);
        assert_eq!(samples[0], 1.0);
    }

    #[test]
    fn gain_stays_within_its_range_and_polarity_flips_some() {
        let augmentation = Augmentation { gain: 6.0, polarity: true, ..Default::default() };
        let mut segments = vec![1.0; 200];
        augmentation.apply((&mut segments, 1), &mut [0.0; 200], &items(200), 1, [0, 0]);
        assert!(segments.iter().all(|x| (0.501..=1.996).contains(&x.abs())), "{segments:?}");
        let flipped = segments.iter().filter(|x| **x < 0.0).count();
        assert!((60..140).contains(&flipped), "{flipped}");
    }

    #[test]
    fn mixup_keeps_targets_probabilities() {
        let augmentation = Augmentation { mixup: 0.4, mixup_share: 1.0, ..Default::default() };
        let mut targets = vec![1.0, 0.0, 0.0, 1.0, 0.0, 1.0];
        let mut segments = vec![1.0, 2.0, 3.0];
        augmentation.apply((&mut segments, 1), &mut targets, &items(3), 1, [0, 0]);
        assert_ne!(segments, [1.0, 2.0, 3.0]);
        for row in targets.chunks(2) {
            assert!((row[0] + row[1] - 1.0).abs() < 1e-6, "{targets:?}");
        }
        // The own class keeps the larger share.
        assert!(targets[0] >= 0.5 && targets[3] >= 0.5);
    }

    #[test]
    fn the_default_changes_nothing() {
        let mut segments = vec![0.5, -0.25];
        Augmentation::default().apply((&mut segments, 2), &mut [1.0, 0.0], &[0], 1, [0, 0]);
        assert_eq!(segments, [0.5, -0.25]);
    }

    #[test]
    fn clips_of_noise_have_no_class() {
        let augmentation = Augmentation { noise_clips: 0.5, ..Default::default() };
        let (clips, row, classes) = (40, 400, 4);
        let mut segments = vec![0.5; clips * row];
        let mut targets = [1.0, 0.0, 0.0, 0.0].repeat(clips);
        augmentation.apply((&mut segments, row), &mut targets, &items(clips), 1, [0, 0]);
        let rows = segments.chunks_exact(row).zip(targets.chunks_exact(classes));
        let (mut changed, mut kinds) = (0, std::collections::BTreeSet::new());
        for (samples, target) in rows {
            assert!(samples.iter().all(|x| x.abs() <= 1.0));
            if samples[0] == 0.5 && samples[row - 1] == 0.5 {
                assert_eq!(target, [1.0, 0.0, 0.0, 0.0]);
                continue;
            }
            changed += 1;
            assert_eq!(target, [0.25; 4]);
            let turns =
                samples.windows(2).filter(|w| w[0].is_sign_positive() != w[1].is_sign_positive());
            kinds.insert(turns.count() / 20);
        }
        assert!((10..=30).contains(&changed), "{changed}");
        assert!(kinds.len() > 3, "of many colours: {kinds:?}");
    }
}
