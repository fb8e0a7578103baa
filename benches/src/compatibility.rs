//! The compatibility matrix, which compiled files run in which runtimes: `compatibility.json` of
//! `scripts/check-all.d/70-compatibility`, and its tables.

use std::fmt::Write;
use std::path::Path;

use leitmotif_models::{GraphKind, Precision, Target};
use serde::Deserialize;

use crate::cases::HEADS;
use crate::machine::Machine;
use crate::markdown::wrap;
use crate::results::read_json;

/// Name of the result file.
pub const COMPATIBILITY: &str = "compatibility.json";

/// Every form of every graph in every runtime.
#[derive(Debug, Clone, Deserialize)]
pub struct Compatibility {
    /// What it was run on.
    pub machine: Machine,
    /// Whose networks were compiled.
    pub networks: String,
    /// The runtimes, in the order of the table.
    pub runtimes: Vec<String>,
    /// One entry a runtime and file.
    pub cells: Vec<Cell>,
}

/// One file in one runtime.
#[derive(Debug, Clone, Deserialize)]
pub struct Cell {
    /// The runtime's name.
    pub runtime: String,
    /// Target that the file was compiled for.
    pub target: Target,
    /// Its precision.
    pub precision: Precision,
    /// Its graph.
    pub graph: GraphKind,
    /// Largest difference of a probability; absent where the runtime only checks, and where it failed.
    #[serde(default)]
    pub largest: Option<f64>,
    /// What went wrong.
    #[serde(default)]
    pub failed: Option<String>,
    /// Why that is expected, where it is.
    #[serde(default)]
    pub why: Option<String>,
}

impl Compatibility {
    /// Reads the result.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        read_json(path)
    }

    /// The portable fp32 file by graph, the other forms each as the worst of its graphs, and why some cannot run.
    pub fn table(&self) -> String {
        let graphs: Vec<GraphKind> = HEADS.into_iter().flat_map(GraphKind::of_head).collect();
        let mut reasons = Vec::new();
        let heads = graphs.iter().map(|graph| format!("`{}`", graph.name())).collect();
        let plain = (Target::Portable, Precision::Fp32);
        let mut text = self.rows("`portable`, fp32", heads, &mut reasons, |cell, column| {
            (cell.target, cell.precision) == plain && Some(&cell.graph) == graphs.get(column)
        });
        let forms: Vec<(Target, Precision)> = self.forms().filter(|form| *form != plain).collect();
        let heads = forms.iter().map(|(target, precision)| format!("`{target}` {precision}"));
        text.push('\n');
        text += &self.rows(
            "the worst of four graphs",
            heads.collect(),
            &mut reasons,
            |cell, column| Some(&(cell.target, cell.precision)) == forms.get(column),
        );
        let notes = reasons.iter().enumerate().map(|(i, why)| format!("{} {why}.", mark(i)));
        let notes: Vec<String> = notes.collect();
        text.push('\n');
        if !notes.is_empty() {
            text += &wrap(&notes.join(" "));
            text.push('\n');
        }
        text += &wrap(&format!(
            "Largest |Δp| to the newest onnxruntime, and of that to the answer on the card, over the card's golden input and calls \
             of another length and batch; files of {} networks. {}.",
            self.networks, self.machine
        ));
        text
    }

    fn forms(&self) -> impl Iterator<Item = (Target, Precision)> + '_ {
        let form = |cell: &Cell| (cell.target, cell.precision);
        let first =
            |i: usize, form| !self.cells.iter().take(i).any(|c| (c.target, c.precision) == form);
        self.cells.iter().map(form).enumerate().filter(move |(i, f)| first(*i, *f)).map(|(_, f)| f)
    }

    /// A table with a row a runtime; `belongs` says which cells are of which column.
    fn rows(
        &self,
        head: &str,
        columns: Vec<String>,
        reasons: &mut Vec<String>,
        belongs: impl Fn(&Cell, usize) -> bool,
    ) -> String {
        let mut text = format!(
            "| {head} | {} |\n|---{}|\n",
            columns.join(" | "),
            "|---".repeat(columns.len())
        );
        for runtime in &self.runtimes {
            let _ = write!(text, "| {runtime} |");
            for column in 0..columns.len() {
                let of_runtime = self.cells.iter().filter(|cell| cell.runtime == *runtime);
                let cells: Vec<&Cell> = of_runtime.filter(|cell| belongs(cell, column)).collect();
                let _ = write!(text, " {} |", format_cells(&cells, reasons));
            }
            text.push('\n');
        }
        text
    }
}

/// The worst of these cells: a reason where one failed, else the largest difference.
fn format_cells(cells: &[&Cell], reasons: &mut Vec<String>) -> String {
    if let Some((cell, failed)) = cells.iter().find_map(|cell| Some((cell, cell.failed.as_ref()?)))
    {
        let why = cell.why.as_ref().unwrap_or(failed);
        let known = reasons.iter().position(|reason| reason == why);
        let at = known.unwrap_or_else(|| {
            reasons.push(why.clone());
            reasons.len() - 1
        });
        return format!("no {}", mark(at));
    }
    let largest = cells.iter().filter_map(|cell| cell.largest).reduce(f64::max);
    match (cells.is_empty(), largest) {
        (true, _) => "not tried".to_owned(),
        (false, None) => "passes".to_owned(),
        (false, Some(0.0)) => "0".to_owned(),
        (false, Some(largest)) => format!("{largest:.0e}"),
    }
}

/// `[1]`, for the first reason.
fn mark(reason: usize) -> String {
    format!("[{}]", reason + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Compatibility {
        serde_json::from_str(
            r#"{
            "machine": {"processor": "x", "cores": 2, "commit": "c", "date": "2026-01-01"},
            "networks": "tiny", "runtimes": ["a", "b"],
            "cells": [
                {"runtime": "a", "target": "portable", "precision": "fp32", "graph": "clip", "largest": 2e-7},
                {"runtime": "a", "target": "cpu", "precision": "int8", "graph": "clip", "largest": 0.0},
                {"runtime": "a", "target": "cpu", "precision": "int8", "graph": "step", "largest": 3e-3},
                {"runtime": "b", "target": "portable", "precision": "fp32", "graph": "clip"},
                {"runtime": "b", "target": "cpu", "precision": "int8", "graph": "clip", "largest": 1e-3},
                {"runtime": "b", "target": "cpu", "precision": "int8", "graph": "step", "failed": "E42", "why": "too old"}
            ]}"#,
        )
        .unwrap()
    }

    #[test]
    fn a_column_shows_its_worst_graph() {
        let table = example().table();
        for line in [
            "| a | 2e-7 | not tried | not tried | not tried |",
            "| b | passes | not tried | not tried | not tried |",
            "| the worst of four graphs | `cpu` int8 |",
            "| a | 3e-3 |",
            "| b | no [1] |",
            "[1] too old.",
        ] {
            assert!(table.lines().any(|found| found == line), "no `{line}` in\n{table}");
        }
    }
}
