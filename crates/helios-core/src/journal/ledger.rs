//! The ledger: what the lock's file says of the journal's end, so that an append need not read what
//! others have appended since this process last looked.
//!
//! Whoever holds the lock finds here where the next frame goes, and of every ref, by a hash of its
//! name, where a frame has last changed it. If that is nothing that this process does not know, its
//! frame rests on what it knows, and goes to the end. What lies between is read when something is
//! looked for. With eight writers on two processors, taking in each other's frames was half of the
//! work of all.
//!
//! The ledger is written after the frame, so it may be behind, where a writer has died: then the
//! journal goes on behind the end that it names, and what is there is read. It is not on disk when
//! the journal is, so after a crash of the machine it may say anything: a process believes it only
//! after its own first append, before which it has read the journal to its end.

use std::fs::File;
use std::path::Path;

use super::frame::RefChange;
use super::Position;
use crate::error::{Error, Result};
use crate::platform;

/// Refs share a place if there are more of them, or by chance: two of eight in one case of twenty.
/// Then their writers read more. The first is of frames that change no ref, and of segments that
/// were begun.
pub(super) const PLACES: usize = 511;
const OF_NO_REF: usize = 0;
const VERSION: u64 = 2;
/// Behind the epoch: the version, then the places, each a position and its check.
const VERSION_AT: usize = 8;
const PLACES_AT: usize = 16;
const PLACE_LEN: usize = 16;
const LEN: usize = PLACES_AT + PLACE_LEN * PLACES;
/// 2^64 divided by the golden ratio.
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

/// A position as one number, in the same order. Offsets fit, because segments are sealed long
/// before; 2^32 segments hold 2^54 bytes.
pub(super) fn packed((segment, offset): Position) -> u64 {
    segment << 32 | offset
}

/// The place of a ref.
pub(super) fn place_of(name: &[u8]) -> usize {
    1 + crc32fast::hash(name) as usize % (PLACES - 1)
}

pub(super) struct Ledger {
    pub epoch: u64,
    /// Where the next frame goes, which is what the places say last; (0, 0) if that is not known.
    pub end: Position,
    bytes: [u8; LEN],
}

impl Ledger {
    pub fn read(file: &File, path: &Path) -> Result<Ledger> {
        let mut bytes = [0; LEN];
        let read =
            platform::read_at(file, &mut bytes, 0).map_err(|error| Error::io(path, error))?;
        let epoch = if read < VERSION_AT { 0 } else { number(&bytes, 0) };
        let mut ledger = Ledger { epoch, end: (0, 0), bytes };
        if read == LEN && number(&bytes, VERSION_AT) == VERSION {
            let values = (0..PLACES).map(|place| number(&bytes, at(place)));
            // Of the places that are last, one that is sound is enough; one that is not stands
            // behind the end, or is asked for.
            let (last, place) = values.zip(0..).max().unwrap_or_default();
            if ledger.changed(place) == last {
                ledger.end = (last >> 32, last & u64::from(u32::MAX));
            }
        }
        Ok(ledger)
    }

    /// Where the last frame ended that changed a ref of this place, or later.
    pub fn changed(&self, place: usize) -> u64 {
        let value = number(&self.bytes, at(place));
        match number(&self.bytes, at(place) + 8) == check(place, value) {
            true => value,
            false => u64::MAX,
        }
    }

    fn set(&mut self, place: usize, value: u64) {
        let entry = &mut self.bytes[at(place)..at(place) + PLACE_LEN];
        entry[..8].copy_from_slice(&value.to_le_bytes());
        entry[8..].copy_from_slice(&check(place, value).to_le_bytes());
    }

    /// Writes that a frame that ended at `position` has made these changes, and where the journal
    /// ends now: there, or in the segment that was begun behind it. `is_whole` says that the ledger
    /// knew of all that was before the frame; if it did not, any ref may have changed.
    pub fn note(
        &mut self,
        file: &File,
        path: &Path,
        (changes, position, is_whole): (&[RefChange], Position, bool),
        end: Position,
    ) -> Result<()> {
        let write = |bytes: &[u8], at: usize| {
            platform::write_all_at(file, bytes, at as u64).map_err(|error| Error::io(path, error))
        };
        if !is_whole {
            self.bytes[VERSION_AT..PLACES_AT].copy_from_slice(&VERSION.to_le_bytes());
            (0..PLACES).for_each(|place| self.set(place, packed(end)));
        }
        for change in changes {
            self.set(place_of(&change.name), packed(position));
        }
        if changes.is_empty() || end != position {
            self.set(OF_NO_REF, packed(end));
        }
        self.end = end;
        // Sixteen bytes are enough for a commit.
        if let (true, true, [change]) = (is_whole, end == position, changes) {
            let from = at(place_of(&change.name));
            return write(&self.bytes[from..from + PLACE_LEN], from);
        }
        write(&self.bytes[VERSION_AT..], VERSION_AT)
    }
}

/// Where a place stands in the file.
fn at(place: usize) -> usize {
    PLACES_AT + PLACE_LEN * place
}

/// What stands behind the value of a place, against damage.
fn check(place: usize, value: u64) -> u64 {
    value.wrapping_add(place as u64 + 1).wrapping_mul(MIX)
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}
