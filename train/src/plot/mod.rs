//! Pictures as SVG: [`charts`] draws them, [`timeline`] shows which artist a network finds where in a song.

pub mod charts;
pub mod timeline;
