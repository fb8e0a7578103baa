//! Precision of a network's arithmetic while it trains, and libtorch's switches for it.
//!
//! tch binds none of the switches but cuDNN's benchmark, so they are called by their C++ names: tch binds exactly one
//! release of libtorch.

use std::ffi::c_void;
use std::fmt;

use libloading::os::unix::Library;
use serde::{Deserialize, Serialize};

use crate::error::ModelError;

/// Precision of convolutions, of an LSTM and of matrix products while training. Weights, their gradients, batch norms'
/// statistics, the head and the loss are f32 in each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// f32.
    Fp32,
    /// On GPUs that have it, factors of products are rounded to TF32, ten bits of mantissa; elsewhere the same as f32.
    #[default]
    Tf32,
    /// The convolution blocks' activations and the factors of their products are bfloat16, seven bits of mantissa: half
    /// of the memory and its traffic; the rest as TF32.
    Bf16,
}

impl Precision {
    /// Whether it is the default, which records written before there was a choice do not name.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::Fp32 => "fp32",
            Precision::Tf32 => "tf32",
            Precision::Bf16 => "bf16",
        })
    }
}

/// libtorch's switches, for the whole process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// TF32 in products and cuDNN.
    pub tf32: bool,
    /// cuDNN tries all its algorithms on each new shape and keeps the fastest: which one may change from run to run.
    pub cudnn_benchmark: bool,
    /// Only those of cuDNN's algorithms that give the same bits each time.
    pub cudnn_deterministic: bool,
}

impl Switches {
    /// Sets them.
    ///
    /// # Errors
    ///
    /// A libtorch without them: not the release that this program was built for.
    pub fn set(self) -> Result<(), ModelError> {
        let Switches { tf32, cudnn_benchmark, cudnn_deterministic } = self;
        set_context("_ZN2at7Context18setAllowTF32CuBLASEb", tf32)?;
        set_context("_ZN2at7Context17setAllowTF32CuDNNEb", tf32)?;
        set_context("_ZN2at7Context17setBenchmarkCuDNNEb", cudnn_benchmark)?;
        set_context("_ZN2at7Context21setDeterministicCuDNNEb", cudnn_deterministic)
    }
}

/// Calls `at::globalContext().SETTER(on)`.
#[expect(unsafe_code, reason = "the functions of ATen/Context.h by their C++ names")]
fn set_context(setter: &'static str, on: bool) -> Result<(), ModelError> {
    type Context = unsafe extern "C" fn() -> *mut c_void;
    type Setter = unsafe extern "C" fn(*mut c_void, bool);
    let missing = |_| ModelError::Libtorch { symbol: setter };
    // SAFETY: the signatures are those of libtorch 2.11's ATen/Context.h; a member function takes its object as the
    // first argument. The program is linked to libtorch_cpu, so its symbols are among the process's own.
    unsafe {
        let program = Library::this();
        let context = program.get::<Context>(b"_ZN2at13globalContextEv").map_err(missing)?;
        let set = program.get::<Setter>(setter.as_bytes()).map_err(missing)?;
        set(context(), on);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_libtorch_has_every_switch() {
        Switches { tf32: true, ..Switches::default() }.set().unwrap();
        Switches::default().set().unwrap();
        assert!(set_context("_ZN2at7Context4noneEb", true).is_err());
    }

    #[test]
    fn a_precision_is_written_as_it_is_given() {
        for precision in [Precision::Fp32, Precision::Tf32, Precision::Bf16] {
            let json = serde_json::to_string(&precision).unwrap();
            assert_eq!(json, format!("\"{precision}\""));
        }
    }
}
