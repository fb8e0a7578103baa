//! How far a recording's percentages can be believed: a temperature, and a threshold of certainty below which it is of no
//! class.

use serde::{Deserialize, Serialize};

use super::file::Predictions;
use super::song::{Song, songs};

/// Temperature and rejection threshold, fitted on songs that did not train, with how well they fit these.
///
/// The temperature is for the probabilities `p` of a whole recording, the mean over its segments (of an LSTM: windows)
/// that graphs and runtime give: `p_i^(1/T) / Σ_j p_j^(1/T)` (Guo et al. 2017). Nothing inside the graph changes, and
/// neither does the order of the artists. Probabilities of single segments are never calibrated.
///
/// The threshold is of the certainty: the mean over the segments (windows) of each one's largest probability (of one
/// segment the score of Hendrycks and Gimpel 2017).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confidence {
    /// Above one it lowers high probabilities, below one it raises them.
    pub temperature: f64,
    /// A recording whose certainty is below this is of none of the artists.
    pub threshold: f64,
    /// Share of the songs of known artists that the threshold was to keep.
    pub keep: f64,
    /// The songs: data set, split and part.
    pub source: String,
    /// Songs of known artists.
    pub songs: usize,
    /// Those whose certainty reaches the threshold.
    pub kept: usize,
    /// Those that are kept and whose answer is right.
    pub kept_right: usize,
    /// Mean over the songs of −ln of the true artist's probability, before.
    pub loss_before: f64,
    /// The same of calibrated probabilities.
    pub loss_after: f64,
    /// Songs of known artists by their largest calibrated probability; ranges without a song are left out.
    pub reliability: Vec<ReliabilityBin>,
    /// What becomes of songs of artists who are no class; absent where there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<UnknownSongs>,
}

/// The songs whose largest calibrated probability is in one range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Start of the range.
    pub from: f64,
    /// End of the range, which belongs to the next one.
    pub to: f64,
    /// Songs in it.
    pub songs: usize,
    /// Those whose answer is right.
    pub right: usize,
    /// Mean of their largest calibrated probabilities: honest where it is the share of right answers.
    pub mean: f64,
}

/// Songs of artists who are no class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnknownSongs {
    /// Where they are from.
    pub source: String,
    /// How many.
    pub songs: usize,
    /// Those that the threshold lets pass.
    pub accepted: usize,
}

/// Ranges of the reliability table.
const BINS: usize = 5;

/// Steps of the search, over ln T from −ln 20 to ln 20.
const STEPS: i32 = 600;

/// A probability that rounds to zero would make the loss infinite.
const LEAST: f64 = f32::MIN_POSITIVE as f64;

impl Confidence {
    /// Fewer songs than this give no threshold worth having.
    pub const LEAST_SONGS: usize = 10;
    /// The usual share of the songs of known artists to keep.
    pub const KEEP: f64 = 0.8;
    /// Temperatures are from the inverse of this to this.
    pub const MOST_TEMPERATURE: f64 = 20.0;

    /// Fits the temperature by the songs' likelihood, then the threshold as the largest with four decimals that keeps the
    /// share `keep` of them. `None` with fewer than [`LEAST_SONGS`](Self::LEAST_SONGS).
    ///
    /// With few songs that are all recognised, likelihood alone would take the lowest temperature there is; a log-normal
    /// prior of median 1 and deviation 1, which weighs less than one song, keeps it finite.
    pub fn fit(known: &Predictions, source: String, keep: f64) -> Option<Self> {
        let songs = songs(known);
        if songs.len() < Self::LEAST_SONGS {
            return None;
        }
        let temperature = temperature(&songs);
        let count = songs.len() as f64;
        let tops: Vec<(f64, bool)> = songs.iter().map(|song| top(song, temperature)).collect();
        let threshold = threshold(&songs, keep);
        let kept = || songs.iter().filter(|song| song.certainty >= threshold);
        Some(Confidence {
            temperature,
            threshold,
            keep,
            source,
            songs: songs.len(),
            kept: kept().count(),
            kept_right: kept().filter(|song| song.answer == song.truth).count(),
            loss_before: loss(&songs, 1.0) / count,
            loss_after: loss(&songs, temperature) / count,
            reliability: reliability(&tops),
            unknown: None,
        })
    }

