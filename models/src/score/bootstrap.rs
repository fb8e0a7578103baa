//! Bootstrap intervals over songs: clips of one song are not independent, so songs are the units drawn.
//!
//! [`resample`] draws, [`interval`] makes an interval of what was computed on each draw.

use serde::{Deserialize, Serialize};

use super::f1::macro_f1;
use super::prediction::{Prediction, argmax};
use super::song::Song;
use crate::Random;

/// A figure with its 95 % bootstrap interval over songs.
///
/// The interval is that of the resamples' own percentiles, so the value may be outside it: a resample repeats songs
/// and leaves others out, by which macro-F1 over few songs is biased.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The figure itself, a share from 0 to 1.
    pub value: f64,
    /// 2.5th percentile of the resamples.
    pub low: f64,
    /// 97.5th percentile.
    pub high: f64,
}

/// Counts by song, so that a resample costs a few additions per song.
pub(super) struct SongCounts {
    songs: Vec<Counts>,
    classes: usize,
}

struct Counts {
    truth: usize,
    answer: usize,
    clips: usize,
    clips_right: usize,
    segments: usize,
    segments_right: usize,
}

/// Segment, clip and song accuracy and macro-F1 by song.
pub(super) type Figures = [f64; 4];

impl SongCounts {
    pub(super) fn new(clips: &[Prediction], songs: &[Song], classes: usize) -> Self {
        let songs = songs
            .iter()
            .map(|song| {
                let mut counts = Counts {
                    truth: song.truth,
                    answer: song.answer,
                    clips: 0,
                    clips_right: 0,
                    segments: 0,
                    segments_right: 0,
                };
                for clip in song.clips.iter().filter_map(|i| clips.get(*i)) {
                    counts.clips += 1;
                    counts.clips_right += usize::from(argmax(&clip.probabilities) == clip.truth.0);
                    counts.segments += clip.segments;
                    counts.segments_right += clip.segments_right;
                }
                counts
            })
            .collect();
        SongCounts { songs, classes }
    }

    /// Figures of the songs at `drawn`, which may repeat; `None` for no songs.
    pub(super) fn figures(&self, drawn: &[usize]) -> Option<Figures> {
        let songs: Vec<&Counts> = drawn.iter().filter_map(|i| self.songs.get(*i)).collect();
        let share = |right: fn(&Counts) -> usize, all: fn(&Counts) -> usize| {
            let sum = |f: fn(&Counts) -> usize| songs.iter().map(|s| f(s)).sum::<usize>();
            sum(right) as f64 / sum(all).max(1) as f64
        };
        let pairs: Vec<_> = songs.iter().map(|s| (s.truth, s.answer)).collect();
        Some([
            share(|s| s.segments_right, |s| s.segments),
            share(|s| s.clips_right, |s| s.clips),
            share(|s| usize::from(s.truth == s.answer), |_| 1),
            macro_f1(&pairs, self.classes)?,
        ])
    }
}

/// Percentile intervals of each figure over `resamples` draws of as many songs with replacement.
///
/// The generator starts from a fixed state: the same predictions always print the same interval.
pub(super) fn intervals(counts: &SongCounts, all: &Figures, resamples: usize) -> [Estimate; 4] {
    let mut random = Random::from_state(0x6c65_6974_6d6f_7469);
    let songs = counts.songs.len().max(1);
    let draws = resample(&mut random, songs, resamples, |drawn| counts.figures(drawn));
    std::array::from_fn(|figure| {
        let value = all.get(figure).copied().unwrap_or(f64::NAN);
        let seen = draws.iter().filter_map(|draw| draw.get(figure).copied()).collect();
        let (low, high) = interval(seen).unwrap_or((value, value));
        Estimate { value, low, high }
    })
}

/// `statistic` of each of `resamples` draws of `units` indices below `units`, with replacement; draws of which it is
/// `None` are left out.
pub fn resample<T>(
    random: &mut Random,
    units: usize,
    resamples: usize,
    statistic: impl Fn(&[usize]) -> Option<T>,
) -> Vec<T> {
    let mut drawn = vec![0; units];
    let draw = |_| {
        drawn.fill_with(|| random.below(units));
        statistic(&drawn)
    };
    (0..resamples).filter_map(draw).collect()
}

/// The 95 % percentile interval of a statistic over resamples: its 2.5th and 97.5th percentile; `None` without values.
pub fn interval(mut values: Vec<f64>) -> Option<(f64, f64)> {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (share * values.len().saturating_sub(1) as f64).round() as usize;
        values.get(place).copied()
    };
    Some((at(0.025)?, at(0.975)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_is_as_large_as_what_it_is_drawn_from_and_repeats() {
        let draw = || {
            let mut random = Random::from_state(1);
            resample(&mut random, 5, 3, |drawn| Some(drawn.to_vec()))
        };
        let drawn = draw();
        assert_eq!(drawn, draw());
        assert_eq!(drawn.len(), 3);
        assert!(drawn.iter().all(|units| units.len() == 5 && units.iter().all(|unit| *unit < 5)));
        assert!(resample(&mut Random::from_state(1), 5, 3, |_| None::<f64>).is_empty());
    }

    #[test]
    fn an_interval_leaves_out_one_value_in_forty_at_each_end() {
        let values = (0..=40).rev().map(f64::from).collect();
        assert_eq!(interval(values), Some((1.0, 39.0)));
        assert_eq!(interval(Vec::new()), None);
    }
}
