//! How fast leitmotif is. No crate imports this one; its `README.md` has the results and explains how to read them.
//!
//! `benches/` has one criterion bench a question, among them `limits`: the most that the machine can do. [`cases`] lists the
//! timed cases and how much work each is. Ratios to other programs come from the binary `pairs`, which runs two commands
//! alternately: on a shared machine only ratios measured in one run mean anything. The binary `table` keeps the results and
//! writes the tables in the documents from them.
//!
//! - [`cases`]: every case of the criterion benches.
//! - [`fresh`]: checkpoints and `.onnx` files with noise for weights.
//! - [`gpu`]: the tables of a measurement on a GPU box.
//! - [`machine`]: what a result was measured on.
//! - [`music`]: real music in every format.
//! - [`compatibility`], [`pairs`], [`paper`] and [`results`]: the files of `benches/results`.
//! - [`table`]: the tables in the documents.

pub mod cases;
pub mod compatibility;
pub mod fresh;
pub mod gpu;
pub mod machine;
mod markdown;
pub mod music;
pub mod pairs;
pub mod paper;
pub mod results;
pub mod table;

/// Does `work` unless it failed before, and keeps its error: in a timed loop an error would only look fast.
pub fn unless_failed<T, E>(done: &mut Result<(), E>, work: impl FnOnce() -> Result<T, E>) {
    if done.is_ok() {
        *done = work().map(|result| drop(std::hint::black_box(result)));
    }
}
