//! Prepares music, trains networks on it and scores them: the only crate that links libtorch.
//!
//! Learning: a [`task::Task`] is a data set with a split, a [`network::Model`] is a described network made of tensors,
//! and [`fit::fit`] trains one on the other in a run's folder, whose checkpoints explain themselves
//! ([`checkpoint::Checkpoint`]). [`evaluate::predict`] answers for whole clips as serving does.

// Music to data set.
pub mod prepare;
pub mod sources;
pub mod split;
pub mod tags;

// What is learnt from what.
pub mod augment;
pub mod batches;
pub mod task;

// The network.
pub mod init;
pub mod network;
pub mod tensors;

// Learning.
pub mod adam;
pub mod begin;
pub mod config;
pub mod evaluate;
pub mod fit;
pub mod history;
pub mod progress;
pub mod run;
pub mod schedule;

// Checkpoints.
pub mod checkpoint;

// The paper, repeated.
pub mod experiment;
pub mod report;

// What the program's subcommands do.
pub mod commands;

// Underneath.
pub mod cuda;
pub mod device;
pub mod error;
mod lock;
