//! How many epochs were really run, beside how many the experiment asks for.

use std::fmt;

use super::results::SeriesResults;
use crate::paper::experiment::results_dir::PlannedExperiment;

/// Epochs of the finished runs of some series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epochs {
    /// Of the shortest run; with early stopping fewer than it was given.
    fewest: usize,
    /// Of the longest.
    most: usize,
    /// What the experiment asks for, where a run was given fewer.
    asked: Option<usize>,
}

impl Epochs {
    /// Of these series of an experiment; nothing without a finished run.
    pub(super) fn of<'a>(
        planned: &PlannedExperiment,
        all_series: impl IntoIterator<Item = &'a SeriesResults<'a>>,
    ) -> Option<Self> {
        let mut found: Option<Self> = None;
        for series in all_series {
            // A recipe has its own epochs, which no scale changes.
            let own = planned.epochs.get(&series.series.label).copied();
            let asked = own.unwrap_or_else(|| planned.scale.epochs_in_full());
            for run in &series.runs {
                let done = run.history.rows().len();
                let asked = (run.config.epochs < asked).then_some(asked);
                found = Some(match found {
                    None => Epochs { fewest: done, most: done, asked },
                    Some(so_far) => Epochs {
                        fewest: so_far.fewest.min(done),
                        most: so_far.most.max(done),
                        asked: so_far.asked.max(asked),
                    },
                });
            }
        }
        found
    }

    /// Whether a run was given fewer epochs than the experiment asks for.
    pub(super) fn are_short(self) -> bool {
        self.asked.is_some()
    }
}

/// `8 epochs`, `5 to 9 epochs`, `2 of 8 epochs`.
impl fmt::Display for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fewest)?;
        if self.most > self.fewest {
            write!(f, " to {}", self.most)?;
        }
        match self.asked {
            Some(asked) => write!(f, " of {asked} epochs"),
            None if self.most == 1 => f.write_str(" epoch"),
            None => f.write_str(" epochs"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::measure::tests::{run, series};
    use super::*;
    use crate::paper::experiment::scale::{Scale, ScaleChanges};
    use crate::paper::experiment::spec::Experiment;

    #[test]
    fn only_runs_that_were_given_fewer_epochs_are_short() {
        let series = series();
        let experiment = Experiment::named("heads").unwrap().remove(0);
        let words = |epochs: Option<usize>, given: usize, recipes: &[(&str, usize)]| {
            let changes = ScaleChanges { epochs, ..ScaleChanges::default() };
            let scale = Scale::named("small", changes).unwrap();
            let recipes = recipes.iter().map(|(label, epochs)| ((*label).to_owned(), *epochs));
            let epochs: BTreeMap<String, usize> = recipes.collect();
            let experiment = experiment.clone();
            let planned = PlannedExperiment { experiment, scale, runs: Vec::new(), epochs };
            // Its history has three epochs.
            let mut run = run("r", &[("1", "x", 0, 0)]);
            run.config.epochs = given;
            let results = SeriesResults { series: &series, runs: vec![&run], planned: 1 };
            let epochs = Epochs::of(&planned, [&results]).unwrap();
            (epochs.to_string(), epochs.are_short())
        };
        assert_eq!(words(Some(3), 3, &[]), ("3 of 8 epochs".to_owned(), true));
        assert_eq!(words(Some(50), 50, &[]), ("3 epochs".to_owned(), false));
        // Stopped early, as its settings allow.
        assert_eq!(words(None, 8, &[]), ("3 epochs".to_owned(), false));
        assert_eq!(words(Some(2), 3, &[("dense", 3)]), ("3 epochs".to_owned(), false));
        let both = Epochs { fewest: 3, most: 5, asked: None };
        assert_eq!(both.to_string(), "3 to 5 epochs");
    }
}
