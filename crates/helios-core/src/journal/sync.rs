//! Group commit: one fdatasync for all who have appended by then, over threads and processes.
//!
//! The file `synced` holds the position up to which the journal is on disk, and its lock is held
//! while somebody syncs. It is written only after fdatasync has returned, so what it says is true,
//! whatever a power cut leaves of it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::lock::{Lock, LockGuard};
use super::segment::Segment;
use super::{Durability, Journal, Position};
use crate::error::{Error, Result};
use crate::platform;

const FILE_NAME: &str = "synced";

/// What this process knows to be on disk, and the lock file.
#[derive(Default)]
pub struct Synced {
    position: Position,
    lock: Option<Lock>,
}

impl Journal {
    /// Returns when everything up to `position` is on disk, if that is the durability.
    pub fn sync(&self, position: Position) -> Result<()> {
        let (Durability::Disk, Some(directory)) = (self.durability, &self.directory) else {
            return Ok(());
        };
        let path = directory.join(FILE_NAME);
        let mut synced = self.synced.lock();
        let Synced { position: known, lock } = &mut *synced;
        if *known >= position {
            return Ok(());
        }
        let guard = Lock::acquire(lock, &path)?;
        let fail = |error| Error::io(&path, error);
        *known = read(guard.file()).map_err(fail)?.max(*known);
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

impl Journal {
    /// Says that nothing behind `position` is on disk.
    pub(super) fn lower_synced(&self, position: Position) -> Result<()> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        if synced_position(directory) <= position {
            return Ok(());
        }
        let path = directory.join(FILE_NAME);
        let mut synced = self.synced.lock();
        synced.position = synced.position.min(position);
        let guard = Lock::acquire(&mut synced.lock, &path)?;
        write(&guard, position).map_err(|error| Error::io(&path, error))
    }
}

/// Up to where the journal was once on disk, as far as anybody has written that down.
pub(super) fn synced_position(directory: &Path) -> Position {
    let file = File::open(directory.join(FILE_NAME));
    file.and_then(|file| read(&file)).unwrap_or_default()
}

fn read(file: &File) -> std::io::Result<Position> {
    let mut bytes = [0; 16];
    // A file that is shorter says nothing.
    if platform::read_at(file, &mut bytes, 0)? < bytes.len() {
        return Ok((0, 0));
    }
    let packed = u128::from_be_bytes(bytes);
    Ok(((packed >> 64) as u64, packed as u64))
}

fn write(guard: &LockGuard<'_>, (segment, offset): Position) -> std::io::Result<()> {
    let packed = u128::from(segment) << 64 | u128::from(offset);
    platform::write_all_at(guard.file(), &packed.to_be_bytes(), 0)
}
