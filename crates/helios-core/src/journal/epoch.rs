//! The epoch: how often gc has begun to delete.
//!
//! It is written under the journal's lock, and compared under it by every append: a frame that was
//! built on what gc has given up since is refused. It lies in the lock's own file, which every
//! writer has mapped, so that looking costs next to nothing. It need not survive a crash of the
//! machine, because no process does that could know an older one.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Journal;
use crate::error::{Error, Result};
use crate::platform;

/// Where the epoch is, for whoever holds the lock.
pub(super) enum Epoch<'j> {
    InFile(&'j File, &'j Path),
    InMemory(&'j AtomicU64),
}

impl Epoch<'_> {
    pub fn get(&self) -> Result<u64> {
        match self {
            Epoch::InFile(file, path) => read(file, path),
            Epoch::InMemory(epoch) => Ok(epoch.load(Ordering::Acquire)),
        }
    }

    pub fn set(&self, value: u64) -> Result<()> {
        match self {
            Epoch::InFile(file, path) => platform::write_all_at(file, &value.to_le_bytes(), 0)
                .map_err(|error| Error::io(path, error)),
            Epoch::InMemory(epoch) => {
                epoch.store(value, Ordering::Release);
                Ok(())
            }
        }
    }
}

fn read(file: &File, path: &Path) -> Result<u64> {
    let mut bytes = [0; 8];
    match platform::read_at(file, &mut bytes, 0).map_err(|error| Error::io(path, error))? {
        8 => Ok(u64::from_le_bytes(bytes)),
        _ => Ok(0),
    }
}

impl Journal {
    /// The epoch of now; another process may change it at any time. Who cannot append need not
    /// know it.
    pub fn epoch(&self) -> Result<u64> {
        match &self.directory {
            None => Epoch::InMemory(&self.epoch_in_memory).get(),
            Some(_) if !self.writable => Ok(0),
            Some(directory) => {
                let path = directory.join("lock");
                let file = File::open(&path).map_err(|error| Error::io(&path, error))?;
                read(&file, &path)
            }
        }
    }

    /// Begins the next epoch, if `prepare`, which is given its number, says so; all under the lock,
    /// so that nothing is appended meanwhile.
    pub fn begin_epoch(&self, prepare: impl FnOnce(u64) -> Result<bool>) -> Result<bool> {
        self.locked_at(|epoch| {
            let next = epoch.get()? + 1;
            let begins = prepare(next)?;
            if begins {
                epoch.set(next)?;
            }
            Ok(begins)
        })
    }
}
