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

/// Refs share a place if there are more of them, or by chance; then their writers read more.
pub(super) const PLACES: usize = 124;
const VERSION: u32 = 1;
/// Behind the epoch: checksum, version, end (two numbers), places.
const OFFSET: u64 = 8;
const CHECKED: usize = 4;
const END: usize = 8;
const PLACE: usize = 24;
const LEN: usize = PLACE + 8 * PLACES;

/// A position as one number, in the same order. Offsets fit, because segments are sealed long
/// before; 2^32 segments hold 2^54 bytes.
pub(super) fn packed((segment, offset): Position) -> u64 {
    segment << 32 | offset
}

/// The place of a ref.
pub(super) fn place_of(name: &[u8]) -> usize {
    crc32fast::hash(name) as usize % PLACES
}

pub(super) struct Ledger {
    pub epoch: u64,
    /// Where the next frame goes; (0, 0) if that is not known.
    pub end: Position,
    bytes: [u8; LEN],
}

impl Ledger {
    pub fn read(file: &File, path: &Path) -> Result<Ledger> {
        let mut all = [0; OFFSET as usize + LEN];
        let read = platform::read_at(file, &mut all, 0).map_err(|error| Error::io(path, error))?;
        let epoch = if read < OFFSET as usize { 0 } else { number(&all, 0) };
        let mut ledger = Ledger { epoch, end: (0, 0), bytes: [0; LEN] };
        ledger.bytes.copy_from_slice(&all[OFFSET as usize..]);
        if read == all.len() && ledger.bytes[..END] == ledger.seal() {
            ledger.end = (number(&ledger.bytes, END), number(&ledger.bytes, END + 8));
        }
        Ok(ledger)
    }

    /// Where the last frame ended that changed a ref of this place, or later.
    pub fn changed(&self, place: usize) -> u64 {
        number(&self.bytes, PLACE + 8 * place)
    }

    /// Writes that a frame that ended at `at` has made these changes, and where the journal ends
    /// now. `is_whole` says that the ledger knew of all that was before the frame; if it did not,
    /// any ref may have changed.
    pub fn note(
        &mut self,
        file: &File,
        path: &Path,
        (changes, at, is_whole): (&[RefChange], Position, bool),
        end: Position,
    ) -> Result<()> {
        match is_whole {
            true => changes.iter().for_each(|each| self.set(place_of(&each.name), at)),
            false => (0..PLACES).for_each(|place| self.set(place, end)),
        }
        self.end = end;
        self.bytes[END..END + 8].copy_from_slice(&end.0.to_le_bytes());
        self.bytes[END + 8..PLACE].copy_from_slice(&end.1.to_le_bytes());
        let seal = self.seal();
        self.bytes[..END].copy_from_slice(&seal);
        platform::write_all_at(file, &self.bytes, OFFSET).map_err(|error| Error::io(path, error))
    }

    fn set(&mut self, place: usize, at: Position) {
        let from = PLACE + 8 * place;
        self.bytes[from..from + 8].copy_from_slice(&packed(at).to_le_bytes());
    }

    /// Checksum and version, as they must be.
    fn seal(&self) -> [u8; END] {
        let mut seal = [0; END];
        seal[CHECKED..].copy_from_slice(&VERSION.to_le_bytes());
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&seal[CHECKED..]);
        checksum.update(&self.bytes[END..]);
        seal[..CHECKED].copy_from_slice(&checksum.finalize().to_le_bytes());
        seal
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}
