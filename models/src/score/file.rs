//! The predictions file: one JSON object a line, a heading first, then a clip a line.

use serde::{Deserialize, Serialize};

use super::prediction::Prediction;
use crate::run::check_classes;

const VERSION: u32 = 1;

/// Most segments of a clip, so that their sum over any file stays exact.
const MOST_SEGMENTS: usize = 1 << 26;

/// How far from one the sum of probabilities may be: some thousand roundings to 24 bits, and files written by hand.
const SUM_TOLERANCE: f64 = 1e-3;

/// Predictions of one network on one set of clips; checked against its classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    classes: Vec<String>,
    clips: Vec<Prediction>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Heading {
    leitmotif_predictions: u32,
    classes: Vec<String>,
}

/// Why predictions cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PredictionsError {
    /// A line that is not JSON or lacks a field.
    #[error("line {line} of the predictions cannot be read: {problem}")]
    Syntax {
        /// Line number from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// No heading, or of another version.
    #[error("these are not predictions of version {VERSION}: {0}")]
    Heading(String),
    /// Too few artists or the same one twice.
    #[error("the predictions list their classes wrongly: {0}")]
    Classes(String),
    /// Numbers that cannot be.
    #[error("clip `{clip}`: {problem}")]
    Clip {
        /// Identifier of the clip.
        clip: String,
        /// What is wrong.
        problem: String,
    },
}

impl Predictions {
    /// Checks predictions against their classes.
    ///
    /// # Errors
    /// `Classes`: fewer than two, an empty name, a name twice. `Clip`: an unknown class, a wrong number of probabilities, a
    /// value outside 0…1, a sum other than one, no segments or more than 2²⁶, more right or a greater weight than there
    /// are, a clip twice, a song with two artists.
    pub fn new(classes: Vec<String>, clips: Vec<Prediction>) -> Result<Self, PredictionsError> {
        check_classes(&classes).map_err(PredictionsError::Classes)?;
        let mut ids = std::collections::HashSet::new();
        let mut songs = std::collections::HashMap::new();
        for clip in &clips {
            let problem = if clip.truth.0 >= classes.len() {
                format!("class {} of {}", clip.truth.0, classes.len())
            } else if clip.probabilities.len() != classes.len() {
                format!("{} probabilities for {} classes", clip.probabilities.len(), classes.len())
            } else if let Some(p) =
                clip.probabilities.iter().find(|p| !(0.0..=1.0 + 1e-5).contains(*p))
            {
                format!("a probability of {p}")
            } else if !(0.0..=1.0 + 1e-5).contains(&clip.certainty) {
                format!("a certainty of {}", clip.certainty)
            } else if let Some(sum) = wrong_sum(&clip.probabilities) {
                format!("its probabilities sum to {sum}")
            } else if !(1..=MOST_SEGMENTS).contains(&clip.segments) {
                format!("{} segments, where 1 to {MOST_SEGMENTS} are allowed", clip.segments)
            } else if clip.segments_right > clip.segments {
                format!("{} of {} segments right", clip.segments_right, clip.segments)
            } else if !(1..=clip.segments).contains(&clip.weight) {
                format!("a weight of {} over {} segments", clip.weight, clip.segments)
            } else if !ids.insert(clip.clip.as_str()) {
                "is there twice".to_owned()
            } else if *songs.entry(clip.song.as_str()).or_insert(clip.truth) != clip.truth {
                format!("its song `{}` has two artists", clip.song)
            } else {
                continue;
            };
            return Err(PredictionsError::Clip { clip: clip.clip.clone(), problem });
        }
        Ok(Predictions { classes, clips })
    }

    /// Artists, in the order of the probabilities.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// One entry a clip.
    pub fn clips(&self) -> &[Prediction] {
        &self.clips
    }

    /// The text of a predictions file.
    ///
    /// # Errors
    /// `Syntax` where serialisation fails.
    pub fn to_lines(&self) -> Result<String, PredictionsError> {
        let failed = |line| {
            move |e: serde_json::Error| PredictionsError::Syntax { line, problem: e.to_string() }
        };
        let heading = Heading { leitmotif_predictions: VERSION, classes: self.classes.clone() };
        let mut text = serde_json::to_string(&heading).map_err(failed(1))? + "\n";
        for (i, clip) in self.clips.iter().enumerate() {
            text += &serde_json::to_string(clip).map_err(failed(i + 2))?;
            text.push('\n');
        }
        Ok(text)
    }

