//! Trains networks on prepared music and evaluates them: the only library that links libtorch.
//!
//! A [`learn::task::Task`] is a data set with a split, a [`model::network::Model`] is a network with its tensors, and
//! [`learn::fit::fit`] trains one on the other in a run's folder, which holds self-describing checkpoints
//! ([`learn::checkpoint::Checkpoint`]). [`learn::evaluate::evaluate`] predicts whole clips as serving does.
//! [`watch`] shows a run to programs, to TensorBoard and on a terminal; [`runs`] lists and compares what runs left, and
//! [`plot`] draws it. [`paper`] repeats the paper's experiments and reports them. Music becomes a data set in
//! `leitmotif-dataset`. [`ranks`] are several processes that train together.

// In the order in which they build on each other.
pub mod model;

pub mod ranks;

pub mod learn;

pub mod watch;

pub mod runs;

pub mod plot;

pub mod paper;

pub mod commands;

mod console;
pub mod error;