    /// The same with the share of songs of other artists that the threshold lets pass; their true class is not read.
    pub fn with_unknown(mut self, source: String, unknown: &Predictions) -> Self {
        let songs = songs(unknown);
        let accepted = songs.iter().filter(|song| song.certainty >= self.threshold).count();
        self.unknown = Some(UnknownSongs { source, songs: songs.len(), accepted });
        self
    }

    /// The calibrated probabilities of a recording.
    pub fn calibrated(&self, probabilities: &[f32]) -> Vec<f32> {
        let exact: Vec<f64> = probabilities.iter().copied().map(f64::from).collect();
        calibrated(&exact, self.temperature).into_iter().map(|p| p as f32).collect()
    }

    /// Whether the numbers can be; what is wrong otherwise.
    pub(crate) fn check(&self) -> Result<(), String> {
        let most = Self::MOST_TEMPERATURE;
        let is_share = |p: f64| (0.0..=1.0).contains(&p);
        let is_bin = |bin: &ReliabilityBin| {
            is_share(bin.from) && is_share(bin.to) && is_share(bin.mean) && bin.right <= bin.songs
        };
        if !(1.0 / most..=most).contains(&self.temperature) {
            return Err(format!(
                "a temperature of {}, not of {} to {most}",
                self.temperature,
                1.0 / most
            ));
        }
        if !is_share(self.threshold) || !is_share(self.keep) {
            return Err(format!("a threshold of {} for a share of {}", self.threshold, self.keep));
        }
        if self.kept > self.songs || self.kept_right > self.kept {
            return Err(format!(
                "{} right of {} kept of {} songs",
                self.kept_right, self.kept, self.songs
            ));
        }
        if !self.reliability.iter().all(is_bin) {
            return Err("a reliability table with impossible numbers".to_owned());
        }
        match &self.unknown {
            Some(unknown) if unknown.accepted > unknown.songs => {
                Err(format!("{} accepted of {} unknown songs", unknown.accepted, unknown.songs))
            }
            _ => Ok(()),
        }
    }
}

