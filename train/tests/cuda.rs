//! libtorch's CUDA library registers itself when it is opened before the first torch call, even
//! where there is no GPU.
//!
//! A program of its own without a test harness: it must be the first to call torch, and it prints
//! when it is skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use std::path::Path;

use leitmotif_train::model::cuda::{self, CudaError, CudaLibrary};

fn main() {
    let full_set = std::env::var("LIBTORCH")
        .is_ok_and(|torch| Path::new(&torch).join("../nvidia/cudnn/lib/libcudnn.so.9").exists());
    let library = cuda::load();
    if !full_set {
        // Only the reduced set, or the user's own libtorch: asking for CUDA fails with a reason.
        if let CudaLibrary::Unavailable { reason } = library {
            assert_eq!(cuda::device(0), Err(CudaError::NoLibrary { reason: reason.clone() }));
            assert!(!tch::utils::has_cudart(), "nothing was opened, yet the CUDA runtime is there");
        }
        println!(
            "cuda_runtime_is_seen_without_a_gpu ... skipped: full CUDA wheels not installed ({library})"
        );
        return;
    }
    assert_eq!(*library, CudaLibrary::Loaded);
    assert!(tch::utils::has_cudart(), "the CUDA library is open, but was not registered");
    if tch::Cuda::is_available() {
        assert_eq!(cuda::device(0), Ok(tch::Device::Cuda(0)));
    } else {
        assert_eq!(cuda::device(0), Err(CudaError::NoDevice));
    }
    println!("cuda_runtime_is_seen_without_a_gpu ... ok (GPU: {})", tch::Cuda::is_available());
}
