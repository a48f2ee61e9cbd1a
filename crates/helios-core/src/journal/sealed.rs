//! Whole segments: what the operation log reads, and maintenance reads and then discards.

use std::path::Path;

use super::replay::{forget_moved, State};
use super::segment::{self, Segment};
use super::{Damage, Journal, Position};
use crate::error::{Error, Result};
use crate::id::Id;

/// What is read from a sealed segment, in order.
pub struct SealedFrame {
    /// Segment number and offset: unique, and ascending with time.
    pub position: (u64, u64),
    pub objects: Vec<(Id, Vec<u8>)>,
    pub operation: Option<Vec<u8>>,
}

impl Journal {
    /// Seals the active segment if it holds anything, so that maintenance can move it.
    pub fn seal(&self) -> Result<()> {
        self.locked(|| {
            let (segment, tail) = self.writable_tail()?;
            match tail > segment::HEADER_LEN {
                true => drop(self.rotate(&segment, tail)?),
                // What another process' maintenance has moved is not to be moved again.
                false => forget_moved(&mut self.state.write()),
            }
            Ok(())
        })
    }

    /// Forgets objects in segments that are deleted by now, although this process could still read
    /// them: since they left the journal, gc may have deleted them from L2.
    pub fn forget_moved(&self) -> Result<()> {
        self.refresh()?;
        forget_moved(&mut self.state.write());
        Ok(())
    }

    /// How many sealed segments wait for maintenance.
    pub fn sealed_count(&self) -> usize {
        self.state.read().segments.len().saturating_sub(1)
    }

    /// Numbers of the sealed segments, oldest first.
    pub fn sealed_segments(&self) -> Vec<u64> {
        let state = self.state.read();
        state.segments.range(..state.active).map(|(number, _)| *number).collect()
    }

    /// The frames of a sealed segment; damaged stretches are left out.
    pub fn sealed_frames(&self, number: u64) -> Result<Vec<SealedFrame>> {
        self.frames_behind((number, 0))
    }

    /// The frames of one segment from an offset on.
    fn frames_behind(&self, (number, from): Position) -> Result<Vec<SealedFrame>> {
        let mut frames = Vec::new();
        self.each_frame((number, from), &mut |frame| {
            frames.push(SealedFrame {
                position: frame.position,
                objects: frame.objects.iter().map(|(id, record)| (*id, record.to_vec())).collect(),
                operation: frame.operation.map(<[u8]>::to_vec),
            });
            Ok(())
        })?;
        Ok(frames)
    }

    /// What was taken in behind `from`, of one segment at a time, and where to go on; `None` at the
    /// end. A frame that comes meanwhile may be given twice.
    pub fn frames_from(&self, from: Position) -> Result<Option<(Vec<SealedFrame>, Position)>> {
        let state = self.state.read();
        for (number, segment) in state.segments.range(from.0..=state.active) {
            let start = if *number == from.0 { from.1 } else { 0 }.max(segment::HEADER_LEN);
            let end = if *number == state.active { state.tail } else { segment.byte_len()? };
            if start < end {
                let (number, end) = (*number, end);
                drop(state);
                return Ok(Some((self.frames_behind((number, start))?, (number, end))));
            }
        }
        Ok(None)
    }

    /// The operations of any segment and their positions, oldest first. None of a segment that
    /// maintenance has moved: then L2 has them.
    pub fn operations(&self, number: u64) -> Result<Vec<(Position, Vec<u8>)>> {
        let mut operations = Vec::new();
        self.each_frame((number, 0), &mut |frame| {
            operations.extend(frame.operation.map(|bytes| (frame.position, bytes.to_vec())));
            Ok(())
        })?;
        Ok(operations)
    }

    /// Deletes sealed segments up to and including `number`, which L2 now holds. Damaged ones are
    /// moved to `lost/` instead: they may hold what could not be read.
    pub fn discard(&self, number: u64) -> Result<()> {
        self.locked(|| {
            let mut state = self.state.write();
            let end = (number + 1).min(state.active);
            let gone: Vec<u64> = state.segments.range(..end).map(|(n, _)| *n).collect();
            for number in gone {
                let damaged = state.damage.iter().any(|damage| damage.segment == number);
                if let Some(segment) = state.segments.remove(&number) {
                    remove_segment(&segment, damaged)?;
                }
            }
            let State { segments, locations, .. } = &mut *state;
            locations.retain(|number| segments.contains_key(&number));
            Ok(())
        })
    }
}

/// What lies in `lost/`: `SEGMENT.journal`, or `SEGMENT-OFFSET.torn`, in hexadecimal digits.
pub(super) fn lost(directory: &Path) -> Vec<Damage> {
    // Where nothing was ever lost there is no directory.
    let entries = std::fs::read_dir(directory.join("lost")).into_iter().flatten().flatten();
    let mut found: Vec<Damage> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let name = name.to_str()?;
            let len = entry.metadata().ok()?.len();
            if let Some(segment) = segment::number_of(name) {
                return Some(Damage { segment, offset: 0, len });
            }
            let (segment, offset) = name.strip_suffix(".torn")?.split_once('-')?;
            let segment = u64::from_str_radix(segment, 16).ok()?;
            let offset = u64::from_str_radix(offset, 16).ok()?;
            Some(Damage { segment, offset, len })
        })
        .collect();
    found.sort_by_key(|damage| (damage.segment, damage.offset));
    found
}

fn remove_segment(segment: &Segment, damaged: bool) -> Result<()> {
    let Some(path) = segment.path() else {
        return Ok(());
    };
    let done = match (damaged, path.parent(), path.file_name()) {
        (true, Some(directory), Some(name)) => {
            let lost = directory.join("lost");
            std::fs::create_dir_all(&lost).and_then(|()| std::fs::rename(path, lost.join(name)))
        }
        _ => std::fs::remove_file(path),
    };
    match done {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(|error| Error::io(path, error)),
    }
}
