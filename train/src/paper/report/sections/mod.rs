//! The sections of the report in their order: claims, experiments, scores, filters, data, runs.

pub(super) mod questions;

pub(super) mod curves;
pub(super) mod genres;
pub(super) mod scores;
pub(super) mod topk;

pub(super) mod artists;
pub(super) mod filters;

pub(super) mod data;
pub(super) mod runs;
