//! Trains networks on prepared music and scores them: the only crate that links libtorch.
//!
//! A [`learn::task::Task`] is a data set with a split, a [`model::network::Model`] is a described network made of tensors,
//! and [`learn::fit::fit`] trains one on the other in a run's folder, whose checkpoints explain themselves
//! ([`learn::checkpoint::Checkpoint`]). [`learn::evaluate::predict`] predicts whole clips as serving does.
//! [`paper`] repeats the paper's experiments and reports them. Music becomes a data set in `leitmotif-dataset`.

/// Networks as libtorch holds them: tensors, initial values, devices.
pub mod model;

/// Training: configuration, batches, optimizer, training loop, checkpoints, evaluation.
pub mod learn;

/// The paper's experiments, and the report of what came out.
pub mod paper;

/// Charts and pictures.
pub mod plot;

/// The subcommands of `leitmotif-train`.
pub mod commands;

mod console;
pub mod error;
