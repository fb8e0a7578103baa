//! An experiment as a TOML file: its question, the series that it compares, the paper's values.

use std::fs;
use std::path::Path;

use leitmotif_dataset::split::Protocol;
use leitmotif_models::HeadKind;
use serde::{Deserialize, Serialize};

use super::error::{DescriptionError, ExperimentError};

const BUILT_IN: [(&str, &str); 6] = [
    ("splits", include_str!("../../../experiments/splits.toml")),
    ("filters", include_str!("../../../experiments/filters.toml")),
    ("segments", include_str!("../../../experiments/segments.toml")),
    ("heads", include_str!("../../../experiments/heads.toml")),
    ("topk", include_str!("../../../experiments/topk.toml")),
    ("genres", include_str!("../../../experiments/genres.toml")),
];

/// Experiments on our own recipes, which `all` leaves out.
const FURTHER: [(&str, &str); 2] = [
    ("ablation", include_str!("../../../experiments/ablation.toml")),
    ("ablation-compact", include_str!("../../../experiments/ablation-compact.toml")),
];

/// One experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Short name, of letters, digits, `-` and `_`.
    pub name: String,
    /// Heading.
    pub title: String,
    /// Where it is in the paper, e.g. `figure 1`.
    #[serde(default)]
    pub source: String,
    /// What it investigates.
    pub question: String,
    /// How the report presents it.
    #[serde(rename = "show")]
    pub presentation: Presentation,
    /// Whether the filters of its networks are analysed.
    #[serde(default, rename = "learned")]
    pub analyse_filters: bool,
    /// What is compared.
    #[serde(rename = "lines")]
    pub series: Vec<Series>,
    /// What the paper found.
    #[serde(default)]
    pub values: Vec<PaperValue>,
    /// The paper's claims, as questions.
    #[serde(default)]
    pub questions: Vec<Question>,
}

/// How the report presents an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presentation {
    /// Training and test accuracy by epoch.
    Curves,
    /// Top-k accuracy by k.
    TopK,
    /// Errors by genre.
    Genres,
    /// Accuracies, and the differences to the first series.
    Scores,
}

/// Runs that differ in nothing but their seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Its name in figures and tables.
    pub label: String,
    /// A network of the scale, or a preset.
    pub network: String,
    /// Its head.
    pub head: HeadKind,
    /// What its split keeps on one side.
    pub split: Protocol,
    /// The recipe that its settings come from; the scale's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// What differs from the recipe, by the names of `fit`'s options.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub settings: toml::Table,
    /// What its accuracy is a share of.
    #[serde(default, rename = "judged")]
    pub unit: EvaluationUnit,
}

/// What an accuracy is a share of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvaluationUnit {
    /// Clips.
    #[default]
    Clip,
    /// Segments, each with its own prediction.
    Segment,
}

/// A number that the paper gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperValue {
    /// Label of the series.
    #[serde(rename = "line")]
    pub series: String,
    /// What was measured.
    pub measure: Measure,
    /// The k of `top-k`.
    #[serde(default)]
    pub k: Option<usize>,
    /// The genre of `genre-wrong`.
    #[serde(default)]
    pub genre: Option<String>,
    /// The number: percent, or an epoch, or a k.
    pub value: f64,
    /// Whether it is read off a figure.
    #[serde(default, rename = "about")]
    pub approximate: bool,
}

/// What can be measured of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Percent of predictions on the test part that are right at the end.
    #[default]
    Accuracy,
    /// Epoch of the highest test accuracy.
    PeakEpoch,
    /// Percent of clips whose artist is among the first k.
    TopK,
    /// Smallest k at which every artist is among the first k.
    AllAtK,
    /// Percent of clips of a genre that are predicted wrongly.
    GenreWrong,
    /// Percent of the wrong predictions whose artist shares a genre with the clip.
    SharedGenre,
}

/// A claim as a question: is one series better than the other?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The question; the answer is yes where `better` is ahead.
    #[serde(rename = "ask")]
    pub text: String,
    /// Label of a series.
    pub better: String,
    /// Label of another.
    pub worse: String,
    /// By what: accuracy, top-k or shared-genre.
    #[serde(default)]
    pub measure: Measure,
    /// The k of `top-k`.
    #[serde(default)]
    pub k: Option<usize>,
    /// The paper's answer.
    #[serde(default)]
    pub paper: String,
}

