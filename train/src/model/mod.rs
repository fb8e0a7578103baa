pub mod cuda;
pub mod device;
pub(crate) mod host;
pub mod init;
pub mod network;
pub mod tensors;
pub mod version;
