//! Files that are whole or not there, and the lock that keeps a second process out.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes a whole file under a temporary name and renames it: readers see the old file or the new one, never half of one.
/// Once this returns, the file survives a power cut.
///
/// # Errors
/// What the system refuses. The temporary file is then removed.
pub fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    replace_with(path, |out| out.write_all(contents), |error| error)
}

/// [`replace`] for a file too long to be held in memory: `write` writes it piece by piece.
///
/// # Errors
/// Those of `write`, and what the system refuses, as `failed` makes it an error. The temporary file is then removed.
pub fn replace_with<E>(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    failed: impl Fn(io::Error) -> E,
) -> Result<(), E> {
    // The name is this process's own: two processes that write one file each write all of it, and the later one counts.
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = PathBuf::from(name);
    let written = || -> Result<(), E> {
        let mut file = BufWriter::new(File::create(&part).map_err(&failed)?);
        write(&mut file)?;
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(&failed)?;
        fs::rename(&part, path).map_err(&failed)
    };
    written().inspect_err(|_| {
        // On a full disk even half a file is in the way.
        let _ = fs::remove_file(&part);
    })?;
    sync_folder(path.parent().unwrap_or(Path::new("")));
    Ok(())
}

/// Makes new names in a folder survive a power cut, where the system can.
pub fn sync_folder(folder: &Path) {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // Not every system lets a folder be opened; the names then settle in their own time.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// A lock on a file, held until it is dropped. It ends with its process, however that ends.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Locks the file at `path`, creating it where it is missing; `None` where another holder has it.
    ///
    /// # Errors
    /// The file cannot be opened or the file system has no locks.
    pub fn take(path: &Path) -> io::Result<Option<Lock>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(source),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone is not enough: a child that another thread has just forked may still hold the file.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        replace(&path, b"old").unwrap();
        let write = |out: &mut dyn Write| {
            out.write_all(b"half")?;
            Err(io::Error::other("stopped"))
        };
        let failed = replace_with(&path, write, |error| error);
        assert_eq!(failed.unwrap_err().to_string(), "stopped");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_lock_has_one_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = Lock::take(&path).unwrap();
        assert!(lock.is_some() && Lock::take(&path).unwrap().is_none());
        drop(lock);
        assert!(Lock::take(&path).unwrap().is_some());
    }
}
