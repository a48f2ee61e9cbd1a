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

use std::sync::atomic::{AtomicU64, Ordering};

use super::frame::RefChange;
use super::lock::LockGuard;
use super::Position;

/// Refs share a place if there are more of them, or by chance: two of eight in one case of twenty.
/// Then their writers read more. The first says where the journal ends.
pub(super) const PLACES: usize = 511;
const END: usize = 0;
const VERSION: u64 = 2;
/// Words: the epoch, the version, then of each place a position and its check.
const EPOCH_AT: usize = 0;
const VERSION_AT: usize = 1;
const PLACES_AT: usize = 2;
const WORDS: usize = PLACES_AT + 2 * PLACES;
/// Of an unsound place: later than any position.
const UNKNOWN: u64 = u64::MAX;
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

/// A process that dies between two words leaves an unsound place, or an end that is behind.
pub(super) struct Ledger<'l>(&'l [AtomicU64]);

impl<'l> Ledger<'l> {
    /// The ledger in the file of the lock that is held; `None` if there can be none.
    pub fn of(guard: &'l LockGuard<'_>) -> Option<Ledger<'l>> {
        guard.words(WORDS).map(Ledger)
    }

    pub fn epoch(&self) -> u64 {
        self.word(EPOCH_AT)
    }

    /// Where the next frame goes, if nothing is written there; (0, 0) if that is not known.
    pub fn end(&self) -> Position {
        match (self.word(VERSION_AT), self.changed(END)) {
            (VERSION, end) if end != UNKNOWN => (end >> 32, end & u64::from(u32::MAX)),
            _ => (0, 0),
        }
    }

    /// Where the last frame ended that changed a ref of this place, or later.
    pub fn changed(&self, place: usize) -> u64 {
        let at = PLACES_AT + 2 * place;
        let value = self.word(at);
        match self.word(at + 1) == check(place, value) {
            true => value,
            false => UNKNOWN,
        }
    }

    /// Notes that a frame that ended at `position` has made these changes, and where the journal
    /// ends now: there, or in the segment that was begun behind it. `is_whole` says that the ledger
    /// knew of all that was before the frame; if it did not, any ref may have changed.
    pub fn note(&self, changes: &[RefChange], position: Position, end: Position, is_whole: bool) {
        if !is_whole {
            self.set_word(VERSION_AT, 0);
            (0..PLACES).for_each(|place| self.set(place, packed(end)));
        }
        for change in changes {
            self.set(place_of(&change.name), packed(position));
        }
        // The end comes last: a change that is not noted lies behind the end that is.
        self.set(END, packed(end));
        if !is_whole {
            self.set_word(VERSION_AT, VERSION);
        }
    }

    fn set(&self, place: usize, value: u64) {
        let at = PLACES_AT + 2 * place;
        self.set_word(at, value);
        self.set_word(at + 1, check(place, value));
    }

    fn word(&self, at: usize) -> u64 {
        u64::from_le(self.0[at].load(Ordering::Relaxed))
    }

    /// Stores in the order of the calls, should this process die between two. Others see nothing
    /// of it before they hold the lock.
    fn set_word(&self, at: usize, value: u64) {
        self.0[at].store(value.to_le(), Ordering::Release);
    }
}

/// What stands behind the value of a place, against damage.
fn check(place: usize, value: u64) -> u64 {
    value.wrapping_add(place as u64 + 1).wrapping_mul(MIX)
}
