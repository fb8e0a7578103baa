//! The predictions file: one JSON object a line, a heading first, then a clip a line.

use serde::{Deserialize, Serialize};

use super::Prediction;

const VERSION: u32 = 1;

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
    /// A line that is no JSON or lacks a field.
    #[error("line {line} of the predictions cannot be read: {problem}")]
    Syntax {
        /// Line number from 1.
        line: usize,
        /// What the JSON reader says.
        problem: String,
    },
    /// No heading, or of another version.
    #[error("these are no predictions of version {VERSION}: {0}")]
    Heading(String),
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
    /// `Clip`: an unknown class, a wrong number of probabilities, a value outside 0…1, more segments right than there are,
    /// a clip twice, a song with two artists.
    pub fn new(classes: Vec<String>, clips: Vec<Prediction>) -> Result<Self, PredictionsError> {
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
            } else if clip.segments == 0 || clip.segments_right > clip.segments {
                format!("{} of {} segments right", clip.segments_right, clip.segments)
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
            return Err(PredictionsError::Heading(format!("the heading says version {found}")));
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
            probabilities: vec![0.25, 0.75],
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
        assert!(spoil(|c| c.segments_right = 4).contains("4 of 3 segments"));
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
