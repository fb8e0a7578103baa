//! A run as others see it: [`json`] for programs, [`tensorboard`] for TensorBoard, [`view`] on a terminal, which
//! draws a board. Each is an [`Observer`](crate::learn::events::Observer) and knows its own form alone.

mod board;
pub mod json;
pub mod tensorboard;
pub mod view;
