//! Puts a file in place whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::ExportError;

/// Writes `bytes` beside `path`, lets `accept` judge the file there, and only then gives it its name.
///
/// Whatever fails, `path` stays as it was and the temporary sibling is removed. A file that exists is replaced
/// only by an accepted one.
///
/// # Errors
/// [`ExportError::Unwritable`] as `E` where the folder or file cannot be written, else whatever `accept` returns.
pub fn write_accepted<E: From<ExportError>>(
    path: &Path,
    bytes: &[u8],
    accept: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let temporary = Temporary(sibling(path));
    let unwritable = |source| E::from(ExportError::Unwritable { path: path.to_owned(), source });
    write_synced(&temporary.0, bytes).map_err(unwritable)?;
    accept(&temporary.0)?;
    fs::rename(&temporary.0, path).map_err(unwritable)
}

/// The name for a file on its way: hidden, in the same folder so that the rename is atomic, one per process.
fn sibling(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.partial", std::process::id()))
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Removes its file when dropped; after the rename there is nothing left to remove.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _already_renamed = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn an_accepted_file_gets_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.onnx");
        write_accepted(&path, b"new", |at| {
            assert!(!path.exists() && fs::read(at).unwrap() == b"new");
            Ok::<(), ExportError>(())
        })
        .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["a.onnx"]);
    }

    #[test]
    fn a_refused_file_leaves_nothing_and_the_old_one_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.onnx");
        fs::write(&path, b"old").unwrap();
        let refuse = |_: &Path| Err(ExportError::UnknownGraph { graph: "refused".into() });
        write_accepted(&path, b"new", refuse).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.onnx"]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let path = Path::new("no-such-folder/a.onnx");
        let error = write_accepted(path, b"", |_| Ok::<(), ExportError>(())).unwrap_err();
        assert!(error.to_string().contains("no-such-folder"), "{error}");
    }
}
