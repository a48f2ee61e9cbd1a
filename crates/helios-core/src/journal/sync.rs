//! Group commit: one fdatasync for all who have appended by then, over threads and processes.
//!
//! The file `synced` holds the position up to which the journal is on disk, and its lock is held
//! while somebody syncs. It is written only after fdatasync has returned, so what it says is true,
//! whatever a power cut leaves of it.

use std::sync::Arc;

use super::lock::{Lock, LockGuard};
use super::segment::Segment;
use super::{Journal, Position};
use crate::error::{Error, Result};
use crate::platform;

/// What this process knows to be on disk, and the lock file.
#[derive(Default)]
pub struct Synced {
    position: Position,
    lock: Option<Lock>,
}

impl Journal {
    /// Returns when everything up to `position` is on disk.
    pub(super) fn sync(&self, position: Position) -> Result<()> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let path = directory.join("synced");
        let mut synced = self.synced.lock();
        let Synced { position: known, lock } = &mut *synced;
        if *known >= position {
            return Ok(());
        }
        let guard = Lock::acquire(lock, &path)?;
        let fail = |error| Error::io(&path, error);
        *known = read(&guard).map_err(fail)?.max(*known);
        if *known >= position {
            return Ok(());
        }
        let (segments, reached) = {
            let state = self.state.read();
            let unsynced = state.segments.range(known.0..=state.active);
            let segments: Vec<Arc<Segment>> = unsynced.map(|(_, each)| Arc::clone(each)).collect();
            (segments, (state.active, state.tail))
        };
        for segment in segments {
            segment.sync_data()?;
        }
        if known.0 < reached.0 {
            // Segments have been created since, by whichever process.
            platform::sync_directory(directory).map_err(|error| Error::io(directory, error))?;
        }
        *known = reached;
        write(&guard, *known).map_err(fail)
    }
}

fn read(guard: &LockGuard<'_>) -> std::io::Result<Position> {
    let mut bytes = [0; 16];
    // A file that is shorter says nothing.
    if platform::read_at(guard.file(), &mut bytes, 0)? < bytes.len() {
        return Ok((0, 0));
    }
    let packed = u128::from_be_bytes(bytes);
    Ok(((packed >> 64) as u64, packed as u64))
}

fn write(guard: &LockGuard<'_>, (segment, offset): Position) -> std::io::Result<()> {
    let packed = u128::from(segment) << 64 | u128::from(offset);
    platform::write_all_at(guard.file(), &packed.to_be_bytes(), 0)
}
