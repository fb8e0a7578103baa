//! The paper repeated: [`experiment`] plans and trains what its figures and tables need, [`report`] makes a page of the results.

pub mod experiment;
pub mod report;
