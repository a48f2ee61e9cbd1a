//! Writing to the journal: one frame at the tail, under the lock.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::epoch::Epoch;
use super::frame::{self, FrameBuilder, RefChange};
use super::ledger::{self, Ledger};
use super::locations::Location;
use super::lock::Lock;
use super::replay::{forget_moved, is_blank, State};
use super::segment::{self, Segment};
use super::{Durability, Journal, Position};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::object::Kind;

/// A segment is sealed when it has grown past this.
const SEGMENT_BYTES_MAX: u64 = 4 << 20;
/// With durability `disk` the segment is extended by this many written zeros at a time, because
/// fdatasync of a file that does not grow needs no metadata write.
const PREALLOCATE_BYTES: u64 = 256 << 10;

/// How an append ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Append {
    Done(Position),
    /// A ref had another value; the objects are kept.
    Moved(Vec<u8>, Option<Id>, Position),
    /// A ref's value must be looked up in L2 first; nothing was written.
    Unknown,
    /// Gc has begun to delete since the frame's epoch; nothing was written.
    Outdated,
}

impl Journal {
    /// Runs `body` under the lock, after taking in what others appended.
    pub(super) fn locked<T>(&self, body: impl FnOnce() -> Result<T>) -> Result<T> {
        self.locked_at(|_| body())
    }

