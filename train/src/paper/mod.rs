pub mod experiment;
pub mod report;
