//! Puts files in place whole, and all or none.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::WriteError;

/// Files that are written but not published: each has a temporary name beside its own until all get their names.
///
/// Dropped before [`publish`](Staged::publish), it removes the temporary files and changes nothing else.
#[derive(Debug)]
pub struct Staged {
    replace: bool,
    files: Vec<(PathBuf, NamedTempFile)>,
    // Dropped after the files in them.
    made: Made,
}

/// Folders that were made for files, the outermost first. Dropped, those that are empty are removed.
#[derive(Debug, Default)]
struct Made(Vec<PathBuf>);

impl Drop for Made {
    fn drop(&mut self) {
        for folder in self.0.iter().rev() {
            // One with something in it stays, and so does one that cannot be removed: nothing is lost by that.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// A file that has its name, with the one that had it before.
struct Published {
    path: PathBuf,
    old: Option<NamedTempFile>,
}

impl Staged {
    /// No files yet; with `replace`, files of the same names may be replaced.
    pub fn new(replace: bool) -> Self {
        Staged { replace, files: Vec::new(), made: Made::default() }
    }

    /// Whether `path` may be written, as far as can be seen without writing.
    ///
    /// # Errors
    /// [`WriteError::Exists`] or [`WriteError::InTheWay`].
    pub fn check(&self, path: &Path) -> Result<(), WriteError> {
        check_free(path, self.replace)
    }

    /// Makes a folder for files, and those around it; what was made goes again unless the files are published.
    ///
    /// # Errors
    /// [`WriteError::Unwritable`] where it cannot be made, such as where a file of that name is.
    pub fn folder(&mut self, path: &Path) -> Result<(), WriteError> {
        let around = path.ancestors().filter(|folder| !folder.as_os_str().is_empty());
        let missing: Vec<&Path> = around.take_while(|folder| !folder.exists()).collect();
        for folder in missing.into_iter().rev() {
            fs::create_dir(folder).map_err(|source| unwritable(folder, source))?;
            self.made.0.push(folder.to_owned());
        }
        Ok(())
    }

    /// Writes `bytes` for `path` under a temporary name and returns it, so that the file can be run before it is published.
    ///
    /// # Errors
    /// [`WriteError::Exists`] or [`WriteError::InTheWay`] where `path` is taken, [`WriteError::Unwritable`].
    pub fn add(&mut self, path: &Path, bytes: &[u8]) -> Result<PathBuf, WriteError> {
        check_free(path, self.replace)?;
        let temporary = write_beside(path, bytes).map_err(|source| unwritable(path, source))?;
        let temporary_path = temporary.path().to_owned();
        self.files.push((path.to_owned(), temporary));
        Ok(temporary_path)
    }

    /// Gives every file its name. Where one cannot have it, those before it are taken back and what they replaced
    /// returns.
    ///
    /// # Errors
    /// As [`add`](Staged::add), and [`WriteError::NotUndone`] where taking back failed.
    pub fn publish(self) -> Result<(), WriteError> {
        for (path, _) in &self.files {
            check_free(path, self.replace)?;
        }
        let mut made = self.made;
        let mut published = Vec::new();
        let mut folders = BTreeSet::new();
        let mut result = Ok(());
        for (path, temporary) in self.files {
            folders.insert(folder_of(&path).to_owned());
            result = put(&path, temporary, self.replace).map(|file| published.push(file));
            if result.is_err() {
                break;
            }
        }
        let synced = |()| {
            let sync = |folder: &PathBuf| sync(folder).map_err(|e| unwritable(folder, e));
            folders.iter().try_for_each(sync)
        };
        match result.and_then(synced) {
            Ok(()) => {
                made.0.clear();
                Ok(())
            }
            Err(failed) => Err(take_back(published, failed)),
        }
    }
}

fn unwritable(path: &Path, source: io::Error) -> WriteError {
    WriteError::Unwritable { path: path.to_owned(), source }
}

fn check_free(path: &Path, replace: bool) -> Result<(), WriteError> {
    if path.is_dir() {
        return Err(WriteError::InTheWay { path: path.to_owned() });
    }
    // A link that leads nowhere is something too.
    if !replace && path.symlink_metadata().is_ok() {
        return Err(WriteError::Exists { path: path.to_owned() });
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// An empty file for `path`: hidden, and in the same folder so that the rename is atomic.
fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".{name}.");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".partial");
    // As any new file, by the user's mask: temporary files are otherwise for their owner alone.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder_of(path))
}

fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let mut temporary = temporary_beside(path)?;
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    Ok(temporary)
}

fn put(path: &Path, temporary: NamedTempFile, replace: bool) -> Result<Published, WriteError> {
    let mut old = None;
    if replace && path.exists() {
        let copy = temporary_beside(path).and_then(|copy| {
            fs::copy(path, copy.path())?;
            Ok(copy)
        });
        old = Some(copy.map_err(|source| unwritable(path, source))?);
    }
    let named = if replace { temporary.persist(path) } else { temporary.persist_noclobber(path) };
    match named {
        Ok(_) => Ok(Published { path: path.to_owned(), old }),
        // It came into being after `check_free`.
        Err(refused) if !replace && refused.error.kind() == ErrorKind::AlreadyExists => {
            Err(WriteError::Exists { path: path.to_owned() })
        }
        Err(refused) => Err(unwritable(path, refused.error)),
    }
}

/// Undoes what was done before `failed`, the last first.
fn take_back(published: Vec<Published>, failed: WriteError) -> WriteError {
    published.into_iter().rev().fold(failed, |failed, Published { path, old }| {
        let undone = match old {
            Some(old) => old.persist(&path).map(drop).map_err(|refused| refused.error),
            None => fs::remove_file(&path),
        };
        match undone {
            Ok(()) => failed,
            Err(undo) => WriteError::NotUndone { path, undo, source: Box::new(failed) },
        }
    })
}

/// Makes the new names outlast a power cut.
#[cfg(unix)]
fn sync(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some network file systems refuse it for a folder.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
            Ok(())
        }
        synced => synced,
    }
}

