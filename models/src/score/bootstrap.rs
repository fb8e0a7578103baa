//! Bootstrap intervals over songs: clips of one song are not independent, songs are the units drawn.

use super::{Estimate, Prediction, Song, argmax, macro_f1};

/// Counts by song, so that a resample costs a few additions per song.
pub(super) struct Judged {
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

impl Judged {
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
        Judged { songs, classes }
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
pub(super) fn intervals(judged: &Judged, all: &Figures, resamples: usize) -> [Estimate; 4] {
    let songs = judged.songs.len().max(1);
    let mut random = SplitMix64(0x6c65_6974_6d6f_7469);
    let draws: Vec<Figures> = (0..resamples)
        .filter_map(|_| {
            let drawn: Vec<usize> = (0..songs).map(|_| random.below(songs)).collect();
            judged.figures(&drawn)
        })
        .collect();
    std::array::from_fn(|figure| {
        let value = all.get(figure).copied().unwrap_or(f64::NAN);
        let mut seen: Vec<f64> = draws.iter().filter_map(|d| d.get(figure).copied()).collect();
        seen.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = (share * seen.len().saturating_sub(1) as f64).round() as usize;
            seen.get(place).copied().unwrap_or(value)
        };
        Estimate { value, low: at(0.025), high: at(0.975) }
    })
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, by the high half of a product: unbiased enough for thousands of draws.
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}