    /// As `locked`; `body` is given the epoch, which cannot change meanwhile. It changes no ref.
    pub(super) fn locked_at<T>(&self, body: impl FnOnce(&Epoch<'_>) -> Result<T>) -> Result<T> {
        let mut appending = self.appending.lock();
        let Some(directory) = &self.directory else {
            return body(&Epoch::InMemory(&self.epoch_in_memory));
        };
        let path = self.lock_path(directory)?;
        // What is taken in before need not be taken in under the lock.
        let guard = Lock::acquire_soon(&mut appending, &path, || self.refresh().map(drop))?;
        self.refresh()?;
        let known = self.end();
        let outcome = body(&Epoch::InFile(guard.file(), &path));
        if self.end() != known {
            self.note(Ledger::of(&guard), known, &[], known);
        }
        outcome
    }

    fn lock_path(&self, directory: &Path) -> Result<PathBuf> {
        match self.writable {
            true => Ok(directory.join("lock")),
            false => Err(Error::ReadOnly(directory.display().to_string())),
        }
    }

    /// Appends a frame. Every ref change must find its `old` value: otherwise nothing moves, the
    /// objects are appended alone, and the result is the change that failed with the value found.
    /// A ref that only L2 knows must have been given to `remember_reference` before; if a reload
    /// has forgotten it, the result is `Append::Unknown` and nothing is written; so it is with
    /// `Append::Outdated` if the frame is of another epoch than the journal. What was appended is
    /// on disk only after `sync` with the position.
    pub fn append(&self, frame: &mut FrameBuilder) -> Result<Append> {
        // The lock is held for as little as can be: others wait for it.
        frame.finish();
        let mut appending = self.appending.lock();
        let Some(directory) = &self.directory else {
            let epoch = Epoch::InMemory(&self.epoch_in_memory).get()?;
            return self.append_to_known(frame, epoch);
        };
        let path = self.lock_path(directory)?;
        let guard = Lock::acquire_soon(&mut appending, &path, || match self.durability {
            // Who syncs takes in everything anyway.
            Durability::Disk => self.refresh().map(drop),
            _ => Ok(()),
        })?;
        let ledger = Ledger::of(&guard);
        let epoch = match &ledger {
            Some(ledger) => ledger.epoch(),
            None => Epoch::InFile(guard.file(), &path).get()?,
        };
        if let Some(ledger) = ledger.as_ref().filter(|_| epoch == frame.epoch) {
            if let Some((segment, tail)) = self.unread_end(ledger, frame)? {
                let (position, end) = self.write_on(frame, &segment, tail)?;
                ledger.note(frame.changes(), position, end, true);
                drop(guard);
                self.take_in_own(frame, &segment, position)?;
                return Ok(Append::Done(position));
            }
        }
        self.refresh()?;
        let known = self.end();
        let outcome = self.append_to_known(frame, epoch)?;
        if let Append::Done(position) | Append::Moved(_, _, position) = &outcome {
            self.note(ledger, known, frame.changes(), *position);
        }
        Ok(outcome)
    }

    /// Keeps the ledger, after something was written behind `known`, up to which all is taken in.
    fn note(
        &self,
        ledger: Option<Ledger<'_>>,
        known: Position,
        changes: &[RefChange],
        position: Position,
    ) {
        let mut state = self.state.write();
        // Behind a seal nothing goes; whoever comes next opens the next segment.
        let ledger = ledger.filter(|_| !state.sealed);
        state.believes_ledger = ledger.is_some();
        if let Some(ledger) = ledger {
            let is_whole = ledger.end() == known;
            ledger.note(changes, position, (state.active, state.tail), is_whole);
        }
    }

    /// The journal's end, if the frame can go there although not all before it was taken in:
    /// nothing of that has changed a ref that the frame changes.
    fn unread_end(
        &self,
        ledger: &Ledger<'_>,
        frame: &FrameBuilder,
    ) -> Result<Option<(Arc<Segment>, u64)>> {
        let end = ledger.end();
        let (number, tail) = end;
        let found = {
            let state = self.state.read();
            // With durability `disk` zeros may follow the end, and a sync takes in all anyway.
            let is_near = state.believes_ledger && (state.active, state.tail) <= end;
            if self.durability != Durability::Process || !is_near {
                return Ok(None);
            }
            for change in frame.changes() {
                let place = ledger::place_of(&change.name);
                let value = state.refs.get(&change.name);
                let is_known = !change.is_compared() || value == Some(&change.old);
                if !is_known || ledger.changed(place) > state.known_of(place) {
                    return Ok(None);
                }
            }
            state.segments.get(&number).cloned()
        };
        let segment = match (found, &self.directory) {
            (Some(segment), _) => segment,
            (None, None) => return Ok(None),
            (None, Some(directory)) => match Segment::open(directory, number, self.writable)? {
                Some(segment) => Arc::new(segment),
                None => return Ok(None),
            },
        };
        // A writer that died has left its frame there, or the first bytes of it.
        let is_end = segment.read_at(&mut [0; 1], tail)? == 0;
        Ok(is_end.then_some((segment, tail)))
    }

    /// Appends to a journal that is taken in to its end. The caller holds the lock.
    fn append_to_known(&self, frame: &mut FrameBuilder, epoch: u64) -> Result<Append> {
        if epoch != frame.epoch {
            return Ok(Append::Outdated);
        }
        let mut moved = None;
        {
            let state = self.state.read();
            for change in frame.changes().iter().filter(|change| change.is_compared()) {
                match state.refs.get(&change.name) {
                    None => return Ok(Append::Unknown),
                    Some(value) if *value == change.old => {}
                    Some(value) => moved = Some((change.name.clone(), *value)),
                }
            }
        }
        if moved.is_some() {
            frame.without_operation();
            frame.finish();
        }
        let (segment, tail) = self.writable_tail()?;
        let (position, _) = self.write_on(frame, &segment, tail)?;
        self.take_in_own(frame, &segment, position)?;
        Ok(match moved {
            None => Append::Done(position),
            Some((name, value)) => Append::Moved(name, value, position),
        })
    }

    /// Writes a finished frame at the journal's end; where it ends, and where the journal does: a
    /// segment that has become full is sealed. The caller holds the lock, and takes the frame in
    /// when it has let go of it.
    fn write_on(
        &self,
        frame: &FrameBuilder,
        segment: &Arc<Segment>,
        tail: u64,
    ) -> Result<(Position, Position)> {
        let position = self.write(frame, segment, tail)?;
        let mut end = position;
        if position.1 > SEGMENT_BYTES_MAX {
            // The seal is known to be the end only where what lies before it is.
            self.take_in_own(frame, segment, position)?;
            // The frame is written, whatever comes of this; the next append tries again.
            if let Ok(next) = self.rotate(segment, position.1) {
                end = next;
            }
        }
        Ok((position, end))
    }

    /// Writes a finished frame at the end of a segment; where it ends.
    fn write(&self, frame: &FrameBuilder, segment: &Segment, tail: u64) -> Result<Position> {
        let bytes = frame.bytes();
        let end = tail + bytes.len() as u64;
        let written = self.preallocate(segment, end).and_then(|()| segment.write_at(bytes, tail));
        if let Err(error) = written {
            // What was written of it must not be taken for a torn tail by the next writer.
            segment.truncate(tail)?;
            self.state.write().allocated = tail;
            return Err(error);
        }
        Ok((segment.number, end))
    }

    /// Takes in a frame that this process has written and that ended at `position`. Threads that
    /// read may have met it already, and what others have written behind it; then it is old.
    pub(super) fn take_in_own(
        &self,
        frame: &FrameBuilder,
        segment: &Arc<Segment>,
        position: Position,
    ) -> Result<()> {
        let mut state = self.state.write();
        if (state.active, state.tail) >= position {
            return Ok(());
        }
        if !state.segments.contains_key(&segment.number) {
            begin_filling(&mut state, segment);
        }
        let bytes = frame.bytes();
        let tail = position.1 - bytes.len() as u64;
        for (id, offset, len) in &frame.objects {
            let kind = Kind::from_byte(bytes[*offset])?;
            let offset = (tail + *offset as u64) as u32;
            let location = Location { offset, len: *len as u32, kind };
            state.locations.insert(segment.number, *id, location);
        }
        for change in frame.changes() {
            // The name is mostly there already, because an append checks the old value.
            match state.refs.get_mut(&change.name) {
                Some(value) => *value = change.new,
                None => drop(state.refs.insert(change.name.clone(), change.new)),
            }
            state.note_own(&change.name, position);
        }
        // What lies before it may be unread; then it is read again with that.
        if (state.active, state.tail) == (segment.number, tail) {
            state.tail = position.1;
        }
        Ok(())
    }

    fn preallocate(&self, segment: &Segment, needed: u64) -> Result<()> {
        if self.durability != Durability::Disk || needed <= self.state.read().allocated {
            return Ok(());
        }
        let from = segment.byte_len()?;
        let to = needed.next_multiple_of(PREALLOCATE_BYTES);
        if to > from {
            segment.write_at(&vec![0; (to - from) as usize], from)?;
        }
        self.state.write().allocated = to.max(from);
        Ok(())
    }

    /// The active segment and its tail, after discarding a torn tail and finishing a rotation
    /// that a crash interrupted.
    pub(super) fn writable_tail(&self) -> Result<(Arc<Segment>, u64)> {
        if self.state.read().sealed {
            let number = self.state.read().active;
            return self.open_next(number);
        }
        let (segment, tail, allocated) = {
            let state = self.state.read();
            let Some(segment) = state.segments.get(&state.active).cloned() else {
                let reason = "the active segment is gone".to_owned();
                return Err(Error::CorruptJournal { segment: state.active, offset: 0, reason });
            };
            (segment, state.tail, state.allocated)
        };
        if self.directory.is_none() {
            return Ok((segment, tail));
        }
        // One small read tells the common cases: the file ends at the tail, or goes on with zeros
        // that were looked at before. A writer that died has left its frame's first bytes.
        let mut next = [0; frame::HEADER_LEN];
        let read = segment.read_at(&mut next, tail)?;
        if allocated > 0 && (read == 0 || allocated >= tail && is_blank(&next)) {
            return Ok((segment, tail));
        }
        let len = segment.byte_len()?;
        if len < segment::HEADER_LEN {
            let directory = self.directory.as_deref().unwrap_or(Path::new(""));
            Segment::create(directory, segment.number)?;
        } else if len > tail {
            let mut rest = vec![0; (len - tail) as usize];
            let read = segment.read_at(&mut rest, tail)?;
            rest.truncate(read);
            if !is_blank(&rest) {
                self.keep_aside(&segment, tail, &rest)?;
                segment.truncate(tail)?;
            }
        }
        // What follows is new, whatever was once synced at these offsets.
        self.lower_synced((segment.number, tail))?;
        self.state.write().allocated = segment.byte_len()?.max(tail);
        Ok((segment, tail))
    }

    /// Nothing that was ever in the journal is thrown away without a copy.
    fn keep_aside(&self, segment: &Segment, tail: u64, bytes: &[u8]) -> Result<()> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let lost = directory.join("lost");
        std::fs::create_dir_all(&lost).map_err(|error| Error::io(&lost, error))?;
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        let path = lost.join(format!("{:016x}-{tail:x}.torn", segment.number));
        std::fs::write(&path, &bytes[..end]).map_err(|error| Error::io(&path, error))
    }

