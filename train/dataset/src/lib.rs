//! Music to data set: finds songs and who made them, decodes and cuts them into clips, stores the clips, and splits them
//! into training, validation and test parts. Links neither libtorch nor ONNX Runtime.
//!
//! ```text
//! music → sources (folder | manifest | MagnaTagATune | open game music) → prepare → store (a folder of clips) → split
//! ```
//!
//! A source [finds](sources::Found) [tracks](sources::Track); [`prepare::plan`] and [`prepare::prepare`] make a
//! [`store::Dataset`] of them; [`split::split`] says which clips train, validate and test.

pub mod fs;
pub mod prepare;
pub mod sources;
pub mod split;
pub mod store;

mod digest;
