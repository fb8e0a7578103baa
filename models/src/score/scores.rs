//! The scores of predictions: accuracy by segment, clip and song, per artist, with intervals.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::bootstrap::{self, Estimate};
use super::f1::f1;
use super::file::Predictions;
use super::prediction::{Prediction, argmax};
use super::song::songs;
use crate::text::printable;

/// The scores of a set of predictions.
///
/// A song's answer is the mean of its clips' probabilities, each by its [`weight`](Prediction::weight): the mean over
/// its segments for a dense head, over its windows for an LSTM. Ties go to the class that is listed first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// Clips evaluated.
    pub clips: usize,
    /// Songs evaluated.
    pub songs: usize,
    /// Share of segments whose own answer is right.
    pub segment_accuracy: Estimate,
    /// Share of clips whose answer is right.
    pub clip_accuracy: Estimate,
    /// Share of songs whose answer is right.
    pub song_accuracy: Estimate,
    /// Mean over artists of F1 by song: every artist counts alike. As in scikit-learn, the artists are those who have a
    /// song or are an answer: an artist who is only ever answered wrongly has an F1 of 0 and lowers the mean, and one that does
    /// not occur at all is left out.
    pub song_macro_f1: Estimate,
    /// Share of clips of the artist who has most of them: the score of always answering that name.
    pub majority_clips: f64,
    /// The same by song.
    pub majority_songs: f64,
    /// Share of clips whose true artist is among the first k, for k = 1, 2, … classes.
    pub clip_top_k: Vec<f64>,
    /// One entry a class, in the order of classes.
    pub artists: Vec<ArtistScore>,
    /// Songs by true class (row) and answer (column).
    pub song_confusion: Vec<Vec<usize>>,
}

impl Scores {
    /// Resamples behind each interval.
    pub const RESAMPLES: usize = 1_000;

    /// Evaluates predictions; `None` where there are none.
    pub fn of(predictions: &Predictions) -> Option<Scores> {
        let classes = predictions.classes();
        let clips = predictions.clips();
        let songs = songs(predictions);
        let counts = bootstrap::SongCounts::new(clips, &songs, classes.len());
        let all = counts.figures(&(0..songs.len()).collect::<Vec<_>>())?;
        let intervals = bootstrap::intervals(&counts, &all, Self::RESAMPLES);
        let [segment_accuracy, clip_accuracy, song_accuracy, song_macro_f1] = intervals;

        let mut confusion = vec![vec![0usize; classes.len()]; classes.len()];
        for song in &songs {
            if let Some(cell) =
                confusion.get_mut(song.truth).and_then(|row| row.get_mut(song.answer))
            {
                *cell += 1;
            }
        }
        let mut artists: Vec<ArtistScore> =
            classes.iter().map(|name| ArtistScore::new(name)).collect();
        for clip in clips {
            if let Some(artist) = artists.get_mut(clip.truth.0) {
                artist.clips += 1;
                artist.clips_right += usize::from(argmax(&clip.probabilities) == clip.truth.0);
            }
        }
        for (class, artist) in artists.iter_mut().enumerate() {
            let column = |row: &Vec<usize>| row.get(class).copied().unwrap_or(0);
            artist.songs = confusion.get(class).map_or(0, |row| row.iter().sum());
            artist.songs_right = confusion.get(class).map_or(0, column);
            artist.songs_mistaken =
                confusion.iter().map(column).sum::<usize>() - artist.songs_right;
            artist.song_f1 = f1(artist.songs_right, artist.songs, artist.songs_mistaken);
        }
        let most = |count: fn(&ArtistScore) -> usize, all: usize| {
            artists.iter().map(count).max().unwrap_or(0) as f64 / all.max(1) as f64
        };
        Some(Scores {
            clips: clips.len(),
            songs: songs.len(),
            segment_accuracy,
            clip_accuracy,
            song_accuracy,
            song_macro_f1,
            majority_clips: most(|a| a.clips, clips.len()),
            majority_songs: most(|a| a.songs, songs.len()),
            clip_top_k: top_k(clips, classes.len()),
            artists,
            song_confusion: confusion,
        })
    }
}

