//! One binary for machines with and without CUDA: libtorch's CUDA library is opened at run time.
//!
//! Linked to it, a program does not start where NVIDIA's libraries are missing; linked without it,
//! libtorch believes that CUDA is absent. Opening it before the first torch call lets its
//! initialisers register with the CPU library, on exactly those machines that can load it.

use std::error::Error;
use std::fmt;
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

/// Whether `libtorch_cuda.so` is loaded in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CudaLibrary {
    /// It is open; whether a GPU is there is another question, see [`device`].
    Loaded,
    /// It, or a library that it needs, is not on this machine.
    Unavailable {
        /// The system loader's reason.
        reason: String,
    },
}

impl fmt::Display for CudaLibrary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loaded => write!(f, "libtorch's CUDA library is loaded"),
            Self::Unavailable { reason } => {
                write!(f, "libtorch's CUDA library is not loaded: {reason}")
            }
        }
    }
}

/// Why no CUDA device can be used although one was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CudaError {
    /// libtorch's CUDA library could not be opened.
    #[error(
        "libtorch's CUDA library cannot be loaded ({reason}); \
         `make setup` on a machine with an NVIDIA driver fetches what it needs"
    )]
    NoLibrary {
        /// The system loader's reason.
        reason: String,
    },
    /// The CUDA library is there, but finds no usable GPU.
    #[error(
        "libtorch finds no usable GPU: is the NVIDIA driver running (`nvidia-smi`) and new enough for CUDA 13?"
    )]
    NoDevice,
    /// CUDA refuses a GPU that is there.
    #[error("CUDA refuses GPU {gpu}: error {code} (does another program use it alone?)")]
    Refused {
        /// Its number, from 0.
        gpu: i32,
        /// CUDA's code, as in `driver_types.h`.
        code: i32,
    },
    /// There are GPUs, but fewer than the number asked for implies.
    #[error("there is no GPU {asked}: this machine has {count}, counted from 0")]
    NoSuchDevice {
        /// The number asked for, from 0.
        asked: usize,
        /// How many GPUs libtorch sees.
        count: usize,
    },
}

/// Opens libtorch's CUDA library if this machine can; call it before anything else of torch.
///
/// Later calls return the first result.
pub fn load() -> &'static CudaLibrary {
    static LOADED: OnceLock<CudaLibrary> = OnceLock::new();
    LOADED.get_or_init(open)
}

/// The CUDA device of that number, counted from 0, which becomes the one that this thread uses.
///
/// # Errors
///
/// The library, a GPU, or the GPU of that number is missing.
pub fn device(asked: usize) -> Result<tch::Device, CudaError> {
    if let CudaLibrary::Unavailable { reason } = load() {
        return Err(CudaError::NoLibrary { reason: reason.clone() });
    }
    if !tch::Cuda::is_available() {
        return Err(CudaError::NoDevice);
    }
    let count = usize::try_from(tch::Cuda::device_count()).unwrap_or(0);
    if asked >= count {
        return Err(CudaError::NoSuchDevice { asked, count });
    }
    use_gpu(asked)?;
    Ok(tch::Device::Cuda(asked))
}

/// Bytes of memory that are free on the GPU that this thread uses; 0 where CUDA does not say.
#[expect(unsafe_code, reason = "tch does not bind this function of CUDA's runtime")]
pub fn free_memory() -> u64 {
    type MemGetInfo = unsafe extern "C" fn(*mut usize, *mut usize) -> i32;
    let (mut free, mut total) = (0, 0);
    // SAFETY: the signature is that of cuda_runtime_api.h, whose library libtorch's CUDA library brings along.
    let code = unsafe {
        match Library::this().get::<MemGetInfo>(b"cudaMemGetInfo") {
            Ok(ask) => ask(&raw mut free, &raw mut total),
            Err(_) => return 0,
        }
    };
    if code == 0 { free as u64 } else { 0 }
}

/// Makes a GPU the one that this thread uses where nothing names another: streams, CUDA graphs, free memory.
#[expect(unsafe_code, reason = "tch does not bind this function of CUDA's runtime")]
fn use_gpu(number: usize) -> Result<(), CudaError> {
    type SetDevice = unsafe extern "C" fn(i32) -> i32;
    let number = i32::try_from(number).map_err(|_| CudaError::NoDevice)?;
    // SAFETY: as in `free_memory`.
    let code = unsafe {
        let program = Library::this();
        let set = program.get::<SetDevice>(b"cudaSetDevice").map_err(|_| CudaError::NoDevice)?;
        set(number)
    };
    if code == 0 { Ok(()) } else { Err(CudaError::Refused { gpu: number, code }) }
}

#[expect(
    unsafe_code,
    reason = "opening a library runs its initialisers; this one is part of the linked libtorch"
)]
fn open() -> CudaLibrary {
    // The bare name is looked up along the program's run path (build.rs), then where the system
    // looks. GLOBAL, because libraries that libtorch opens later look for its symbols.
    match unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) } {
        Ok(library) => {
            // libtorch keeps pointers into it until the process ends.
            std::mem::forget(library);
            CudaLibrary::Loaded
        }
        Err(error) => {
            let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            CudaLibrary::Unavailable { reason }
        }
    }
}
