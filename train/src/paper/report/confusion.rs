//! Which artists are taken for which: counts of clips by true and predicted artist.

use std::collections::BTreeMap;

use leitmotif_models::{Predictions, argmax};

use super::table::{Cell, Layout, Table, Visibility};

/// Counts by true and predicted artist.
#[derive(Clone, Debug, Default)]
pub(super) struct Confusion<'a> {
    pairs: BTreeMap<(&'a str, &'a str), usize>,
    all: BTreeMap<&'a str, usize>,
}

impl<'a> Confusion<'a> {
    /// Of the clips of these predictions together.
    pub(super) fn of_clips(all: impl IntoIterator<Item = &'a Predictions>) -> Self {
        let mut confusion = Self::default();
        for predictions in all {
            let classes = predictions.classes();
            for clip in predictions.clips() {
                let predicted = argmax(&clip.probabilities);
                if let (Some(truth), Some(predicted)) =
                    (classes.get(clip.truth.0), classes.get(predicted))
                {
                    confusion.add(truth, predicted, 1);
                }
            }
        }
        confusion
    }

    /// Adds so many of `truth` that were taken for `predicted`.
    pub(super) fn add(&mut self, truth: &'a str, predicted: &'a str, count: usize) {
        *self.pairs.entry((truth, predicted)).or_default() += count;
        *self.all.entry(truth).or_default() += count;
    }

    /// How many of `truth` were taken for `predicted`.
    pub(super) fn count(&self, truth: &str, predicted: &str) -> usize {
        self.pairs.get(&(truth, predicted)).copied().unwrap_or(0)
    }

    /// Every true artist with how many there are of them.
    pub(super) fn artists(&self) -> impl Iterator<Item = (&'a str, usize)> {
        self.all.iter().map(|(artist, count)| (*artist, *count))
    }

    /// The most frequent errors: true artist, predicted artist, how many, of how many.
    pub(super) fn most_confused(&self, most: usize) -> Vec<(&'a str, &'a str, usize, usize)> {
        let mut errors: Vec<_> =
            self.pairs.iter().filter(|((truth, predicted), _)| truth != predicted).collect();
        // Names break ties, so that the same predictions give the same table.
        errors.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let with_all = |((truth, predicted), count): (&(&'a str, &'a str), &usize)| {
            (*truth, *predicted, *count, self.all.get(truth).copied().unwrap_or(0))
        };
        errors.into_iter().take(most).map(with_all).collect()
    }

    /// The matrix of the `most` artists with the most errors, true artists in rows; a last column counts the
    /// predictions that are none of these, where there are any.
    pub(super) fn matrix(&self, id: &str, caption: String, most: usize) -> Table {
        let wrong = |(artist, all): (&'a str, usize)| (all - self.count(artist, artist), artist);
        let mut shown: Vec<(usize, &str)> = self.artists().map(wrong).collect();
        shown.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        shown.truncate(most);
        let mut table = Table::new(id, caption, &["true artist"])
            .with_visibility(Visibility::Folded)
            .with_layout(Layout::Heat);
        table.columns.extend(shown.iter().map(|(_, artist)| (*artist).to_owned()));
        let mut any_others = false;
        for (_, truth) in &shown {
            let cells: Vec<usize> =
                shown.iter().map(|(_, predicted)| self.count(truth, predicted)).collect();
            let others =
                self.all.get(truth).copied().unwrap_or(0).saturating_sub(cells.iter().sum());
            any_others |= others > 0;
            let counts = cells.into_iter().chain([others]).map(Cell::count);
            table.rows.push([Cell::text(*truth)].into_iter().chain(counts).collect());
        }
        if any_others {
            table.columns.push("anyone else".to_owned());
        } else {
            table.rows.iter_mut().for_each(|row| row.truncate(table.columns.len()));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::super::measure::tests::run;
    use super::*;

    #[test]
    fn a_confusion_matrix_begins_with_the_artist_of_most_errors_and_loses_no_clip() {
        let predictions = [
            ("1", "x", 0, 0),
            ("2", "x", 0, 1),
            ("3", "y", 1, 0),
            ("4", "y", 1, 2),
            ("5", "z", 3, 3),
        ];
        let run_of_two = run("r", &[("1", "x", 0, 1), ("2", "y", 1, 1)]);
        let run = run("r", &predictions);
        let confusion = Confusion::of_clips([&run.predictions, &run.predictions]);
        assert_eq!((confusion.count("B", "C"), confusion.all["B"]), (2, 4));
        assert_eq!(confusion.most_confused(2), [("A", "B", 2, 4), ("B", "A", 2, 4)]);
        let table = confusion.matrix("m", "n".to_owned(), 12);
        assert_eq!(table.columns, ["true artist", "B", "A", "D", "anyone else"]);
        let row = |cells: [usize; 4]| cells.map(Cell::count);
        assert_eq!(table.rows[0][1..], row([0, 2, 0, 2]));
        assert_eq!(table.rows[1][1..], row([2, 2, 0, 0]));
        assert_eq!(table.rows[2][1..], row([0, 0, 2, 0]));
        let all_shown =
            Confusion::of_clips([&run_of_two.predictions]).matrix("m", "n".to_owned(), 12);
        assert_eq!(all_shown.columns, ["true artist", "A", "B"]);
        assert_eq!(all_shown.rows[0][1..], [0, 1].map(Cell::count));
    }
}
