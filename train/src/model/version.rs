//! Which libtorch this process has loaded.

use std::sync::OnceLock;

use libloading::os::unix::Library;

/// The version of the loaded libtorch, e.g. `2.11.0`; `unknown` for an older one that does not export it.
///
/// Asked of the library and not fixed at compile time: the loader may find another one than the program was built with.
pub fn libtorch() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| abi_version().map_or_else(|| "unknown".to_owned(), format))
}

/// `TORCH_ABI_VERSION` of the loaded library: major, minor and patch in the three highest bytes.
/// Its C function is declared in libtorch's `torch/csrc/inductor/aoti_torch/c/shim.h`.
#[expect(unsafe_code, reason = "the symbol is called with the signature of libtorch's header")]
fn abi_version() -> Option<u64> {
    let program = Library::this();
    let version =
        unsafe { program.get::<unsafe extern "C" fn() -> u64>(b"aoti_torch_abi_version\0") };
    version.ok().map(|version| unsafe { version() })
}

fn format(abi_version: u64) -> String {
    let [major, minor, patch, ..] = abi_version.to_be_bytes();
    format!("{major}.{minor}.{patch}")
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use super::*;

    #[test]
    fn the_version_is_in_the_highest_bytes() {
        assert_eq!(format(0x0102_0300_0000_0007), "1.2.3");
    }

    #[test]
    fn the_version_is_that_of_the_library_in_use() {
        // Linked against it, so loaded before `main`.
        let _ = tch::Tensor::from_slice(&[0.0f32]);
        let version = libtorch();
        assert_ne!(version, "unknown");
        // A wheel has its version in `version.py`, with its build as a suffix.
        let wheel = env::var_os("LIBTORCH").and_then(|torch| {
            fs::read_to_string(torch.to_string_lossy().into_owned() + "/version.py").ok()
        });
        if let Some(text) = wheel {
            assert!(
                text.contains(&format!("'{version}+")) || text.contains(&format!("'{version}'")),
                "{version}: {text}"
            );
        }
    }
}
