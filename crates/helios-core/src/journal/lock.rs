//! Lock files between processes.

use std::cell::OnceCell;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::atomic::AtomicU64;

use crate::error::{Error, Result};
use crate::platform;
use crate::words::SharedWords;

/// An open lock file, and the process that opened it: after a fork the child must not use it,
/// because both would hold one lock.
pub struct Lock {
    file: File,
    process: u32,
    words: OnceCell<Option<SharedWords>>,
}

/// How often a lock is asked for before sleeping. At first without a switch to another process:
/// its holder works on another processor, and is done before a switch would be, which also leaves
/// cold caches. Then, its holder having lost its processor, for some milliseconds where others run
/// meanwhile, and for less than one where nobody else wants the processor. With eight writers on
/// two processors that doubled the commits of all, and waiting without a switch made a fifth more.
const ATTEMPTS: usize = 300;
const ATTEMPTS_WITHOUT_SWITCH: usize = 30;
/// Pauses of the processor between two of these: to ask is a system call, which slows down the
/// holder's own.
const PAUSES: usize = 16;

/// Unlocks when it is dropped.
pub struct LockGuard<'a>(&'a Lock);

impl Lock {
    /// The lock in `slot`, opened if this process has not done so yet, and held.
    pub fn acquire<'s>(slot: &'s mut Option<Lock>, path: &Path) -> Result<LockGuard<'s>> {
        let lock = Lock::in_slot(slot, path)?;
        platform::lock(&lock.file).map_err(|error| Error::io(path, error))?;
        Ok(LockGuard(lock))
    }

    /// As `acquire`, for a lock that whoever has it needs for microseconds: it is asked for again
    /// and again, with `meanwhile` in between. To fall asleep and to be woken takes far longer, and
    /// processors idle.
    pub fn acquire_soon<'s>(
        slot: &'s mut Option<Lock>,
        path: &Path,
        meanwhile: impl Fn() -> Result<()>,
    ) -> Result<LockGuard<'s>> {
        let lock = Lock::in_slot(slot, path)?;
        for attempt in 0..ATTEMPTS {
            match lock.file.try_lock() {
                Ok(()) => return Ok(LockGuard(lock)),
                Err(TryLockError::WouldBlock) => {
                    meanwhile()?;
                    match attempt < ATTEMPTS_WITHOUT_SWITCH {
                        true => (0..PAUSES).for_each(|_| std::hint::spin_loop()),
                        false => std::thread::yield_now(),
                    }
                }
                Err(TryLockError::Error(error)) => return Err(Error::io(path, error)),
            }
        }
        platform::lock(&lock.file).map_err(|error| Error::io(path, error))?;
        Ok(LockGuard(lock))
    }

    fn in_slot<'s>(slot: &'s mut Option<Lock>, path: &Path) -> Result<&'s Lock> {
        let lock = match slot.take().filter(|lock| lock.process == std::process::id()) {
            Some(lock) => lock,
            None => {
                let process = std::process::id();
                Lock { file: open(path)?, process, words: OnceCell::new() }
            }
        };
        Ok(slot.insert(lock))
    }
}

impl LockGuard<'_> {
    pub fn file(&self) -> &File {
        &self.0.file
    }

    /// The first words of the lock's file, mapped at the first call; `None` if that failed, because
    /// the disk is full or the file system maps nothing.
    pub fn words(&self, count: usize) -> Option<&[AtomicU64]> {
        let map = || SharedWords::map(&self.0.file, count).ok();
        self.0.words.get_or_init(map).as_deref()
    }
}

impl Drop for LockGuard<'_> {
    fn drop(&mut self) {
        // Closing the file would unlock too; a failure here leaves nothing else to do.
        let _ = self.0.file.unlock();
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
