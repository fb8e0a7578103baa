//! One process at a time: a file that stays locked as long as its holder lives.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// A lock that is held.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Locks the file at `path`, made where it is missing; nothing where another holder has it.
    pub(crate) fn take(path: &Path) -> io::Result<Option<Lock>> {
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
