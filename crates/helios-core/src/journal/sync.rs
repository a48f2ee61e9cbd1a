//! Group commit: one fdatasync for all who have appended by then, over threads and processes.
//!
//! The file `synced` holds the position up to which the journal is on disk, and its lock is held
//! while somebody syncs. It is written only after fdatasync has returned, so what it says is true,
//! whatever a power cut leaves of it.
//!
//! A system that could not write a page tells so once, and then takes the page for written: the
//! next fdatasync succeeds, and the page is lost all the same. So a failure is noted in the file
//! too, and whoever syncs next first writes again all that is not known to be on disk.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::lock::{Lock, LockGuard};
use super::replay::{intact_frame, State};
use super::segment::{self, Segment};
use super::{Durability, Journal, Position};
use crate::error::{Error, Result};
use crate::platform;

const FILE_NAME: &str = "synced";

/// What this process knows to be on disk, and the lock file.
#[derive(Default)]
pub struct Synced {
    position: Position,
    /// Whether a sync of this process failed, should the file not say so.
    failed: bool,
    lock: Option<Lock>,
}

/// What the file says.
#[derive(Clone, Copy, Default)]
struct Note {
    position: Position,
    /// Whether the last sync failed, so that what was written since may have been forgotten.
    failed: bool,
}

impl Journal {
    /// Returns when everything up to `position` is on disk, if that is the durability.
    pub fn sync(&self, position: Position) -> Result<()> {
        let (Durability::Disk, Some(directory)) = (self.durability, &self.directory) else {
            return Ok(());
        };
        let path = directory.join(FILE_NAME);
        let mut synced = self.synced.lock();
        let Synced { position: known, failed, lock } = &mut *synced;
        if *known >= position {
            return Ok(());
        }
        // Asleep, not asking again and again: with eight processes that took 280 us a commit, not
        // 200, because a sync is long enough for others to use the processor.
        let guard = Lock::acquire(lock, &path)?;
        let fail = |error| Error::io(&path, error);
        let note = read(guard.file()).map_err(fail)?;
        *known = note.position;
        if *known >= position {
            return Ok(());
        }
        // Who waits for this lock has appended already, and is served too. What cannot be taken in
        // is not this caller's, and the next append tells of it.
        let _ = self.refresh();
        *failed |= note.failed;
        match self.write_out(directory, *known, *failed) {
            Ok(reached) => {
                write(&guard, Note { position: reached, failed: false }).map_err(fail)?;
                *known = reached;
                *failed = false;
                Ok(())
            }
            Err(error) => {
                *failed = true;
                // The error to tell of is the first.
                let _ = write(&guard, Note { position: *known, failed: true });
                Err(error)
            }
        }
    }

    /// Puts all that is behind `known` on disk, up to the position returned; with `again` it is
    /// written anew first.
    fn write_out(&self, directory: &Path, known: Position, again: bool) -> Result<Position> {
        let (segments, reached) = {
            let state = self.state.read();
            let unsynced = state.segments.range(known.0..=state.active);
            let segments: Vec<Arc<Segment>> = unsynced.map(|(_, each)| Arc::clone(each)).collect();
            (segments, (state.active, state.tail))
        };
        for segment in segments {
            if again {
                let from = if segment.number == known.0 { known.1 } else { 0 };
                let sealed = segment.number != reached.0;
                let to = if sealed { segment.byte_len()? } else { reached.1 };
                write_again(&self.state.read(), &segment, from, to)?;
            }
            segment.sync_data()?;
        }
        if known.0 < reached.0 {
            // Segments have been created since, by whichever process.
            platform::sync_directory(directory).map_err(|error| Error::io(directory, error))?;
        }
        Ok(reached)
    }
}

/// Writes a stretch of a segment over itself, so that the system takes it for unwritten. Nobody
/// else writes there. What the system has forgotten already does not read as frames any more.
fn write_again(state: &State, segment: &Segment, from: u64, to: u64) -> Result<()> {
    let mut bytes = vec![0; to.saturating_sub(from) as usize];
    segment.read_exact_at(&mut bytes, from)?;
    let mut at = (segment::HEADER_LEN.saturating_sub(from) as usize).min(bytes.len());
    while at < bytes.len() {
        let offset = from + at as u64;
        let known_damage = |damage: &&super::Damage| {
            (damage.segment, damage.offset) == (segment.number, offset) && damage.len > 0
        };
        if let Some(frame) = intact_frame(&bytes[at..]) {
            at += frame.len();
        } else if let Some(damage) = state.damage.iter().find(known_damage) {
            at += damage.len as usize;
        } else {
            let reason = "the system could not write it to the disk, and has lost it".to_owned();
            return Err(Error::CorruptJournal { segment: segment.number, offset, reason });
        }
    }
    segment.write_at(&bytes, from)
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
        let fail = |error| Error::io(&path, error);
        let failed = read(guard.file()).map_err(fail)?.failed;
        write(&guard, Note { position, failed }).map_err(fail)
    }
}

/// Up to where the journal was once on disk, as far as anybody has written that down.
pub(super) fn synced_position(directory: &Path) -> Position {
    let file = File::open(directory.join(FILE_NAME));
    file.and_then(|file| read(&file)).unwrap_or_default().position
}

fn read(file: &File) -> std::io::Result<Note> {
    let mut bytes = [0; 17];
    let read = platform::read_at(file, &mut bytes, 0)?;
    // A file that is shorter says nothing.
    let Some(packed) = bytes.first_chunk::<16>().filter(|packed| read >= packed.len()) else {
        return Ok(Note::default());
    };
    let packed = u128::from_be_bytes(*packed);
    let position = ((packed >> 64) as u64, packed as u64);
    Ok(Note { position, failed: bytes[16] != 0 })
}

fn write(guard: &LockGuard<'_>, note: Note) -> std::io::Result<()> {
    let (segment, offset) = note.position;
    let packed = u128::from(segment) << 64 | u128::from(offset);
    let mut bytes = [0; 17];
    bytes[..16].copy_from_slice(&packed.to_be_bytes());
    bytes[16] = u8::from(note.failed);
    platform::write_all_at(guard.file(), &bytes, 0)
}