    /// Reads and checks a predictions file.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn from_lines(text: &str) -> Result<Self, PredictionsError> {
        let mut lines = text.lines();
        let heading: Heading = serde_json::from_str(lines.next().unwrap_or(""))
            .map_err(|e| PredictionsError::Heading(e.to_string()))?;
        if heading.leitmotif_predictions != VERSION {
            let found = heading.leitmotif_predictions;
            return Err(PredictionsError::Heading(format!("the heading has version {found}")));
        }
        let clips = lines
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(i, line)| {
                serde_json::from_str(line)
                    .map_err(|e| PredictionsError::Syntax { line: i + 2, problem: e.to_string() })
            })
            .collect::<Result<Vec<Prediction>, _>>()?;
        Predictions::new(heading.classes, clips)
    }
}

fn wrong_sum(probabilities: &[f32]) -> Option<f64> {
    let sum: f64 = probabilities.iter().copied().map(f64::from).sum();
    ((sum - 1.0).abs() > SUM_TOLERANCE).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClassId;

    fn predictions() -> Predictions {
        let clip = |clip: &str, truth| Prediction {
            clip: clip.to_owned(),
            song: format!("song of {clip}"),
            truth: ClassId(truth),
            segments: 3,
            segments_right: 1,
            weight: 2,
            probabilities: vec![0.25, 0.75],
            certainty: 0.875,
        };
        let classes = vec!["Ada, \"the\" first".to_owned(), "Bo 🎷".to_owned()];
        Predictions::new(classes, vec![clip("a", 0), clip("b", 1)]).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let made = predictions();
        assert_eq!(Predictions::from_lines(&made.to_lines().unwrap()), Ok(made));
    }

    #[test]
    fn a_file_from_before_weights_weighs_clips_by_their_segments() {
        let text = predictions().to_lines().unwrap();
        let old = Predictions::from_lines(&text.replace("\"weight\":2,", "")).unwrap();
        assert!(old.clips().iter().all(|clip| clip.weight == clip.segments));
        assert!(predictions().clips().iter().all(|clip| clip.weight != clip.segments));
    }

    #[test]
    fn a_file_from_before_certainties_takes_the_largest_probability() {
        let text = predictions().to_lines().unwrap();
        let old = Predictions::from_lines(&text.replace(",\"certainty\":0.875", "")).unwrap();
        assert!(old.clips().iter().all(|clip| clip.certainty == 0.75));
    }

    #[test]
    fn classes_must_be_two_or_more_and_differ() {
        for classes in [&["Ada"][..], &["Ada", ""], &["Ada", "Ada"]] {
            let classes = classes.iter().copied().map(str::to_owned).collect();
            let error = Predictions::new(classes, Vec::new()).unwrap_err();
            assert!(matches!(error, PredictionsError::Classes(_)), "{error}");
        }
    }

    #[test]
    fn a_broken_line_is_named() {
        let text = predictions().to_lines().unwrap() + "{\"clip\":\n";
        assert!(matches!(
            Predictions::from_lines(&text),
            Err(PredictionsError::Syntax { line: 4, .. })
        ));
    }

    #[test]
    fn impossible_numbers_are_refused() {
        let made = predictions();
        let spoil = |f: fn(&mut Prediction)| {
            let mut clips = made.clips().to_vec();
            f(&mut clips[1]);
            Predictions::new(made.classes().to_vec(), clips).unwrap_err().to_string()
        };
        assert!(spoil(|c| c.truth = ClassId(2)).contains("class 2 of 2"));
        assert!(spoil(|c| c.probabilities = vec![1.0]).contains("1 probabilities"));
        assert!(spoil(|c| c.probabilities[0] = f32::NAN).contains("NaN"));
        assert!(spoil(|c| c.probabilities[0] = 0.252).contains("sum to 1.00"));
        assert!(spoil(|c| c.segments = 0).contains("0 segments"));
        assert!(spoil(|c| c.segments = usize::MAX).contains("segments, where 1 to 67108864"));
        assert!(spoil(|c| c.segments_right = 4).contains("4 of 3 segments"));
        assert!(spoil(|c| c.weight = 0).contains("a weight of 0 over 3"));
        assert!(spoil(|c| c.weight = 4).contains("a weight of 4 over 3"));
        assert!(spoil(|c| c.clip = "a".to_owned()).contains("twice"));
        assert!(spoil(|c| c.song = "song of a".to_owned()).contains("two artists"));
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        assert!(matches!(
            Predictions::from_lines("clip,truth\n"),
            Err(PredictionsError::Heading(_))
        ));
        assert!(matches!(Predictions::from_lines(""), Err(PredictionsError::Heading(_))));
    }
}
