//! The `.onnx` file format: the only folder that knows protobuf.
//!
//! `messages` declares what ONNX's specification calls `ModelProto`, `GraphProto` and so on; `write` makes them of a
//! [`Graph`](crate::graph::Graph), `read` gives the content of any producer's file as plain data, and `edit` changes a
//! compiled file for one run.

pub(crate) mod edit;
mod messages;
pub(crate) mod read;
pub(crate) mod write;
