//! Networks as libtorch holds them.
//!
//! A [`network::Model`] is a description from `leitmotif-models` with its tensors on one device; its forward pass gives
//! logits and embeddings, [`dropout`] draws its masks, [`flat`] puts its trainable tensors into one buffer. [`init`]
//! draws the initial values of these tensors (`mel` those of filters in mel bands), [`tensors`] reads and writes them as
//! safetensors files, `host` copies them between device and host. [`device`] finds the device that a name means,
//! [`process`] sets what libraries read from the environment, [`cuda`] loads libtorch's CUDA library at run time,
//! [`native`] what this project adds to it (a fused operator, CUDA graphs), and [`version`] asks which libtorch is
//! loaded, which a run's record has with the [`machine`].

pub mod cuda;
pub mod device;
pub mod dropout;
pub mod flat;
pub(crate) mod host;
pub mod init;
mod layers;
pub mod machine;
pub(crate) mod mel;
pub mod native;
pub mod network;
pub mod precision;
pub mod process;
pub mod tensors;
pub mod version;