/// `p_i^(1/T) / Σ_j p_j^(1/T)`, of shares of the largest so that no power underflows as a whole.
fn calibrated(probabilities: &[f64], temperature: f64) -> Vec<f64> {
    let largest = probabilities.iter().copied().fold(0.0, f64::max);
    if largest <= 0.0 {
        return probabilities.to_vec();
    }
    let powers: Vec<f64> =
        probabilities.iter().map(|p| (p.max(0.0) / largest).powf(1.0 / temperature)).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// A song's largest calibrated probability, and whether its answer is right.
fn top(song: &Song, temperature: f64) -> (f64, bool) {
    let calibrated = calibrated(&song.probabilities, temperature);
    (calibrated.get(song.answer).copied().unwrap_or(0.0), song.answer == song.truth)
}

/// The negative log-likelihood of all songs.
fn loss(songs: &[Song], temperature: f64) -> f64 {
    let of_song = |song: &Song| {
        let clamped: Vec<f64> = song.probabilities.iter().map(|p| p.max(LEAST)).collect();
        -calibrated(&clamped, temperature).get(song.truth).map_or(0.0, |p| p.max(LEAST).ln())
    };
    songs.iter().map(of_song).sum()
}

/// Tries every step: with the prior there may be several minima, and there is time.
fn temperature(songs: &[Song]) -> f64 {
    let reach = Confidence::MOST_TEMPERATURE.ln();
    let mut best = (f64::INFINITY, 1.0);
    for step in -STEPS / 2..=STEPS / 2 {
        let log = reach * f64::from(2 * step) / f64::from(STEPS);
        // The prior is flat enough to stop at the bounds only where the songs say so.
        let temperature =
            log.exp().clamp(1.0 / Confidence::MOST_TEMPERATURE, Confidence::MOST_TEMPERATURE);
        let cost = loss(songs, temperature) + log * log / 2.0;
        if cost < best.0 {
            best = (cost, temperature);
        }
    }
    best.1
}

/// The largest threshold with four decimals that at least the share `keep` of the songs reaches.
fn threshold(songs: &[Song], keep: f64) -> f64 {
    let mut certainties: Vec<f64> = songs.iter().map(|song| song.certainty).collect();
    certainties.sort_by(|a, b| b.total_cmp(a));
    let needed = (keep * songs.len() as f64).ceil() as usize;
    match needed.checked_sub(1).and_then(|last| certainties.get(last)) {
        // Down, so that a runtime's rounding does not lose the song that it is taken from.
        Some(certainty) => (certainty * 1e4).floor() / 1e4,
        None => 1.0,
    }
}

fn reliability(tops: &[(f64, bool)]) -> Vec<ReliabilityBin> {
    let bin_of = |p: f64| ((p * BINS as f64) as usize).min(BINS - 1);
    let bins = (0..BINS).map(|bin| {
        let inside: Vec<_> = tops.iter().filter(|(p, _)| bin_of(*p) == bin).collect();
        let sum: f64 = inside.iter().map(|(p, _)| p).sum();
        ReliabilityBin {
            from: bin as f64 / BINS as f64,
            to: (bin + 1) as f64 / BINS as f64,
            songs: inside.len(),
            right: inside.iter().filter(|(_, right)| *right).count(),
            mean: sum / inside.len().max(1) as f64,
        }
    });
    bins.filter(|bin| bin.songs > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClassId, Prediction, Random};

    const CLASSES: usize = 5;

    /// Songs whose classes are drawn from the softmax of random logits, and whose probabilities are that of the logits
    /// times `scale`: the temperature that makes them honest is `scale`.
    fn drawn(songs: usize, scale: f64) -> Predictions {
        let mut random = Random::derive(7, "confidence", &[]);
        let clips = (0..songs).map(|song| {
            let logits: Vec<f64> = (0..CLASSES).map(|_| 2.0 * random.normal()).collect();
            let softmax = |scale: f64| {
                let powers: Vec<f64> = logits.iter().map(|l| (scale * l).exp()).collect();
                let sum: f64 = powers.iter().sum();
                powers.iter().map(|power| power / sum).collect::<Vec<f64>>()
            };
            let mut left = random.uniform(0.0, 1.0);
            let truth = softmax(1.0).iter().position(|p| {
                left -= p;
                left < 0.0
            });
            clip(song, truth.unwrap_or(0), &softmax(scale))
        });
        predictions(clips.collect())
    }

    fn clip(song: usize, truth: usize, probabilities: &[f64]) -> Prediction {
        Prediction {
            clip: format!("clip {song}"),
            song: format!("song {song}"),
            truth: ClassId(truth),
            segments: 1,
            segments_right: 0,
            weight: 1,
            probabilities: probabilities.iter().map(|p| *p as f32).collect(),
            certainty: probabilities.iter().copied().fold(0.0, f64::max) as f32,
        }
    }

    fn predictions(clips: Vec<Prediction>) -> Predictions {
        Predictions::new((0..CLASSES).map(|i| format!("artist {i}")).collect(), clips).unwrap()
    }

    fn fit(predictions: &Predictions, keep: f64) -> Confidence {
        Confidence::fit(predictions, "drawn".to_owned(), keep).unwrap()
    }

    #[test]
    fn a_known_temperature_is_recovered_and_makes_percentages_honest() {
        for scale in [0.4, 1.0, 3.0] {
            let fitted = fit(&drawn(4_000, scale), 0.8);
            assert!((fitted.temperature / scale).ln().abs() < 0.08, "{scale}: {fitted:?}");
            assert!(fitted.loss_after <= fitted.loss_before + 1e-3, "{fitted:?}");
            for bin in &fitted.reliability {
                let share = bin.right as f64 / bin.songs as f64;
                let noise = 4.0 * (0.25 / bin.songs as f64).sqrt();
                assert!((share - bin.mean).abs() < noise, "{scale}: {bin:?}");
            }
        }
    }

    #[test]
    fn the_threshold_is_the_largest_that_keeps_the_share() {
        for keep in [0.8, 0.85, 1.0] {
            let songs = drawn(53, 1.5);
            let fitted = fit(&songs, keep);
            let least = keep * 53.0;
            let kept = |threshold: f64| {
                super::songs(&songs).iter().filter(|song| song.certainty >= threshold).count()
            };
            assert_eq!(kept(fitted.threshold), fitted.kept);
            assert!(fitted.kept as f64 >= least, "{fitted:?}");
            assert!((kept(fitted.threshold + 1.1e-4) as f64) < least, "{fitted:?}");
            assert_eq!(fitted.reliability.iter().map(|bin| bin.songs).sum::<usize>(), 53);
        }
    }

    #[test]
    fn songs_that_are_all_recognised_do_not_make_it_certain() {
        let sure = (0..12).map(|i| {
            clip(i, i % CLASSES, &{
                let mut p = [0.05; CLASSES];
                p[i % CLASSES] = 0.8;
                p
            })
        });
        let fitted = fit(&predictions(sure.collect()), 0.8);
        assert!(fitted.temperature > 0.3 && fitted.temperature < 1.0, "{fitted:?}");
    }

    #[test]
    fn a_song_is_the_mean_of_its_clips() {
        let one = drawn(40, 1.0);
        let clips = one.clips().iter().flat_map(|whole| {
            // Halves that differ, and whose mean is the whole.
            let mut halves = [whole.clone(), whole.clone()];
            let shift = whole.probabilities[0].min(whole.probabilities[1]) / 2.0;
            for (half, sign) in halves.iter_mut().zip([1.0, -1.0]) {
                half.clip = format!("{} {sign}", whole.clip);
                half.probabilities[0] += sign * shift;
                half.probabilities[1] -= sign * shift;
            }
            halves
        });
        let (whole, halves) = (fit(&one, 0.8), fit(&predictions(clips.collect()), 0.8));
        assert_eq!(halves.songs, 40);
        assert!((halves.temperature - whole.temperature).abs() < 1e-9, "{whole:?} {halves:?}");
    }

    #[test]
    fn too_few_songs_fit_nothing() {
        assert_eq!(Confidence::fit(&drawn(9, 1.0), String::new(), 0.8), None);
        assert!(Confidence::fit(&drawn(10, 1.0), String::new(), 0.8).is_some());
    }

    #[test]
    fn unknown_songs_are_counted_where_they_pass() {
        let even = [0.2; CLASSES];
        let sure = [0.996, 0.001, 0.001, 0.001, 0.001];
        let unknown = predictions(vec![clip(0, 0, &even), clip(1, 0, &sure), clip(2, 0, &even)]);
        let fitted = fit(&drawn(60, 1.0), 0.8).with_unknown("others".to_owned(), &unknown);
        let expected = UnknownSongs { source: "others".to_owned(), songs: 3, accepted: 1 };
        assert_eq!(fitted.unknown, Some(expected));
    }

    #[test]
    fn the_threshold_is_of_the_certainty_whatever_the_mean() {
        let mut songs = drawn(60, 1.0).clips().to_vec();
        for (i, song) in songs.iter_mut().enumerate() {
            song.certainty = if i < 48 { 0.875 } else { 0.5 };
        }
        let known = predictions(songs.clone());
        let fitted = fit(&known, 0.8);
        assert_eq!((fitted.threshold, fitted.kept), (0.875, 48));
        assert_eq!(fitted.with_unknown(String::new(), &known).unknown.unwrap().accepted, 48);
    }

    #[test]
    fn powers_are_exact_at_the_ends() {
        let at = |temperature| Confidence { temperature, ..fit(&drawn(10, 1.0), 0.8) };
        assert_eq!(at(1.0).calibrated(&[0.25, 0.75]), [0.25, 0.75]);
        assert_eq!(at(0.5).calibrated(&[0.2, 0.4, 0.4]), [1.0 / 9.0, 4.0 / 9.0, 4.0 / 9.0]);
        assert_eq!(at(0.05).calibrated(&[1e-30, 1e-32, 0.0])[2], 0.0);
        assert_eq!(at(0.05).calibrated(&[1e-30, 0.0]), [1.0, 0.0]);
        assert_eq!(at(2.0).calibrated(&[0.0, 0.0]), [0.0, 0.0]);
    }
}
