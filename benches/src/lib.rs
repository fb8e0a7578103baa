//! How fast leitmotif is. Nobody imports this crate.
//!
//! One criterion bench a question lies in `benches/`, `limits` among them: what the machine itself can do. [`cases`] lists
//! what they time and how much work each is. Ratios to other programs come from the binary `pairs`, which runs two commands
//! alternately, because these machines are shared and only ratios measured in one run mean anything. The binary `table`
//! keeps the results and writes README's tables from them.
//!
//! - [`cases`]: every case of the criterion benches.
//! - [`fresh`]: a checkpoint and `.onnx` files with noise for weights.
//! - [`machine`]: what a result was measured on, written beside it.
//! - [`music`]: real music in every format.
//! - [`pairs`], [`paper`], [`reach`] and [`results`]: the files of `benches/results`.
//! - [`table`]: README's tables.

pub mod cases;
pub mod fresh;
pub mod machine;
pub mod music;
pub mod pairs;
pub mod paper;
pub mod reach;
pub mod results;
pub mod table;

/// Does `work` and keeps its error, after which nothing more is done: in a timed loop an error would only look fast.
pub fn unless_failed<T, E>(done: &mut Result<(), E>, work: impl FnOnce() -> Result<T, E>) {
    if done.is_ok() {
        *done = work().map(|result| drop(std::hint::black_box(result)));
    }
}
