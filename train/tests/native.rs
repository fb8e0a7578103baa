//! The kernels' arithmetic, run on the CPU, and the wall to the library that holds them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]
#![cfg(target_os = "linux")]

use std::process::Command;

use leitmotif_train::model::cuda::{self, CudaLibrary};
use leitmotif_train::model::native::{self, NativeError, Norm};
use tch::{Device, Kind, Tensor};

#[test]
fn kernels_run_on_the_cpu_give_what_plain_loops_give() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("check");
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/native/emulate/check.cpp");
    let built = Command::new(compiler)
        .args(["-std=c++20", "-O1", "-pthread", source, "-o"])
        .arg(&program)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let ran = Command::new(program).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
}

#[test]
fn tensors_that_lie_on_the_cpu_are_refused_with_a_reason() {
    let library = cuda::load();
    if let Err(error) = native::available() {
        assert!(matches!(error, NativeError::Unavailable { .. }), "{error}");
        // Where it was built and libtorch's half is there, it opens.
        let built = option_env!("LEITMOTIF_NATIVE").is_some();
        assert!(!built || *library != CudaLibrary::Loaded, "{error}");
        println!("skipped: {error}");
        return;
    }
    let options = (Kind::Float, Device::Cpu);
    let (x, ones) = (Tensor::ones([2, 8, 1, 9], options), Tensor::ones([8], options));
    let norm = Norm {
        gamma: &ones,
        beta: &ones,
        running_mean: &ones,
        running_var: &ones,
        momentum: 0.1,
        epsilon: 1e-3,
    };
    let error = native::norm_relu_pool(&x, norm, 3).unwrap_err();
    assert!(error.to_string().contains("a tensor on a GPU, not on cpu"), "{error}");
}
