//! Pictures as SVG and PNG: [`charts`] draws them, [`timeline`] shows which artist a network finds where in a song,
//! [`training`] how runs learnt.

pub mod charts;
mod page;
mod pixels;
pub mod timeline;
pub mod training;
