//! A few runs side by side: the settings in which they differ, their scores, their curves.

use std::collections::{BTreeMap, BTreeSet};

use leitmotif_models::Estimate;
use leitmotif_models::text::printable;
use serde::Serialize;
use serde_json::Value;

use super::flatten::flatten;
use super::list::percent;
use super::run::{Run, Summary};
use super::table::{columns, sparkline};
use crate::learn::history::EpochRow;

/// Longest line of blocks that stands for a curve.
const WIDTH: usize = 60;
/// Longest text of a setting in a table.
const LONGEST: usize = 40;

/// Runs side by side.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Their names, in the order of everything else.
    pub runs: Vec<String>,
    /// Whether all were trained and tested on the same split of the same music: otherwise scores cannot be compared.
    pub same_split: bool,
    /// What differs, by its name in `run.json`: a value for each run, `null` where it has none.
    pub settings: BTreeMap<String, Vec<Value>>,
    /// Their numbers.
    pub summaries: Vec<Summary>,
    /// Their epochs.
    pub histories: Vec<Vec<EpochRow>>,
}

impl Comparison {
    /// Compares runs of these names.
    pub fn of(names: Vec<String>, runs: &[Run]) -> Self {
        let settings: Vec<BTreeMap<String, Value>> = runs.iter().map(settings).collect();
        let keys: BTreeSet<&String> = settings.iter().flat_map(BTreeMap::keys).collect();
        let values = |key: &String| -> Vec<Value> {
            settings.iter().map(|of| of.get(key).cloned().unwrap_or(Value::Null)).collect()
        };
        let differs =
            |values: &Vec<Value>| values.iter().any(|value| Some(value) != values.first());
        let settings = keys.into_iter().map(|key| (key.clone(), values(key)));
        let splits: BTreeSet<_> =
            runs.iter().map(|run| (&run.record.split.digest, &run.record.dataset.name)).collect();
        Comparison {
            runs: names,
            same_split: splits.len() < 2,
            settings: settings.filter(|(_, values)| differs(values)).collect(),
            summaries: runs.iter().map(Run::summary).collect(),
            histories: runs.iter().map(|run| run.history.rows().to_vec()).collect(),
        }
    }

    /// As tables and curves for people.
    pub fn text(&self) -> String {
        let names: Vec<String> = self.runs.iter().map(|name| printable(name)).collect();
        let header: Vec<&str> = [""].into_iter().chain(names.iter().map(String::as_str)).collect();
        let mut text = String::new();
        if self.settings.is_empty() {
            text += "no setting differs\n";
        } else {
            let rows: Vec<Vec<String>> = self
                .settings
                .iter()
                .map(|(key, values)| {
                    [printable(key)].into_iter().chain(values.iter().map(format_setting)).collect()
                })
                .collect();
            text += &columns(&header, &rows, header.len());
        }
        text.push('\n');
        text += &columns(&header, &self.numbers(), 1);
        if !self.same_split {
            text +=
                "\nthese runs have other splits or other music: their scores cannot be compared\n";
        }
        text + &self.curves(&names)
    }

    fn numbers(&self) -> Vec<Vec<String>> {
        let row = |name: &str, cell: &dyn Fn(&Summary) -> String| -> Vec<String> {
            [name.to_owned()].into_iter().chain(self.summaries.iter().map(cell)).collect()
        };
        let number = |value: Option<f64>, decimals: usize| {
            value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
        };
        vec![
            row("epochs", &|of| format!("{} of {}", of.epochs_done, of.epochs)),
            row("best epoch", &|of| of.best_epoch.to_string()),
            row("training loss", &|of| number(of.loss, 4)),
            row("validation loss", &|of| number(of.validation_loss, 4)),
            row("validation clips", &|of| percent(of.validation_clips)),
            row("validation songs", &|of| percent(of.validation_songs)),
            row("test clips", &|of| format_estimate(of.test_clips)),
            row("test songs", &|of| format_estimate(of.test_songs)),
            row("test macro-F1", &|of| format_estimate(of.test_macro_f1)),
            row("seconds an epoch", &|of| number(of.seconds_per_epoch, 1)),
        ]
    }

    /// A curve of each run under the name of what it shows, all on one scale.
    fn curves(&self, names: &[String]) -> String {
        type Of = fn(&EpochRow) -> Option<f64>;
        let kinds: [(&str, Of); 4] = [
            ("training loss", |row| Some(row.loss)),
            ("validation loss", |row| row.validation_loss),
            ("training accuracy", |row| Some(row.accuracy)),
            ("validation clips", |row| row.validation_clips),
        ];
        let widest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for (kind, value) in kinds {
            let curves: Vec<Vec<f64>> =
                self.histories.iter().map(|rows| rows.iter().filter_map(value).collect()).collect();
            let all = || curves.iter().flatten().copied().filter(|value| value.is_finite());
            if all().next().is_none() {
                continue;
            }
            let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
            text += &format!("\n{kind}, {low:.3} to {high:.3}\n");
            for (name, curve) in names.iter().zip(&curves) {
                let space = " ".repeat(widest - name.chars().count());
                let (first, last) = (curve.first(), curve.last());
                let ends =
                    first.zip(last).map(|(first, last)| format!("  {first:.3} to {last:.3}"));
                let line = sparkline(curve, (low, high), WIDTH);
                text += &format!("{name}{space}  {line}{}\n", ends.unwrap_or_default());
            }
        }
        text
    }
}

fn format_estimate(estimate: Option<Estimate>) -> String {
    estimate.map_or_else(
        || "–".to_owned(),
        |Estimate { value, low, high }| {
            format!("{:.1} % ({:.1} to {:.1})", 100.0 * value, 100.0 * low, 100.0 * high)
        },
    )
}

fn format_setting(value: &Value) -> String {
    let text = match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Everything that makes a run another, by its path in `run.json`; a block of the network is one setting.
fn settings(run: &Run) -> BTreeMap<String, Value> {
    let mut settings = BTreeMap::new();
    let record = &run.record;
    let parts = [
        ("config", Some(record.config.clone())),
        ("dataset", serde_json::to_value(&record.dataset).ok()),
        ("network", serde_json::to_value(&record.network).ok()),
        ("split", serde_json::to_value(&record.split).ok()),
        ("tools", serde_json::to_value(&record.tools).ok()),
    ];
    for (name, value) in parts {
        settings.extend(flatten(name, value.unwrap_or_default()));
    }
    settings.insert("classes".to_owned(), record.classes.len().into());
    settings
}