/// Several lines for people, each with its end.
impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count, unit, estimate) in [
            ("clips", self.clips, "clips", self.clip_accuracy),
            ("songs", self.songs, "songs", self.song_accuracy),
            ("macro-F1 by song", self.songs, "songs", self.song_macro_f1),
        ] {
            let Estimate { value, low, high } = estimate;
            writeln!(
                f,
                "{what:>16}: {:5.1} %  (95 % interval {:.1} to {:.1}; {count} {unit})",
                100.0 * value,
                100.0 * low,
                100.0 * high
            )?;
        }
        writeln!(f, "{:>16}: {:5.1} %", "segments", 100.0 * self.segment_accuracy.value)?;
        writeln!(
            f,
            "{:>16}: {:5.1} % of clips, {:.1} % of songs",
            "largest class",
            100.0 * self.majority_clips,
            100.0 * self.majority_songs
        )?;
        for artist in &self.artists {
            let (right, songs) = (artist.songs_right, artist.songs);
            writeln!(f, "{right:>4} of {songs:>3} songs right  {}", printable(&artist.artist))?;
        }
        Ok(())
    }
}

/// Scores of one artist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtistScore {
    /// Name.
    pub artist: String,
    /// Clips of this artist.
    pub clips: usize,
    /// Those recognised.
    pub clips_right: usize,
    /// Songs of this artist.
    pub songs: usize,
    /// Those recognised.
    pub songs_right: usize,
    /// Songs of others taken for this artist's.
    pub songs_mistaken: usize,
    /// F1 by song; 0 where the artist is never right.
    pub song_f1: f64,
}

impl ArtistScore {
    fn new(artist: &str) -> Self {
        ArtistScore {
            artist: artist.to_owned(),
            clips: 0,
            clips_right: 0,
            songs: 0,
            songs_right: 0,
            songs_mistaken: 0,
            song_f1: 0.0,
        }
    }
}