/// Windows opens no folder as a file and keeps names by itself.
#[cfg(not(unix))]
fn sync(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn files_get_their_names_together() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut staged = Staged::new(false);
        for name in ["a", "b"] {
            let temporary = staged.add(&path(name), name.as_bytes()).unwrap();
            assert_eq!(fs::read(temporary).unwrap(), name.as_bytes());
        }
        assert!(!path("a").exists() && !path("b").exists());
        staged.publish().unwrap();
        assert_eq!(names(folder.path()), ["a", "b"]);
        assert_eq!(fs::read(path("b")).unwrap(), b"b");
    }

    #[test]
    fn what_is_dropped_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        Staged::new(false).add(&folder.path().join("a"), b"a").unwrap();
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn folders_go_with_files_that_are_not_published() {
        let folder = tempfile::tempdir().unwrap();
        let (outer, path) = (folder.path().join("a"), folder.path().join("a/b/c"));
        for publish in [false, true] {
            let mut staged = Staged::new(false);
            staged.folder(path.parent().unwrap()).unwrap();
            staged.add(&path, b"c").unwrap();
            if publish {
                staged.publish().unwrap();
            } else {
                drop(staged);
            }
            assert_eq!(outer.exists(), publish);
        }
        // What was there before stays.
        let mut staged = Staged::new(false);
        staged.folder(&folder.path().join("a/b/d")).unwrap();
        drop(staged);
        assert_eq!((names(&outer), names(&outer.join("b"))), (vec!["b".into()], vec!["c".into()]));
        let mut staged = Staged::new(false);
        let error = staged.folder(&path.join("d")).unwrap_err();
        assert!(matches!(error, WriteError::Unwritable { .. }), "{error}");
    }

    #[test]
    fn a_file_is_replaced_only_where_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        let error = Staged::new(false).add(&path, b"new").unwrap_err().to_string();
        assert!(error.contains("--force") && error.contains(path.to_str().unwrap()), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let mut staged = Staged::new(true);
        staged.add(&path, b"new").unwrap();
        staged.publish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn a_file_that_comes_in_between_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut staged = Staged::new(false);
        staged.add(&path, b"new").unwrap();
        fs::write(&path, "other").unwrap();
        assert!(matches!(staged.publish(), Err(WriteError::Exists { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"other");
        // Nor one that comes after the last check.
        let temporary = write_beside(&path, b"new").unwrap();
        assert!(matches!(put(&path, temporary, false), Err(WriteError::Exists { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"other");
    }

    /// Stages `a` and `b` over an old `a` where `replace`, lets the rename of one of them fail, and expects the state before.
    fn check_undone(replace: bool, failing: usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        if replace {
            fs::write(path("a"), "old").unwrap();
        }
        let mut staged = Staged::new(replace);
        let temporaries = ["a", "b"].map(|name| staged.add(&path(name), b"new").unwrap());
        fs::remove_file(&temporaries[failing]).unwrap();
        let error = staged.publish().unwrap_err();
        assert!(matches!(error, WriteError::Unwritable { .. }), "{error}");
        assert_eq!(names(folder.path()), if replace { vec!["a"] } else { vec![] });
        if replace {
            assert_eq!(fs::read(path("a")).unwrap(), b"old");
        }
    }

    #[test]
    fn whichever_rename_fails_nothing_has_changed() {
        for (replace, failing) in [(false, 0), (false, 1), (true, 0), (true, 1)] {
            check_undone(replace, failing);
        }
    }

    #[test]
    fn what_cannot_be_taken_back_is_named() {
        let path = PathBuf::from("no-such-folder/a");
        let failed = WriteError::InTheWay { path: "b".into() };
        let error = take_back(vec![Published { path, old: None }], failed);
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.to_string().contains("no-such-folder/a"), "{error}");
        assert!(source.contains("b is a folder"), "{source}");
    }

    #[test]
    fn a_folder_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Staged::new(true).add(folder.path(), b"").unwrap_err();
        assert!(matches!(error, WriteError::InTheWay { .. }), "{error}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = Staged::new(false).add(Path::new("no-such-folder/a"), b"").unwrap_err();
        assert!(error.to_string().contains("no-such-folder"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn files_are_readable_as_any_other() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, usual) = (folder.path().join("a"), folder.path().join("b"));
        let mut staged = Staged::new(false);
        staged.add(&ours, b"").unwrap();
        staged.publish().unwrap();
        fs::write(&usual, b"").unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&usual));
    }
}
