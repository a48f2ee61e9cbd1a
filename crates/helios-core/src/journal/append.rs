//! Writing to the journal: one frame at the tail, under the lock.

use std::path::Path;
use std::sync::Arc;

use super::epoch::Epoch;
use super::frame::{self, FrameBuilder};
use super::locations::Location;
use super::lock::Lock;
use super::replay::{forget_moved, is_blank};
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

    /// As `locked`; `body` is given the epoch, which cannot change meanwhile.
    pub(super) fn locked_at<T>(&self, body: impl FnOnce(&Epoch<'_>) -> Result<T>) -> Result<T> {
        let mut appending = self.appending.lock();
        let Some(directory) = &self.directory else {
            return body(&Epoch::InMemory(&self.epoch_in_memory));
        };
        if !self.writable {
            return Err(Error::ReadOnly(directory.display().to_string()));
        }
        let path = directory.join("lock");
        // What is taken in before need not be taken in under the lock.
        let guard = Lock::acquire_soon(&mut appending, &path, || self.refresh().map(drop))?;
        self.refresh()?;
        body(&Epoch::InFile(guard.file(), &path))
    }

    /// Appends a frame. Every ref change must find its `old` value: otherwise nothing moves, the
    /// objects are appended alone, and the result is the change that failed with the value found.
    /// A ref that only L2 knows must have been given to `remember_reference` before; if a reload
    /// has forgotten it, the result is `Append::Unknown` and nothing is written; so it is with
    /// `Append::Outdated` if the frame is of another epoch than the journal. What was appended is
    /// on disk only after `sync` with the position.
    pub fn append(&self, frame: &mut FrameBuilder) -> Result<Append> {
        self.locked_at(|epoch| {
            if epoch.get()? != frame.epoch {
                return Ok(Append::Outdated);
            }
            let mut moved = None;
            if let Some(operation) = &frame.operation {
                let state = self.state.read();
                for change in operation.changes.iter().filter(|change| change.is_compared()) {
                    match state.refs.get(&change.name) {
                        None => return Ok(Append::Unknown),
                        Some(value) if *value == change.old => {}
                        Some(value) => moved = Some((change.name.clone(), *value)),
                    }
                }
            }
            if moved.is_some() {
                frame.without_operation();
            }
            let position = self.write(frame)?;
            Ok(match moved {
                None => Append::Done(position),
                Some((name, value)) => Append::Moved(name, value, position),
            })
        })
    }

    /// Writes a frame at the tail; its end position. The caller holds the lock.
    fn write(&self, frame: &mut FrameBuilder) -> Result<Position> {
        let (segment, tail) = self.writable_tail()?;
        frame.finish();
        let bytes = frame.bytes();
        let len = bytes.len() as u64;
        let mut allocated = self.state.read().allocated;
        let written = self
            .preallocate(&segment, &mut allocated, tail + len)
            .and_then(|()| segment.write_at(bytes, tail));
        if let Err(error) = written {
            // What was written of it must not be taken for a torn tail by the next writer.
            segment.truncate(tail)?;
            self.state.write().allocated = tail;
            return Err(error);
        }
        let mut state = self.state.write();
        state.allocated = allocated;
        state.tail = tail + len;
        for (id, offset, len) in &frame.objects {
            let kind = Kind::from_byte(bytes[*offset])?;
            let offset = (tail + *offset as u64) as u32;
            let location = Location { offset, len: *len as u32, kind };
            state.locations.insert(segment.number, *id, location);
        }
        if let Some(operation) = &frame.operation {
            for change in &operation.changes {
                // The name is mostly there already, because an append checks the old value.
                match state.refs.get_mut(&change.name) {
                    Some(value) => *value = change.new,
                    None => drop(state.refs.insert(change.name.clone(), change.new)),
                }
            }
        }
        let end = (segment.number, state.tail);
        let full = state.tail > SEGMENT_BYTES_MAX;
        drop(state);
        if full && !frame.sealed {
            // The frame is written, whatever comes of this; the next append tries again.
            let _ = self.rotate();
        }
        Ok(end)
    }

    fn preallocate(&self, segment: &Segment, allocated: &mut u64, needed: u64) -> Result<()> {
        if self.durability != Durability::Disk || needed <= *allocated {
            return Ok(());
        }
        let from = segment.byte_len()?;
        let to = needed.next_multiple_of(PREALLOCATE_BYTES);
        if to > from {
            segment.write_at(&vec![0; (to - from) as usize], from)?;
        }
        *allocated = to.max(from);
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

    /// Seals the active segment and opens the next. The caller holds the lock.
    pub(super) fn rotate(&self) -> Result<()> {
        let number = self.state.read().active;
        let mut seal = FrameBuilder::default();
        seal.seal(number + 1);
        self.write(&mut seal)?;
        self.state.write().sealed = true;
        self.open_next(number).map(drop)
    }

    fn open_next(&self, number: u64) -> Result<(Arc<Segment>, u64)> {
        let next = number + 1;
        let segment = match &self.directory {
            Some(directory) => Segment::create(directory, next)?,
            None => Segment::in_memory(next),
        };
        let segment = Arc::new(segment);
        let mut state = self.state.write();
        state.segments.insert(next, Arc::clone(&segment));
        state.begin(next);
        state.locations.reserve(next);
        state.allocated = segment::HEADER_LEN;
        forget_moved(&mut state);
        Ok((segment, segment::HEADER_LEN))
    }
}
