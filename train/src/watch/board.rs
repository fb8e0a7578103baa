//! What a view of a run shows, as numbers and text.

use std::time::Duration;

use leitmotif_models::text::{count, printable, thousands};

use crate::learn::bar::clock;
use crate::learn::events::{Event, StartEvent, StepEvent};
use crate::learn::history::EpochRow;

/// A run so far.
#[derive(Debug, Default)]
pub(crate) struct Board {
    start: StartEvent,
    rows: Vec<EpochRow>,
    best: Option<usize>,
    newest: Option<StepEvent>,
    /// Loss of the steps since the start, by epochs.
    losses: Thinned,
    /// Part, clips evaluated, clips.
    evaluation: Option<(String, usize, usize)>,
}

/// A curve: its name, and points by rising x.
pub(crate) type Curve = (&'static str, Vec<(f64, f64)>);

impl Board {
    /// Takes in what happened.
    pub(crate) fn observe(&mut self, event: &Event<'_>) {
        if !matches!(event, Event::Evaluation(_)) {
            self.evaluation = None;
        }
        match event {
            Event::Start(start) => {
                self.start = (*start).clone();
                self.rows.clone_from(&start.history);
                self.best = Some(start.best_epoch);
            }
            Event::Step(step) => {
                self.losses.add((self.epochs_at(step.step), step.loss));
                self.newest = Some(*step);
            }
            Event::Evaluation(of) => {
                self.evaluation = Some((of.part.to_owned(), of.done, of.clips));
            }
            Event::Epoch(epoch) => {
                if epoch.best {
                    self.best = Some(epoch.row.epoch);
                }
                self.rows.push(epoch.row.clone());
            }
            Event::End(_) | Event::Stopped { .. } => {}
        }
    }

    /// What is trained, and where.
    pub(crate) fn title(&self) -> String {
        let StartEvent { network, head, dataset, split, run, .. } = &self.start;
        printable(&format!("{run}: {network} ({head} head) on {dataset}, {split}"))
    }

    /// Epochs of the whole run, the end of the curves.
    pub(crate) fn epochs(&self) -> f64 {
        self.start.epochs.max(1) as f64
    }

    /// Share of the run that is done, and what is being done.
    pub(crate) fn progress(&self) -> (f64, String) {
        let done = self.newest.map_or(self.start.steps_done, |step| step.step);
        let share = (self.epochs_at(done) / self.epochs()).clamp(0.0, 1.0);
        let epochs = self.start.epochs;
        let text = match (&self.evaluation, &self.newest) {
            (Some((part, done, clips)), _) => format!("{part}: {done} of {clips} clips evaluated"),
            (None, Some(step)) => {
                let left = clock(step.seconds_left);
                format!("epoch {} of {epochs}, step {}, {left} left", step.epoch, step.step)
            }
            (None, None) => format!("{} of {epochs} epochs", self.start.epochs_done),
        };
        (share, text)
    }

    /// The curves of the loss, in nats.
    pub(crate) fn losses(&self) -> Vec<Curve> {
        let mut training = Self::by_epoch(&self.start.history, |row| Some(row.loss));
        training.extend(self.losses.points());
        vec![
            ("training", training),
            ("validation", Self::by_epoch(&self.rows, |row| row.validation_loss)),
        ]
    }

    /// The curves of the accuracy, in percent.
    pub(crate) fn accuracies(&self) -> Vec<Curve> {
        let percent = |share: Option<f64>| share.map(|share| 100.0 * share);
        let mut training = Self::by_epoch(&self.rows, |row| percent(Some(row.accuracy)));
        let epochs_done = self.rows.last().map_or(0, |row| row.epoch);
        if let Some(step) = self.newest.filter(|step| step.epoch > epochs_done) {
            training.push((self.epochs_at(step.step), 100.0 * step.accuracy));
        }
        vec![
            ("training", training),
            ("validation", Self::by_epoch(&self.rows, |row| percent(row.validation_clips))),
            ("songs", Self::by_epoch(&self.rows, |row| percent(row.validation_songs))),
        ]
    }

    /// Numbers beside the curves, each with its name; `memory` is the process's, in bytes.
    pub(crate) fn numbers(
        &self,
        elapsed: Duration,
        memory: Option<u64>,
    ) -> Vec<(&'static str, String)> {
        let start = &self.start;
        let mut numbers = vec![
            ("parameters", thousands(start.parameters)),
            ("artists", start.artists.to_string()),
            (
                "clips",
                [start.clips.train, start.clips.validation, start.clips.test]
                    .map(|n| thousands(n as u64))
                    .join(" / "),
            ),
            ("device", format!("{}, {}", start.device, count(start.threads, "thread"))),
        ];
        if let Some(step) = &self.newest {
            numbers.extend([
                ("learning rate", format!("{:.2e}", step.learning_rate)),
                ("loss", format!("{:.4}", step.mean_loss)),
                ("accuracy", format!("{:.1} %", 100.0 * step.accuracy)),
                ("gradient norm", format!("{:.3}", step.gradient_norm)),
                ("speed", format!("{:.1} clips/s", step.clips_per_second)),
            ]);
        }
        if let Some(best) = self.rows.iter().find(|row| Some(row.epoch) == self.best) {
            let songs = best.validation_songs;
            let songs = songs.map(|songs| format!(": {:.1} % of songs", 100.0 * songs));
            numbers.push(("best epoch", format!("{}{}", best.epoch, songs.unwrap_or_default())));
        }
        numbers.push(("elapsed", clock(elapsed.as_secs_f64())));
        if let Some(bytes) = memory {
            numbers.push(("memory", format!("{} MiB", thousands(bytes >> 20))));
        }
        numbers
    }

    fn by_epoch(rows: &[EpochRow], value: impl Fn(&EpochRow) -> Option<f64>) -> Vec<(f64, f64)> {
        rows.iter().filter_map(|row| Some((row.epoch as f64, value(row)?))).collect()
    }

    fn epochs_at(&self, step: u64) -> f64 {
        step as f64 / self.start.steps_per_epoch.max(1) as f64
    }
}

/// A curve that keeps to a few hundred points however long it becomes: each is the mean of as many.
#[derive(Debug)]
struct Thinned {
    points: Vec<(f64, f64)>,
    /// Values that one point stands for.
    each: usize,
    /// The values of the next point.
    open: Vec<(f64, f64)>,
}

impl Default for Thinned {
    fn default() -> Self {
        Thinned { points: Vec::new(), each: 1, open: Vec::new() }
    }
}

impl Thinned {
    const MOST: usize = 256;

    fn add(&mut self, point: (f64, f64)) {
        self.open.push(point);
        if self.open.len() < self.each {
            return;
        }
        self.points.push(mean(&self.open));
        self.open.clear();
        if self.points.len() >= Self::MOST {
            self.points = self.points.chunks(2).map(mean).collect();
            self.each *= 2;
        }
    }

    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        let open = (!self.open.is_empty()).then(|| mean(&self.open));
        self.points.iter().copied().chain(open)
    }
}

fn mean(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len().max(1) as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    (x / count, y / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_curve_keeps_its_ends_and_its_mean() {
        let mut curve = Thinned::default();
        for i in 0..10_000 {
            curve.add((f64::from(i), f64::from(i % 2)));
        }
        let points: Vec<(f64, f64)> = curve.points().collect();
        assert!(points.len() <= Thinned::MOST, "{}", points.len());
        assert!(points.iter().all(|point| point.1 == 0.5), "{points:?}");
        assert!(points[0].0 < 100.0 && points[points.len() - 1].0 > 9_900.0);
        assert!(points.is_sorted_by(|a, b| a.0 < b.0));
    }
}
