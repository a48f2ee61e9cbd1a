//! Lock files between processes.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::error::{Error, Result};

/// An open lock file, and the process that opened it: after a fork the child must not use it,
/// because both would hold one lock.
pub struct Lock {
    file: File,
    process: u32,
}

/// How often a lock is asked for before sleeping: for some milliseconds where others run meanwhile,
/// its holder among them, and for less than one where nobody else wants the processor. With eight
/// writers on two processors this doubled the commits of all.
const ATTEMPTS: usize = 300;

/// Unlocks when it is dropped.
pub struct LockGuard<'a>(&'a File);

impl Lock {
    /// The lock in `slot`, opened if this process has not done so yet, and held.
    pub fn acquire<'s>(slot: &'s mut Option<Lock>, path: &Path) -> Result<LockGuard<'s>> {
        let lock = Lock::in_slot(slot, path)?;
        lock.file.lock().map_err(|error| Error::io(path, error))?;
        Ok(LockGuard(&lock.file))
    }

    /// As `acquire`, for a lock that whoever has it needs for microseconds: it is asked for again
    /// and again, with `meanwhile` in between, and others are let run. To fall asleep and to be
    /// woken takes far longer, and processors idle.
    pub fn acquire_soon<'s>(
        slot: &'s mut Option<Lock>,
        path: &Path,
        meanwhile: impl Fn() -> Result<()>,
    ) -> Result<LockGuard<'s>> {
        let lock = Lock::in_slot(slot, path)?;
        for _ in 0..ATTEMPTS {
            match lock.file.try_lock() {
                Ok(()) => return Ok(LockGuard(&lock.file)),
                Err(TryLockError::WouldBlock) => {
                    meanwhile()?;
                    std::thread::yield_now();
                }
                Err(TryLockError::Error(error)) => return Err(Error::io(path, error)),
            }
        }
        lock.file.lock().map_err(|error| Error::io(path, error))?;
        Ok(LockGuard(&lock.file))
    }

    fn in_slot<'s>(slot: &'s mut Option<Lock>, path: &Path) -> Result<&'s Lock> {
        let lock = match slot.take().filter(|lock| lock.process == std::process::id()) {
            Some(lock) => lock,
            None => Lock { file: open(path)?, process: std::process::id() },
        };
        Ok(slot.insert(lock))
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
