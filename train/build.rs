//! Lets every program and test of this crate and of `benches` find libtorch with no variable set, whatever the
//! linker.
//!
//! *Where to look*: run paths to libtorch's folder, relative to the program as long as both lie in
//! the checkout (a moved checkout keeps working), and absolute as well. *What to need*: only
//! `libtorch_cpu` and `libc10`. torch-sys also names `torch_cuda` and `torch`. GNU ld refuses to
//! link them on the reduced set of wheels, or keeps them (with libstdc++ 12), and then the program
//! does not start where NVIDIA's libraries are missing. Empty archives therefore shadow both names
//! for the linker (not `.so`, or the loader would meet them under `cargo run`), and `src/cuda.rs`
//! opens the CUDA library while the program runs.

use std::error::Error;
use std::path::{Component, Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    // Not on a file: this script is also that of `benches`, seen from another folder, and a changed script runs anyway.
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return Ok(());
    }
    // Set by torch-sys, from LIBTORCH or whatever else led it to its library.
    let libtorch = PathBuf::from(
        env::var_os("DEP_TCH_LIBTORCH_LIB")
            .ok_or("torch-sys names no library folder: set LIBTORCH")?,
    );
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets no OUT_DIR")?);

    for shadowed in ["libtorch.a", "libtorch_cuda.a"] {
        fs::write(out.join(shadowed), "!<arch>\n")?;
    }
    // Cargo puts a package's own search folder before those of its dependencies.
    println!("cargo::rustc-link-search=native={}", out.display());

    let mut folders = Vec::new();
    // OUT_DIR is PROFILE/build/PACKAGE/out: programs lie in PROFILE, tests in PROFILE/deps.
    if let (Some(profile), Some(checkout)) =
        (out.ancestors().nth(3), Path::new(env!("CARGO_MANIFEST_DIR")).parent())
        && let (Ok(profile), Ok(inside)) =
            (profile.strip_prefix(checkout), libtorch.strip_prefix(checkout))
    {
        let up: PathBuf = profile.components().map(|_| Component::ParentDir).collect();
        folders.push(Path::new("$ORIGIN").join(&up).join(inside));
        folders.push(Path::new("$ORIGIN/..").join(&up).join(inside));
    }
    folders.push(libtorch);
    for folder in folders {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", folder.display());
    }
    Ok(())
}
