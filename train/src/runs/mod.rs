//! Runs by what they left in their folders: [`run`] reads one, [`list`] finds them and lines them up, [`compare`] puts
//! a few side by side. Neither music nor weights are read.

pub mod compare;
pub(crate) mod flatten;
pub mod list;
pub mod run;
mod table;
