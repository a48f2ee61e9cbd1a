//! Lock files between processes.

use std::fs::{File, OpenOptions};
use std::path::Path;

use crate::error::{Error, Result};

/// An open lock file, and the process that opened it: after a fork the child must not use it,
/// because both would hold one lock.
pub struct Lock {
    file: File,
    process: u32,
}

/// Unlocks when it is dropped.
pub struct LockGuard<'a>(&'a File);

impl Lock {
    /// The lock in `slot`, opened if this process has not done so yet, and held.
    pub fn acquire<'s>(slot: &'s mut Option<Lock>, path: &Path) -> Result<LockGuard<'s>> {
        let fail = |error| Error::io(path, error);
        let lock = match slot.take().filter(|lock| lock.process == std::process::id()) {
            Some(lock) => lock,
            None => Lock { file: open(path)?, process: std::process::id() },
        };
        let lock = slot.insert(lock);
        lock.file.lock().map_err(fail)?;
        Ok(LockGuard(&lock.file))
    }
}

impl LockGuard<'_> {
    pub fn file(&self) -> &File {
        self.0
    }
}

impl Drop for LockGuard<'_> {
    fn drop(&mut self) {
        // Closing the file would unlock too; a failure here leaves nothing else to do.
        let _ = self.0.unlock();
    }
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| Error::io(path, error))
}
