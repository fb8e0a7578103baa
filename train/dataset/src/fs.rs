//! Atomic writes, free space, and locks between processes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use leitmotif_models::checkpoint::beside;

/// Writes a file atomically, by a temporary file and a rename: readers see the old content or the new one.
/// Once this returns, the file survives a power cut.
///
/// # Errors
/// I/O errors. The temporary file is then removed.
pub fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    replace_with(path, |out| out.write_all(contents), |error| error)
}

/// [`replace`] for content that is too long for memory: `write` writes it piece by piece.
///
/// # Errors
/// Those of `write`, and I/O errors converted by `failed`. The temporary file is then removed.
pub fn replace_with<E>(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    failed: impl Fn(io::Error) -> E,
) -> Result<(), E> {
    // The process id keeps two processes that write the same file from mixing their content; the later rename wins.
    let part = beside(path, &format!("{}.part", std::process::id()));
    let written = || -> Result<(), E> {
        let mut file = BufWriter::new(File::create(&part).map_err(&failed)?);
        write(&mut file)?;
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(&failed)?;
        fs::rename(&part, path).map_err(&failed)
    };
    written().inspect_err(|_| {
        // Frees the space on a full disk.
        let _ = fs::remove_file(&part);
    })?;
    sync_folder(path.parent().unwrap_or(Path::new("")));
    Ok(())
}

/// Bytes that are free where `path` is, or will be.
///
/// # Errors
/// Whatever the system refuses, or that it does not say.
pub fn available_space(path: &Path) -> io::Result<u64> {
    let existing = path.ancestors().find(|folder| folder.exists());
    let existing = existing.filter(|folder| *folder != Path::new(""));
    fs4::available_space(existing.unwrap_or(Path::new(".")))
}

/// Makes new file names in a folder survive a power cut, where the system supports it.
pub fn sync_folder(folder: &Path) {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // Windows cannot open a folder as a file; the file system writes its names on its own.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// An exclusive lock on a file, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Locks the file at `path`, which is created if missing; `None` while another process or handle holds the lock.
    ///
    /// # Errors
    /// The file cannot be opened, or the file system has no locks.
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
        // Closing is not enough: a child process that another thread has just forked may share the handle.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_keeps_the_old_file_and_leaves_no_other() {
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
