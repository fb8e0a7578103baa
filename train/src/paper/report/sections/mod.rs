//! The sections of the report, one file each.

pub(super) mod artists;
mod collaborations;
pub(super) mod curves;
pub(super) mod filters;
pub(super) mod genres;
pub(super) mod music;
pub(super) mod questions;
pub(super) mod runs;
pub(super) mod topk;
