//! Where the library of ONNX Runtime lies.
//!
//! The first of these that exists is taken, and none after it is tried:
//!
//! 1. the path given in [`SessionOptions`](crate::SessionOptions), of the library or of a folder that holds it;
//! 2. the environment variable `ORT_DYLIB_PATH`, the same;
//! 3. a library beside the program;
//! 4. with the feature `checkout`, what `make setup` unpacked in the checkout that this crate was compiled in;
//! 5. the package `onnxruntime` of the Python environment that is active (`VIRTUAL_ENV`, `CONDA_PREFIX`);
//! 6. what the system's loader finds.
//!
//! The fourth is an absolute path in the program: compile what you ship in a folder that only you may write. No other
//! folder is searched: those above a program, such as the system's temporary folder, may be writable by others.

use std::env;
use std::path::{Path, PathBuf};

/// The variable that names the library, as in every program built on `ort`.
const VARIABLE: &str = "ORT_DYLIB_PATH";
/// Where `make setup` puts the library of the PyPI wheel, beside this crate's own folder.
#[cfg(feature = "checkout")]
const WHEEL: Option<&str> =
    Some(concat!(env!("CARGO_MANIFEST_DIR"), "/../.deps/site-packages/onnxruntime/capi"));
#[cfg(not(feature = "checkout"))]
const WHEEL: Option<&str> = None;

/// A place to open the library from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// This file, which the caller or the variable names, or which was found.
    File(PathBuf),
    /// No file was found: the system's loader is asked for the bare name.
    System {
        /// File name of the library on this system.
        name: PathBuf,
        /// Folders that were searched.
        searched: Vec<PathBuf>,
    },
}

/// The place to open the library from; see the module's order.
pub(super) fn find(requested: Option<&Path>) -> Place {
    match named(requested) {
        Some(named) => Place::File(file_of(&named)),
        None => search(&folders()),
    }
}

/// The library that this path means: itself, or the one in that folder. A folder without one stands for itself, which
/// is then no file.
pub(super) fn file_of(named: &Path) -> PathBuf {
    let inside = named.is_dir().then(|| library_in(named)).flatten();
    inside.unwrap_or_else(|| named.to_owned())
}

/// The library that the caller or the variable names.
pub(super) fn named(requested: Option<&Path>) -> Option<PathBuf> {
    requested.map(Path::to_owned).or_else(|| {
        let named = env::var_os(VARIABLE).filter(|named| !named.is_empty());
        named.map(PathBuf::from)
    })
}

/// The folders to search, in order.
fn folders() -> Vec<PathBuf> {
    // The folder of the program's own file, not of a symbolic link to it.
    let program = env::current_exe().ok();
    let program = program.map(|program| program.canonicalize().unwrap_or(program));
    let home = program.as_deref().and_then(Path::parent).map(Path::to_owned);
    let environments = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(env::var_os);
    let packages = environments.flat_map(|root| packages_in(Path::new(&root)));
    // An empty or relative one would be searched in the working directory.
    let packages = packages.filter(|folder| folder.is_absolute());
    home.into_iter().chain(WHEEL.map(PathBuf::from)).chain(packages).collect()
}

/// Where a Python environment keeps the library of the package `onnxruntime`, the newest Python first.
fn packages_in(environment: &Path) -> Vec<PathBuf> {
    let versions = environment.join("lib").read_dir().into_iter().flatten().flatten();
    let versions = versions.map(|entry| entry.path()).filter_map(|folder| {
        let minor = folder.file_name()?.to_str()?.strip_prefix("python3.")?.parse::<u32>().ok()?;
        Some((minor, folder))
    });
    let mut versions: Vec<_> = versions.collect();
    versions.sort_by_key(|(minor, _)| std::cmp::Reverse(*minor));
    let unix = versions.into_iter().map(|(_, folder)| folder);
    let folders = unix.chain([environment.join("Lib")]);
    folders.map(|folder| folder.join("site-packages/onnxruntime/capi")).collect()
}

fn search(folders: &[PathBuf]) -> Place {
    match folders.iter().find_map(|folder| library_in(folder)) {
        Some(library) => Place::File(library),
        None => Place::System { name: PathBuf::from(NAME), searched: folders.to_vec() },
    }
}

#[cfg(target_os = "windows")]
const NAME: &str = "onnxruntime.dll";
#[cfg(target_vendor = "apple")]
const NAME: &str = "libonnxruntime.dylib";
#[cfg(not(any(target_os = "windows", target_vendor = "apple")))]
const NAME: &str = "libonnxruntime.so";

/// The library in `folder`: by its bare name, else the one of the highest version.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let bare = folder.join(NAME);
    if bare.is_file() {
        return Some(bare);
    }
    let files = folder.read_dir().ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let versions = files.filter_map(|file| {
        let version = version_in(file.file_name()?.to_str()?)?;
        file.is_file().then_some((version, file))
    });
    versions.max().map(|(_, file)| file)
}

/// `[1, 31, 1]` of `libonnxruntime.so.1.31.1` (Linux) or `libonnxruntime.1.31.1.dylib` (macOS).
fn version_in(name: &str) -> Option<Vec<u32>> {
    let version = match name.strip_prefix("libonnxruntime.so.") {
        Some(version) => version,
        None => name.strip_prefix("libonnxruntime.")?.strip_suffix(".dylib")?,
    };
    version.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_highest_version_is_taken_and_other_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "libonnxruntime.so.1.9.0",
            "libonnxruntime.so.1.31.1",
            "libonnxruntime_providers_shared.so",
            "libonnxruntime.so.1.31.1.bak",
        ];
        for name in names {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(library_in(folder.path()), Some(folder.path().join("libonnxruntime.so.1.31.1")));
    }

    #[test]
    fn the_first_folder_with_a_library_is_taken() {
        let (empty, full) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let library = full.path().join(NAME);
        fs::write(&library, "").unwrap();
        let folders = [empty.path().to_owned(), full.path().to_owned()];
        assert_eq!(search(&folders), Place::File(library));
    }

    #[test]
    fn a_python_environment_keeps_it_among_its_packages() {
        let environment = tempfile::tempdir().unwrap();
        for python in ["python3.9", "python3.12", "pkgconfig"] {
            fs::create_dir_all(environment.path().join("lib").join(python)).unwrap();
        }
        let capi =
            |python: &str| environment.path().join(python).join("site-packages/onnxruntime/capi");
        let expected = [capi("lib/python3.12"), capi("lib/python3.9"), capi("Lib")];
        assert_eq!(packages_in(environment.path()), expected);
    }

    #[test]
    fn without_a_file_the_systems_loader_is_asked() {
        let empty = [tempfile::tempdir().unwrap().path().to_owned()];
        assert!(matches!(search(&empty), Place::System { searched, .. } if searched == empty));
    }

    #[test]
    fn a_requested_folder_means_the_library_in_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find(Some(folder.path())), Place::File(folder.path().to_owned()));
        let library = folder.path().join(NAME);
        fs::write(&library, "").unwrap();
        assert_eq!(find(Some(folder.path())), Place::File(library));
    }

    #[test]
    fn a_requested_path_is_taken_as_it_is() {
        let requested = Path::new("nowhere/libonnxruntime.so");
        assert_eq!(find(Some(requested)), Place::File(requested.to_owned()));
    }
}
