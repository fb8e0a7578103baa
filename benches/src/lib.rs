//! How fast leitmotif is. Nobody imports this crate.
//!
//! One criterion bench a question lies in `benches/`; ratios to other programs come from the binary `pairs`, which
//! runs two commands alternately, because these machines are shared and only ratios measured in one run mean anything.
//!
//! - [`machine`]: what a result was measured on, written beside it.
//! - [`music`]: three minutes of real music in every format.

pub mod machine;
pub mod music;