fn top_k(clips: &[Prediction], classes: usize) -> Vec<f64> {
    let mut at_rank = vec![0usize; classes];
    for clip in clips {
        if let Some(n) = clip.rank().and_then(|rank| at_rank.get_mut(rank)) {
            *n += 1;
        }
    }
    let mut right = 0;
    at_rank
        .iter()
        .map(|n| {
            right += n;
            right as f64 / clips.len().max(1) as f64
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClassId;

    fn clip(clip: &str, song: &str, truth: usize, probabilities: &[f32]) -> Prediction {
        let segments_right = if argmax(probabilities) == truth { 2 } else { 1 };
        Prediction {
            clip: clip.to_owned(),
            song: song.to_owned(),
            truth: ClassId(truth),
            segments: 4,
            segments_right,
            weight: 4,
            probabilities: probabilities.to_vec(),
            certainty: 1.0,
        }
    }

    fn scores(clips: Vec<Prediction>) -> Scores {
        let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
        Scores::of(&Predictions::new(classes, clips).unwrap()).unwrap()
    }

    #[test]
    fn a_song_is_the_mean_of_its_clips() {
        let s = scores(vec![
            clip("1", "x", 0, &[0.9, 0.1, 0.0]),
            clip("2", "x", 0, &[0.4, 0.6, 0.0]),
            clip("3", "y", 1, &[0.5, 0.3, 0.2]),
            clip("4", "z", 2, &[0.1, 0.1, 0.8]),
        ]);
        assert_eq!((s.clips, s.songs), (4, 3));
        assert_eq!(s.clip_accuracy.value, 0.5);
        assert_eq!(s.song_accuracy.value, 2.0 / 3.0);
        assert_eq!(s.segment_accuracy.value, 6.0 / 16.0);
        assert_eq!(s.song_confusion, [[1, 0, 0], [1, 0, 0], [0, 0, 1]]);
        // a: right 1 of 1, one mistaken, F1 = 2/3; b: 0; c: 1.
        assert!((s.song_macro_f1.value - (2.0 / 3.0 + 0.0 + 1.0) / 3.0).abs() < 1e-12);
        assert_eq!(s.majority_clips, 0.5);
        assert_eq!(s.clip_top_k, [0.5, 1.0, 1.0]);
        assert_eq!(s.artists[0].songs_mistaken, 1);
    }

    #[test]
    fn scores_are_printed_with_intervals_and_harmless_names() {
        let classes = ["a", "b\u{1b}", "c"].map(str::to_owned).to_vec();
        let clips = vec![clip("1", "x", 0, &[0.9, 0.1, 0.0]), clip("2", "y", 1, &[0.9, 0.1, 0.0])];
        let mut s = Scores::of(&Predictions::new(classes, clips).unwrap()).unwrap();
        s.clip_accuracy = Estimate { value: 0.5, low: 0.125, high: 1.0 };
        let text = s.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "           clips:  50.0 %  (95 % interval 12.5 to 100.0; 2 clips)");
        assert_eq!(lines[3], "        segments:  37.5 %");
        assert_eq!(lines[4], "   largest class:  50.0 % of clips, 50.0 % of songs");
        assert_eq!(lines[6], "   0 of   1 songs right  b\\u{1b}");
        assert_eq!(lines.len(), 8);
    }

    #[test]
    fn equal_probabilities_go_to_the_first_class() {
        let third = 1.0 / 3.0;
        let s = scores(vec![
            clip("1", "x", 0, &[third, third, third]),
            clip("2", "y", 2, &[third, third, third]),
        ]);
        assert_eq!(s.clip_accuracy.value, 0.5);
        assert_eq!(s.clip_top_k, [0.5, 0.5, 1.0]);
    }

    #[test]
    fn a_rank_counts_the_classes_before_the_true_one() {
        let rank = |truth, p: &[f32]| clip("1", "x", truth, p).rank();
        assert_eq!(rank(1, &[0.2, 0.3, 0.5]), Some(1));
        assert_eq!([rank(0, &[0.5, 0.5]), rank(1, &[0.5, 0.5])], [Some(0), Some(1)]);
        assert_eq!(rank(2, &[0.5, 0.5]), None);
    }

    #[test]
    fn a_clip_counts_by_the_answers_behind_it_not_by_its_segments() {
        // An LSTM's windows: one of eight segments and one of four, of which serving takes the plain mean.
        let mut long = clip("1", "x", 0, &[0.6, 0.4, 0.0]);
        long.segments = 8;
        let short = clip("2", "x", 0, &[0.35, 0.65, 0.0]);
        let windows = |clip: Prediction| Prediction { weight: 1, ..clip };
        assert_eq!(scores(vec![long.clone(), short.clone()]).song_accuracy.value, 0.0);
        long.weight = 8;
        assert_eq!(scores(vec![long.clone(), short.clone()]).song_accuracy.value, 1.0);
        assert_eq!(scores(vec![windows(long), windows(short)]).song_accuracy.value, 0.0);
    }

    #[test]
    fn an_artist_who_is_only_answered_lowers_macro_f1_and_one_who_never_occurs_does_not() {
        // scikit-learn: f1_score([0, 0], [0, 1], average="macro") is (2/3 + 0) / 2.
        let s =
            scores(vec![clip("1", "x", 0, &[1.0, 0.0, 0.0]), clip("2", "y", 0, &[0.0, 1.0, 0.0])]);
        assert_eq!(s.song_macro_f1.value, 1.0 / 3.0);
    }

    #[test]
    fn an_interval_holds_its_value_and_narrows_with_songs() {
        let many = |n: usize| {
            let clips = (0..n)
                .map(|i| {
                    let p = if i % 4 == 0 { [0.2, 0.8, 0.0] } else { [0.8, 0.2, 0.0] };
                    clip(&i.to_string(), &format!("song {i}"), 0, &p)
                })
                .collect();
            scores(clips).song_accuracy
        };
        let (few, lots) = (many(16), many(400));
        for e in [few, lots] {
            assert!(e.low <= e.value && e.value <= e.high, "{e:?}");
        }
        assert!(lots.high - lots.low < (few.high - few.low) / 2.0, "{few:?} {lots:?}");
        // Binomial: 1.96 · √(0.75 · 0.25 / 400) = 0.042 at each side.
        assert!((lots.high - lots.low - 0.085).abs() < 0.02, "{lots:?}");
    }

    #[test]
    fn same_predictions_give_the_same_intervals() {
        let make = || {
            let clips =
                (0..9).map(|i| clip(&i.to_string(), &i.to_string(), i % 3, &[0.5, 0.3, 0.2]));
            scores(clips.collect())
        };
        assert_eq!(make(), make());
    }
}