impl Experiment {
    /// Names of the experiments that come with the program.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().chain(&FURTHER).map(|(name, _)| *name)
    }

    /// `all`, one by its name, or the file at a path that ends in `.toml`.
    ///
    /// # Errors
    ///
    /// An unknown name, a file that cannot be read, a description that contradicts itself.
    pub fn named(name: &str) -> Result<Vec<Self>, ExperimentError> {
        let path = Path::new(name);
        if path.extension().is_some_and(|ending| ending == "toml") {
            let text = fs::read_to_string(path).map_err(|e| ExperimentError::file(path, e))?;
            return Ok(vec![Self::from_toml(name, &text)?]);
        }
        let papers = BUILT_IN.iter().filter(|(known, _)| name == "all" || name == *known);
        let found = papers.chain(FURTHER.iter().filter(|(known, _)| name == *known));
        let found = found.map(|(known, text)| Self::from_toml(known, text));
        let found = found.collect::<Result<Vec<_>, _>>()?;
        if found.is_empty() {
            let known = Self::names().collect::<Vec<_>>().join(", ");
            return Err(DescriptionError::UnknownExperiment { name: name.to_owned(), known }.into());
        }
        Ok(found)
    }

    /// Reads a description; errors name it `file`.
    ///
    /// # Errors
    ///
    /// Text of another form, fields that contradict each other.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, ExperimentError> {
        let experiment: Experiment =
            toml::from_str(text).map_err(|e| DescriptionError::toml(file, e))?;
        experiment.check().map_err(|reason| DescriptionError::inconsistent(file, reason))?;
        Ok(experiment)
    }

    /// The place of the series with that label.
    pub fn series_index(&self, label: &str) -> Option<usize> {
        self.series.iter().position(|series| series.label == label)
    }

    fn check(&self) -> Result<(), String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || !self.name.chars().all(allowed) {
            return Err(format!(
                "`{}` is not a valid name: use letters, digits, - and _",
                self.name
            ));
        }
        if self.series.is_empty() {
            return Err("it has no lines, so there is nothing to run".to_owned());
        }
        for (i, series) in self.series.iter().enumerate() {
            if self.series_index(&series.label) != Some(i) {
                return Err(format!("two lines are called `{}`", series.label));
            }
            if series.recipe.is_none() && !series.settings.is_empty() {
                return Err(format!("`{}`: `settings` change a recipe: name it", series.label));
            }
        }
        let values = self.values.iter().map(|v| (&v.series, v.measure, v.k, v.genre.is_some()));
        let sides = self
            .questions
            .iter()
            .flat_map(|q| [&q.better, &q.worse].map(|label| (label, q.measure, q.k, false)));
        for (label, measure, k, genre) in values.chain(sides) {
            if self.series_index(label).is_none() {
                return Err(format!("there is no line called `{label}`"));
            }
            if (measure == Measure::TopK) != k.is_some_and(|k| k > 0) {
                return Err(format!("`{label}`: `k` (from 1) goes with measure = \"top-k\""));
            }
            if (measure == Measure::GenreWrong) != genre {
                return Err(format!("`{label}`: `genre` goes with measure = \"genre-wrong\""));
            }
        }
        let comparable = [Measure::Accuracy, Measure::TopK, Measure::SharedGenre];
        match self.questions.iter().find(|q| !comparable.contains(&q.measure)) {
            Some(q) => Err(format!("`{}`: ask by accuracy, top-k or shared-genre", q.text)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_experiments_are_read_with_all_their_values() {
        let all = Experiment::named("all").unwrap();
        assert!(all.iter().map(|e| e.name.as_str()).eq(BUILT_IN.map(|(name, _)| name)));
        for (name, _) in FURTHER {
            assert_eq!(Experiment::named(name).unwrap()[0].name, name);
        }
        let values: Vec<usize> = all.iter().map(|e| e.values.len()).collect();
        assert_eq!(values, [5, 0, 0, 0, 3, 24]);
        let genres = &all[5].values;
        let of = |genre: &str| {
            let of_genre = genres.iter().filter(|v| v.genre.as_deref() == Some(genre));
            of_genre.map(|v| v.value).collect::<Vec<_>>()
        };
        assert_eq!(of("Electronic Rock"), [100.0, 61.5]);
        assert_eq!(of("Ambient"), [47.97, 49.42]);
        assert_eq!(Experiment::named("topk").unwrap(), all[4..5]);
    }

    #[test]
    fn a_description_that_contradicts_itself_is_refused() {
        let good = BUILT_IN[4].1;
        let refused = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            let text = good.replacen(from, to, 1);
            Experiment::from_toml("own.toml", &text).unwrap_err().to_string()
        };
        assert!(refused("name = \"topk\"", "name = \"../topk\"").contains("is not a valid name"));
        assert!(refused("label = \"dense\"", "label = \"LSTM\"").contains("two lines"));
        assert!(
            refused("line = \"dense\"", "line = \"denser\"").contains("no line called `denser`")
        );
        assert!(refused("k = 6\n", "").contains("top-k"));
        assert!(
            refused("split =", "settings = { mixup = 0 }\nsplit =").contains("change a recipe")
        );
        assert!(refused("head = \"lstm\"", "head = \"gru\"").contains("own.toml"));
        assert!(refused("measure = \"all-at-k\"", "measure = \"genre-wrong\"").contains("genre"));
        let unknown = Experiment::named("figures").unwrap_err().to_string();
        assert!(
            unknown.contains("splits, filters, segments, heads, topk, genres, ablation"),
            "{unknown}"
        );
    }
}
