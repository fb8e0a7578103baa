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
//!
//! For this crate it also builds `native/native.cpp`, a library of its own for the same reason, where the CUDA headers are
//! found. A copy lies beside the programs and travels with them. `native/collective.cpp` needs libtorch's CPU library
//! alone and becomes a part of the program.

use std::error::Error;
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const NATIVE: &str = "libleitmotif_cuda.so";
/// Of what `native/native.cpp` exports: an older copy beside the program is refused.
const NATIVE_VERSION: u32 = 2;

fn main() -> Result<(), Box<dyn Error>> {
    // Not on itself: this script is also that of `benches`, seen from another folder, and a changed script runs anyway.
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    // Set by torch-sys, from LIBTORCH or whatever else led it to its library.
    let libtorch = PathBuf::from(
        env::var_os("DEP_TCH_LIBTORCH_LIB")
            .ok_or("torch-sys names no library folder: set LIBTORCH")?,
    );
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets no OUT_DIR")?);
    let is_trainer = env::var("CARGO_PKG_NAME").as_deref() == Ok("leitmotif-train");
    if is_trainer {
        build_collective(&libtorch, &out)?;
    }
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return Ok(());
    }

    for shadowed in ["libtorch.a", "libtorch_cuda.a"] {
        fs::write(out.join(shadowed), "!<arch>\n")?;
    }
    // Cargo puts a package's own search folder before those of its dependencies.
    println!("cargo::rustc-link-search=native={}", out.display());

    if is_trainer {
        build_native(&libtorch, &out)?;
    }

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

/// Compiles `native/collective.cpp` into an archive that is linked into whatever uses this crate.
fn build_collective(libtorch: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    const NAME: &str = "leitmotif_collective";
    println!("cargo::rerun-if-changed=native");
    for variable in ["AR", "CXX"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let torch = libtorch.parent().ok_or("libtorch lies in no folder")?;
    let program = |variable: &str, default: &str| {
        Command::new(env::var_os(variable).unwrap_or_else(|| default.into()))
    };
    let (object, archive) = (out.join("collective.o"), out.join(format!("lib{NAME}.a")));
    // An archive that is there keeps its members.
    let _ = fs::remove_file(&archive);
    let mut compiler = program("CXX", "c++");
    compiler
        .args(["-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-c"])
        .args(["native/collective.cpp", "-I", "native", "-isystem"])
        .arg(torch.join("include"))
        .arg("-isystem")
        .arg(torch.join("include/torch/csrc/api/include"))
        .arg("-o")
        .arg(&object);
    let mut archiver = program("AR", "ar");
    archiver.arg("crs").arg(&archive).arg(&object);
    for mut command in [compiler, archiver] {
        let output = command.output()?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            let program = command.get_program().display().to_string();
            return Err(format!("{program} cannot build {NAME}:\n{errors}").into());
        }
    }
    println!("cargo::rustc-link-search=native={}", out.display());
    println!("cargo::rustc-link-lib=static={NAME}");
    Ok(())
}

/// Compiles `native/native.cpp` with the C++ compiler that torch-sys needs too; without CUDA's headers there is no library, and
/// the program says so where it is wanted.
fn build_native(libtorch: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=native");
    for variable in ["CUDA_HOME", "CXX"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let (library, profile) = (out.join(NATIVE), out.ancestors().nth(3));
    let (Some(torch), Some(profile)) = (libtorch.parent(), profile) else {
        return Err("libtorch or OUT_DIR lies in no folder".into());
    };
    let beside = profile.join(NATIVE);
    let Some(cuda) = cuda_headers(torch) else {
        // Those of an earlier build do not fit this one.
        let _ = fs::remove_file(&library);
        let _ = fs::remove_file(&beside);
        return Ok(());
    };
    // Raw text is at most 64 KiB a piece.
    let mut source = String::new();
    for file in ["arguments.h", "kernels.cu"] {
        let text = fs::read_to_string(Path::new("native").join(file))?;
        source.push_str(&format!("R\"KERNELS({text})KERNELS\"\n"));
    }
    fs::write(out.join("kernels.inc"), source)?;
    let compiler = env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let output = Command::new(&compiler)
        .args(["-std=c++17", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra"])
        .arg(format!("-DLEITMOTIF_VERSION={NATIVE_VERSION}"))
        .arg("native/native.cpp")
        .arg("-I")
        .arg(out)
        .arg("-isystem")
        .arg(torch.join("include"))
        .arg("-isystem")
        .arg(torch.join("include/torch/csrc/api/include"))
        .arg("-isystem")
        .arg(cuda)
        .arg("-o")
        .arg(&library)
        .output()?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{} cannot build {NATIVE}:\n{errors}", compiler.display()).into());
    }
    // Renamed, because a running program may have the old one open.
    let part = profile.join(format!("{NATIVE}.part"));
    fs::copy(&library, &part)?;
    fs::rename(&part, &beside)?;
    println!("cargo::rustc-env=LEITMOTIF_NATIVE={}", library.display());
    println!("cargo::rustc-env=LEITMOTIF_NATIVE_VERSION={NATIVE_VERSION}");
    Ok(())
}

/// The wheels' headers beside libtorch, or those of an installed CUDA of libtorch's generation.
fn cuda_headers(torch: &Path) -> Option<PathBuf> {
    /// libtorch 2.11 of PyPI is built for CUDA 13.
    const GENERATION: &str = "#define CUDA_VERSION 13";
    let installed =
        env::var_os("CUDA_HOME").map_or_else(|| "/usr/local/cuda".into(), PathBuf::from);
    let folders = [torch.join("../nvidia/cu13/include"), installed.join("include")];
    for folder in folders {
        // What `make setup` fetches later is noticed. A file that is missing would make every build begin anew, so
        // those behind the folder that is taken are not watched.
        println!("cargo::rerun-if-changed={}", folder.join("crt/host_config.h").display());
        let version = fs::read_to_string(folder.join("cuda.h")).unwrap_or_default();
        let has = |file| folder.join(file).exists();
        if version.contains(GENERATION) && has("cuda_runtime_api.h") && has("crt/host_config.h") {
            return Some(folder);
        }
    }
    None
}
