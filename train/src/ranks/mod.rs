//! Training by several processes, each of which computes a part of every batch.
//!
//! Each process is a rank. [`world`] finds out which one, from the variables of whoever started it: `torchrun`, `mpirun`,
//! Slurm, Kubernetes, or [`launch`], which is `fit --ranks N`. The ranks meet at a store ([`meeting`]), compare what they
//! were started with, and form a [`group`], which sums up tensors. Both are libtorch's own (c10d with gloo), through
//! `native/collective.cpp`, which only `native` knows. An [`error`] names the rank that it is about.

pub mod error;
pub mod group;
pub mod launch;
pub mod meeting;
mod native;
pub mod world;
