//! The network, the music, every setting, and the machines.

use leitmotif_models::layer_table;
use serde_json::Value;

use super::read::TrainedRun;
use crate::paper::report::document::Section;
use crate::paper::report::table::{Cell, Table, Visibility};
use crate::runs::flatten::flatten;

/// The layers with their sizes and costs.
pub(super) fn network(run: &TrainedRun) -> Section {
    let record = run.shown();
    let mut table = Table::new(
        "network",
        "Layers; multiply-adds and activations are those of one segment",
        &["layer", "configuration", "output", "parameters", "multiply-adds", "activations, bytes"],
    );
    for row in layer_table::rows(&record.network, record.classes.len()) {
        table.rows.push(vec![
            Cell::text(row.layer),
            Cell::text(row.configuration),
            Cell::text(row.output),
            Cell::number(row.parameters as f64, 0),
            Cell::number(row.multiply_adds as f64, 0),
            Cell::number(row.activation_bytes as f64, 0),
        ]);
    }
    section("network", "Network", table.with_visibility(Visibility::Folded))
}

/// The data set and the split.
pub(super) fn data(run: &TrainedRun) -> Section {
    let (dataset, split) = (&run.last.dataset, &run.last.split);
    let table = pairs(
        "data",
        "Data set and split",
        [
            ("data set", Cell::text(&dataset.name)),
            ("clips", Cell::count(dataset.clips)),
            ("songs", Cell::count(dataset.songs)),
            ("artists", Cell::count(run.last.classes.len())),
            ("licences", Cell::text(&dataset.licence)),
            ("notes", Cell::text(&dataset.notes)),
            ("split by", Cell::text(&split.protocol)),
            ("seed of the split", Cell::text(split.seed.to_string())),
            ("test, % of the clips", Cell::percent(split.test_share)),
            ("validation, % of the others", Cell::percent(split.validation_share)),
            ("digest of the split", Cell::text(split.digest.as_deref().unwrap_or_default())),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    section("data", "Music", table)
}

/// Every setting as `run.json` has it.
pub(super) fn settings(run: &TrainedRun) -> Section {
    let head = ("head".to_owned(), Cell::text(run.last.network.head.kind.to_string()));
    let all = flatten("", run.last.config.clone()).into_iter();
    let settings = std::iter::once(head).chain(all.map(|(name, value)| (name, cell(&value))));
    let table = pairs("settings", "Every setting, by its name in run.json", settings);
    section("settings", "Settings", table.with_visibility(Visibility::Folded))
}

/// Programs, machines and speed.
pub(super) fn machine(run: &TrainedRun) -> Section {
    let rows = run.history.rows();
    let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
    let speed: f64 = rows.iter().map(|row| row.clips_per_second).sum();
    let mut facts: Vec<(String, Cell)> =
        run.last.tools.iter().map(|(tool, version)| (tool.clone(), Cell::text(version))).collect();
    let mut add = |name: &str, cell| facts.push((name.to_owned(), cell));
    add("device", Cell::text(&run.config.device));
    add("threads", Cell::count(run.config.threads));
    add("minutes of training", Cell::number(seconds / 60.0, 1));
    add("clips/s", Cell::number(speed / rows.len().max(1) as f64, 1));
    for session in &run.sessions {
        let card = session.card.as_ref().map_or_else(String::new, |card| format!("{card}; "));
        let machine = format!(
            "{card}{}, {} threads, {}; {:.1} minutes in all",
            session.processor,
            session.cores,
            session.system,
            session.seconds / 60.0
        );
        add("machine", Cell::text(machine));
    }
    section("machine", "Machine and programs", pairs("machine", "What trained it", facts))
}

fn section(id: &str, title: &str, table: Table) -> Section {
    Section {
        id: id.to_owned(),
        title: title.to_owned(),
        tables: vec![table],
        ..Section::default()
    }
}

/// A table of names and values; values that are absent are left out.
fn pairs(id: &str, caption: &str, pairs: impl IntoIterator<Item = (String, Cell)>) -> Table {
    let mut table = Table::new(id, caption, &["name", "value"]);
    let there = |(_, cell): &(String, Cell)| *cell != Cell::text("");
    let rows = pairs.into_iter().filter(there);
    table.rows = rows.map(|(name, value)| vec![Cell::text(name), value]).collect();
    table
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::text("none"),
        Value::String(text) => Cell::text(text),
        other => Cell::text(other.to_string()),
    }
}
