#![doc = include_str!("../README.md")]

pub mod fs;
pub mod prepare;
pub mod sources;
pub mod split;
pub mod store;

mod digest;