    /// Seals the newest segment, which ends at `tail`, and opens the next, where the journal goes
    /// on. The caller holds the lock.
    pub(super) fn rotate(&self, segment: &Arc<Segment>, tail: u64) -> Result<Position> {
        let mut seal = FrameBuilder::default();
        seal.seal(segment.number + 1);
        seal.finish();
        let end = self.write(&seal, segment, tail)?;
        self.take_in_own(&seal, segment, end)?;
        {
            let mut state = self.state.write();
            state.sealed |= (state.active, state.tail) == end;
        }
        let (next, tail) = self.open_next(segment.number)?;
        Ok((next.number, tail))
    }

    fn open_next(&self, number: u64) -> Result<(Arc<Segment>, u64)> {
        let next = number + 1;
        let segment = match &self.directory {
            Some(directory) => Segment::create(directory, next)?,
            None => Segment::in_memory(next),
        };
        let segment = Arc::new(segment);
        let mut state = self.state.write();
        if state.sealed && state.active == number {
            state.begin(next);
            state.allocated = segment::HEADER_LEN;
        }
        begin_filling(&mut state, &segment);
        Ok((segment, segment::HEADER_LEN))
    }
}

/// Makes room for a segment that this process writes to from now on; what maintenance has moved
/// meanwhile makes place.
fn begin_filling(state: &mut State, segment: &Arc<Segment>) {
    state.segments.insert(segment.number, Arc::clone(segment));
    state.locations.reserve(segment.number);
    forget_moved(state);
}
